"""`Coalescer`: several changes of one player within a few milliseconds become one call, and none of them knows.

Every caller takes a turn of its own at the guild's gate, as for any call: so the order of calls, deadlines and `close`
are the gate's, and nothing here can lose or reorder anything. Changes that come while a group is open join it. The
first of a group whose turn it is waits for the rest of the window and sends for all; the others find it done when their
turn comes. If its own time runs out before there is an answer, the next one in turn sends for those that are left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from .core.merging import merged
from .errors import LavalinkError, OutcomeUnknownError, RequestTimeoutError
from .models import PlayerUpdate
from .transport.clock import Clock, Deadline
from .transport.gate import Turn
from .transport.locks import new_condition

R = TypeVar("R")

Sending = Callable[[], AbstractContextManager[PlayerUpdate]]
"""Gives what is to be sent at that moment, for as long as it is on the wire."""


@dataclass(eq=False)
class _Group(Generic[R]):
    """Changes that go out together, in order of arrival. It is waited for until the monotonic time `until`."""

    until: float
    changes: list[_Change[R]] = field(default_factory=list)


@dataclass(eq=False)
class _Change(Generic[R]):
    """What one caller asked for, and what came of it. `sent`: it may have had its effect."""

    update: PlayerUpdate
    group: _Group[R]
    sent: bool = False
    answer: R | None = None
    error: LavalinkError | None = None

    @property
    def is_settled(self) -> bool:
        return self.answer is not None or self.error is not None


class Coalescer(Generic[R]):
    """See the module. Made once a player; `window` is in seconds. Answers are of type `R`."""

    def __init__(self, clock: Clock, window: float) -> None:
        self._clock = clock
        self._window = window
        # Guards those below and the fields of groups and changes; tells when a group is closed.
        self._changed = new_condition()
        self._open: _Group[R] | None = None

    def send(self, update: PlayerUpdate, turn: Turn, deadline: Deadline, send: Callable[[Turn, Sending], R]) -> R:
        """Send `update`, alone or with others, and return or raise what came of it, as if it had been sent alone.

        `turn`, not entered yet, is the caller's own at the guild's gate, with the same `deadline`.
        `send(turn, sending)` does the call; what goes on the wire does so inside of `with sending() as update`.
        """
        change = self._join(update)
        try:
            with turn:
                if not change.is_settled:
                    self._send_for_all(change, turn, deadline, send)
        except RequestTimeoutError as error:
            # The turn did not come in time, but somebody else may have sent the change, and have an answer.
            if not change.is_settled:
                if not change.sent:
                    raise
                raise OutcomeUnknownError(
                    f"{error}; the change was sent together with others, and not answered by then"
                ) from error
        finally:
            self._leave(change)
        if change.error is not None:
            # Several threads raise the one failure; each raises an error of its own.
            raise copy(change.error) from change.error.__cause__
        assert change.answer is not None
        return change.answer

    def flush(self) -> None:
        """Something else is about to be asked: who waits for a window goes on, and later changes make a new group."""
        with self._changed:
            self._open = None
            self._changed.notify_all()

    def _join(self, update: PlayerUpdate) -> _Change[R]:
        with self._changed:
            if self._open is None:
                self._open = _Group(self._clock.monotonic() + self._window)
            change = _Change(update, self._open)
            self._open.changes.append(change)
            return change

    def _leave(self, change: _Change[R]) -> None:
        with self._changed:
            if change in change.group.changes:
                change.group.changes.remove(change)

    def _send_for_all(
        self, change: _Change[R], turn: Turn, deadline: Deadline, send: Callable[[Turn, Sending], R]
    ) -> None:
        group = change.group
        # Keepers may get in meanwhile; later calls of users keep behind.
        with turn.aside():
            self._wait_for_others(group, deadline)
        try:
            answer = send(turn, lambda: self._sending(group))
        except LavalinkError as error:
            if deadline.expired:
                raise  # its own time was over, not that of the others
            with self._changed:
                for each in group.changes:
                    each.error = error
            raise
        with self._changed:
            for each in group.changes:
                each.answer = answer

    def _wait_for_others(self, group: _Group[R], deadline: Deadline) -> None:
        until = group.until
        if deadline.at is not None:
            # The other half of its time is for the call itself.
            until = min(until, (self._clock.monotonic() + deadline.at) / 2)
        with self._changed:
            while self._open is group and self._clock.monotonic() < until:
                self._clock.wait(self._changed, until)

    @contextmanager
    def _sending(self, group: _Group[R]) -> Iterator[PlayerUpdate]:
        """Close the group, and have its changes count as sent unless it turns out that they had no effect."""
        with self._changed:
            if self._open is group:
                self._open = None
            going = [change for change in group.changes if not change.sent]
            update = merged([change.update for change in group.changes])
            for change in going:
                change.sent = True
        try:
            yield update
        except OutcomeUnknownError:
            raise
        except LavalinkError:
            with self._changed:
                for change in going:
                    change.sent = False
            raise
