"""A server that plays scripts: a function `(peer) -> None` a connection, run in a thread, does whatever it likes.

It is bounded everywhere: every wait of a script ends when the server is left, or after some seconds. What a script
raises fails the test, except that the client went away, which scripts need not care about.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Sequence
from types import TracebackType

from lavalink_sync.transport.waker import Waker

_PATIENCE = 10.0
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA


def frame(opcode: int, payload: bytes = b"", *, fin: bool = True, rsv: int = 0, masked: bool = False) -> bytes:
    """Return one frame as a server sends it, right or wrong."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    mask_bit = 0x80 if masked else 0
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    return head + (b"\0\0\0\0" if masked else b"") + payload


def text(payload: str) -> bytes:
    """Return a whole text frame."""
    return frame(TEXT, payload.encode())


def close_frame(code: int, reason: str = "") -> bytes:
    """Return a close frame."""
    return frame(CLOSE, struct.pack("!H", code) + reason.encode())


def answer(status: str, body: bytes = b"", *headers: str, length: bool = True) -> bytes:
    """Return a whole HTTP answer: `answer("404 Not Found", b"...")`."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


class GoneError(Exception):
    """The client ended the connection, or the test is over; a script may let it pass."""


class Peer:
    """The server's end of one connection, with what scripts need."""

    def __init__(self, sock: socket.socket, quitting: Waker) -> None:
        self.sock = sock
        self._quitting = quitting
        self.request = ""
        self._buffer = b""
        sock.settimeout(_PATIENCE)

    def send(self, data: bytes) -> None:
        """Send all of `data`."""
        self.sock.sendall(data)

    def read_request(self) -> str:
        """Read a request's head and return it; it is also in `request`."""
        while b"\r\n\r\n" not in self._buffer:
            self._more()
        head, _, self._buffer = self._buffer.partition(b"\r\n\r\n")
        self.request = head.decode("latin-1")
        return self.request

    def read_exactly(self, size: int) -> bytes:
        """Read `size` bytes, of a request's body for example."""
        while len(self._buffer) < size:
            self._more()
        taken, self._buffer = self._buffer[:size], self._buffer[size:]
        return taken

    def header(self, name: str) -> str | None:
        """Return a header of the request last read."""
        for line in self.request.split("\r\n")[1:]:
            key, _, value = line.partition(":")
            if key.lower() == name.lower():
                return value.strip()
        return None

    def agreement(self, *headers: str) -> bytes:
        """Return the answer that makes the request last read a WebSocket."""
        key = (self.header("Sec-WebSocket-Key") or "").encode()
        accept = base64.b64encode(hashlib.sha1(key + _GUID).digest()).decode()
        lines = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            *headers,
        ]
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def accept(self, *headers: str, then: bytes = b"") -> None:
        """Read the request and agree; `then` goes out with the answer in one piece."""
        self.read_request()
        self.send(self.agreement(*headers) + then)

    def read_frame(self) -> tuple[int, bytes]:
        """Return opcode and payload of the next frame of the client, which must be masked."""
        while len(self._buffer) < 6:
            self._more()
        first, second = self._buffer[0], self._buffer[1]
        assert first & 0x80, "the client sent a fragment"
        assert second & 0x80, "the client sent an unmasked frame"
        length = second & 0x7F
        assert length < 126, "clients of Lavalink send small frames only"
        while len(self._buffer) < 6 + length:
            self._more()
        mask, masked = self._buffer[2:6], self._buffer[6 : 6 + length]
        self._buffer = self._buffer[6 + length :]
        return first & 0x0F, bytes(byte ^ mask[i % 4] for i, byte in enumerate(masked))

    def wait_quit(self) -> None:
        """Stay connected and silent until the test is done with the server."""
        _ready(self._quitting)

    def wait_gone(self) -> None:
        """Read and forget until the client ends the connection."""
        with contextlib.suppress(GoneError):
            while True:
                self._more()

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def _more(self) -> None:
        pending = isinstance(self.sock, ssl.SSLSocket) and self.sock.pending()
        if not pending and self.sock.fileno() not in _ready(self.sock, self._quitting):
            raise GoneError
        try:
            data = self.sock.recv(65536)
        except ConnectionError:
            data = b""
        if not data:
            raise GoneError
        self._buffer += data


Script = Callable[[Peer], None]


class ScriptedServer:
    """Listens on loopback and plays one script a connection, the last one again and again. A context manager."""

    def __init__(
        self, *scripts: Script, tls: ssl.SSLContext | None = None, family: socket.AddressFamily = socket.AF_INET
    ) -> None:
        self._scripts: Sequence[Script] = scripts
        self._tls = tls
        # Readable from the moment that the server is left: every wait watches it.
        self._quitting = Waker()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []
        self.peers: list[Peer] = []
        self._listener = socket.socket(family, socket.SOCK_STREAM)
        self._listener.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        self._listener.listen(16)
        self.port: int = self._listener.getsockname()[1]
        host = "[::1]" if family == socket.AF_INET6 else "127.0.0.1"
        self.address = f"{host}:{self.port}"
        self._accepting = threading.Thread(target=self._accept, name="scripted-server", daemon=True)

    def __enter__(self) -> ScriptedServer:
        self._accepting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._quitting.wake()
        for thread in [self._accepting, *self._threads]:
            thread.join(_PATIENCE)
            assert not thread.is_alive(), f"{thread.name} did not end"
        self._listener.close()
        self._quitting.close()
        if self._errors and error is None:
            raise self._errors[0]

    def _accept(self) -> None:
        while self._quitting.fileno() not in (ready := _ready(self._listener, self._quitting)):
            if not ready:
                continue
            sock, _ = self._listener.accept()
            number = len(self._threads)
            script = self._scripts[min(number, len(self._scripts) - 1)]
            thread = threading.Thread(target=self._play, args=(sock, script), name=f"script-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, sock: socket.socket, script: Script) -> None:
        try:
            sock.settimeout(_PATIENCE)
            if self._tls is not None:
                sock = self._tls.wrap_socket(sock, server_side=True)
            peer = Peer(sock, self._quitting)
            self.peers.append(peer)
            script(peer)
        except (GoneError, ConnectionError, ssl.SSLError):
            pass  # the client went away, or did not like our certificate
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            self._errors.append(error)
        finally:
            sock.close()


def _ready(*files: socket.socket | Waker) -> list[int]:
    """Wait, with patience, until one of `files` can be read; return the descriptors of those that can."""
    return select.select([file.fileno() for file in files], [], [], _PATIENCE)[0]


def unused_port() -> int:
    """Return a port of 127.0.0.1 at which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def has_ipv6() -> bool:
    """Say whether this machine has an IPv6 loopback."""
    if not socket.has_ipv6 or not os.path.exists("/proc/net/if_inet6"):
        return False
    with contextlib.closing(socket.socket(socket.AF_INET6)) as sock:
        try:
            sock.bind(("::1", 0))
        except OSError:
            return False
        return True
