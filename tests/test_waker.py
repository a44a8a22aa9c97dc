"""Waking a thread that waits for its sockets."""

from __future__ import annotations

import os
import threading

import pytest

from lavalink_sync.transport.clock import SystemClock
from lavalink_sync.transport.waker import Waker, selector_for


@pytest.fixture(params=["as on this system", "without eventfd"])
def waker(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Waker:
    if request.param == "without eventfd":
        monkeypatch.delattr(os, "eventfd", raising=False)
    return Waker()


def readable(waker: Waker) -> bool:
    with selector_for(waker) as selector:
        return bool(selector.select(0))


def test_it_is_readable_from_wake_to_drain(waker: Waker) -> None:
    assert not readable(waker)
    waker.drain()
    waker.wake()
    waker.wake()
    assert readable(waker)
    assert readable(waker)
    waker.drain()
    assert not readable(waker)
    waker.close()


def test_waking_for_ever_never_blocks(waker: Waker) -> None:
    for _ in range(20_000):
        waker.wake()
    waker.drain()
    assert not readable(waker)
    waker.close()


def test_a_full_counter_does_not_block_either() -> None:
    if not hasattr(os, "eventfd"):
        pytest.skip("no eventfd on this system")
    waker = Waker()
    os.eventfd_write(waker.fileno(), 2**64 - 2)
    waker.wake()
    assert readable(waker)
    waker.close()


def test_after_closing_everything_is_harmless(waker: Waker) -> None:
    waker.close()
    waker.close()
    waker.wake()
    waker.drain()
    assert waker.fileno() == -1


def test_a_woken_thread_returns_from_its_poll(waker: Waker) -> None:
    selector = selector_for(waker)
    returned: list[object] = []
    thread = threading.Thread(target=lambda: returned.append(SystemClock().poll(selector, waker, None)))
    thread.start()
    waker.wake()
    thread.join(10)
    assert returned == [[]]
    assert not readable(waker)  # the clock has drained it
    selector.close()
    waker.close()


def test_one_descriptor_is_all_that_waiting_needs_on_linux() -> None:
    if not hasattr(os, "eventfd"):
        pytest.skip("no eventfd on this system")
    before = len(os.listdir("/proc/self/fd"))
    waker = Waker()
    with selector_for(waker):
        assert len(os.listdir("/proc/self/fd")) == before + 1
    waker.close()
