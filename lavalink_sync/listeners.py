"""Who listens to which events: the functions users register, and the taps that waits and streams read from.

The registry only answers questions; events are handed to it by the dispatcher on the node's thread, and listeners run
on the worker pool. Answers are tuples that are swapped whole, so asking takes no lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .transport.locks import new_lock
from .waiting import Tap

Listener = Callable[[Any, Any], object]


class ListenerRegistry:
    """Listeners and taps by event type. Every method may be called from any thread, also from a listener.

    One who listens for a class hears its subclasses too. A function that is added twice for a type is called once.
    """

    def __init__(self) -> None:
        # Guards the three below; what is read without it is a tuple or a dictionary that is swapped, never changed.
        self._lock = new_lock()
        self._listeners: tuple[tuple[type[Any], Listener], ...] = ()
        self._taps: tuple[Tap[Any], ...] = ()
        self._by_type: dict[type[Any], tuple[tuple[Listener, ...], tuple[Tap[Any], ...]]] = {}

    def add(self, kind: type[Any], listener: Listener) -> None:
        """Call `listener(player, event)` for events of `kind` from now on."""
        with self._lock:
            if (kind, listener) not in self._listeners:
                self._listeners = (*self._listeners, (kind, listener))
            self._by_type = {}

    def remove(self, kind: type[Any], listener: Listener) -> bool:
        """Stop that; False when it was not so."""
        with self._lock:
            left = tuple(entry for entry in self._listeners if entry != (kind, listener))
            found = len(left) < len(self._listeners)
            self._listeners, self._by_type = left, {}
            return found

    def add_tap(self, tap: Tap[Any]) -> None:
        """Feed `tap` from now on."""
        with self._lock:
            self._taps = (*self._taps, tap)
            self._by_type = {}

    def remove_tap(self, tap: Tap[Any]) -> None:
        """Feed it no more."""
        with self._lock:
            self._taps = tuple(other for other in self._taps if other is not tap)
            self._by_type = {}

    def wants(self, kind: type[Any]) -> bool:
        """Whether anybody listens to events of `kind`."""
        listeners, taps = self._of(kind)
        return bool(listeners or taps)

    def for_type(self, kind: type[Any]) -> tuple[Listener, ...]:
        """The listeners for events of `kind`, in the order they were added."""
        return self._of(kind)[0]

    def feed(self, event: Any) -> None:
        """Put `event` into every tap it is for."""
        for tap in self._of(type(event))[1]:
            tap.feed(event)

    def taps(self) -> tuple[Tap[Any], ...]:
        """All taps."""
        return self._taps

    def _of(self, kind: type[Any]) -> tuple[tuple[Listener, ...], tuple[Tap[Any], ...]]:
        found = self._by_type.get(kind)
        if found is None:
            with self._lock:
                listeners = tuple(listener for wanted, listener in self._listeners if issubclass(kind, wanted))
                taps = tuple(tap for tap in self._taps if issubclass(kind, tap.kinds))
                found = (tuple(dict.fromkeys(listeners)), taps)
                # A new dictionary: one who reads the old one meanwhile is not in our way.
                self._by_type = {**self._by_type, kind: found}
        return found
