"""The best node: by lowest load, or by lowest penalty; and which nodes have what is needed."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from lavalink_sync import Filters, Info, InvalidArgumentError, LowPass, Timescale, Version
from lavalink_sync.core.balance import Needs, lowest_load, lowest_penalty, penalty
from lavalink_sync.models import Cpu, FrameStats, Git, Memory, PluginInfo, Stats


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


def busy(
    playing: int = 0,
    *,
    system: float = 0.0,
    lavalink: float = 0.0,
    nulled: int = 0,
    deficit: int = 0,
    frames: bool = True,
) -> Stats:
    told = FrameStats(3000 - deficit, nulled, deficit) if frames else None
    return Stats(playing, playing, 1, Memory(0, 0, 0, 0), Cpu(1, system, lavalink), told)


@pytest.mark.parametrize(
    ("stats", "new_players", "players"),
    [
        (None, 0, 0),
        (None, 3, 3),
        (busy(), 0, 0),
        (busy(7), 3, 10),
        (busy(system=0.1), 0, 6),
        (busy(system=0.5), 0, 105),
        (busy(lavalink=0.5), 0, 105),
        (busy(system=0.9), 0, 797),
        (busy(deficit=30), 0, 96),
        (busy(nulled=30), 0, 96),
        (busy(deficit=30, nulled=30), 0, 191),
        # What a server tells at times, or what can't be.
        (busy(2, frames=False), 0, 2),
        (busy(deficit=-3), 0, 0),
        (busy(system=-0.1), 0, 0),
        (busy(system=float("nan")), 0, 0),
    ],
)
def test_a_penalty_is_counted_in_players(stats: Stats | None, new_players: int, players: int) -> None:
    assert round(penalty(stats, new_players)) == players


@pytest.mark.parametrize("wild", [busy(system=1e9), busy(lavalink=1e9), busy(deficit=10**9), busy(nulled=10**9)])
def test_wild_figures_are_bad_and_no_error(wild: Stats) -> None:
    assert lowest_penalty([("wild", wild, 0), ("full", busy(1000), 50)]) == "full"


@pytest.mark.parametrize(
    ("candidates", "best"),
    [
        ([("a", busy(2), 0), ("b", busy(1), 0)], "b"),
        ([("a", busy(1), 2), ("b", busy(1), 1)], "b"),
        ([("a", busy(1), 1), ("b", busy(1), 1)], "a"),
        ([("a", None, 1), ("b", None, 0)], "b"),
        ([("a", busy(90), 0), ("b", busy(1, system=0.8), 0)], "a"),
        ([("a", busy(90), 0), ("b", busy(1, nulled=100), 0)], "a"),
        ([], None),
    ],
)
def test_the_lowest_penalty_wins(candidates: list[tuple[str, Stats | None, int]], best: str | None) -> None:
    assert lowest_penalty(candidates) == best


INFO = Info(
    Version("4.2.2", 4, 2, 2),
    0,
    Git("master", "0", 0),
    "17",
    "2",
    source_managers=["youtube", "http"],
    filters=["volume", "timescale", "lowPass", "echo"],
    plugins=[PluginInfo("sponsorblock-plugin", "3.0.0")],
)


@pytest.mark.parametrize(
    ("needs", "met"),
    [
        (Needs(), True),
        (Needs(source="youtube"), True),
        (Needs(source="spotify"), False),
        (Needs(plugin="sponsorblock-plugin"), True),
        (Needs(plugin="sponsorblock"), False),
        (Needs(source="youtube", plugin="x"), False),
        (Needs(filters="timescale"), True),
        (Needs(filters={"timescale", "low_pass"}), True),
        (Needs(filters=["lowPass", "karaoke"]), False),
        (Needs(filters=()), True),
        (Needs(filters=Filters()), True),
        (Needs(filters=Filters(volume=1.0, low_pass=LowPass(), timescale=Timescale())), True),
        (Needs(filters=Filters(equalizer=[])), False),
        (Needs(filters=Filters(plugin_filters={"echo": {"delay": 1}})), True),
        (Needs(filters=Filters(plugin_filters={"reverb": {}})), False),
    ],
)
def test_a_server_has_what_is_needed_or_not(needs: Needs, met: bool) -> None:
    assert needs.met_by(INFO) is met
    assert needs.met_by(None) is (needs == Needs()), "one that has told nothing is not known to have anything"


@pytest.mark.parametrize(
    ("source", "plugin", "filters", "field"),
    [(5, None, None, "source"), (None, b"x", None, "plugin"), (None, None, 5, "filters"), (None, None, [5], "filters")],
)
def test_needs_are_names(source: str, plugin: str, filters: Collection[str], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Needs(source, plugin, filters)
    assert caught.value.field == field
