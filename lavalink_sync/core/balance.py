"""Which node is the best: the one rule for everybody who sets no selector of their own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from ..models import Stats

T = TypeVar("T")


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
