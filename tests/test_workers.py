"""The pool for user code: order within a key, side by side otherwise, and how it ends."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from queue import SimpleQueue

import pytest

from lavalink_sync.errors import ClientClosedError
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.lanes import Lane
from lavalink_sync.transport.workers import KeyedExecutor, _work, current_key

from .support.clock import ManualClock
from .support.waiting import wait_until

CLOCK = SystemClock()


def soon() -> Deadline:
    return Deadline(CLOCK, 10)


class Blocker:
    """A job that says when it runs and ends when it is let go."""

    def __init__(self) -> None:
        self.running = threading.Event()
        self.let_go = threading.Event()
        self.thread = ""

    def __call__(self) -> None:
        self.thread = threading.current_thread().name
        self.running.set()
        assert self.let_go.wait(10)


@pytest.fixture(params=["own threads", "a user's executor"])
def pool(request: pytest.FixtureRequest) -> Iterator[KeyedExecutor]:
    if request.param == "own threads":
        pool = KeyedExecutor(4)
        yield pool
        assert pool.close(soon()) == []
        return
    with ThreadPoolExecutor(4) as executor:
        pool = KeyedExecutor(executor=executor)
        yield pool
        assert pool.close(soon()) == []


def test_jobs_of_a_key_run_one_at_a_time_in_order_whatever_the_threads_do(pool: KeyedExecutor) -> None:
    ran: dict[int, list[int]] = {key: [] for key in range(7)}
    inside: dict[int, int] = dict.fromkeys(range(7), 0)

    def job(key: int, number: int) -> None:
        inside[key] += 1
        assert inside[key] == 1
        ran[key].append(number)
        inside[key] -= 1

    def feed(key: int) -> None:
        for number in range(500):
            pool.submit(key, lambda number=number: job(key, number))  # type: ignore[misc]

    feeders = [threading.Thread(target=feed, args=(key,)) for key in ran]
    for feeder in feeders:
        feeder.start()
    for feeder in feeders:
        feeder.join(10)
    assert pool.close(soon()) == []
    assert ran == {key: list(range(500)) for key in ran}


def test_a_job_that_blocks_holds_its_own_lane_only(pool: KeyedExecutor) -> None:
    blocker = Blocker()
    pool.submit("slow", blocker)
    assert blocker.running.wait(10)
    behind = pool.run("slow", lambda: "later")
    assert [pool.run(key, lambda: "now").result(10) for key in range(20)] == ["now"] * 20
    assert not behind.done()
    blocker.let_go.set()
    assert behind.result(10) == "later"


def test_a_busy_key_does_not_keep_others_from_their_turn() -> None:
    pool = KeyedExecutor(1)
    ran: list[str] = []
    blocker = Blocker()
    pool.submit("first", blocker)
    for _ in range(1000):
        pool.submit("busy", lambda: ran.append("busy"))
    pool.submit("modest", lambda: ran.append("modest"))
    blocker.let_go.set()
    assert pool.close(soon()) == []
    assert ran.index("modest") < 100
    assert len(ran) == 1001


def test_threads_start_as_they_are_needed_and_are_named_daemons() -> None:
    pool = KeyedExecutor(3)
    before = set(threading.enumerate())
    assert pool.run("a", lambda: None).result(10) is None
    wait_until(lambda: not pool._lanes, "the lane is over")
    pool.run("b", lambda: None).result(10)
    started = set(threading.enumerate()) - before
    assert [(thread.name, thread.daemon) for thread in started] == [("lavalink-worker-1", True)]
    blockers = [Blocker() for _ in range(5)]
    for key, blocker in enumerate(blockers):
        pool.submit(key, blocker)
        blocker.let_go.set()
    assert pool.close(soon()) == []
    assert {blocker.thread for blocker in blockers} <= {f"lavalink-worker-{n}" for n in (1, 2, 3)}


def test_what_is_submitted_without_waking_runs_once_that_is_made_up_for() -> None:
    pool = KeyedExecutor(2)
    ran: SimpleQueue[str] = SimpleQueue()
    pool.wake()
    assert pool.submit("a", ran.put, "a", wake=False)
    assert pool.submit("b", ran.put, "b", wake=False)
    assert pool._threads == []
    pool.wake()
    assert sorted(ran.get(timeout=10) for _ in range(2)) == ["a", "b"]
    assert pool.close(soon()) == []


class InterruptedLock:
    """A pool's lock; behind its first release in this thread comes a Ctrl-C."""

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._thread: threading.Thread | None = threading.current_thread()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if threading.current_thread() is self._thread:
            self._thread = None
            raise KeyboardInterrupt


