"""`KeeperPool`: threads for the library's own work on players, so that it never waits for user code.

Voice updates, rebuilds, moves and adoptions are REST calls that somebody in user code may be waiting for. They are few
and far between, so a thread is started for a job and ends when no job is left. One stays while jobs wait for a time.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing
from typing import Any, NamedTuple, TypeVar

from ..errors import ClientClosedError
from .clock import Clock, Deadline, SystemClock
from .locks import new_condition
from .waker import Waker, selector_for
from .workers import fulfil

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# How long the end of a thread that has nothing more to do may take, in real seconds.
_LAST_BREATH = 1.0


class _Job(NamedTuple):
    number: int
    future: Future[Any]
    run: Callable[[], None]
    voice: bool


class KeeperPool:
    """Runs jobs on daemon threads named `lavalink-keeper-<n>`, first come, first served.

    At most `limit` run at a time, and beside them `voice_limit` voice jobs: voice servers that never answer must hold
    up neither rebuilds nor, where a whole region of them is down, the voice of other guilds. A thread that waits for a
    job's time knows the pool only weakly: when it is forgotten that thread ends, and the job is not done.
    """

    def __init__(self, limit: int = 8, voice_limit: int = 32, *, clock: Clock | None = None) -> None:
        self._limit = limit
        self._voice_limit = voice_limit
        self._clock = clock or SystemClock()
        self._changed = new_condition()
        self._jobs: deque[_Job] = deque()
        self._voice_jobs: deque[_Job] = deque()
        # Jobs whose time has not come, the next one first; one idle thread at most waits for it, on its waker here.
        self._later: list[tuple[float, int, _Job]] = []
        self._timekeepers: dict[int, Waker] = {}
        self._threads: dict[int, threading.Thread] = {}
        self._submitted = 0
        self._running = 0
        self._voice_running = 0
        self._closed = False
        weakref.finalize(self, _wake, self._timekeepers).atexit = False

    def submit(self, job: Callable[[], _T], *, voice: bool = False, delay: float = 0) -> Future[_T]:
        """Run `job` on a keeper thread, `delay` seconds from now; return a future of what it returns or raises.

        Never blocks. Cancelling the future drops a job that has not started. Raises `ClientClosedError` after `close`,
        which also cancels what has not started.
        """
        future: Future[_T] = Future()
        with self._changed:
            if self._closed:
                raise ClientClosedError("the client is closed: its players are not kept up any more")
            self._submitted += 1
            entry = _Job(self._submitted, future, lambda: fulfil(future, job), voice)
            if delay > 0:
                heapq.heappush(self._later, (self._clock.monotonic() + delay, entry.number, entry))
            else:
                self._queue_of(entry).append(entry)
            thread = self._new_thread_locked()
            _wake(self._timekeepers)
        if thread is not None:
            self._start(thread)
        return future

    def close(self, deadline: Deadline) -> list[str]:
        """Take no more jobs, cancel what has not started, wait for the rest until `deadline`.

        Returns the names of threads that were still busy then. From one of its own threads it does not wait for itself.
        """
        with self._changed:
            self._closed = True
            cancelled = [*self._jobs, *self._voice_jobs, *(entry for _, _, entry in self._later)]
            self._jobs.clear()
            self._voice_jobs.clear()
            self._later.clear()
            _wake(self._timekeepers)
            known = list(self._threads.values())
        for entry in cancelled:
            entry.future.cancel()
        with self._changed:
            if threading.current_thread() in known:
                return []
            while self._threads and not deadline.expired:
                self._clock.wait(self._changed, deadline.at)
            busy = list(self._threads.values())
        for thread in known:
            if thread not in busy and thread.ident is not None:
                thread.join(_LAST_BREATH)
        return sorted(thread.name for thread in busy)

    def _queue_of(self, entry: _Job) -> deque[_Job]:
        return self._voice_jobs if entry.voice else self._jobs

    def _new_thread_locked(self) -> threading.Thread | None:
        # A thread more than there are jobs that may run, and one to keep the time, would find nothing to do.
        voice = min(len(self._voice_jobs), self._voice_limit - self._voice_running)
        others = min(len(self._jobs), self._limit - self._running)
        idle = len(self._threads) - self._running - self._voice_running
        if others + voice + (1 if self._later else 0) <= idle:
            return None
        number = next(n for n in itertools.count(1) if n not in self._threads)
        arguments = (weakref.ref(self), number, self._clock)
        thread = threading.Thread(target=_work, args=arguments, name=f"lavalink-keeper-{number}", daemon=True)
        self._threads[number] = thread
        return thread

    def _start(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give, or Python is shutting down
            _log.warning("a keeper thread could not be started: %s", error)
            with self._changed:
                self._threads = {n: other for n, other in self._threads.items() if other is not thread}
                self._changed.notify_all()

    def _run_jobs(self, number: int) -> tuple[Waker, float] | None:
        """Run jobs while there are any. Then: until when, and on what, this thread is to wait; `None`: it is over."""
        done: _Job | None = None
        while True:
            with self._changed:
                self._timekeepers.pop(number, None)
                if done is not None:
                    self._count_locked(done, -1)
                done = self._next_locked()
                if done is None:
                    if self._later and not self._timekeepers:
                        waker = self._timekeepers[number] = Waker()
                        return waker, self._later[0][0]
                    del self._threads[number]
                    self._changed.notify_all()
                    return None
                # This thread may have kept the time until now, or jobs came due together.
                other = self._new_thread_locked()
            if other is not None:
                self._start(other)
            done.run()

    def _next_locked(self) -> _Job | None:
        """The next job, those whose time has come included."""
        while self._later and self._later[0][0] <= self._clock.monotonic():
            entry = heapq.heappop(self._later)[2]
            self._queue_of(entry).append(entry)
        return self._take_locked()

    def _take_locked(self) -> _Job | None:
        """The oldest job that may run now."""
        queues = []
        if self._running < self._limit:
            queues.append(self._jobs)
        if self._voice_running < self._voice_limit:
            queues.append(self._voice_jobs)
        first = min((queue for queue in queues if queue), key=lambda queue: queue[0].number, default=None)
        if first is None:
            return None
        job = first.popleft()
        self._count_locked(job, 1)
        return job

    def _count_locked(self, job: _Job, change: int) -> None:
        if job.voice:
            self._voice_running += change
        else:
            self._running += change


def _work(reference: weakref.ref[KeeperPool], number: int, clock: Clock) -> None:
    """What a thread does. While it waits for a time it holds nothing of the pool's owner."""
    while (pool := reference()) is not None and (wait := pool._run_jobs(number)) is not None:
        del pool
        with closing(wait[0]) as waker, selector_for(waker) as selector:
            clock.poll(selector, waker, wait[1])


def _wake(timekeepers: dict[int, Waker]) -> None:
    for waker in list(timekeepers.values()):
        waker.wake()
