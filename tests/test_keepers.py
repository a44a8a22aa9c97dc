"""The threads for the library's own work on players."""

from __future__ import annotations

import gc
import threading
import weakref
from functools import partial

import pytest

from lavalink_sync.errors import ClientClosedError
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.keepers import KeeperPool

from .support.clock import ManualClock
from .support.waiting import wait_until
from .test_workers import Blocker, soon

CLOCK = SystemClock()


def keeper_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("lavalink-keeper-"))


def test_a_job_s_result_or_error_is_in_its_future() -> None:
    pool = KeeperPool()
    assert pool.submit(lambda: 7).result(10) == 7
    with pytest.raises(ZeroDivisionError):
        pool.submit(lambda: 1 / 0, voice=True).result(10)
    assert pool.close(soon()) == []


def test_at_rest_there_is_no_thread() -> None:
    pool = KeeperPool()
    assert keeper_threads() == []
    for _ in range(3):
        pool.submit(lambda: None).result(10)
        wait_until(lambda: keeper_threads() == [], "the keeper has ended")
    assert pool.close(soon()) == []


def test_up_to_the_limit_jobs_run_side_by_side_and_the_rest_waits_in_order() -> None:
    pool = KeeperPool(3)
    blockers = [Blocker() for _ in range(3)]
    futures = [pool.submit(blocker) for blocker in blockers]
    assert all(blocker.running.wait(10) for blocker in blockers)
    assert keeper_threads() == ["lavalink-keeper-1", "lavalink-keeper-2", "lavalink-keeper-3"]
    order: list[int] = []
    late = [pool.submit(lambda n=n: order.append(n)) for n in range(10)]  # type: ignore[misc]
    assert not any(future.done() for future in late)
    blockers[0].let_go.set()
    for future in late:
        future.result(10)
    assert order == list(range(10))
    for blocker in blockers[1:]:
        blocker.let_go.set()
    for future in futures:
        future.result(10)
    assert pool.close(soon()) == []


def test_voice_jobs_and_others_do_not_wait_for_each_other() -> None:
    pool = KeeperPool(2, 2)
    voices, others = [Blocker() for _ in range(3)], [Blocker() for _ in range(3)]
    # However many voice servers do not answer, other work goes on; and the other way round.
    futures = [pool.submit(blocker, voice=True) for blocker in voices]
    futures += [pool.submit(blocker) for blocker in others]
    assert all(blocker.running.wait(10) for blocker in (*voices[:2], *others[:2]))
    assert len(keeper_threads()) == 4
    others[0].let_go.set()
    assert others[2].running.wait(10)
    assert not voices[2].running.is_set()
    voices[0].let_go.set()
    assert voices[2].running.wait(10)
    for blocker in [*voices, *others]:
        blocker.let_go.set()
    for future in futures:
        future.result(10)
    assert pool.close(soon()) == []


def test_closing_cancels_what_waits_and_names_what_is_stuck(clock: ManualClock) -> None:
    pool = KeeperPool(1, 0, clock=clock)
    blocker = Blocker()
    running = pool.submit(blocker)
    assert blocker.running.wait(10)
    waiting = [pool.submit(lambda: None), pool.submit(lambda: None, voice=True)]
    result: list[list[str]] = []
    closing = threading.Thread(target=lambda: result.append(pool.close(Deadline(clock, 3))))
    closing.start()
    clock.waiting(1, due_in=3)
    assert all(future.cancelled() for future in waiting)
    clock.advance(3)
    closing.join(10)
    assert result == [["lavalink-keeper-1"]]
    with pytest.raises(ClientClosedError):
        pool.submit(lambda: None)
    blocker.let_go.set()
    running.result(10)
    assert pool.close(Deadline(clock, 10)) == []


def test_a_keeper_may_close_its_own_pool() -> None:
    pool = KeeperPool()
    assert pool.submit(lambda: pool.close(soon())).result(10) == []
    assert pool.close(soon()) == []


def test_a_system_without_threads_to_give_is_told_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    pool = KeeperPool()
    with monkeypatch.context() as broken:

        def refuse(_: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        broken.setattr(threading.Thread, "start", refuse)
        future = pool.submit(lambda: 1)
    assert "can't start new thread" in caplog.text
    assert pool.submit(lambda: 2).result(10) == 2
    assert future.result(10) == 1
    assert pool.close(soon()) == []


def test_a_job_for_later_runs_at_its_time_and_others_are_not_held_up(clock: ManualClock) -> None:
    pool = KeeperPool(clock=clock)
    order: list[str] = []
    last = pool.submit(lambda: order.append("20 s"), delay=20)
    first = pool.submit(lambda: order.append("5 s"), delay=5)
    pool.submit(lambda: order.append("now")).result(10)
    assert order == ["now"]
    clock.advance(5)
    first.result(10)
    assert order == ["now", "5 s"]
    assert not last.done()
    wait_until(lambda: len(keeper_threads()) == 1, "one thread keeps the time")
    clock.advance(15)
    last.result(10)
    wait_until(lambda: keeper_threads() == [], "the keeper has ended")
    assert pool.close(Deadline(clock, 10)) == []


def test_a_job_for_later_comes_in_time_while_the_thread_that_waited_is_busy(clock: ManualClock) -> None:
    pool = KeeperPool(clock=clock)
    blocker = Blocker()
    later = pool.submit(lambda: "done", delay=5)
    wait_until(lambda: len(keeper_threads()) == 1, "one thread keeps the time")
    blocked = pool.submit(blocker)
    assert blocker.running.wait(10)
    clock.advance(5)
    assert later.result(10) == "done"
    blocker.let_go.set()
    blocked.result(10)
    assert pool.close(Deadline(clock, 10)) == []


def test_a_job_for_later_can_be_cancelled_and_ends_with_the_pool(clock: ManualClock) -> None:
    pool = KeeperPool(clock=clock)
    ran: list[int] = []
    dropped, kept = (pool.submit(lambda n=n: ran.append(n), delay=5) for n in range(2))  # type: ignore[misc]
    assert dropped.cancel()
    clock.advance(5)
    kept.result(10)
    left = pool.submit(lambda: ran.append(2), delay=5)
    assert pool.close(Deadline(clock, 10)) == []
    assert left.cancelled()
    assert ran == [1]
    assert keeper_threads() == []


def test_a_forgotten_pool_does_not_wait_for_the_time_of_its_jobs(clock: ManualClock) -> None:
    pool = KeeperPool(clock=clock)
    ran: list[KeeperPool] = []
    job = partial(ran.append, pool)  # as a client's jobs lead to the client, and so to the pool
    left = pool.submit(job, delay=600)
    clock.waiting(due_in=600)
    gone = weakref.ref(pool)
    del pool, job
    wait_until(lambda: gc.collect() >= 0 and gone() is None, "the pool to be forgotten")
    wait_until(lambda: keeper_threads() == [], "the keeper to end")
    assert not left.running()
    assert ran == []
