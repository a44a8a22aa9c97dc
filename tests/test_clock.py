"""The system's clock, deadlines, and the clock that tests move by hand."""

from __future__ import annotations

import socket
import threading
import time
from selectors import EVENT_READ

import pytest

from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.locks import new_condition
from lavalink_sync.transport.waker import Waker, selector_for

from .support.clock import ManualClock


def test_the_system_clock_tells_the_time() -> None:
    clock = SystemClock()
    assert abs(clock.time() - time.time()) < 60
    assert abs(clock.monotonic() - time.monotonic()) < 60


def test_a_wait_of_the_system_clock_ends_at_its_deadline() -> None:
    clock = SystemClock()
    condition = new_condition()
    deadline = clock.monotonic() + 0.02
    with condition:
        while clock.monotonic() < deadline:
            clock.wait(condition, deadline)
        clock.wait(condition, clock.monotonic() - 5)


def test_a_poll_of_the_system_clock_tells_which_files_are_ready() -> None:
    clock, waker = SystemClock(), Waker()
    here, there = socket.socketpair()
    with here, there, selector_for(waker) as selector:
        selector.register(here, EVENT_READ)
        assert clock.poll(selector, waker, clock.monotonic() + 0.01) == []
        there.send(b"x")
        waker.wake()
        [(key, events)] = clock.poll(selector, waker, None)
        assert (key.fileobj, events) == (here, EVENT_READ)
        here.recv(1)
        assert clock.poll(selector, waker, clock.monotonic()) == []
    waker.close()


def test_a_deadline_counts_down_to_zero_and_no_further() -> None:
    clock = ManualClock(now=100)
    deadline = Deadline(clock, 5)
    assert (deadline.at, deadline.remaining(), deadline.expired) == (105, 5, False)
    clock.advance(4.5)
    assert (deadline.remaining(), deadline.expired) == (0.5, False)
    clock.advance(0.5)
    assert (deadline.remaining(), deadline.expired) == (0, True)
    clock.advance(1)
    assert (deadline.remaining(), deadline.expired) == (0, True)


def test_a_deadline_without_limit_never_comes(clock: ManualClock) -> None:
    deadline = Deadline(clock, None)
    clock.advance(1e9)
    assert (deadline.at, deadline.remaining(), deadline.expired) == (None, None, False)


def test_of_two_deadlines_the_sooner_counts() -> None:
    clock = ManualClock(now=0)
    assert Deadline(clock, 10).at_most(3).at == 3
    assert Deadline(clock, 10).at_most(30).at == 10
    assert Deadline(clock, 10).at_most(None).at == 10
    assert Deadline(clock, None).at_most(3).at == 3
    assert Deadline(clock, None).at_most(None).at is None


def test_the_manual_clock_wakes_whoever_is_due_and_nobody_else() -> None:
    clock = ManualClock(now=0)
    condition = new_condition()
    woken: list[float] = []

    def wait(deadline: float) -> None:
        with condition:
            while clock.monotonic() < deadline:
                clock.wait(condition, deadline)
            woken.append(deadline)
            condition.notify_all()

    threads = [threading.Thread(target=wait, args=(deadline,)) for deadline in (2.0, 5.0)]
    for thread in threads:
        thread.start()
    clock.waiting(2)
    assert clock.next_deadline() == 2
    clock.advance(2)
    threads[0].join(10)
    assert woken == [2]
    clock.waiting(1, due_in=3)
    clock.advance(3)
    threads[1].join(10)
    assert woken == [2, 5]
    assert clock.next_deadline() is None
    assert clock.time() == 1_700_000_005


def test_the_manual_clock_ends_polls_by_time_waker_and_file() -> None:
    clock, waker = ManualClock(), Waker()
    here, there = socket.socketpair()
    selector = selector_for(waker)
    selector.register(here, EVENT_READ)
    found: list[int] = []

    def poll() -> None:
        found.append(len(clock.poll(selector, waker, clock.monotonic() + 7)))

    for end in (lambda: clock.advance(7), waker.wake, lambda: there.send(b"x")):
        thread = threading.Thread(target=poll)
        thread.start()
        clock.waiting(1, due_in=7)
        end()
        thread.join(10)
        assert not thread.is_alive()
    assert found == [0, 0, 1]
    assert clock.poll(selector, waker, clock.monotonic() - 1) != []
    selector.close()
    for file in (here, there, waker):
        file.close()


def test_a_test_that_waits_in_vain_for_waiters_is_told_so() -> None:
    with pytest.raises(AssertionError, match=r"1 thread\(s\) waiting on the clock for 3 s"):
        ManualClock().waiting(1, due_in=3, timeout=0.01)
