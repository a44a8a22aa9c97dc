"""`KeyedExecutor`: the pool that user code runs on. First in, first out a key; keys run side by side.

A lane is the queue of one key. It is handed to a thread as a whole, so that its jobs never overlap, and goes to the end
of the line after a burst, so that a busy guild does not starve the others.

To wake a thread costs more than the way of an event through here. So one that takes a lane wakes the next, if there are
more lanes, and nobody is woken while one is on its way: a burst for many guilds wakes one thread, and that one no more
than there is work for. The thread that was idle last is woken first. Who submits a burst and then waits wakes only
then (`wake=False`, `wake()`): the interpreter's lock is free just as the worker comes for it, and nobody is before it.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from queue import SimpleQueue
from typing import TYPE_CHECKING, TypeVar

from ..errors import ClientClosedError
from .clock import Clock, Deadline, SystemClock
from .lanes import Entry, Lane, drop
from .locks import new_lock

if TYPE_CHECKING:
    from typing_extensions import TypeVarTuple, Unpack

    _Ts = TypeVarTuple("_Ts")

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

# So many jobs of one lane run before it lets others go first.
_BURST = 16
# How long the end of a thread that has nothing more to do may take, in real seconds.
_LAST_BREATH = 1.0

_here = threading.local()

# Tells a thread to look for lanes (True) or to end (False). One a thread: then a put wakes that thread and no other.
_Inbox = SimpleQueue[bool]


def current_key() -> Hashable | None:
    """Return the key of the lane whose job this thread is running, `None` outside of jobs."""
    lane: Lane | None = getattr(_here, "lane", None)
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
        self._workers = workers if executor is None else 0
        self._max_pending = max_pending
        self._executor = executor
        self._on_drop = on_drop
        self._clock = clock or SystemClock()
        # Guards all below; `_changed` tells of the last lane's end while closing. A lane is in the map from its first
        # entry until a thread finds it empty. Its own thread takes entries out of it without the lock.
        self._lock = new_lock()
        self._changed = threading.Condition(self._lock)
        self._lanes: dict[Hashable, Lane] = {}
        self._threads: list[threading.Thread] = []
        self._stuck: list[Lane] = []
        self._dropped = 0
        self._closing: Deadline | None = None
        # Lanes that have something to do and no thread yet, the inboxes of all threads, of the idle ones, and of one
        # that was woken and did not look yet: until then it counts as idle.
        self._waiting: deque[Lane] = deque()
        self._inboxes: list[_Inbox] = []
        self._idle: list[_Inbox] = []
        self._woken: _Inbox | None = None
        # A queue of this kind may be put to from a finalizer, whatever the thread was doing.
        weakref.finalize(self, _end_threads, self._inboxes).atexit = False

    @property
    def dropped(self) -> int:
        """How many jobs were dropped because their lane was full."""
        return self._dropped

    def submit(
        self,
        key: Hashable,
        job: Callable[[Unpack[_Ts]], object],
        *arguments: Unpack[_Ts],
        replaces: object | None = None,
        cancel: Callable[[], object] | None = None,
        wake: bool = True,
    ) -> bool:
        """Queue `job(*arguments)` behind the others of `key`; return whether that was possible (`False`: closed).

        Never blocks. Without `wake` it may not run before the next `wake()`. If `replaces` is given, and the lane's
        last entry has not started and was submitted with an equal token, `job` takes its place. `cancel` is called if
        the job is dropped. What a job raises is logged.
        """
        entry: Entry = (job, arguments, replaces, cancel)
        with self._lock:
            if self._closing is not None:
                return False
            lane = self._lanes.get(key)
            if lane is not None:
                if replaces is not None and lane.replace_last(entry):
                    return True
                lane.entries.append(entry)
                if len(lane.entries) <= self._max_pending:
                    return True
                dropped = lane.take()
                told = 0 if dropped is None else self._count_drop_locked(lane)
            else:
                fresh = Lane(key)
                fresh.entries.append(entry)
                if self._executor is None:
                    # Before it is in the map: whatever a Ctrl-C leaves undone, no lane is fed that waits for no thread.
                    self._waiting.append(fresh)
                self._lanes[key] = fresh
                new_thread = self._wake_locked() if wake else None
        if lane is None:
            self._start(new_thread)
            if self._executor is not None:
                self._give_to(self._executor, fresh)
            return True
        if dropped is not None:
            drop([dropped])
        if told and self._on_drop is not None:
            self._on_drop(key, told)
        return True

    def wake(self) -> None:
        """Have a thread look for what was submitted without `wake`, if there is any. From any thread."""
        if self._waiting:
            with self._lock:
                new_thread = self._wake_locked()
            self._start(new_thread)

    def run(self, key: Hashable | None, fn: Callable[[], _T]) -> Future[_T]:
        """Queue `fn` and return a future of what it returns or raises. `None` as key: a lane of its own.

        The future is cancelled if its lane overflows, or if closing leaves no time for it. Raises `ClientClosedError`
        after `close`.
        """
        future: Future[_T] = Future()
        lane_key = object() if key is None else key
        if not self.submit(lane_key, fulfil, future, fn, cancel=future.cancel):
            raise ClientClosedError("the client is closed: nothing runs on its threads any more")
        return future

    def close(self, deadline: Deadline) -> list[str]:
        """Take no more jobs, run what is pending until `deadline`, end the threads.

        Returns the names of threads that were still busy with a job at the deadline; they end when it returns. From one
        of its own jobs it waits for nothing and returns an empty list; the other threads finish as said.
        """
        own: Lane | None = getattr(_here, "lane", None)
        with self._changed:
            if self._closing is None:
                self._closing = deadline
            if not self._lanes:
                _end_threads(self._inboxes)
            if own is not None and self._lanes.get(own.key) is own:
                return []
            while self._lanes and not deadline.expired:
                self._clock.wait(self._changed, deadline.at)
            late = list(self._lanes.values())
            self._lanes.clear()
            self._stuck += [lane for lane in late if lane.thread is not None]
            abandoned = [entry for lane in late for entry in lane.emptied()]
            self._waiting.clear()
            _end_threads(self._inboxes)
            stuck = [lane.thread for lane in self._stuck if lane.thread is not None]
            ending = [thread for thread in self._threads if thread not in stuck and thread.ident is not None]
        drop(abandoned)
        for thread in ending:
            thread.join(_LAST_BREATH)
        return sorted(thread.name for thread in stuck)

    def _count_drop_locked(self, lane: Lane) -> int:
        """Count an entry that `lane` had no room for; return the number to tell, 0 if it was told of this lane."""
        self._dropped += 1
        told = 0 if lane.overflowing else self._dropped
        lane.overflowing = True
        return told

    def _give_to(self, executor: Executor, lane: Lane) -> None:
        try:
            future = executor.submit(self._run_burst, lane)
        except RuntimeError as error:  # it was shut down: whoever owns it wants no more of our jobs
            self._abandon(lane, error)
        else:
            # It may be shut down with our lane still in its queue.
            future.add_done_callback(lambda done: self._abandon(lane, "shut down") if done.cancelled() else None)

    def _abandon(self, lane: Lane, why: object) -> None:
        _log.warning("the executor takes no more jobs (%s): what waits for %r is dropped", why, lane.key)
        with self._changed:
            abandoned = lane.emptied()
            self._end_locked(lane)
        drop(abandoned)

    def _wake_locked(self) -> threading.Thread | None:
        """Wake an idle thread for the lanes that wait, or return a new one that is to be started; often neither."""
        if self._woken is not None:
            return None
        if self._idle:
            self._woken = inbox = self._idle[-1]
            # Under the lock: a Ctrl-C behind it would leave one that never looks, and then nobody is woken any more.
            inbox.put(True)
            return None
        if len(self._threads) >= min(self._workers, len(self._lanes)):
            return None
        inbox = SimpleQueue()
        name = f"lavalink-worker-{len(self._threads) + 1}"
        thread = threading.Thread(target=_work, args=(weakref.ref(self), inbox, self._waiting), name=name, daemon=True)
        self._inboxes.append(inbox)
        self._threads.append(thread)
        self._woken = inbox
        return thread

    def _start(self, thread: threading.Thread | None) -> None:
        if thread is None:
            return
        try:
            thread.start()
        except RuntimeError as error:  # the system has no thread to give, or Python is shutting down
            _log.warning("a worker thread could not be started: %s", error)
            with self._lock:
                self._threads.remove(thread)
                self._woken = None

    def _next_lane(self, inbox: _Inbox) -> Lane | None:
        """Return a lane for the thread of `inbox` to run; without one that thread is idle from here on."""
        with self._lock:
            if self._woken is inbox:
                self._woken = None
                if inbox in self._idle:  # it is not new
                    self._idle.remove(inbox)
            if not self._waiting:
                self._idle.append(inbox)
                return None
            lane = self._waiting.popleft()
            new_thread = self._wake_locked() if self._waiting else None
        self._start(new_thread)
        return lane

    def _run_burst(self, lane: Lane) -> None:
        """Run some jobs of `lane`, which no other thread runs meanwhile; hand it out again if it has more."""
        outer: Lane | None = getattr(_here, "lane", None)
        _here.lane = lane
        lane.thread = threading.current_thread()
        try:
            for _ in range(_BURST):
                # Not behind a call: every event comes by here.
                entry = lane.take() if self._closing is None else None
                if entry is None and (entry := self._take_last(lane)) is None:
                    return
                try:
                    entry[0](*entry[1])
                except BaseException:  # noqa: BLE001 - a job's failure must end neither the thread nor the lane
                    _log.exception("a job of %r failed", lane.key)
                del entry
        finally:
            lane.thread = None
            _here.lane = outer
        if self._executor is not None:
            self._give_to(self._executor, lane)
            return
        with self._lock:  # and nobody is woken: this thread looks next
            self._waiting.append(lane)

    def _take_last(self, lane: Lane) -> Entry | None:
        """Return the next entry of `lane`, if it got one meanwhile or closing has time for it; else it is over."""
        abandoned: list[Entry] = []
        with self._lock:
            if self._closing is not None and self._closing.expired:
                abandoned = lane.emptied()
            entry = lane.take()
            if entry is not None:
                return entry
            self._end_locked(lane)
        drop(abandoned)
        return None

    def _end_locked(self, lane: Lane) -> None:
        if self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]
        if self._closing is not None and not self._lanes:
            _end_threads(self._inboxes)
            self._changed.notify_all()


def _work(reference: weakref.ref[KeyedExecutor], inbox: _Inbox, waiting: deque[Lane]) -> None:
    """What a thread does. While it is idle it holds nothing of the executor's owner."""
    look = True
    while look:
        executor = reference()
        if executor is None:
            _abandon_all(waiting)
            return
        while (lane := executor._next_lane(inbox)) is not None:
            executor._run_burst(lane)
        del executor, lane
        look = inbox.get()


def _abandon_all(waiting: deque[Lane]) -> None:
    """Drop what waits in a pool that is forgotten. All of its threads may be here."""
    while True:
        try:
            lane = waiting.popleft()
        except IndexError:
            return
        drop(lane.emptied())


def _end_threads(inboxes: list[_Inbox]) -> None:
    for inbox in inboxes:
        inbox.put(False)


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