@pytest.mark.parametrize("wake", [True, False])
def test_a_ctrl_c_as_a_job_is_handed_over_costs_no_later_one(wake: bool) -> None:
    pool = KeyedExecutor(2)
    ran: SimpleQueue[str] = SimpleQueue()
    pool.run("a", lambda: None).result(10)
    wait_until(lambda: len(pool._idle) == 1 and not pool._lanes, "the thread is idle")
    if not wake:
        assert pool.submit("a", ran.put, "interrupted", wake=False)
    pool._lock = InterruptedLock(pool._lock)  # type: ignore[assignment]
    hand_over = partial(pool.submit, "a", ran.put, "interrupted") if wake else pool.wake
    with pytest.raises(KeyboardInterrupt):
        hand_over()
    assert pool.submit("a", ran.put, "later")
    assert pool.submit("b", ran.put, "of another")
    assert {ran.get(timeout=10) for _ in range(3)} == {"interrupted", "later", "of another"}
    assert pool.close(soon()) == []


def test_an_entry_with_the_same_token_is_replaced_while_it_is_the_last(pool: KeyedExecutor) -> None:
    ran: list[str] = []
    blocker = Blocker()

    def put(name: str, token: object | None) -> None:
        pool.submit("guild", lambda: ran.append(name), replaces=token)

    pool.submit("guild", blocker, replaces="update")
    assert blocker.running.wait(10)
    put("u1", "update")  # the one before is running: not replaced
    put("u2", "update")
    put("event", None)
    put("event2", None)
    put("u3", "update")
    put("other", "another token")
    put("u4", "update")
    put("u5", "update")
    blocker.let_go.set()
    assert pool.close(soon()) == []
    assert ran == ["u2", "event", "event2", "u3", "other", "u5"]


def test_over_its_limit_a_lane_drops_its_oldest_and_tells_it_once_an_overflow() -> None:
    told: list[tuple[object, int]] = []
    ran: list[int] = []
    pool = KeyedExecutor(1, max_pending=10, on_drop=lambda key, dropped: told.append((key, dropped)))
    for _ in range(2):
        blocker = Blocker()
        pool.submit("guild", blocker)
        assert blocker.running.wait(10)
        for number in range(25):
            pool.submit("guild", lambda number=number: ran.append(number))  # type: ignore[misc]
        blocker.let_go.set()
        wait_until(lambda: not pool._lanes, "the lane is over")
    assert ran == [*range(15, 25)] * 2
    assert told == [("guild", 1), ("guild", 16)]
    assert pool.dropped == 30
    assert pool.close(soon()) == []


def test_a_future_that_is_dropped_is_cancelled() -> None:
    pool = KeyedExecutor(1, max_pending=1)
    blocker = Blocker()
    pool.submit("guild", blocker)
    assert blocker.running.wait(10)
    first = pool.run("guild", lambda: 1)
    second = pool.run("guild", lambda: 2)
    assert first.cancelled()
    blocker.let_go.set()
    assert second.result(10) == 2
    assert pool.close(soon()) == []


