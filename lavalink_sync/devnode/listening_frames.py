"""Understanding a WebSocket from copies of its bytes: messages, pings and close frames of both sides."""

from __future__ import annotations

from typing import Any

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, Ping, Pong, TextMessage
from wsproto.extensions import Extension, PerMessageDeflate
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from .bodies import parsed
from .journal import Journal

__all__ = ["FrameListener"]


class FrameListener:
    """See the module. `number`: the connection's. `extensions`: what the server has agreed to."""

    def __init__(self, number: int, journal: Journal, extensions: str) -> None:
        self._number = number
        self._journal = journal
        # Each reads as the other side would.
        self._parsers = {
            "client": Connection(ConnectionType.SERVER, _agreed(extensions)),
            "server": Connection(ConnectionType.CLIENT, _agreed(extensions)),
        }
        self._deaf: set[str] = set()
        self._messages = {"client": _Message(journal.limit), "server": _Message(journal.limit)}

    def heard(self, source: str, data: bytes) -> None:
        """`source` has sent `data`."""
        parser = self._parsers[source]
        if source in self._deaf or parser.state is not ConnectionState.OPEN:
            return
        try:
            parser.receive_data(data)
            for event in parser.events():
                if isinstance(event, CloseConnection) and parser.state is ConnectionState.OPEN:
                    # Nobody has closed: it is how the parser says that it does not understand.
                    raise RemoteProtocolError("not understood")
                self._tell(source, event)
        except (RemoteProtocolError, LocalProtocolError):
            self._deaf.add(source)
            self._write("unparsed", source, error="it is no WebSocket frame")

    def ended(self, source: str, how: str) -> None:
        """The connection is no more."""
        self._write("ws_end", source, how=how, after=self._journal.asked)

    def _tell(self, source: str, event: Event) -> None:
        after = self._journal.asked
        if isinstance(event, Message):
            message = self._messages[source]
            message.add(event)
            if event.message_finished:
                self._messages[source] = _Message(self._journal.limit)
                self._write("ws", source, **message.told(self._journal), after=after)
        elif isinstance(event, Ping):
            self._write("ws_ping", source, size=len(event.payload), after=after)
        elif isinstance(event, Pong):
            self._write("ws_pong", source, size=len(event.payload), after=after)
        elif isinstance(event, CloseConnection):
            # wsproto has 1005 for a frame without a code.
            code = None if event.code == 1005 else int(event.code)
            self._write("ws_close", source, code=code, reason=event.reason or "", after=after)

    def _write(self, kind: str, source: str, **fields: Any) -> None:
        said = {} if kind == "ws" and source == "server" else {"from": source}
        self._journal.write(kind, {"connection": self._number, **said, **fields})


class _Message:
    """The pieces of one message, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._binary = False
        self._pieces: list[str] | None = []

    def add(self, event: Event) -> None:
        if isinstance(event, TextMessage):
            self._size += len(event.data.encode("utf-8", "surrogatepass"))
            if self._pieces is not None and self._size <= self._limit:
                self._pieces.append(event.data)
            else:
                self._pieces = None
        elif isinstance(event, BytesMessage):
            self._size += len(event.data)
            self._binary = True

    def told(self, journal: Journal) -> dict[str, Any]:
        if self._binary:
            return {"omitted": {"size": self._size, "type": "binary", "why": "it is no text"}}
        if self._pieces is None:
            return {"omitted": {"size": self._size, "type": "text", "why": "it is too long"}}
        value = parsed("".join(self._pieces), journal.secrets)
        return {"text": value} if isinstance(value, str) else {"body": value}


def _agreed(extensions: str) -> list[Extension]:
    for offer in extensions.split(","):
        if offer.strip().startswith(PerMessageDeflate.name):
            found = PerMessageDeflate()
            found.finalize(offer.strip())
            return [found]
    return []
