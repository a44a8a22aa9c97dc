"""`Store`: what every store does, and the three methods that a store of your own needs.

A store is two tables, `sessions` (by node name) and `players` (by guild id), of JSON texts. The typed methods here
write and check the records, so a subclass only moves texts: `read`, `put`, `drop`, and the lease where it has one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, TypeVar

from ..errors import ForkError, ProtocolError
from .record import (
    NewerRecordError,
    StoredPlayer,
    StoredSession,
    read_player,
    read_session,
    write_player,
    write_session,
)

log = logging.getLogger(__name__)

SESSIONS = "sessions"
PLAYERS = "players"
# So many records are named in one warning.
_NAMED = 10

R = TypeVar("R")
S = TypeVar("S", bound="Store")


@dataclass(frozen=True)
class StoredState:
    """All that a store holds: `sessions` by node name, `players` by guild id."""

    sessions: Mapping[str, StoredSession] = field(default_factory=dict)
    players: Mapping[int, StoredPlayer] = field(default_factory=dict)


class Store:
    """Session ids and players that survive a restart. One store is for one bot, and for one open client at a time.

    Every method blocks and may be called from any thread; calls go one at a time. They raise `StoreError` where the
    storage can't be read or written, and `ForkError` in a forked process. A password is never kept. `keep_voice` (off
    by default) says whether Discord's voice token, session and endpoint are.

    A store of your own overrides `read`, `put` and `drop`; `claim`, `renew` and `release` where several processes
    could use it, with `lease_seconds`; `close` where there is something to close.
    """

    keep_voice: bool = False
    lease_seconds: float | None = None
    """After how many seconds without `renew` a lease is free for others; renew each third of it. `None`: never."""

    # What a client calls.

    def load(self) -> StoredState:
        """Return everything that is stored. Claim first: then no other process changes it any more.

        A damaged record, and one of a newer version, is left out and left alone until the same node or guild is saved
        or forgotten; one warning names them.
        """
        sessions = self._records(SESSIONS, "node", read_session)
        players = self._records(PLAYERS, "guild", lambda key, text: read_player(key, text, self.keep_voice))
        return StoredState(sessions, {player.guild_id: player for player in players.values()})

    def save_session(self, session: StoredSession) -> None:
        """Keep a node's session in place of the one before."""
        self.put(SESSIONS, {session.node: write_session(session)})

    def forget_session(self, node: str) -> None:
        """Forget a node's session; nothing happens where there is none."""
        self.drop(SESSIONS, [node])

    def save_players(self, players: Iterable[StoredPlayer]) -> None:
        """Keep players, each in place of the one before; best many at once.

        Raises `InvalidArgumentError`, and keeps none of them, where one can't be written as JSON.
        """
        records = {str(player.guild_id): write_player(player, self.keep_voice) for player in players}
        if records:
            self.put(PLAYERS, records)

    def forget_players(self, guild_ids: Iterable[int]) -> None:
        """Forget the players of guilds; those that are not there are no mistake."""
        keys = [str(guild_id) for guild_id in guild_ids]
        if keys:
            self.drop(PLAYERS, keys)

    def claim(self, node: str) -> bool:
        """Take the lease on a node, or renew our own. Returns whether it is ours; never waits for another's.

        Only who holds it may drive the node's session. Here: always granted.
        """
        return True

    def renew(self, node: str) -> bool:
        """Return whether the lease on a node was ours all the time, and go on holding it then. Here: always."""
        return True

    def release(self, node: str) -> None:
        """Let a node's lease go, if it is ours."""
        return

    def close(self) -> None:
        """Release the leases, and close what is open; what is stored stays. A later call opens it again."""
        return

    def __enter__(self: S) -> S:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What a store is.

    def read(self, table: str) -> Mapping[str, Any]:
        """Return the texts of a table (`sessions` or `players`) by key: JSON, as text or bytes."""
        raise NotImplementedError

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """Add or replace texts, all of them or none. They are secret."""
        raise NotImplementedError

    def drop(self, table: str, keys: Collection[str]) -> None:
        """Remove texts; a key that is not there is no mistake."""
        raise NotImplementedError

    def _records(self, table: str, noun: str, read: Callable[[str, Any], R]) -> dict[str, R]:
        """Read a table, and warn of what can't be read in it."""
        good: dict[str, R] = {}
        damaged: list[str] = []
        newer: list[str] = []
        for key, text in self.read(table).items():
            try:
                good[key] = read(key, text)
            except NewerRecordError:
                newer.append(f"{noun} {key[:100]!r}")
            except ProtocolError as error:
                damaged.append(f"{noun} {key[:100]!r} ({error})")
        if damaged:
            log.warning("%r: damaged records are left out: %s", self, _named(damaged))
        if newer:
            log.warning("%r: records of a newer version are left alone: %s", self, _named(newer))
        return good


class Origin:
    """The process that a store was made in: locks, connections and leases do not survive `fork`."""

    def __init__(self) -> None:
        self._process = os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process."""
        return os.getpid() == self._process

    def check(self, store: Store) -> None:
        """Raise `ForkError` in any other process."""
        if not self.is_here:
            raise ForkError(f"{store!r} was made in another process: make a store of its own after fork")


def _named(records: list[str]) -> str:
    more = f", and {len(records) - _NAMED} more" if len(records) > _NAMED else ""
    return ", ".join(sorted(records)[:_NAMED]) + more
