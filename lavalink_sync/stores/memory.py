"""`MemoryStore`: nothing outside this process. For tests, and to hand a state from one client to the next."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping

from .base import PLAYERS, SESSIONS, Store


class MemoryStore(Store):
    """A store in memory. It ends with the process; `close` leaves what it holds for the next client.

    No call blocks, and none raises `StoreError`. Every lease is granted: no other process can see it.
    """

    def __init__(self, *, keep_voice: bool = False) -> None:
        self.keep_voice = keep_voice
        # Guards the tables, for a dictionary operation.
        self._lock = threading.Lock()
        self._tables: dict[str, dict[str, bytes]] = {SESSIONS: {}, PLAYERS: {}}

    def read(self, table: str) -> Mapping[str, bytes]:
        """See `Store.read`."""
        with self._lock:
            return dict(self._tables[table])

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """See `Store.put`."""
        with self._lock:
            self._tables[table].update(records)

    def drop(self, table: str, keys: Collection[str]) -> None:
        """See `Store.drop`."""
        with self._lock:
            for key in keys:
                self._tables[table].pop(key, None)

    def __repr__(self) -> str:
        return "MemoryStore()"
