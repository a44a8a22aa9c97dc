"""The thread that writes sessions and players into a store, and holds the leases on the nodes meanwhile.

What changes is marked, and written many players at once, about once a second. What can't be written is kept and tried
again. No two processes ever drive the same session: only who holds a node's lease writes of it.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from functools import partial

from .errors import InvalidArgumentError, LavalinkError
from .stores import Store, StoredPlayer, StoredSession
from .transport.clock import Clock, Deadline
from .transport.locks import new_condition
from .transport.waker import Waker, selector_for

log = logging.getLogger(__name__)

# Changes are gathered for so many seconds before they are written.
GATHER = 1.0
# What could not be written is tried again after so many seconds.
RETRY = 5.0


class StoreWriter:
    """See the module. `look(guild_id)` gives a player as it is now, `None` when there is none; `lost(node)` is told of
    a lease that another process has. Both are called on the thread, which ends when the writer is forgotten.
    """

    def __init__(
        self, store: Store, clock: Clock, look: Callable[[int], StoredPlayer | None], lost: Callable[[str], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._look = look
        self._lost = lost
        # Guards those below; held for a swap only, never while the store works. Tells `pause` of the end.
        self._changed = new_condition()
        self._touched: set[int] = set()
        self._to_save: dict[str, StoredSession] = {}
        # The guilds whose players in the store are ours to forget, with the node they were on.
        self._ours: dict[int, str | None] = {}
        self._leases: set[str] = set()
        self._thread: threading.Thread | None = None
        self._waker: Waker | None = None
        self._ending = False
        # The thread's own: when the leases were renewed, when it writes next, and whether it failed to the last time.
        self._renewed = clock.monotonic()
        self._write_at: float | None = None
        self._retries = False

    # What is to be written. On any thread.

    def hold(self, node: str) -> None:
        """The lease on the node is ours: keep it, and write what is on that node."""
        with self._changed:
            self._leases.add(node)
            if self._thread is None and not self._ending:
                self._renewed = self._clock.monotonic()
                self._waker = waker = Waker()
                # It may be forgotten without `close`.
                weakref.finalize(self, waker.wake).atexit = False
                work = partial(_work, weakref.ref(self), self._clock, waker)
                self._thread = threading.Thread(target=work, name="lavalink-store", daemon=True)
                self._thread.start()

    def holds(self, node: str) -> bool:
        """Whether the lease on the node is ours."""
        with self._changed:
            return node in self._leases

    def let_go(self, node: str) -> None:
        """Release the lease on the node, if it is ours."""
        with self._changed:
            if node not in self._leases:
                return
            self._leases.discard(node)
        self._guarded(partial(self._store.release, node))

    def own(self, players: Mapping[int, str | None]) -> None:
        """The players of these guilds in the store, with their nodes, are ours from now on."""
        with self._changed:
            self._ours.update(players)

    def save_session(self, session: StoredSession) -> None:
        """Write it at once, if its node's lease is ours."""
        with self._changed:
            if session.node in self._leases:
                self._to_save[session.node] = session
                self._wake_locked()

    def touch(self, guild_id: int) -> None:
        """Something of the guild's player has changed, or it is gone: write it soon."""
        with self._changed:
            if not self._touched:
                self._wake_locked()
            self._touched.add(guild_id)

    def pause(self, until: Deadline) -> bool:
        """Wait; whether the writing goes on after that."""
        with self._changed:
            while not (until.expired or self._ending):
                self._clock.wait(self._changed, until.at)
            return not self._ending

    # The thread.

    def turn(self) -> bool:
        """Do what is due; whether there is to be another turn, at `next_turn` or when the thread is woken."""
        with self._changed:
            ending = self._ending
            if self._write_at is None and (self._touched or self._to_save):
                # More changes get time to come.
                self._write_at = self._clock.monotonic() + GATHER
            sessions, touched = {}, set()
            if ending or self._is_due(self._write_at) or (self._to_save and not self._retries):
                sessions, self._to_save = self._to_save, {}
                touched, self._touched = self._touched, set()
                self._write_at = None
        if self._is_due(self._renew_at) and not ending:
            self._renewed = self._clock.monotonic()
            self._renew()
        if sessions or touched:
            self._retries = not self._save(sessions, touched)
            self._write_at = self._clock.monotonic() + RETRY if self._retries else None
        return not ending

    @property
    def next_turn(self) -> float | None:
        """When something is due next (monotonic); `None` where nothing is."""
        return min((at for at in (self._renew_at, self._write_at) if at is not None), default=None)

    @property
    def _renew_at(self) -> float | None:
        lease = self._store.lease_seconds
        return None if lease is None else self._renewed + lease / 3

    def _is_due(self, at: float | None) -> bool:
        return at is not None and self._clock.monotonic() >= at

    def _wake_locked(self) -> None:
        if self._waker is not None:
            self._waker.wake()

    def _renew(self) -> None:
        with self._changed:
            leases = sorted(self._leases)
        for name in leases:
            self._guarded(partial(self._renew_one, name))

    def _renew_one(self, name: str) -> None:
        if self._store.renew(name):
            return
        if self._store.claim(name):
            log.warning("node %s: its lease had run out, but nobody else has taken it", name)
            return
        with self._changed:
            self._leases.discard(name)
            self._ours = {guild_id: node for guild_id, node in self._ours.items() if node != name}
        self._lost(name)

    def _save(self, sessions: dict[str, StoredSession], touched: set[int]) -> bool:
        """Write it all; what can't be written is kept for the next time. Whether there is nothing of that."""
        unsaved = {
            name: each for name, each in sessions.items() if not self._guarded(partial(self._store.save_session, each))
        }
        written = self._write(touched)
        with self._changed:
            self._to_save = {**unsaved, **self._to_save}
            if not written:
                self._touched |= touched
        return written and not unsaved

    def _write(self, guild_ids: Iterable[int]) -> bool:
        keep: list[StoredPlayer] = []
        gone: list[int] = []
        with self._changed:
            leases, ours = set(self._leases), dict(self._ours)
        for guild_id in guild_ids:
            try:
                player = self._look(guild_id)
            except Exception as error:  # noqa: BLE001 - what a user put into it must not end the thread
                log.warning("guild %s: its player can't be stored: %s", guild_id, error)
                continue
            if player is not None and (guild_id in ours if player.node is None else player.node in leases):
                keep.append(player)
            elif guild_id in ours:
                gone.append(guild_id)
        with self._changed:
            self._ours.update((each.guild_id, each.node) for each in keep)
        return self._save_players(keep) and (not gone or self._forget(gone))

    def _save_players(self, players: list[StoredPlayer]) -> bool:
        if not players:
            return True
        try:
            self._store.save_players(players)
        except InvalidArgumentError as error:
            if len(players) == 1:
                log.warning("guild %s: its player can't be stored: %s", players[0].guild_id, error)
                return True
            # One that can't be written keeps none of the others from it.
            done = [self._save_players([player]) for player in players]
            return all(done)
        except Exception as error:  # noqa: BLE001 - told there
            return self._failed(error)
        return True

    def _forget(self, guild_ids: list[int]) -> bool:
        if not self._guarded(lambda: self._store.forget_players(guild_ids)):
            return False
        with self._changed:
            for guild_id in guild_ids:
                self._ours.pop(guild_id, None)
        return True

    def _guarded(self, job: Callable[[], object]) -> bool:
        try:
            job()
        except Exception as error:  # noqa: BLE001 - told there
            return self._failed(error)
        return True

    def _failed(self, error: Exception) -> bool:
        """Tell of it; a user's own store may fail in any way, and must not end the thread. Returns False."""
        fault = not isinstance(error, LavalinkError)
        log.warning("the store failed, so a restart may find an older state: %s", error, exc_info=fault)
        return False

    # The end.

    def close(self, players: Iterable[int], deadline: Deadline, *, keep: bool) -> bool:
        """Write these players and what is left, and end the thread; without `keep` forget all of it instead.

        False when it is still busy at the deadline.
        """
        with self._changed:
            thread, leases = self._thread, sorted(self._leases)
            self._ending = True
            self._touched = self._touched.union(players) if keep else set()
            self._changed.notify_all()
            self._wake_locked()
        if thread is not None and thread is not threading.current_thread() and not deadline.join(thread):
            return False
        if not keep:
            for name in leases:
                self._guarded(partial(self._store.forget_session, name))
            self._forget(sorted(self._ours))
        self._guarded(self._store.close)
        return True


def _work(reference: weakref.ref[StoreWriter], clock: Clock, waker: Waker) -> None:
    """What the thread does. While it waits it holds nothing of the writer's owner."""
    with closing(waker), selector_for(waker) as selector:
        while (writer := reference()) is not None and writer.turn():
            due = writer.next_turn
            del writer
            clock.poll(selector, waker, due)
