"""The part of `Client` that is about events: listeners, waits, streams. Which event goes where is in `dispatch.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .closing import closed_error
from .core import checks
from .errors import InvalidArgumentError
from .listeners import Listener, ListenerRegistry
from .models import UnknownEvent
from .node_events import (
    NodeConnected,
    NodeDisconnected,
    NodeEvent,
    NodeReconnecting,
    PlayerCreated,
    PlayerDestroyed,
    PlayerRestored,
    UnknownMessageEvent,
)
from .plugin import Plugin
from .transport.clock import Clock
from .transport.locks import new_lock
from .transport.workers import current_key
from .waiting import MAX_PENDING, EventStream, Expectation, Tap, Waits

E = TypeVar("E")


class Listening:
    """Listeners, waits and streams of a client. `check` raises when the client is closed."""

    def __init__(self, clock: Clock, check: Callable[[], None]) -> None:
        self._registry = ListenerRegistry()
        self._check_open = check
        # Guards the map of plugins.
        self._plugins_lock = new_lock()
        self._plugins: dict[str, tuple[Plugin, list[tuple[type[Any], Listener]]]] = {}
        self._waits = Waits(clock, self._registry.add_tap, self._registry.remove_tap, current_key)

    def on(self, *kinds: type[E]) -> Callable[[Callable[[Any, E], object]], Callable[[Any, E], object]]:
        """Decorator: call the function as `fn(player, event)` for events of these types.

        It runs on a worker thread: events of one guild one at a time and in order, guilds side by side. It may block,
        and call anything of this library. What it raises is logged. A root class (`Event`, `NodeEvent`) hears all of
        its kind. For an event about a node, `player` is `None` and the event has `.node`.
        """
        _check_kinds(kinds)

        def register(function: Callable[[Any, E], object]) -> Callable[[Any, E], object]:
            _check_function(function)
            for kind in kinds:
                self._registry.add(kind, function)
            return function

        return register

    def add_listener(self, kind: type[E], function: Callable[[Any, E], object]) -> None:
        """Call `function(player, event)` for events of `kind`; see `on`. Adding it twice calls it once."""
        _check_kinds((kind,))
        _check_function(function)
        self._registry.add(kind, function)

    def remove_listener(self, kind: type[E], function: Callable[[Any, E], object]) -> bool:
        """Stop that; False when it was not registered. Calls that are queued already may still come."""
        return self._registry.remove(kind, function)

    def is_listened_to(self, kind: type[Any]) -> bool:
        """Whether anybody listens to, or waits for, events of `kind`."""
        return self._registry.wants(kind)

    def wait_for(
        self,
        *kinds: type[E],
        guild_id: int | None = None,
        timeout: float | None = None,
        check: Callable[[E], object] | None = None,
    ) -> E:
        """Block for the next event of these types, of `guild_id` if given, that `check(event)` likes; return it.

        Sees what comes after it was called; to cause the event, use `expect`. `timeout` is in seconds. Raises
        `WaitTimeoutError` (a `TimeoutError`), `ClientClosedError`, and `WouldDeadlockError` on the lane it waits for.
        """
        expectation = self.expect(*kinds, guild_id=guild_id, timeout=timeout, check=check)
        try:
            return expectation.result()
        finally:
            expectation.cancel()

    def expect(
        self,
        *kinds: type[E],
        guild_id: int | None = None,
        timeout: float | None = None,
        check: Callable[[E], object] | None = None,
    ) -> Expectation[E]:
        """Listen from now on: `with client.expect(TrackStartEvent, timeout=10) as started: player.play(track)`.

        `started.result()` then gives the event, or raises as `wait_for` does. Nothing blocks before that.
        """
        return Expectation(self._open(kinds, guild_id, timeout), self._waits, timeout, check)

    def events(
        self,
        *kinds: type[E],
        guild_id: int | None = None,
        timeout: float | None = None,
        check: Callable[[E], object] | None = None,
        max_pending: int = MAX_PENDING,
    ) -> EventStream[E]:
        """Iterate over events as they come, beginning now; ends with the client, or when its `with` block is left.

        Keeps at most `max_pending` unread events and drops the oldest (`stream.dropped` counts them). `timeout` seconds
        without an event raise `WaitTimeoutError`.
        """
        return EventStream(self._open(kinds, guild_id, timeout, max_pending), self._waits, timeout, check)

    def add_plugin(self, plugin: Plugin) -> None:
        """Have `plugin` called from now on. Raises `InvalidArgumentError` for a name that is taken or missing."""
        _check_plugin(plugin)
        with self._plugins_lock:
            if not plugin.name or plugin.name in self._plugins:
                raise InvalidArgumentError(f"a plugin needs a name of its own, not {plugin.name!r}", field="plugin")
            entries = self._plugins[plugin.name] = (plugin, _listeners_of(plugin))
        for kind, function in entries[1]:
            self._registry.add(kind, function)

    def remove_plugin(self, plugin: Plugin) -> bool:
        """Have it called no more; False when it was not there."""
        _check_plugin(plugin)
        with self._plugins_lock:
            found = self._plugins.get(plugin.name)
            if found is None or found[0] is not plugin:
                return False
            del self._plugins[plugin.name]
        for kind, function in found[1]:
            self._registry.remove(kind, function)
        return True

    @property
    def plugins(self) -> list[Plugin]:
        """All plugins, in the order they were added."""
        with self._plugins_lock:
            return [plugin for plugin, _ in self._plugins.values()]

    def _open(
        self, kinds: tuple[type[E], ...], guild_id: int | None, timeout: float | None, max_pending: int = MAX_PENDING
    ) -> Tap[E]:
        self._check_open()
        _check_kinds(kinds)
        checks.whole(max_pending, "max_pending")
        if guild_id is not None:
            checks.guild_id(guild_id)
        if timeout is not None:
            # Before the body of a `with` has done what is waited for.
            checks.seconds(timeout)
        tap = self._waits.open(kinds, guild_id, max_pending, about_nodes=all(issubclass(k, NodeEvent) for k in kinds))
        try:
            self._check_open()
        except BaseException:
            # Closed between the check above and this tap's beginning: nobody else would end it.
            self._waits.drop(tap)
            raise
        return tap

    def _end_waits(self) -> None:
        for tap in self._registry.taps():
            tap.close(closed_error)


def _check_kinds(kinds: tuple[Any, ...]) -> None:
    try:
        # What is no class fails here, and so does what can't be asked for its kind, a Protocol say.
        usable = bool(kinds) and not any(issubclass(object, kind) and kind is not object for kind in kinds)
    except TypeError:
        usable = False
    if not usable:
        raise InvalidArgumentError("name the event types to listen to, such as TrackEndEvent", field="kinds")


def _check_function(function: Any) -> None:
    if not callable(function):
        raise InvalidArgumentError(f"a listener is a function of player and event, not {function!r}", field="function")


def _check_plugin(plugin: Any) -> None:
    if not isinstance(plugin, Plugin):
        raise InvalidArgumentError(
            f"a plugin is an object of a class derived from Plugin, such as MyPlugin(), not {plugin!r}", field="plugin"
        )


def _listeners_of(plugin: Plugin) -> list[tuple[type[Any], Listener]]:
    """The listeners that a plugin amounts to: one for each method it overrides, so that the others cost nothing."""

    def on_event(player: Any, event: UnknownEvent) -> None:
        if event.type in plugin.events:
            plugin.on_event(player, event)

    def on_message(_: Any, event: UnknownMessageEvent) -> None:
        if event.op in plugin.ops:
            plugin.on_message(event.node, event.op, event.data)

    entries: list[tuple[str, type[Any], Listener]] = [
        ("on_event", UnknownEvent, on_event),
        ("on_message", UnknownMessageEvent, on_message),
        ("on_node_open", NodeConnected, lambda _, event: plugin.on_node_open(event.node, event.resumed)),
        ("on_node_close", NodeReconnecting, lambda _, event: plugin.on_node_close(event.node, event.reason)),
        ("on_node_close", NodeDisconnected, lambda _, event: plugin.on_node_close(event.node, event.reason)),
        ("on_player_created", PlayerCreated, lambda player, _: plugin.on_player_created(player)),
        ("on_player_restored", PlayerRestored, lambda player, event: plugin.on_player_restored(player, event.how)),
        ("on_player_destroyed", PlayerDestroyed, lambda player, _: plugin.on_player_destroyed(player)),
    ]
    return [
        (kind, function) for name, kind, function in entries if getattr(type(plugin), name) is not getattr(Plugin, name)
    ]
