"""The one thread of a development node: a selector, timers on the node's clock, and calls from other threads.

Everything the node knows is touched on this thread only, so nothing else of it needs a lock.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from typing import TypeVar

from .clock import Clock

__all__ = ["Loop", "LoopEndedError", "Timer"]

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_PATIENCE = 10.0  # real seconds for what other threads do
_MANY = 1024  # timers before it is worth looking for those that were cancelled

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class LoopEndedError(RuntimeError):
    """The node is closed, nothing can be done on its thread any more."""


class Timer:
    """A call at a later time of the node's clock."""

    __slots__ = ("at", "job")

    def __init__(self, at: float, job: Callable[[], None]) -> None:
        self.at = at
        self.job: Callable[[], None] | None = job

    def cancel(self) -> None:
        """Never call it. Harmless when it has been called already."""
        self.job = None


class Loop:
    """See the module. `start` runs it in a thread of the given name, `stop` ends that thread and joins it.

    `began`: when it was made, by the node's clock. `pending`: tells what other threads do for it now; a clock that is
    moved by hand stands still until they have posted it.
    """

    def __init__(self, clock: Clock, name: str) -> None:
        self.clock = clock
        self.began = clock.monotonic()
        self.pending: Callable[[], Collection[Future[None]]] = tuple
        self._selector = selectors.DefaultSelector()
        self._timers: list[tuple[float, int, Timer]] = []
        self._many = _MANY
        self._numbers = itertools.count()
        self._calls: deque[Callable[[], None]] = deque()
        self._lock = threading.Lock()
        self._ended = False
        self._stop_at: float | None = None
        self._idle: Callable[[], bool] = lambda: True
        self._finish: Callable[[], None] = lambda: None
        self._woken, self._waker = socket.socketpair()
        self._woken.setblocking(False)
        self._waker.setblocking(False)
        self._selector.register(self._woken, READ, self._drain)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self.clock.attach(self)
        self._thread.start()

    def stop(self, idle: Callable[[], bool], grace: float, finish: Callable[[], None]) -> None:
        """End as soon as `idle` says so, at the latest after `grace` real seconds; then `finish`, and join."""

        def stop() -> None:
            self._idle, self._finish = idle, finish
            self._stop_at = time.monotonic() + grace

        self.clock.detach(self)
        self.post(stop)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    # --- from any thread

    def post(self, job: Callable[[], None]) -> bool:
        """Have `job` run on the loop's thread, soon. False if the loop has ended."""
        with self._lock:
            if self._ended:
                return False
            self._calls.append(job)
            with contextlib.suppress(BlockingIOError):  # it is full of wake-ups: that wakes, too
                self._waker.send(b"\0")
        return True

    def call(self, job: Callable[[], _T]) -> _T:
        """Run `job` on the loop's thread and return what it returns. Raises `LoopEndedError` after the end."""
        if threading.current_thread() is self._thread:
            return job()
        future: Future[_T] = Future()

        def run() -> None:
            try:
                future.set_result(job())
            except BaseException as error:  # noqa: BLE001  (it belongs to the caller, who gets it)
                future.set_exception(error)

        if not self.post(run):
            raise LoopEndedError("the development node is closed")
        return future.result()

    def next_timer(self) -> float | None:
        """When the next timer is due, once all calls made before are done, and what other threads do for it."""
        try:
            # What is done may have led to more.
            while (jobs := self.call(self.pending)) and not wait(jobs, _PATIENCE).not_done:
                pass
            return self.call(self._next_at)
        except LoopEndedError:
            return None

    def run_timers(self) -> None:
        """Run the timers that are due."""
        try:
            self.call(self._run_timers)
        except LoopEndedError:
            return

    # --- on the loop's thread

    def later(self, seconds: float, job: Callable[[], None]) -> Timer:
        """Have `job` called in so many seconds of the node's clock."""
        timer = Timer(self.clock.monotonic() + max(0.0, seconds), job)
        heapq.heappush(self._timers, (timer.at, next(self._numbers), timer))
        if len(self._timers) > self._many:
            # What was cancelled for a late hour would wait here until then.
            self._timers = [each for each in self._timers if each[2].job is not None]
            heapq.heapify(self._timers)
            self._many = max(_MANY, 2 * len(self._timers))
        return timer

    def watch(self, sock: socket.socket, events: int, handler: Callable[[int], None]) -> None:
        """Call `handler(events)` when the socket is ready for one of `events`; replaces what was asked for before."""
        if sock in self._selector.get_map():
            self._selector.modify(sock, events, handler)
        else:
            self._selector.register(sock, events, handler)

    def unwatch(self, sock: socket.socket) -> None:
        """No more. To be called before the socket is closed."""
        if sock in self._selector.get_map():
            self._selector.unregister(sock)

    def _run(self) -> None:
        while not self._finished():
            for key, events in self._selector.select(self._patience()):
                _guard(functools.partial(key.data, events))
            while self._calls:
                _guard(self._calls.popleft())
            self._run_timers()
        _guard(self._finish)
        with self._lock:
            self._ended = True
        while self._calls:
            _guard(self._calls.popleft())
        self._selector.close()
        self._woken.close()
        self._waker.close()

    def _finished(self) -> bool:
        return self._stop_at is not None and (self._idle() or time.monotonic() >= self._stop_at)

    def _patience(self) -> float | None:
        patience = self.clock.timeout(self._next_at())
        if self._stop_at is None:
            return patience
        left = max(0.0, self._stop_at - time.monotonic())
        return left if patience is None else min(left, patience)

    def _next_at(self) -> float | None:
        while self._timers and self._timers[0][2].job is None:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _run_timers(self) -> None:
        now = self.clock.monotonic()
        while (at := self._next_at()) is not None and at <= now:
            timer = heapq.heappop(self._timers)[2]
            if timer.job is not None:
                job, timer.job = timer.job, None
                _guard(job)

    def _drain(self, events: int) -> None:
        try:
            while self._woken.recv(4096):
                pass
        except BlockingIOError:
            return


def _guard(job: Callable[[], None]) -> None:
    """One mistake must not end the node: a test that waits for it would hang instead of fail."""
    try:
        job()
    except Exception:  # noqa: BLE001  (told, and the loop has to go on)
        _log.exception("a step of the development node failed")
