"""Which node is the best: the rule for everybody who chooses no other, the penalty rule, and what a node must have."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import TypeVar

from ..errors import InvalidArgumentError
from ..models import Filters, Info, Stats

T = TypeVar("T")

# Audio frames that a player should send in the minute that frame statistics are about.
_FRAMES = 3000


def lowest_load(candidates: Iterable[tuple[T, Stats | None]]) -> T | None:
    """Return the candidate with the lowest CPU load, then memory used, then system load, then the first.

    One without stats counts as unloaded. `None` when there are no candidates.
    """
    best = min(candidates, key=lambda candidate: _load(candidate[1]), default=None)
    return None if best is None else best[0]


def _load(stats: Stats | None) -> tuple[float, int, float]:
    if stats is None:
        return (0.0, 0, 0.0)
    return (stats.cpu.lavalink_load, stats.memory.used, stats.cpu.system_load)


def lowest_penalty(candidates: Iterable[tuple[T, Stats | None, int]]) -> T | None:
    """Return the candidate with the lowest `penalty` of its stats and its new players, then the first."""
    best = min(candidates, key=lambda candidate: penalty(candidate[1], candidate[2]), default=None)
    return None if best is None else best[0]


def penalty(stats: Stats | None, new_players: int) -> float:
    """How little a node is fit for one more player, in players: one that plays counts 1.

    `new_players` are those that the stats do not count yet. A machine at 10 % of its CPU counts as 6 players, at 50 %
    as 105, at 90 % as 797; 1 % of frames lost or without audio as 96. Without stats only the new players count.
    """
    if stats is None:
        return new_players
    cpu = 10 * (math.pow(1.05, 100 * _part(max(stats.cpu.system_load, stats.cpu.lavalink_load))) - 1)
    frames = stats.frame_stats
    lost = 0.0 if frames is None else _frame_penalty(frames.deficit) + _frame_penalty(frames.nulled)
    return stats.playing_players + new_players + cpu + lost


def _frame_penalty(frames: int) -> float:
    return 600 * (math.pow(1.03, 500 * _part(frames / _FRAMES)) - 1)


def _part(value: float) -> float:
    """A part of 1. Servers tell slightly negative figures at times, and a wild one must not overflow."""
    return min(max(0.0, value), 1.0)


@dataclass(frozen=True)
class Needs:
    """What a node must have: a source, a plugin, filters; by the names that `GET /v4/info` tells. `None`: any will do.

    The letter case of a filter's name, and underscores in it, do not matter: `low_pass` is `lowPass`.
    """

    source: str | None = None
    plugin: str | None = None
    filters: Filters | Collection[str] | None = None

    def __post_init__(self) -> None:
        for name in ("source", "plugin"):
            if not isinstance(getattr(self, name), (str, type(None))):
                raise InvalidArgumentError(f"{name} must be a name, not {getattr(self, name)!r}", field=name)
        filters = () if self.filters is None or isinstance(self.filters, Filters) else self.filters
        if not isinstance(filters, Collection) or not all(isinstance(name, str) for name in filters):
            raise InvalidArgumentError(f"filters must be Filters or names, not {self.filters!r}", field="filters")

    def met_by(self, info: Info | None) -> bool:
        """Whether a server that tells `info` has all of it. One that has told nothing is not known to have anything."""
        if self == Needs():
            return True
        if info is None:
            return False
        has_source = self.source is None or self.source in info.source_managers
        has_plugin = self.plugin is None or any(self.plugin == plugin.name for plugin in info.plugins)
        return has_source and has_plugin and self._filter_names() <= {_folded(name) for name in info.filters}

    def _filter_names(self) -> set[str]:
        filters = self.filters
        if filters is None:
            return set()
        if isinstance(filters, Filters):
            names = {*filters.to_dict(), *filters.plugin_filters} - {"pluginFilters"}
        else:
            names = {filters} if isinstance(filters, str) else set(filters)
        return {_folded(name) for name in names}


def _folded(name: str) -> str:
    return name.replace("_", "").lower()
