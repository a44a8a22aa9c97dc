"""What the load server says, as bytes made before they are needed: WebSocket frames, HTTP answers, tracks, playlists.

Shapes and header names are those of a Lavalink 4.2 server, JSON bodies in chunks of 16 KiB included.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

GUILD = 817327181659110000
"""The first guild; guild n is this plus n. Runners make their players for them."""

TRACK = "https://media.example/track"
PLAYLIST = "https://media.example/playlist/5000"
"""What runners load. Addresses, because some clients take other identifiers for a search."""

_PLAYLIST = re.compile(r"/playlist/(\d+)$")
_ACCEPT_KEY = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNK = 16 * 1024
_BLOCK = 64 * 1024


def dumps(value: object) -> bytes:
    """JSON as a server writes it: no spaces."""
    return json.dumps(value, separators=(",", ":")).encode()


def track(number: int = 0) -> dict[str, Any]:
    """A track of about 600 bytes, with the fields and the lengths of a usual one."""
    identifier = f"dQw4w9W{number:04d}"
    return {
        "encoded": "QAAAjQMAIVJpY2sgQXN0bGV5" + f"{number:08d}" * 18 + "AAA=",
        "info": {
            "identifier": identifier,
            "isSeekable": True,
            "author": "An artist of that time",
            "length": 212000 + number,
            "isStream": False,
            "position": 0,
            "title": f"A song of some length - number {number}",
            "uri": f"https://media.example/watch?v={identifier}",
            "artworkUrl": f"https://media.example/vi/{identifier}/maxresdefault.jpg",
            "isrc": None,
            "sourceName": "youtube",
        },
        "pluginInfo": {},
        "userData": {},
    }


def player(guild_id: str, update: dict[str, Any]) -> dict[str, Any]:
    """The answer to a player update."""
    return {
        "guildId": guild_id,
        "track": track() if update.get("track", {"encoded": ""}).get("encoded") is not None else None,
        "volume": update.get("volume", 100),
        "paused": update.get("paused", False),
        "state": {"time": int(time.time() * 1000), "position": 0, "connected": True, "ping": 12},
        "voice": {"token": "", "endpoint": "", "sessionId": ""},
        "filters": update.get("filters", {}),
    }


# Frames.


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """One unmasked, unfragmented frame, as servers send them."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65536:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2, "big") + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8, "big") + payload


def ready(session_id: str, resumed: bool) -> bytes:
    """The first message of a connection."""
    told = b"true" if resumed else b"false"
    return frame(b'{"op":"ready","resumed":%b,"sessionId":"%b"}' % (told, session_id.encode()))


def player_update(guild: int, position: int, now_ms: int) -> bytes:
    """Guild number `guild` is at `position` milliseconds."""
    state = {"time": now_ms, "position": position, "connected": True, "ping": 12}
    return frame(dumps({"op": "playerUpdate", "state": state, "guildId": str(GUILD + guild)}))


def track_start(guild: int, number: int = 0) -> bytes:
    """A track starts in guild number `guild`."""
    body = {"op": "event", "type": "TrackStartEvent", "guildId": str(GUILD + guild), "track": track(number)}
    return frame(dumps(body))


def marker() -> bytes:
    """What ends a flood: the track of the first guild was replaced. No client does anything of its own about that."""
    body = {"op": "event", "type": "TrackEndEvent", "guildId": str(GUILD), "track": track(), "reason": "replaced"}
    return frame(dumps(body))


def flood(kind: str, count: int, guilds: int) -> Iterator[bytes]:
    """`count` frames over `guilds` guilds in turn, in blocks of about 64 KiB, and the marker.

    A cycle of frames is made at once and then repeated: no frame is like the one before it of the same guild.
    """
    now_ms = int(time.time() * 1000)
    length = min(count, max(guilds * 2, 2000))
    if kind == "update":
        cycle = [player_update(n % guilds, 20 * n, now_ms + n) for n in range(length)]
    else:
        cycle = [track_start(n % guilds, n) for n in range(length)]
    step = max(1, _BLOCK // len(cycle[0]))
    blocks = [b"".join(cycle[at : at + step]) for at in range(0, length, step)]
    left = count
    while left >= length:
        yield from blocks
        left -= length
    yield b"".join(cycle[:left]) + marker()


def accept(key: bytes, resumed: bool) -> bytes:
    """The answer to a WebSocket handshake."""
    digest = base64.b64encode(hashlib.sha1(key + _ACCEPT_KEY).digest())
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n"
        b"Lavalink-Api-Version: 4\r\nSession-Resumed: %b\r\nSec-WebSocket-Accept: %b\r\n\r\n"
        % (b"true" if resumed else b"false", digest)
    )


# HTTP answers.


def answer(body: bytes, kind: bytes = b"application/json") -> bytes:
    """A 200 with its body in chunks."""
    chunks = [body[at : at + _CHUNK] for at in range(0, len(body), _CHUNK)]
    text = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    head = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Type: %b\r\n"
        b"Lavalink-Api-Version: 4\r\nDate: Mon, 23 Nov 2026 11:58:32 GMT\r\n\r\n"
    )
    return head % kind + text


NO_CONTENT = b"HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\nLavalink-Api-Version: 4\r\n\r\n"
NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"
VERSION = (
    b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Type: text/plain;charset=ISO-8859-1\r\n"
    b"Content-Length: 5\r\nLavalink-Api-Version: 4\r\n\r\n4.2.2"
)
INFO = answer(
    dumps(
        {
            "version": {"semver": "4.2.2", "major": 4, "minor": 2, "patch": 2, "preRelease": "", "build": ""},
            "buildTime": 1767225600000,
            "git": {"branch": "master", "commit": "0000000", "commitTime": 1767225600000},
            "jvm": "17.0.15",
            "lavaplayer": "2.2.6",
            "sourceManagers": ["youtube", "local", "http"],
            "filters": ["volume", "equalizer", "timescale"],
            "plugins": [],
        }
    )
)


@cache
def loaded(identifier: str) -> bytes:
    """The answer to a load: `.../playlist/N` gives one of N tracks, everything else the one track."""
    size = _PLAYLIST.search(identifier)
    if size is None:
        return answer(dumps({"loadType": "track", "data": track()}))
    info = {"name": "All of it", "selectedTrack": -1}
    tracks = [track(number) for number in range(int(size[1]))]
    return answer(dumps({"loadType": "playlist", "data": {"info": info, "pluginInfo": {}, "tracks": tracks}}))
