"""What the tests of stores have in common: records, small and large, and every kind of store on fresh ground."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync import Secret, VoiceState
from lavalink_sync.stores import FileStore, MemoryStore, RedisStore, SQLiteStore, Store, StoredPlayer, StoredSession

SESSION_ID = "la3kfsdf5eafe848"
TOKEN = "0123456789abcdef-voice-token"
VOICE_SESSION = "voice-session-of-discord"
# Seconds; no test runs as long, however busy the machine is.
_LEASE = 600
KINDS = ("memory", "file", "sqlite", "redis")

Maker = Callable[..., Store]


def track(title: str = "Never Gonna Give You Up", **user_data: Any) -> dict[str, Any]:
    """A track as a server tells it."""
    return {
        "encoded": "QAAAjQIAJVJpY2sgQXN0bGV5",
        "info": {
            "identifier": "dQw4w9WgXcQ",
            "isSeekable": True,
            "author": "RickAstleyVEVO",
            "length": 212000,
            "isStream": False,
            "position": 60000,
            "title": title,
            "uri": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
            "artworkUrl": "https://i.ytimg.com/vi/dQw4w9WgXcQ/maxresdefault.jpg",
            "isrc": None,
            "sourceName": "youtube",
        },
        "pluginInfo": {"albumName": "Whenever You Need Somebody"},
        "userData": {"requester": 170939974227591168, **user_data},
    }


def session(node: str = "main", session_id: str = SESSION_ID, **changes: Any) -> StoredSession:
    """A session to resume."""
    fields: dict[str, Any] = {"user_id": 170939974227591168, "saved_at": 1700000000.25, "resume_timeout": 60}
    return StoredSession(node, session_id=Secret(session_id), **{**fields, **changes})


def voice() -> VoiceState:
    """Voice data from Discord."""
    return VoiceState(Secret(TOKEN), "eu-west123.discord.gg", Secret(VOICE_SESSION), "81384788765712387")


def player(guild_id: int = 81384788765712384, **changes: Any) -> StoredPlayer:
    """A player in mid-song."""
    fields: dict[str, Any] = {
        "node": "main",
        "channel_id": 81384788765712387,
        "track": track(),
        "position": 60123,
        "at": 1700000000.5,
        "end_time": 200000,
        "volume": 80,
        "paused": True,
        "filters": {"volume": 0.5, "timescale": {"speed": 1.5, "pitch": 1.0, "rate": 1.0}, "pluginFilters": {}},
        "plugin_state": {"sponsorblock": {"categories": ["sponsor"]}},
    }
    return StoredPlayer(guild_id, **{**fields, **changes})


@pytest.fixture
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Maker]:
    """Make stores of one kind on the same ground, as several processes would; each is closed after the test."""
    prefix = f"test-{uuid.uuid4().hex}"
    memory: list[MemoryStore] = []
    with ExitStack() as opened:

        def make(kind: str, **options: Any) -> Store:
            store: Store
            if kind == "memory":
                if not memory or options:
                    memory[:] = [MemoryStore(**options)]
                return memory[0]
            if kind == "file":
                store = FileStore(tmp_path / "store.json", **options)
            elif kind == "sqlite":
                store = SQLiteStore(tmp_path / "store.db", lease_seconds=_LEASE, **options)
            else:
                url = request.getfixturevalue("redis_server")
                store = RedisStore(url, prefix=prefix, lease_seconds=_LEASE, **options)
            return opened.enter_context(store)

        yield make
