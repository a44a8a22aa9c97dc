"""How bytes and jobs move: clocks, wakers, sockets, worker threads.

The only room that uses requests, websocket-client, socket and selectors. It knows nothing of players or events.
"""
