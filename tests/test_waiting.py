"""Waiting for events: in order, bounded, with a deadline, with a check of the user's, until the client ends."""

from __future__ import annotations

import gc
import threading
from collections.abc import Hashable

import pytest

from lavalink_sync.errors import ClientClosedError, WaitTimeoutError, WouldDeadlockError
from lavalink_sync.listeners import ListenerRegistry
from lavalink_sync.models import UnknownEvent
from lavalink_sync.transport.clock import Clock, SystemClock
from lavalink_sync.waiting import EventStream, Expectation, Waits

from .support.clock import ManualClock


class Bench:
    """Waits over a registry, on a lane that the test chooses."""

    def __init__(self, clock: Clock | None = None) -> None:
        self.registry = ListenerRegistry()
        self.lane: Hashable | None = None
        self.waits = Waits(clock or SystemClock(), self.registry.add_tap, self.registry.remove_tap, lambda: self.lane)

    def expect(
        self, guild_id: int | None = None, timeout: float | None = 10, **others: object
    ) -> Expectation[UnknownEvent]:
        tap = self.waits.open((UnknownEvent,), guild_id, about_nodes=False)
        return Expectation(tap, self.waits, timeout, others.get("check"))  # type: ignore[arg-type]  # a check, if any

    def stream(self, max_pending: int = 10) -> EventStream[UnknownEvent]:
        tap = self.waits.open((UnknownEvent,), None, max_pending, about_nodes=False)
        return EventStream(tap, self.waits, 10, None)

    def send(self, *types: str, guild_id: int = 1) -> None:
        for type_ in types:
            self.registry.feed(UnknownEvent(type_, guild_id, {}))


def test_an_event_that_came_in_the_body_is_found_afterwards() -> None:
    bench = Bench()
    with bench.expect() as expected:
        bench.send("a", "b")
    assert expected.result().type == "a"
    assert expected.result().type == "a", "the same one when asked again"
    assert bench.registry.taps() == ()


def test_a_check_runs_in_the_thread_that_waits() -> None:
    bench = Bench()
    threads: list[threading.Thread] = []

    def check(event: UnknownEvent) -> bool:
        threads.append(threading.current_thread())
        return event.type == "c"

    with bench.expect(check=check) as expected:
        feeder = threading.Thread(target=bench.send, args=("a", "b", "c"))
        feeder.start()
        feeder.join(10)
    assert expected.result().type == "c"
    assert set(threads) == {threading.current_thread()}


def test_nothing_is_listened_for_after_the_body_raised() -> None:
    bench = Bench()
    with pytest.raises(KeyError), bench.expect() as expected:
        raise KeyError
    assert bench.registry.taps() == ()
    with pytest.raises(ClientClosedError, match="ended"):
        expected.result()


def test_a_timeout_names_what_did_not_come(clock: ManualClock) -> None:
    bench = Bench(clock)
    met: list[WaitTimeoutError] = []

    def wait() -> None:
        try:
            bench.expect(guild_id=77, timeout=30).result()
        except WaitTimeoutError as error:
            met.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    clock.waiting(1, due_in=30)
    clock.advance(30)
    waiter.join(10)
    assert "UnknownEvent of guild 77" in str(met[0])
    assert "30 s" in str(met[0])


def test_after_a_timeout_it_can_be_asked_again() -> None:
    bench = Bench()
    expected = bench.expect(timeout=0)
    with pytest.raises(WaitTimeoutError):
        expected.result()
    bench.send("late")
    assert expected.result(timeout=10).type == "late"
    assert bench.registry.taps() == ()


def test_what_a_check_raises_is_the_callers() -> None:
    def check(event: UnknownEvent) -> bool:
        raise KeyError(event.type)

    bench = Bench()
    expected = bench.expect(check=check)
    bench.send("a")
    with pytest.raises(KeyError, match="a"):
        expected.result()


def test_a_loop_that_is_left_is_not_fed_any_more() -> None:
    bench = Bench()
    bench.send("before")

    def first() -> str:
        stream = bench.stream()
        bench.send("a", "b")
        for event in stream:
            return event.type
        raise AssertionError("nothing came")

    assert first() == "a"
    gc.collect()
    assert bench.registry.taps() == ()


def test_many_threads_that_wait_all_get_the_event_and_the_end() -> None:
    bench = Bench()
    waiting = [bench.expect(timeout=None) for _ in range(5)]
    met: list[object] = []

    def wait(expected: Expectation[UnknownEvent]) -> None:
        try:
            met.append(expected.result().type)
        except ClientClosedError as error:
            met.append(str(error))

    for outcome in ("a", "the end"):
        threads = [threading.Thread(target=wait, args=(expected,)) for expected in waiting]
        for thread in threads:
            thread.start()
        if outcome == "a":
            bench.send("a")
        else:
            for tap in bench.registry.taps():
                tap.close(lambda: ClientClosedError("the end"))
        for thread in threads:
            thread.join(10)
        assert met == [outcome] * 5
        met.clear()
        waiting = [bench.expect(timeout=None) for _ in range(5)]


def test_a_stream_gives_events_in_order_and_drops_the_oldest_when_it_is_not_read() -> None:
    bench = Bench()
    with bench.stream(max_pending=3) as stream:
        bench.send("a", "b", "c", "d")
        assert [next(stream).type for _ in range(3)] == ["b", "c", "d"]
        assert stream.dropped == 1
    assert bench.registry.taps() == ()


def test_closing_a_stream_ends_the_thread_that_reads_it() -> None:
    bench = Bench()
    stream = bench.stream()
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.extend(event.type for event in stream))
    reader.start()
    bench.send("a")
    stream.close()
    reader.join(10)
    assert not reader.is_alive()
    assert read == ["a"]


def test_what_came_before_the_end_is_still_given() -> None:
    bench = Bench()
    expected = bench.expect()
    bench.send("a")
    for tap in bench.registry.taps():
        tap.close(lambda: ClientClosedError("the end"))
    bench.send("late")
    assert expected.result().type == "a"
    with pytest.raises(ClientClosedError):
        bench.waits.next(expected.tap, 1, None)


@pytest.mark.parametrize(("lane", "guild_id", "about_nodes"), [(5, 5, False), (("node", "main"), None, True)])
def test_a_wait_on_its_own_lane_raises_at_once(lane: Hashable, guild_id: int | None, about_nodes: bool) -> None:
    bench = Bench()
    bench.lane = lane
    tap = bench.waits.open((UnknownEvent,), guild_id, about_nodes=about_nodes)
    with pytest.raises(WouldDeadlockError, match="listener"):
        bench.waits.refuse_own_lane(tap)


@pytest.mark.parametrize(
    ("lane", "guild_id", "about_nodes"),
    [(5, 6, False), (5, None, False), (5, None, True), (None, 5, False), (("node", "main"), 5, False)],
)
def test_a_wait_on_another_lane_is_fine(lane: Hashable, guild_id: int | None, about_nodes: bool) -> None:
    bench = Bench()
    bench.lane = lane
    bench.waits.refuse_own_lane(bench.waits.open((UnknownEvent,), guild_id, about_nodes=about_nodes))
