"""Where a client keeps session ids and players, so that a restart goes on with the music.

`MemoryStore` for tests, `FileStore` for a bot, `SQLiteStore` for a large one, `RedisStore` for several machines, and
`Store` for one of your own. `RedisStore` is imported when it is first asked for: its package is large, and optional.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .base import Store, StoredState
from .file import FileStore
from .memory import MemoryStore
from .record import StoredPlayer, StoredSession
from .sqlite import SQLiteStore

if TYPE_CHECKING:
    from .redis import RedisStore

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


def __getattr__(name: str) -> Any:
    if name != "RedisStore":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(".redis", __name__).RedisStore
