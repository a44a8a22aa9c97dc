"""Waiting for events without a listener: `wait_for`, `expect` and `events()` all read from a `Tap`.

A tap is fed on the node's thread and read by the thread that waits, so waiting needs no worker; a `check` of the user's
runs in the thread that waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator
from types import TracebackType
from typing import Any, Generic, TypeVar

from .errors import ClientClosedError, WaitTimeoutError, WouldDeadlockError
from .transport.clock import Clock, Deadline
from .transport.locks import new_condition

E = TypeVar("E")

MAX_PENDING = 10_000


class Tap(Generic[E]):
    """A bounded queue of events of some types, of one guild if `guild_id` is given. The oldest is dropped when full."""

    def __init__(
        self,
        clock: Clock,
        kinds: tuple[type[E], ...],
        guild_id: int | None = None,
        max_pending: int = MAX_PENDING,
        *,
        about_nodes: bool = False,
    ) -> None:
        self.kinds = kinds
        self.guild_id = guild_id
        self.about_nodes = about_nodes
        self._clock = clock
        self._max_pending = max_pending
        # Guards all below.
        self._changed = new_condition()
        self._events: deque[E] = deque()
        self._closed: Callable[[], Exception] | None = None
        self.dropped = 0
        """How many events were dropped because nobody read them in time."""

    def feed(self, event: E) -> None:
        """Take an event, if it is for this guild. Never blocks."""
        if self.guild_id is not None and getattr(event, "guild_id", None) != self.guild_id:
            return
        with self._changed:
            if self._closed is None:
                if len(self._events) >= self._max_pending:
                    self._events.popleft()
                    self.dropped += 1
                self._events.append(event)
                self._changed.notify_all()

    def close(self, error: Callable[[], Exception]) -> None:
        """Take no more events; whoever reads gets what is left, and then `error()`."""
        with self._changed:
            self._closed = error
            self._changed.notify_all()

    def get(self, deadline: Deadline) -> E | None:
        """Return the next event; `None` at the deadline. Raises what `close` was given once there are no more."""
        with self._changed:
            while not self._events and self._closed is None and not deadline.expired:
                self._clock.wait(self._changed, deadline.at)
            if self._events:
                return self._events.popleft()
            if self._closed is not None:
                raise self._closed()
            return None


class Expectation(Generic[E]):
    """An event that is listened for from the moment this was made; a context manager, so that the body can cause it."""

    def __init__(self, tap: Tap[E], waits: Waits, timeout: float | None, check: Callable[[E], object] | None) -> None:
        self.tap = tap
        self._waits = waits
        self._timeout = timeout
        self._check = check
        self._found: E | None = None

    def __enter__(self) -> Expectation[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.cancel()

    def result(self, timeout: float | None = None) -> E:
        """Block for the event and return it; the same one when asked again.

        `timeout` is in seconds (default: what `expect` was given). Raises `WaitTimeoutError`, after which it may be
        asked again, `ClientClosedError`, and `WouldDeadlockError` on the very lane that is waited for.
        """
        if self._found is None:
            self._waits.refuse_own_lane(self.tap)
            patience = self._timeout if timeout is None else timeout
            self._found = self._waits.next(self.tap, patience, self._check)
            self.cancel()
        return self._found

    def cancel(self) -> None:
        """Listen no more."""
        self._waits.drop(self.tap)


class EventStream(Generic[E]):
    """Events as they come, for a `for` loop in one thread. Ends with the client, or when its `with` block is left."""

    def __init__(self, tap: Tap[E], waits: Waits, timeout: float | None, check: Callable[[E], object] | None) -> None:
        self._tap = tap
        self._waits = waits
        self._timeout = timeout
        self._check = check

    def __iter__(self) -> Iterator[E]:
        return self

    def __next__(self) -> E:
        self._waits.refuse_own_lane(self._tap)
        try:
            return self._waits.next(self._tap, self._timeout, self._check)
        except ClientClosedError:
            raise StopIteration from None

    def __enter__(self) -> EventStream[E]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def dropped(self) -> int:
        """How many events were lost because this was not read in time."""
        return self._tap.dropped

    def close(self) -> None:
        """End the stream; a thread that waits for its next event stops there."""
        self._waits.drop(self._tap)


class Waits:
    """Makes the taps of one client, and waits at them.

    `add` and `remove` put a tap into the registry and take it out. `current_lane` gives the lane whose listener the
    calling thread runs, if any: a guild's id, or `("node", name)`.
    """

    def __init__(
        self,
        clock: Clock,
        add: Callable[[Tap[Any]], None],
        remove: Callable[[Tap[Any]], None],
        current_lane: Callable[[], Hashable | None],
    ) -> None:
        self._clock = clock
        self._add = add
        self._remove = remove
        self._current_lane = current_lane

    def open(
        self, kinds: tuple[type[E], ...], guild_id: int | None, max_pending: int = MAX_PENDING, *, about_nodes: bool
    ) -> Tap[E]:
        """Begin to listen. `about_nodes`: these are events of nodes, which come on their nodes' lanes."""
        tap = Tap(self._clock, kinds, guild_id, max_pending, about_nodes=about_nodes)
        self._add(tap)
        return tap

    def drop(self, tap: Tap[Any]) -> None:
        """Listen no more; who waits at the tap is told that it ended."""
        self._remove(tap)
        tap.close(lambda: ClientClosedError("this wait was ended"))

    def next(self, tap: Tap[E], timeout: float | None, check: Callable[[E], object] | None) -> E:
        """Block for the next event that `check` (run here, in the calling thread) likes."""
        deadline = Deadline(self._clock, timeout)
        while True:
            event = tap.get(deadline)
            if event is None:
                names = " or ".join(kind.__name__ for kind in tap.kinds)
                guild = "" if tap.guild_id is None else f" of guild {tap.guild_id}"
                raise WaitTimeoutError(f"no {names}{guild} came within {timeout:g} s")
            if check is None or check(event):
                return event

    def refuse_own_lane(self, tap: Tap[Any]) -> None:
        """Raise `WouldDeadlockError` when the calling thread runs a listener of the lane that is waited for.

        All else of that guild, or node, is behind this listener; it would be held up for as long as this waits. A wait
        for any guild's event is allowed in a guild's listener: another guild may bring it.
        """
        lane = self._current_lane()
        if lane is None:
            return
        own_guild = tap.guild_id is not None and lane == tap.guild_id
        own_node = isinstance(lane, tuple) and lane[0] == "node" and tap.guild_id is None and tap.about_nodes
        if own_guild or own_node:
            what = f"guild {tap.guild_id}" if own_guild else "that node"
            raise WouldDeadlockError(
                f"a listener of {what} can't wait for an event of {what}: that would come behind it. "
                "Register a listener for it, or wait in a thread of yours"
            )
