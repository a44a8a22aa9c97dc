"""A raw client of a recorder: bytes in, bytes out, ends and resets, with a deadline on everything."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lavalink_sync.devnode import Recorder

from .sockets import Script, ScriptedServer
from .waiting import wait_until

PATIENCE = 10.0
GET = b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADE = (
    b"GET /v4/websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@contextmanager
def dialed(address: str) -> Iterator[socket.socket]:
    """A plain connection to `HOST:PORT`."""
    host, _, port = address.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), PATIENCE) as sock:
        yield sock


def read_exactly(sock: socket.socket, size: int) -> bytes:
    """Read `size` bytes; fewer only if the other side ends before."""
    found = bytearray()
    while len(found) < size and (piece := sock.recv(min(65_536, size - len(found)))):
        found += piece
    return bytes(found)


def read_to_end(sock: socket.socket) -> bytes:
    """Read until the other side ends."""
    return read_exactly(sock, 2**40)


def reset(sock: socket.socket) -> None:
    """End with a TCP reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def written(recorder: Recorder, kind: str, count: int = 1) -> list[dict[str, Any]]:
    """Wait until the recording has `count` lines of `kind`, and return them."""

    def found() -> list[dict[str, Any]]:
        return [line for line in recorder.lines if line["kind"] == kind]

    wait_until(lambda: len(found()) >= count, f"{count} lines of {kind}")
    return found()


@contextmanager
def relayed(path: Path, *scripts: Script) -> Iterator[Recorder]:
    """A recorder in front of a server that plays scripts."""
    with ScriptedServer(*scripts) as server, Recorder(server.address, path) as recorder:
        yield recorder
