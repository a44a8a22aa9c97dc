"""Who listens to what: types and their roots, coming and going, and taps beside listeners."""

from __future__ import annotations

import gc
import threading
from dataclasses import dataclass, field
from typing import Any

from lavalink_sync.listeners import ListenerRegistry
from lavalink_sync.models import Event, TrackEndEvent, TrackStartEvent, UnknownEvent
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.waiting import Tap


def first(player: Any, event: Any) -> None: ...


def second(player: Any, event: Any) -> None: ...


def unread(tap: Tap[UnknownEvent]) -> list[UnknownEvent]:
    """Read what the tap holds."""
    now = Deadline(SystemClock(), 0)
    return list(iter(lambda: tap.get(now), None))


def test_listeners_are_found_by_type_in_the_order_they_were_added() -> None:
    registry = ListenerRegistry()
    registry.add(TrackEndEvent, second)
    registry.add(TrackEndEvent, first)
    registry.add(TrackStartEvent, first)
    assert registry.heard[TrackEndEvent][0] == (second, first)
    assert registry.heard[TrackStartEvent][0] == (first,)
    assert registry.heard[UnknownEvent][0] == ()


def test_a_root_class_hears_all_of_its_kind_and_a_function_is_called_once() -> None:
    registry = ListenerRegistry()
    registry.add(Event, first)
    registry.add(TrackEndEvent, first)
    registry.add(TrackEndEvent, first)
    assert registry.heard[TrackEndEvent][0] == (first,)
    assert registry.heard[UnknownEvent][0] == (first,)


@dataclass
class Handler:
    """A user's object that can be called: it can't be hashed, and one is equal to the next."""

    heard: list[Any] = field(default_factory=list)

    def __call__(self, player: Any, event: Any) -> None: ...

    def method(self, player: Any, event: Any) -> None: ...


def test_any_object_that_can_be_called_can_listen() -> None:
    registry = ListenerRegistry()
    one, other = Handler(), Handler()
    for handler in (one, other, one):
        registry.add(TrackEndEvent, handler)
    found = registry.heard[TrackEndEvent][0]
    assert len(found) == 2
    assert found[0] is one
    assert registry.remove(TrackEndEvent, one)
    assert registry.heard[TrackEndEvent][0][0] is other


def test_a_bound_method_is_the_same_each_time_it_is_named() -> None:
    registry = ListenerRegistry()
    one, other, heard = Handler(), Handler(), {1: 2}
    for listener in (one.method, one.method, other.method, heard.get, heard.get, heard.pop):
        registry.add(TrackEndEvent, listener)
    assert len(registry.heard[TrackEndEvent][0]) == 4
    assert registry.remove(TrackEndEvent, one.method)
    assert registry.remove(TrackEndEvent, heard.get)
    assert registry.heard[TrackEndEvent][0] == (other.method, heard.pop)


def test_what_is_added_or_removed_counts_from_then_on() -> None:
    registry = ListenerRegistry()
    assert not registry.wants(TrackEndEvent)
    registry.add(TrackEndEvent, first)
    assert registry.wants(TrackEndEvent)
    registry.add(TrackStartEvent, first)
    assert registry.remove(TrackEndEvent, first)
    assert registry.heard[TrackStartEvent][0] == (first,)
    assert not registry.remove(TrackEndEvent, first)
    assert not registry.wants(TrackEndEvent)


def test_a_tap_is_fed_what_it_is_for() -> None:
    registry = ListenerRegistry()
    tap = Tap(SystemClock(), (UnknownEvent,), guild_id=5)
    registry.add_tap(tap)
    assert registry.wants(UnknownEvent)
    assert not registry.wants(TrackEndEvent)
    assert registry.heard[UnknownEvent][0] == (), "a tap alone is no reason to queue a job"
    for guild in (4, 5, None):
        registry.feed(UnknownEvent("Made", guild, {}))
    assert registry.taps() == (tap,)
    registry.remove_tap(tap)
    registry.feed(UnknownEvent("Late", 5, {}))
    assert [event.guild_id for event in unread(tap)] == [5]


def test_a_tap_that_nobody_holds_any_more_is_forgotten() -> None:
    registry = ListenerRegistry()
    kept, lost = Tap(SystemClock(), (UnknownEvent,)), Tap(SystemClock(), (UnknownEvent,))
    registry.add_tap(kept)
    registry.add_tap(lost)
    registry.feed(UnknownEvent("Both", 5, {}))
    assert len(unread(lost)) == 1
    del lost
    gc.collect()
    assert registry.taps() == (kept,)
    registry.feed(UnknownEvent("One", 5, {}))
    assert [event.type for event in unread(kept)] == ["Both", "One"]
    registry.remove_tap(kept)
    assert not registry.wants(UnknownEvent)
    last = Tap(SystemClock(), (UnknownEvent,))
    registry.add_tap(last)
    assert registry.wants(UnknownEvent)
    del last
    gc.collect()
    registry.feed(UnknownEvent("None", 5, {}))
    assert not registry.wants(UnknownEvent), "feeding finds out"


def test_adding_and_asking_from_many_threads_loses_nothing() -> None:
    registry = ListenerRegistry()
    functions = [lambda player, event, n=n: n for n in range(200)]
    halves = functions[:100], functions[100:]
    start = threading.Barrier(3)

    def add(half: list[Any]) -> None:
        start.wait()
        for function in half:
            registry.add(TrackEndEvent, function)
            assert function in registry.heard[TrackEndEvent][0]

    threads = [threading.Thread(target=add, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join(10)
    assert set(registry.heard[TrackEndEvent][0]) == set(functions)
