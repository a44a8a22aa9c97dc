"""The pump of a recorder: bytes pass from socket to socket unchanged, ends and resets too, and a listener hears them.

Everything runs on the recorder's loop. Neither side can fill the memory: who sends faster than the other reads waits.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Any

from .listening import Listener, Source
from .loop import READ, WRITE, Loop, Timer
from .tls import Tls, TlsFailedError

__all__ = ["Address", "Relay"]

Address = tuple[socket.AddressFamily, Any]
_CHUNK = 65_536
_MAX_UNSENT = 2**20
_DIAL_SECONDS = 10.0
# What a client gets to say what it wanted from a server that is not there.
_LAST_WORDS = 10.0


class _End:
    """One of the two sockets. `ended`: it sends no more. `broken`: it takes no more."""

    def __init__(self, source: Source, sock: socket.socket | None) -> None:
        self.source = source
        self.sock = sock
        self.unsent = bytearray()
        self.ended = False
        self.broken = False
        self.finish = False
        self.finished = False


class Relay:
    """One client and its connection to the server. `on_gone(relay)` is called when it is `closed`, both sides of it."""

    def __init__(
        self,
        sock: socket.socket,
        addresses: Sequence[Address],
        tls: Tls | None,
        loop: Loop,
        listener: Listener,
        on_gone: Callable[[Relay], None],
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._on_gone = on_gone
        self._tls = tls
        self._addresses = list(addresses)
        self._client = _End("client", sock)
        self._server = _End("server", None)
        self._dialing: socket.socket | None = None
        self._timer: Timer | None = None
        self._unreachable = False
        self.closed = False
        self._watch(self._client)
        self._dial()

    def close(self, by_us: bool = False, reset: _End | None = None) -> None:
        """End both sides; `reset` the one whose other was reset."""
        if self.closed:
            return
        self.closed = True
        if self._timer is not None:
            self._timer.cancel()
        for sock in (self._client.sock, self._server.sock, self._dialing):
            if sock is None:
                continue
            self._loop.unwatch(sock)
            if reset is not None and sock is reset.sock:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
        self._listener.gone(by_us)
        self._on_gone(self)

    # --- reaching the server

    def _dial(self) -> None:
        while self._addresses and not self.closed:
            family, address = self._addresses.pop(0)
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
            except OSError:
                continue  # no such family here, or no descriptors left
            sock.setblocking(False)
            self._dialing = sock
            failure = sock.connect_ex(address)
            if failure in (0, errno.EINPROGRESS, errno.EWOULDBLOCK):
                self._timer = self._loop.later(_DIAL_SECONDS, lambda: self._dialed(errno.ETIMEDOUT))
                self._loop.watch(sock, WRITE, lambda events: self._dialed(None))
                return
            sock.close()
            self._dialing = None
        if not self.closed:
            self._give_up_on_the_server()

    def _dialed(self, failure: int | None) -> None:
        sock, self._dialing = self._dialing, None
        if sock is None or self.closed:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._loop.unwatch(sock)
        if failure or sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            sock.close()
            self._dial()
            return
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._server.sock = sock
        if self._tls is not None:
            self._server.unsent[:0] = self._tls.begin()
        self._flush(self._server)

    def _give_up_on_the_server(self) -> None:
        """Hear what the client wants, for the recording; then it is told the only way there is, by the end."""
        self._unreachable = True
        self._server.unsent.clear()
        self._timer = self._loop.later(_LAST_WORDS, self._leave_unreached)
        if self._listener.asked or self._client.ended:
            self._leave_unreached()
        else:
            self._watch(self._client)

    def _let_go_of_the_server(self) -> None:
        """It is there, but its certificate does not hold: as good as not there."""
        if self._server.sock is not None:
            self._loop.unwatch(self._server.sock)
            self._server.sock.close()
            self._server.sock = None
        self._give_up_on_the_server()

    def _leave_unreached(self) -> None:
        self._listener.unreached()
        self.close()

    # --- pumping

    def _other(self, end: _End) -> _End:
        return self._server if end is self._client else self._client

    def _watch(self, end: _End) -> None:
        if end.sock is None or self.closed:
            return
        events = 0 if end.ended or self._backlog(self._other(end)) > _MAX_UNSENT else READ
        if end.unsent:
            events |= WRITE
        if events:
            self._loop.watch(end.sock, events, lambda ready: self._ready(end, ready))
        else:
            self._loop.unwatch(end.sock)

    def _backlog(self, end: _End) -> int:
        waiting = self._tls.waiting if end is self._server and self._tls is not None else 0
        return len(end.unsent) + waiting

    def _ready(self, end: _End, events: int) -> None:
        if events & WRITE and not self.closed:
            self._flush(end)
        if events & READ and not self.closed:
            self._read(end)

    def _read(self, end: _End) -> None:
        assert end.sock is not None
        try:
            data = end.sock.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError:
            self._was_reset(end)
            return
        if not data and end.broken:
            self._was_reset(end)
        elif not data:
            self._ended(end)
        elif end is self._server and self._tls is not None:
            self._decrypted(self._tls, data)
        else:
            self._pass(end, data)

    def _pass(self, end: _End, data: bytes) -> None:
        """Let the listener hear it first, so that what it leads to is heard later."""
        self._listener.heard(end.source, data)
        if self._unreachable:
            if self._listener.asked:
                self._leave_unreached()
            return
        other = self._other(end)
        if not other.broken:
            other.unsent += data if end is self._server or self._tls is None else self._tls.encrypt(data)
        self._flush(other)

    def _decrypted(self, tls: Tls, data: bytes) -> None:
        try:
            plain, reply, ended = tls.decrypt(data)
        except TlsFailedError as error:
            self._server.unsent += error.alert
            self._try_to_send(self._server)
            if tls.established:
                self._was_reset(self._server)
            else:
                self._let_go_of_the_server()
            return
        self._server.unsent += reply
        if self._client.ended and tls.established and not self._server.finish:
            self._server.unsent += tls.finish()
            self._server.finish = True
        self._flush(self._server)
        if plain and not self.closed:
            self._pass(self._server, plain)
        if ended and not self.closed:
            self._ended(self._server)

    def _flush(self, end: _End) -> None:
        if end.sock is None or self.closed:
            self._watch(self._other(end))
            return
        try:
            while end.unsent:
                del end.unsent[: end.sock.send(end.unsent)]
        except BlockingIOError:
            pass
        except OSError:
            end.broken = True
            end.unsent.clear()
            if end.ended:
                self._was_reset(end)
                return
            # Else: it may have said something before it went. That is still read, and its end with it.
        if end.finish and not end.unsent:
            self._finish(end)
        self._watch(end)
        self._watch(self._other(end))

    # --- ends

    def _ended(self, end: _End) -> None:
        if end.ended:
            return
        end.ended = True
        self._listener.ended(end.source, "end")
        if self._unreachable:
            self._leave_unreached()
            return
        other = self._other(end)
        if other is self._server and self._tls is not None:
            if not self._tls.established:
                return  # `_decrypted` will see to it
            other.unsent += self._tls.finish()
        other.finish = True
        self._flush(other)

    def _finish(self, end: _End) -> None:
        """Pass on that nothing more comes."""
        if end.sock is None or end.finished:
            return
        end.finished = True
        try:
            end.sock.shutdown(socket.SHUT_WR)
        except OSError:
            end.broken = True
        if self._client.ended and self._server.ended and not self._client.unsent and not self._server.unsent:
            self.close()

    def _was_reset(self, end: _End) -> None:
        if self.closed:
            return
        if end is self._server and self._tls is not None and end.finish:
            self._hung_up()
            return
        self._listener.ended(end.source, "reset")
        other = self._other(end)
        if other.sock is not None and other.unsent:
            self._try_to_send(other)
        self.close(reset=other)

    def _hung_up(self) -> None:
        """The server had closed when TLS's leave came, which a reset answers: to the client that is an end, no more."""
        self._server.broken = True
        self._server.unsent.clear()
        if not self._server.ended:
            self._ended(self._server)
        elif not self._client.unsent:
            self.close()

    def _try_to_send(self, end: _End) -> None:
        assert end.sock is not None
        try:
            end.sock.send(end.unsent)
        except OSError as error:
            end.broken = error.errno not in (errno.EAGAIN, errno.EWOULDBLOCK)
