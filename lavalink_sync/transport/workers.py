"""`KeyedExecutor`: the pool that user code runs on. First in, first out a key; keys run side by side.

A lane is the queue of one key. It is handed to a thread as a whole, so that its jobs never overlap, and goes to the end
of the line after a burst, so that a busy guild does not starve the others.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

from ..errors import ClientClosedError
from .clock import Clock, Deadline, SystemClock
from .locks import new_condition

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# So many jobs of one lane run before it lets others go first.
_BURST = 16
# How long the end of a thread that has nothing more to do may take, in real seconds.
_LAST_BREATH = 1.0

_here = threading.local()


class _Entry(NamedTuple):
    job: Callable[[], None]
    token: object | None
    cancel: Callable[[], Any] | None


class _Lane:
    """The jobs of one key that did not start yet, the thread that runs it, and whether its overflow was told."""

    __slots__ = ("entries", "key", "overflowing", "thread")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.entries: deque[_Entry] = deque()
        self.overflowing = False
        self.thread: threading.Thread | None = None


def current_key() -> Hashable | None:
    """Return the key of the lane whose job this thread is running, `None` outside of jobs."""
    lane: _Lane | None = getattr(_here, "lane", None)
    return None if lane is None else lane.key


class KeyedExecutor:
    """Runs jobs on daemon threads named `lavalink-worker-<n>`, in order within a key.

    `workers` threads at most, started as they are needed. `max_pending` entries a lane: past that its oldest is
    dropped, counted in `dropped`, and `on_drop(key, dropped)` is called, once until the lane has been empty, on the
    submitting thread. An `executor` given by the user replaces the threads; it is never shut down here.

    A job that blocks holds its own lane and one thread, nothing else. Idle threads know the executor only weakly: when
    it is forgotten they end.
    """

    def __init__(
        self,
        workers: int = 4,
        *,
        max_pending: int = 10_000,
        executor: Executor | None = None,
        on_drop: Callable[[Hashable, int], None] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._workers = workers
        self._max_pending = max_pending
        self._executor = executor
        self._on_drop = on_drop
        self._clock = clock or SystemClock()
        # Guards all below. A lane is in the map from its first entry until a thread finds it empty.
        self._changed = new_condition()
        self._lanes: dict[Hashable, _Lane] = {}
        self._threads: list[threading.Thread] = []
        self._stuck: list[_Lane] = []
        self._dropped = 0
        self._closing: Deadline | None = None
        # Lanes that have something to do; None ends the threads one after the other. A queue of this kind may be put to
        # from a finalizer, whatever the thread was doing.
        self._ready: SimpleQueue[_Lane | None] = SimpleQueue()
        weakref.finalize(self, self._ready.put, None).atexit = False

    @property
    def dropped(self) -> int:
        """How many jobs were dropped because their lane was full."""
        return self._dropped

    def submit(self, key: Hashable, job: Callable[[], None], *, replaces: object | None = None) -> bool:
        """Queue `job` behind the others of `key`; return whether that was possible (`False`: closed). Never blocks.

        If `replaces` is given, and the lane's last entry has not started and was submitted with an equal token, `job`
        takes its place. What a job raises is logged.
        """
        return self._submit(key, _Entry(job, replaces, None))

    def run(self, key: Hashable | None, fn: Callable[[], _T]) -> Future[_T]:
        """Queue `fn` and return a future of what it returns or raises. `None` as key: a lane of its own.

        The future is cancelled if its lane overflows, or if closing leaves no time for it. Raises `ClientClosedError`
        after `close`.
        """
        future: Future[_T] = Future()
        lane_key = object() if key is None else key
        if not self._submit(lane_key, _Entry(lambda: fulfil(future, fn), None, future.cancel)):
            raise ClientClosedError("the client is closed: nothing runs on its threads any more")
        return future

    def close(self, deadline: Deadline) -> list[str]:
        """Take no more jobs, run what is pending until `deadline`, end the threads.

        Returns the names of threads that were still busy with a job at the deadline; they end when it returns. From one
        of its own jobs it waits for nothing and returns an empty list; the other threads finish as said.
        """
        own: _Lane | None = getattr(_here, "lane", None)
        with self._changed:
            if self._closing is None:
                self._closing = deadline
            if not self._lanes:
                self._ready.put(None)
            if own is not None and self._lanes.get(own.key) is own:
                return []
            while self._lanes and not deadline.expired:
                self._clock.wait(self._changed, deadline.at)
            late = list(self._lanes.values())
            self._lanes.clear()
            self._stuck += [lane for lane in late if lane.thread is not None]
            abandoned = [entry for lane in late for entry in _emptied(lane)]
            self._ready.put(None)
            stuck = [lane.thread for lane in self._stuck if lane.thread is not None]
            ending = [thread for thread in self._threads if thread not in stuck and thread.ident is not None]
        _cancel(abandoned)
        for thread in ending:
            thread.join(_LAST_BREATH)
        return sorted(thread.name for thread in stuck)

    def _submit(self, key: Hashable, entry: _Entry) -> bool:
        dropped: _Entry | None = None
        told = 0
        thread: threading.Thread | None = None
        with self._changed:
            if self._closing is not None:
                return False
            lane = self._lanes.get(key)
            if lane is not None:
                entries = lane.entries
                if entries and entry.token is not None and entries[-1].token == entry.token:
                    entries[-1] = entry
                    return True
                if len(entries) >= self._max_pending:
                    dropped = entries.popleft()
                    self._dropped += 1
                    told = 0 if lane.overflowing else self._dropped
                    lane.overflowing = True
                entries.append(entry)
            else:
                fresh = self._lanes[key] = _Lane(key)
                fresh.entries.append(entry)
                thread = self._new_thread_locked()
        if lane is None:
            self._hand_out(fresh)
            self._start(thread)
        if dropped is not None:
            _cancel([dropped])
        if told and self._on_drop is not None:
            self._on_drop(key, told)
        return True

    def _hand_out(self, lane: _Lane) -> None:
        """Let some thread run `lane`, behind the lanes that wait already."""
        if self._executor is None:
            self._ready.put(lane)
            return
        try:
            future = self._executor.submit(self._run_burst, lane)
        except RuntimeError as error:  # it was shut down: whoever owns it wants no more of our jobs
            self._abandon(lane, error)
        else:
            # It may be shut down with our lane still in its queue.
            future.add_done_callback(lambda done: self._abandon(lane, "shut down") if done.cancelled() else None)

    def _abandon(self, lane: _Lane, why: object) -> None:
        _log.warning("the executor takes no more jobs (%s): what waits for %r is dropped", why, lane.key)
        with self._changed:
            abandoned = _emptied(lane)
            self._end_locked(lane)
        _cancel(abandoned)

    def _new_thread_locked(self) -> threading.Thread | None:
        if self._executor is not None or len(self._threads) >= min(self._workers, len(self._lanes)):
            return None
        thread = threading.Thread(
            target=_work,
            args=(weakref.ref(self), self._ready),
            name=f"lavalink-worker-{len(self._threads) + 1}",
            daemon=True,
        )
        self._threads.append(thread)
        return thread

    def _start(self, thread: threading.Thread | None) -> None:
        if thread is None:
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give, or Python is shutting down
            _log.warning("a worker thread could not be started: %s", error)
            with self._changed:
                self._threads.remove(thread)

    def _run_burst(self, lane: _Lane) -> None:
        """Run some jobs of `lane`, which no other thread runs meanwhile; hand it out again if it has more."""
        outer: _Lane | None = getattr(_here, "lane", None)
        _here.lane = lane
        lane.thread = threading.current_thread()
        try:
            for _ in range(_BURST):
                entry = self._take(lane)
                if entry is None:
                    return
                try:
                    entry.job()
                except BaseException:  # noqa: BLE001 - a job's failure must end neither the thread nor the lane
                    _log.exception("a job of %r failed", lane.key)
                del entry
        finally:
            lane.thread = None
            _here.lane = outer
        self._hand_out(lane)

    def _take(self, lane: _Lane) -> _Entry | None:
        """Return the next entry of `lane`; without one the lane is over."""
        abandoned: list[_Entry] = []
        with self._changed:
            if self._closing is not None and self._closing.expired:
                abandoned = _emptied(lane)
            if lane.entries:
                return lane.entries.popleft()
            self._end_locked(lane)
        _cancel(abandoned)
        return None

    def _end_locked(self, lane: _Lane) -> None:
        if self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
        if self._closing is not None and not self._lanes:
            self._ready.put(None)
            self._changed.notify_all()


def _work(reference: weakref.ref[KeyedExecutor], ready: SimpleQueue[_Lane | None]) -> None:
    """What a thread does. Between two lanes it holds nothing of the executor's owner."""
    while True:
        lane = ready.get()
        if lane is None:
            ready.put(None)
            return
        executor = reference()
        if executor is not None:
            executor._run_burst(lane)
        else:
            _cancel(_emptied(lane))
        del executor, lane


def fulfil(future: Future[_T], fn: Callable[[], _T]) -> None:
    """Run `fn` unless `future` was cancelled, and put what it returns or raises into `future`."""
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = fn()
    except BaseException as error:  # noqa: BLE001 - it belongs to whoever holds the future
        future.set_exception(error)
    else:
        future.set_result(result)


def _emptied(lane: _Lane) -> list[_Entry]:
    entries = list(lane.entries)
    lane.entries.clear()
    return entries


def _cancel(entries: list[_Entry]) -> None:
    for entry in entries:
        if entry.cancel is not None:
            entry.cancel()
