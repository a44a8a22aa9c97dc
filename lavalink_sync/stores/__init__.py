"""Where a client keeps session ids and players, so that a restart goes on with the music.

`MemoryStore` for tests, `FileStore` for a bot, `SQLiteStore` for a large one, `RedisStore` for several machines, and
`Store` for one of your own. `SQLiteStore` and `RedisStore` are imported when they are first asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Store, StoredState
from .file import FileStore
from .memory import MemoryStore
from .record import StoredPlayer, StoredSession

if TYPE_CHECKING:
    from .redis import RedisStore
    from .sqlite import SQLiteStore

__all__ = [
    "FileStore",
    "MemoryStore",
    "RedisStore",
    "SQLiteStore",
    "Store",
    "StoredPlayer",
    "StoredSession",
    "StoredState",
]


_LATE = {"RedisStore": ".redis", "SQLiteStore": ".sqlite"}


def __getattr__(name: str) -> Any:
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_LATE[name], __name__), name)