def test_what_a_job_raises_is_logged_and_hurts_nobody(pool: KeyedExecutor, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise SystemExit("user code")

    with caplog.at_level(logging.ERROR):
        pool.submit("guild 7", fail)
        assert pool.run("guild 7", lambda: 1).result(10) == 1
    assert "guild 7" in caplog.text
    assert "user code" in caplog.text


def test_what_a_call_raises_is_in_its_future(pool: KeyedExecutor) -> None:
    future = pool.run(None, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        future.result(10)


def test_calls_without_a_key_run_side_by_side_and_can_be_cancelled(pool: KeyedExecutor) -> None:
    blockers = [Blocker() for _ in range(4)]
    futures = [pool.run(None, blocker) for blocker in blockers]
    assert all(blocker.running.wait(10) for blocker in blockers)
    late = pool.run(None, lambda: 1)
    assert late.cancel()
    for blocker in blockers:
        blocker.let_go.set()
    assert [future.result(10) for future in futures] == [None] * 4
    assert late.cancelled()


def test_a_job_can_tell_whose_lane_it_is_on(pool: KeyedExecutor) -> None:
    assert current_key() is None
    assert pool.run(("guild", 5), current_key).result(10) == ("guild", 5)
    assert current_key() is None


def test_closing_runs_what_is_pending_and_takes_no_more(pool: KeyedExecutor) -> None:
    ran: list[int] = []
    for number in range(300):
        pool.submit(number % 3, lambda number=number: ran.append(number))  # type: ignore[misc]
    assert pool.close(soon()) == []
    assert sorted(ran) == list(range(300))
    assert pool.submit("x", lambda: ran.append(-1)) is False
    with pytest.raises(ClientClosedError):
        pool.run("x", lambda: None)
    assert pool.close(soon()) == []
    assert -1 not in ran


def test_closing_an_unused_pool_is_nothing() -> None:
    assert KeyedExecutor().close(Deadline(CLOCK, 0)) == []


def test_at_the_deadline_closing_names_who_is_stuck_and_drops_the_rest(clock: ManualClock) -> None:
    pool = KeyedExecutor(2, clock=clock)
    blocker, ran = Blocker(), []
    pool.submit("stuck", blocker)
    assert blocker.running.wait(10)
    pool.submit("stuck", lambda: ran.append("behind"))
    future = pool.run("stuck", lambda: ran.append("behind too"))
    result: list[list[str]] = []
    closing = threading.Thread(target=lambda: result.append(pool.close(Deadline(clock, 5))))
    closing.start()
    clock.waiting(1, due_in=5)
    clock.advance(5)
    closing.join(10)
    assert result == [[blocker.thread]]
    with pytest.raises(CancelledError):
        future.result(10)
    assert pool.close(Deadline(clock, 5)) == [blocker.thread]
    blocker.let_go.set()  # then the thread ends, which the leak check sees
    wait_until(lambda: pool.close(Deadline(clock, 0)) == [], "the stuck thread is done")
    assert ran == []


def test_a_job_may_close_its_own_pool_without_waiting_for_itself(pool: KeyedExecutor) -> None:
    ran: list[str] = []

    def close() -> None:
        assert pool.close(soon()) == []
        ran.append("closed")

    blocker = Blocker()
    pool.submit("other", blocker)
    assert blocker.running.wait(10)
    closing = pool.run("own", close)
    pool.submit("own", lambda: ran.append("behind"))
    closing.result(10)
    blocker.let_go.set()
    assert pool.close(soon()) == []
    assert ran[0] == "closed"
    assert pool.submit("own", lambda: None) is False


def test_a_pool_closed_by_its_own_job_ends_its_threads_by_itself() -> None:
    pool = KeyedExecutor(2)
    before = set(threading.enumerate())
    blockers = [Blocker(), Blocker()]
    for key, blocker in enumerate(blockers):
        pool.submit(key, blocker)
        assert blocker.running.wait(10)
    closing = pool.run(0, lambda: pool.close(soon()))
    blockers[0].let_go.set()
    assert closing.result(10) == []
    blockers[1].let_go.set()
    wait_until(lambda: set(threading.enumerate()) <= before, "the threads have ended")
    assert pool.dropped == 0  # and it is still there to be asked


def test_a_forgotten_pool_ends_its_idle_threads() -> None:
    pool = KeyedExecutor(2)
    before = set(threading.enumerate())
    pool.run("a", lambda: None).result(10)
    threads = set(threading.enumerate()) - before
    assert threads
    gone = weakref.ref(pool)
    del pool
    wait_until(lambda: gc.collect() >= 0 and gone() is None, "the pool is forgotten")
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


def test_what_waits_in_a_forgotten_pool_is_cancelled() -> None:
    pool = KeyedExecutor(1)
    blocker = Blocker()
    first = pool.run("a", blocker)
    assert blocker.running.wait(10)
    waiting = pool.run("b", lambda: 1)
    gone = weakref.ref(pool)
    del pool
    blocker.let_go.set()
    first.result(10)
    # Whichever comes first: the thread takes the next lane, or the pool is gone and the lane with it.
    wait_until(waiting.done, "the second call is over")
    wait_until(lambda: gone() is None, "the pool is forgotten")


def test_threads_of_a_forgotten_pool_do_not_trip_over_each_other() -> None:
    class Shared(deque[Lane]):
        """Lanes of which another thread takes the last between this one's look and its take."""

        def __len__(self) -> int:
            return 1

    gone = weakref.ref(KeyedExecutor(1))
    wait_until(lambda: gc.collect() >= 0 and gone() is None, "the pool is forgotten")
    lane = Lane("a")
    cancelled: list[str] = []
    lane.entries.append((print, (), None, lambda: cancelled.append("a")))
    _work(gone, SimpleQueue(), Shared([lane]))
    assert cancelled == ["a"]


def test_a_system_without_threads_to_give_is_told_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = KeyedExecutor(2)
    with monkeypatch.context() as broken:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        broken.setattr(threading.Thread, "start", refuse)
        future = pool.run("a", lambda: 1)
    assert "can't start new thread" in caplog.text
    assert pool.run("b", lambda: 2).result(10) == 2
    assert future.result(10) == 1
    assert pool.close(soon()) == []
