"""`GuildGate`: whose turn it is to change one guild's player on the server.

No lock, but a queue of tickets: first come, first served, with deadlines, the library's own work (keepers) before
users. It is held while a call is on the wire, and by a keeper for the whole of a rebuild, a move or a destroy.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType

from ..errors import RequestTimeoutError, WouldDeadlockError
from .clock import Clock, Deadline
from .locks import new_lock


class GuildGate:
    """One guild's gate.

    Exactly one turn is inside at a time. A turn may step `aside`: it lets go of the gate, but keeps its place, so that
    keepers get in and later users do not. A turn whose deadline has passed is never let in, nor does it hold up others.
    """

    __slots__ = ("__weakref__", "_changed", "_clock", "_closed", "_inside", "_keepers", "_lock", "_users")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Guards all below and the tickets' fields. The queues hold every ticket in order of arrival: inside, waiting
        # or aside; at most one ticket is inside.
        self._lock = new_lock()
        # Over that lock; made by the first that has to wait, as few ever do.
        self._changed: threading.Condition | None = None
        self._keepers: list[Turn] = []
        self._users: list[Turn] = []
        self._inside: Turn | None = None
        self._closed: Callable[[], Exception] | None = None

    def turn(self, deadline: Deadline, *, keeper: bool = False, what: str = "a call") -> Turn:
        """Return a context manager: entering waits for the turn, leaving ends it.

        `what` names the work in other callers' timeout messages. Entering raises `RequestTimeoutError` at the deadline,
        `WouldDeadlockError` if this very thread is inside or aside already, and what `close` was given.
        """
        return Turn(self, deadline, keeper, what)

    @contextmanager
    def if_free(self, what: str) -> Iterator[bool]:
        """Be inside for the block if nobody is; gives whether. For a node's thread, which waits for no gate."""
        turn = self.turn(Deadline(self._clock, None), keeper=True, what=what)
        turn._thread = threading.current_thread()
        with self._lock:
            free = self._inside is None and self._closed is None
            if free:
                self._keepers.append(turn)
                self._inside = turn
        try:
            yield free
        finally:
            self._leave(turn)

    def close(self, error: Callable[[], Exception]) -> None:
        """Make whoever waits, comes back from aside or comes later raise `error()`; who is inside finishes."""
        with self._lock:
            self._closed = error
            self._tell_locked()

    @property
    def idle(self) -> bool:
        """Whether nobody is inside, waiting or aside."""
        with self._lock:
            return not self._keepers and not self._users

    @property
    def busy(self) -> bool:
        """Whether somebody is inside: a call is on the wire."""
        return self._inside is not None

    def _enter(self, turn: Turn) -> None:
        """Queue `turn` and wait until it is inside."""
        with self._lock:
            if not self._keepers and not self._users and self._closed is None and not turn._deadline.expired:
                # Nobody else is here, as nearly always: straight in.
                turn._queue.append(turn)
                self._inside = turn
                return
            for other in (*self._keepers, *self._users):
                blocks = other is self._inside or (other._aside and not turn._keeper)
                if blocks and other._thread is threading.current_thread():
                    raise WouldDeadlockError(f"{turn._what} can't wait for {other._what} of its own thread")
        self._wait(turn)

    def _wait(self, turn: Turn) -> None:
        """Wait until `turn`, queued already or not, is inside; raise if that can't be: its `with` takes it out then."""
        with self._lock:
            if turn not in turn._queue:
                turn._queue.append(turn)
            turn._aside = False
            self._admit_locked()
            while self._inside is not turn and self._closed is None and not turn._deadline.expired:
                if self._changed is None:
                    self._changed = threading.Condition(self._lock)
                self._clock.wait(self._changed, turn._deadline.at)
            if self._inside is turn:
                return
            closed = self._closed
            hindrance = self._hindrance_locked(turn)
        if closed is not None:
            raise closed()
        raise RequestTimeoutError(f"{turn._what} did not get its turn in time: {hindrance}", phase="call")

    def _step_aside(self, turn: Turn) -> bool:
        """Let go of the gate; return whether `turn` was inside."""
        with self._lock:
            if self._inside is not turn:
                return False
            turn._aside = True
            self._inside = None
            self._admit_locked()
            return True

    def _leave(self, turn: Turn) -> None:
        with self._lock:
            if turn in turn._queue:
                turn._queue.remove(turn)
            if self._inside is turn:
                self._inside = None
            if self._keepers or self._users:
                self._admit_locked()

    def _admit_locked(self) -> None:
        """Let the next one in, if the gate is free."""
        if self._inside is not None or self._closed is not None:
            return
        # One that is late is about to raise; until its thread gets to it, it is as good as gone.
        keepers = [turn for turn in self._keepers if not turn._deadline.expired]
        users = [turn for turn in self._users if not turn._deadline.expired]
        first = next((turn for turn in keepers if not turn._aside), None)
        if first is None and users and not keepers and not users[0]._aside:
            first = users[0]
        if first is not None:
            self._inside = first
            self._tell_locked()

    def _tell_locked(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _hindrance_locked(self, turn: Turn) -> str:
        """Say who was in front, for the message of a timeout."""
        inside = self._inside
        if inside is not None:
            return f"{inside._what} (thread {inside._thread.name}) was not done yet"
        front = next((other for other in (*self._keepers, *self._users) if other is not turn), None)
        if front is None:
            return "its deadline had passed before"
        state = "waits in front of it" if front._aside else "came first"
        return f"{front._what} (thread {front._thread.name}) {state}"


class Turn:
    """One caller's turn at a gate; made by `GuildGate.turn`, used once, by one thread."""

    __slots__ = ("_aside", "_deadline", "_gate", "_keeper", "_queue", "_thread", "_what")

    def __init__(self, gate: GuildGate, deadline: Deadline, keeper: bool, what: str) -> None:
        self._gate = gate
        self._deadline = deadline
        self._keeper = keeper
        self._queue = gate._keepers if keeper else gate._users
        self._what = what
        self._aside = False
        self._thread: threading.Thread  # since it entered

    def __enter__(self) -> Turn:
        self._thread = threading.current_thread()
        try:
            self._gate._enter(self)
        except BaseException:  # Ctrl-C, too, which may come when it is inside already: nobody else takes it out
            self._gate._leave(self)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._gate._leave(self)

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Let go of the gate for the block, keep the place, and take the gate again afterwards.

        Taking it again raises what entering raises, unless the block itself raised: then the gate is not taken again.
        """
        stepped = self._gate._step_aside(self)
        yield
        if stepped:
            self._gate._wait(self)
