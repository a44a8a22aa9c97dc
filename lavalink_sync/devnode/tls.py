"""TLS towards the server, apart from any socket: bytes in, bytes out, so that the relay's ends stay what they are."""

from __future__ import annotations

import ssl

__all__ = ["Tls", "TlsFailedError"]


class TlsFailedError(Exception):
    """The other side speaks no TLS, or its certificate does not hold. `alert`: what it is told of that."""

    def __init__(self, alert: bytes) -> None:
        super().__init__("TLS failed")
        self.alert = alert


class Tls:
    """The client's side of one TLS connection. `established`: the handshake is done."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self.established = False
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._waiting = bytearray()

    @property
    def waiting(self) -> int:
        """How many bytes wait for the handshake."""
        return len(self._waiting)

    def begin(self) -> bytes:
        """Return the first bytes of the handshake."""
        self._shake_hands()
        return self._outgoing.read()

    def encrypt(self, data: bytes) -> bytes:
        """Return what is to be sent for `data`; what comes before the handshake is done waits."""
        if not self.established:
            self._waiting += data
            return b""
        if data:
            self._object.write(data)
        return self._outgoing.read()

    def decrypt(self, data: bytes) -> tuple[bytes, bytes, bool]:
        """Return what was said in `data`, what is to be sent now, and whether the other side has taken its leave.

        Raises `TlsFailedError`.
        """
        self._incoming.write(data)
        try:
            if not self.established and self._shake_hands():
                reply = self.encrypt(bytes(self._waiting))
                self._waiting.clear()
            else:
                reply = b""
            plain, ended = self._read() if self.established else (b"", False)
        except ssl.SSLError:
            raise TlsFailedError(self._outgoing.read()) from None
        return plain, reply + self._outgoing.read(), ended

    def finish(self) -> bytes:
        """Return the leave to be taken: nothing more will be sent. Reading goes on."""
        try:
            self._object.unwrap()
        except ssl.SSLError:
            return self._outgoing.read()  # the other side has not answered it yet
        return self._outgoing.read()

    def _shake_hands(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        self.established = True
        return True

    def _read(self) -> tuple[bytes, bool]:
        found = bytearray()
        while True:
            try:
                piece = self._object.read(65_536)
            except ssl.SSLWantReadError:
                return bytes(found), False
            except ssl.SSLZeroReturnError:
                return bytes(found), True
            if not piece:
                return bytes(found), True
            found += piece
