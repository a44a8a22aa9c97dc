"""Who listens to which events: the functions users register, and the taps that waits and streams read from.

The registry only answers questions; events are handed to it by the dispatcher on the node's thread, and listeners run
on the worker pool. Answers are kept in a dictionary that is swapped whole, so asking takes no lock and, but for the
first time, no call. Taps are held weakly: one whose reader is gone (a loop over `events()` that was left by `break`) is
not fed for ever.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from functools import cached_property
from types import BuiltinMethodType, MethodType
from typing import Any

from .models import TrackEndEvent, TrackStartEvent
from .transport.locks import new_lock
from .waiting import Tap

Listener = Callable[[Any, Any], object]
_Wishes = tuple[tuple[type[Any], Listener], ...]
_Taps = tuple[weakref.ref[Tap[Any]], ...]


class _Heard(dict[type[Any], tuple[tuple[Listener, ...], _Taps]]):
    """Who hears events of a type, at one moment: `heard[type]` is its listeners and taps, worked out when first asked.

    What it is made of never changes, so two threads that ask at once get the same.
    """

    def __init__(self, listeners: _Wishes, taps: _Taps) -> None:
        super().__init__()
        self._listeners = listeners
        self._taps = taps

    def __missing__(self, kind: type[Any]) -> tuple[tuple[Listener, ...], _Taps]:
        listeners = _once(listener for wanted, listener in self._listeners if issubclass(kind, wanted))
        taps = tuple(held for held in self._taps if (tap := held()) is not None and issubclass(kind, tap.kinds))
        self[kind] = found = (listeners, taps)
        return found

    @cached_property
    def unheard(self) -> frozenset[str]:
        """The `type`s of a track's start and its end, as far as nobody hears them."""
        return frozenset(kind.type for kind in (TrackStartEvent, TrackEndEvent) if not any(self[kind]))


class ListenerRegistry:
    """Listeners and taps by event type. Every method may be called from any thread, also from a listener.

    One who listens for a class hears its subclasses too. A function that is added twice, for a type or for one and its
    root, is called once an event: what is added is a wish to hear, not a call. Two that are merely equal are two, but
    for bound methods, of which Python makes a new object each time.
    """

    def __init__(self) -> None:
        # Guards the swap of the three below; reading one of them needs no lock.
        self._lock = new_lock()
        self._listeners: _Wishes = ()
        self._taps: _Taps = ()
        self.heard = _Heard((), ())
        """`heard[type]`: the listeners, in the order they were added, and the taps. To be read anew for each event."""

    def add(self, kind: type[Any], listener: Listener) -> None:
        """Call `listener(player, event)` for events of `kind` from now on."""
        with self._lock:
            if not any(wanted is kind and _is_same(other, listener) for wanted, other in self._listeners):
                self._change_locked((*self._listeners, (kind, listener)), self._taps)

    def remove(self, kind: type[Any], listener: Listener) -> bool:
        """Stop that; False when it was not so."""
        with self._lock:
            left = tuple(
                (wanted, other)
                for wanted, other in self._listeners
                if wanted is not kind or not _is_same(other, listener)
            )
            found = len(left) < len(self._listeners)
            self._change_locked(left, self._taps)
            return found

    def add_tap(self, tap: Tap[Any]) -> None:
        """Feed `tap` from now on, for as long as somebody else holds it."""
        with self._lock:
            self._change_locked(self._listeners, (*self._taps, weakref.ref(tap)))

    def remove_tap(self, tap: Tap[Any]) -> None:
        """Feed it no more."""
        self._drop_taps(lambda other: other is tap)

    def wants(self, kind: type[Any]) -> bool:
        """Whether anybody listens to events of `kind`."""
        return any(self.heard[kind])

    def feed(self, event: Any) -> None:
        """Put `event` into every tap it is for."""
        forgotten = False
        for held in self.heard[type(event)][1]:
            tap = held()
            if tap is None:
                forgotten = True
            else:
                tap.feed(event)
        if forgotten:
            self._drop_taps(lambda other: other is None)

    def taps(self) -> tuple[Tap[Any], ...]:
        """All taps."""
        return tuple(tap for held in self._taps if (tap := held()) is not None)

    def _drop_taps(self, unwanted: Callable[[Tap[Any] | None], bool]) -> None:
        with self._lock:
            self._change_locked(self._listeners, tuple(held for held in self._taps if not unwanted(held())))

    def _change_locked(self, listeners: _Wishes, taps: _Taps) -> None:
        self._listeners, self._taps, self.heard = listeners, taps, _Heard(listeners, taps)


def _once(listeners: Iterable[Listener]) -> tuple[Listener, ...]:
    kept: list[Listener] = []
    for listener in listeners:
        if not any(_is_same(other, listener) for other in kept):
            kept.append(listener)
    return tuple(kept)


def _is_same(one: Listener, other: Listener) -> bool:
    """Whether it is the same function. No `==` or `hash` of a user's object: that is code of theirs, and may fail."""
    if isinstance(one, MethodType) and isinstance(other, MethodType):
        return one.__self__ is other.__self__ and one.__func__ is other.__func__
    if isinstance(one, BuiltinMethodType) and isinstance(other, BuiltinMethodType):
        return one.__self__ is other.__self__ and one.__name__ == other.__name__
    return one is other
