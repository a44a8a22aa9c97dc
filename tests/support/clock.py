"""`ManualClock`: time that stands still until a test moves it.

A test lets threads run into their waits (`waiting`), moves the time (`advance`), and sees what they do. Only helpers
that wait for real threads look at real time, and only to give up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from selectors import BaseSelector, SelectorKey

import pytest

from lavalink_sync.transport.clock import Clock, without_waker
from lavalink_sync.transport.polled import PolledSocket
from lavalink_sync.transport.waker import Waker, selector_for

# A thread that waits this long (real seconds) was forgotten by its test.
_FORGOTTEN = 30.0
_NOTHING_HAPPENED = f"nothing ended a wait on the manual clock for {_FORGOTTEN:g} real seconds"


class _Waiter:
    def __init__(self, deadline: float | None, target: threading.Condition | Waker) -> None:
        self.deadline = deadline
        self.target = target


class ManualClock(Clock):
    """A clock for tests. It starts at `now` seconds, and at a fixed unix time."""

    def __init__(self, now: float = 1000.0, unix: float = 1_700_000_000.0) -> None:
        self._now = now
        self._unix_offset = unix - now
        # A plain lock: it is held by threads that hold a lock of the package. Nothing foreign happens under it.
        self._changed = threading.Condition(threading.Lock())
        self._waiters: list[_Waiter] = []

    def monotonic(self) -> float:
        return self._now

    def time(self) -> float:
        return self._now + self._unix_offset

    def wait(self, condition: threading.Condition, deadline: float | None) -> None:
        with self._registered(deadline, condition) as due:
            if not due and not condition.wait(_FORGOTTEN):
                raise AssertionError(_NOTHING_HAPPENED)

    def poll(self, selector: BaseSelector, waker: Waker, deadline: float | None) -> list[tuple[SelectorKey, int]]:
        with self._registered(deadline, waker) as due:
            ready = selector.select(0 if due else _FORGOTTEN)
            if not ready and not due:
                raise AssertionError(_NOTHING_HAPPENED)
            return without_waker(ready, waker)

    def wait_for_socket(self, polled: PolledSocket, deadline: float | None) -> bool:
        waker = Waker()
        try:
            with selector_for(waker) as selector:
                selector.register(polled.sock, polled.events)
                return bool(self.poll(selector, waker, deadline))
        finally:
            waker.close()

    def advance(self, seconds: float) -> None:
        """Move the time, and wake every thread whose deadline has come by that."""
        with self._changed:
            self._now += seconds
            due = [waiter for waiter in self._waiters if waiter.deadline is not None and waiter.deadline <= self._now]
            # They are awake from here on, whenever their threads get to notice it.
            self._waiters = [waiter for waiter in self._waiters if waiter not in due]
        for waiter in due:
            if isinstance(waiter.target, Waker):
                waiter.target.wake()
            else:
                with waiter.target:
                    waiter.target.notify_all()

    def waiting(self, threads: int = 1, *, due_in: float | None = None, timeout: float = 10.0) -> None:
        """Return once at least `threads` threads wait on this clock; fail after `timeout` real seconds.

        With `due_in` only those count whose deadline is that many seconds away.
        """
        until = time.monotonic() + timeout
        with self._changed:
            while self._count_locked(due_in) < threads:
                left = until - time.monotonic()
                assert left > 0, (
                    f"waited {timeout:g} s for {threads} thread(s) waiting on the clock"
                    f"{'' if due_in is None else f' for {due_in:g} s'}; those that do: {self._dues_locked()}"
                )
                self._changed.wait(left)

    def next_deadline(self) -> float | None:
        """Return the earliest deadline (monotonic) that a thread waits for; `None` without one."""
        with self._changed:
            return min((waiter.deadline for waiter in self._waiters if waiter.deadline is not None), default=None)

    def _count_locked(self, due_in: float | None) -> int:
        if due_in is None:
            return len(self._waiters)
        return sum(1 for due in self._dues_locked() if due is not None and abs(due - due_in) < 1e-6)

    def _dues_locked(self) -> list[float | None]:
        return [None if waiter.deadline is None else waiter.deadline - self._now for waiter in self._waiters]

    @contextmanager
    def _registered(self, deadline: float | None, target: threading.Condition | Waker) -> Iterator[bool]:
        """Count the block as a wait for `deadline`; gives whether that has come already."""
        waiter = _Waiter(deadline, target)
        with self._changed:
            due = deadline is not None and deadline <= self._now
            if not due:
                self._waiters.append(waiter)
                self._changed.notify_all()
        try:
            yield due
        finally:
            with self._changed:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)


@pytest.fixture
def clock() -> ManualClock:
    """Time that stands still until the test moves it."""
    return ManualClock()
