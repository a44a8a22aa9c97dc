"""The node's time: the machine's, or one that a test moves by hand.

A manual clock stops at every timer on its way, so a node that is a minute ahead has sent everything of that minute.
"""

from __future__ import annotations

import threading
import time
from abc import ABC, abstractmethod
from typing import Protocol

__all__ = ["Clock", "ManualClock", "RealClock", "Ticking"]


class Ticking(Protocol):
    """Something with timers on a clock. Both calls may come from any thread and return when they are done."""

    def next_timer(self) -> float | None: ...

    def run_timers(self) -> None: ...


class Clock(ABC):
    """What a development node reads the time from."""

    @abstractmethod
    def monotonic(self) -> float:
        """Seconds that never go back."""

    @abstractmethod
    def time(self) -> float:
        """Seconds since 1970."""

    @abstractmethod
    def timeout(self, deadline: float | None) -> float | None:
        """How many real seconds a loop may sleep until `deadline`, `None` for until it is woken."""

    def attach(self, ticking: Ticking) -> None:  # noqa: B027  (only clocks that are moved need it)
        """From now on `ticking` is told when the time moves."""

    def detach(self, ticking: Ticking) -> None:  # noqa: B027  (the same)
        """No more."""


class RealClock(Clock):
    """The machine's time."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def timeout(self, deadline: float | None) -> float | None:
        return None if deadline is None else max(0.0, deadline - time.monotonic())


class ManualClock(Clock):
    """A time that stands still until `advance` moves it. `start`: the unix time it begins with, in seconds."""

    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._start = start
        self._passed = 0.0
        self._moving = threading.Lock()
        self._lock = threading.Lock()
        self._ticking: list[Ticking] = []

    def monotonic(self) -> float:
        return self._passed

    def time(self) -> float:
        return self._start + self._passed

    def timeout(self, deadline: float | None) -> float | None:
        return 0.0 if deadline is not None and deadline <= self._passed else None

    def attach(self, ticking: Ticking) -> None:
        with self._lock:
            self._ticking.append(ticking)

    def detach(self, ticking: Ticking) -> None:
        with self._lock:
            if ticking in self._ticking:
                self._ticking.remove(ticking)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass. Returns when every timer up to then has run, each at its own time.

        It stands still while the node looks for something over HTTP, for up to ten real seconds at a time.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        with self._moving:
            target = self._passed + seconds
            while True:
                with self._lock:
                    ticking = list(self._ticking)
                due = [at for each in ticking if (at := each.next_timer()) is not None and at <= target]
                self._passed = max(self._passed, min(due, default=target))
                for each in ticking:
                    each.run_timers()
                if not due:
                    return
