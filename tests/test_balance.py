"""The best node: lowest CPU load, then lowest memory, then lowest system load, then the first."""

from __future__ import annotations

import pytest

from lavalink_sync.core.balance import lowest_load
from lavalink_sync.models import Cpu, Memory, Stats


def stats(cpu: float, memory: int, system: float) -> Stats:
    return Stats(0, 0, 1, Memory(0, memory, 0, 0), Cpu(1, system, cpu))


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([("a", stats(0.9, 1, 0.1)), ("b", stats(0.1, 9, 0.9))], "b"),
        ([("a", stats(0.1, 9, 0.1)), ("b", stats(0.1, 1, 0.9))], "b"),
        ([("a", stats(0.1, 1, 0.9)), ("b", stats(0.1, 1, 0.1))], "b"),
        ([("a", stats(0.1, 1, 0.1)), ("b", stats(0.1, 1, 0.1))], "a"),
        ([("a", stats(0.1, 1, 0.1)), ("b", None)], "b"),
        ([("a", None), ("b", None)], "a"),
        ([], None),
    ],
)
def test_the_lowest_load_wins(candidates: list[tuple[str, Stats | None]], best: str | None) -> None:
    assert lowest_load(candidates) == best


def test_a_server_without_cores_is_no_reason_to_fail() -> None:
    idle = Stats(0, 0, 1, Memory(0, 0, 0, 0), Cpu(0, 0.0, 0.0))
    assert lowest_load([("a", idle)]) == "a"
