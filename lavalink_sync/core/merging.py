"""Which changes of a player can be one call, and what that call is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from ..models import PlayerUpdate, Unset

# Each sets a state of its own, whatever plays, so that among several the last one of each kind is all of them. What
# begins, stops or pauses a track is no such thing.
_MERGED = {"volume", "position", "filters"}
_FIELDS = [field.name for field in fields(PlayerUpdate)]


def can_merge(update: PlayerUpdate) -> bool:
    """Whether `update` changes volume, position or filters, and nothing else."""
    given = _given(update)
    return bool(given) and given <= _MERGED


def merged(updates: Sequence[PlayerUpdate]) -> PlayerUpdate:
    """Return one update that does what `updates` do one after the other. Each must be one that `can_merge`."""
    return PlayerUpdate(**{name: getattr(update, name) for update in updates for name in _given(update)})


def _given(update: PlayerUpdate) -> set[str]:
    return {name for name in _FIELDS if not isinstance(getattr(update, name), Unset)}
