"""Time as an argument: `Clock`, the system's own, and `Deadline`, one limit shared by many steps.

Everything in this package that waits does so through a clock, so that tests can move time by hand.
"""

from __future__ import annotations

import os
import threading
import time
from abc import ABC, abstractmethod
from selectors import BaseSelector, SelectorKey

from ..core import checks
from .polled import PolledSocket
from .waker import Waker

# Keeps clear of what the system's calls can take.
_DAY = 86_400.0
# Ctrl-C does not end a wait for a lock on Windows, so waits are short there. Callers loop anyhow.
_LONGEST_WAIT = 0.5 if os.name == "nt" else _DAY


class Clock(ABC):
    """What time it is, and how to wait."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds that only ever go up, for durations."""

    @abstractmethod
    def time(self) -> float:
        """Return unix seconds, to compare with the server's stamps."""

    @abstractmethod
    def wait(self, condition: threading.Condition, deadline: float | None) -> None:
        """Wait on `condition`, which the caller holds, until it is notified or `deadline` (monotonic) has come.

        May return for no reason: call it in a loop that looks at what it waits for.
        """

    @abstractmethod
    def poll(self, selector: BaseSelector, waker: Waker, deadline: float | None) -> list[tuple[SelectorKey, int]]:
        """Wait until a file of `selector` is ready, `waker` is woken, or `deadline` (monotonic) has come.

        `selector` must watch `waker` (`selector_for`). Returns the files that are ready, without the waker, which is
        drained. May return early and empty.
        """

    @abstractmethod
    def wait_for_socket(self, polled: PolledSocket, deadline: float | None) -> bool:
        """Wait until a socket is ready, or `deadline` (monotonic) has come.

        Returns whether it is. There is no waker: who wants to end the wait shuts the socket down, which makes it ready.
        May return early: call it in a loop that looks at what it waits for.
        """


class SystemClock(Clock):
    """The system's time."""

    # Themselves, not wrapped: every message asks for the time.
    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def wait(self, condition: threading.Condition, deadline: float | None) -> None:
        condition.wait(_seconds_until(deadline))

    def poll(self, selector: BaseSelector, waker: Waker, deadline: float | None) -> list[tuple[SelectorKey, int]]:
        return without_waker(selector.select(_seconds_until(deadline)), waker)

    def wait_for_socket(self, polled: PolledSocket, deadline: float | None) -> bool:
        return polled.is_ready(_seconds_until(deadline))


def _seconds_until(deadline: float | None) -> float:
    if deadline is None:
        return _LONGEST_WAIT
    return min(max(deadline - time.monotonic(), 0.0), _LONGEST_WAIT)


def without_waker(ready: list[tuple[SelectorKey, int]], waker: Waker) -> list[tuple[SelectorKey, int]]:
    """Return what a selector found without `waker`, which is drained if it is among it."""
    for found in ready:
        if found[0].fileobj is waker:
            waker.drain()
            return [other for other in ready if other is not found]
    return ready


class Deadline:
    """A moment until which something must be done, handed from step to step. `None` seconds: no limit.

    Raises `InvalidArgumentError` for a time that is none: it would never be over, or break far from here.
    """

    __slots__ = ("_clock", "at")

    def __init__(self, clock: Clock, seconds: float | None) -> None:
        self._clock = clock
        self.at: float | None = None if seconds is None else clock.monotonic() + checks.seconds(seconds)

    def remaining(self) -> float | None:
        """Return the seconds left, 0 once it has passed, `None` without a limit."""
        return None if self.at is None else max(self.at - self._clock.monotonic(), 0.0)

    @property
    def expired(self) -> bool:
        """Whether it has passed."""
        return self.at is not None and self._clock.monotonic() >= self.at

    def join(self, thread: threading.Thread) -> bool:
        """Wait for the end of `thread`, a day at most: `Thread.join` takes no longer times. Returns whether it came."""
        remaining = self.remaining()
        thread.join(_DAY if remaining is None else min(remaining, _DAY))
        return not thread.is_alive()

    def at_most(self, seconds: float | None) -> Deadline:
        """Return a deadline that is `seconds` from now, or this one if that is sooner."""
        other = Deadline(self._clock, seconds)
        if other.at is None or (self.at is not None and self.at < other.at):
            return self
        return other
