"""Who listens to what: types and their roots, coming and going, and taps beside listeners."""

from __future__ import annotations

import threading
from typing import Any

from lavalink_sync.listeners import ListenerRegistry
from lavalink_sync.models import Event, TrackEndEvent, TrackStartEvent, UnknownEvent
from lavalink_sync.transport.clock import SystemClock
from lavalink_sync.waiting import Tap


def first(player: Any, event: Any) -> None: ...


def second(player: Any, event: Any) -> None: ...


def test_listeners_are_found_by_type_in_the_order_they_were_added() -> None:
    registry = ListenerRegistry()
    registry.add(TrackEndEvent, second)
    registry.add(TrackEndEvent, first)
    registry.add(TrackStartEvent, first)
    assert registry.for_type(TrackEndEvent) == (second, first)
    assert registry.for_type(TrackStartEvent) == (first,)
    assert registry.for_type(UnknownEvent) == ()


def test_a_root_class_hears_all_of_its_kind_and_a_function_is_called_once() -> None:
    registry = ListenerRegistry()
    registry.add(Event, first)
    registry.add(TrackEndEvent, first)
    registry.add(TrackEndEvent, first)
    assert registry.for_type(TrackEndEvent) == (first,)
    assert registry.for_type(UnknownEvent) == (first,)


def test_what_is_added_or_removed_counts_from_then_on() -> None:
    registry = ListenerRegistry()
    assert not registry.wants(TrackEndEvent)
    registry.add(TrackEndEvent, first)
    assert registry.wants(TrackEndEvent)
    assert registry.remove(TrackEndEvent, first)
    assert not registry.remove(TrackEndEvent, first)
    assert not registry.wants(TrackEndEvent)


def test_a_tap_is_fed_what_it_is_for() -> None:
    registry = ListenerRegistry()
    tap = Tap(SystemClock(), (UnknownEvent,), guild_id=5)
    registry.add_tap(tap)
    assert registry.wants(UnknownEvent)
    assert not registry.wants(TrackEndEvent)
    assert registry.for_type(UnknownEvent) == (), "a tap alone is no reason to queue a job"
    for guild in (4, 5, None):
        registry.feed(UnknownEvent("Made", guild, {}))
    assert registry.taps() == (tap,)
    registry.remove_tap(tap)
    registry.feed(UnknownEvent("Late", 5, {}))
    assert [event.guild_id for event in tap.unread()] == [5]


def test_adding_and_asking_from_many_threads_loses_nothing() -> None:
    registry = ListenerRegistry()
    functions = [lambda player, event, n=n: n for n in range(200)]
    halves = functions[:100], functions[100:]
    start = threading.Barrier(3)

    def add(half: list[Any]) -> None:
        start.wait()
        for function in half:
            registry.add(TrackEndEvent, function)
            assert function in registry.for_type(TrackEndEvent)

    threads = [threading.Thread(target=add, args=(half,)) for half in halves]
    for thread in threads:
        thread.start()
    start.wait()
    for thread in threads:
        thread.join(10)
    assert set(registry.for_type(TrackEndEvent)) == set(functions)
