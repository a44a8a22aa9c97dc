"""The benchmark does not rot: its table says what the raw lines say, its driver runs this client on its load server.

No time is asserted: a figure that is there and the frames that all came are.
"""

from __future__ import annotations

import sys

import pytest

from benchmarks import driver, environments, measures
from benchmarks.driver import Line
from benchmarks.environments import OURS, Client, Environment, UnavailableError
from benchmarks.load_bytes import flood
from benchmarks.table import table


def lines(measure: str, key: str, **figures: list[float]) -> list[Line]:
    names = {"ours": OURS.name, "pomice": "pomice", "wavelink": "Wavelink", "bare": "bare"}
    return [
        {"round": number, "client": names[client], "measure": measure, "count": 1, "values": {key: value}}
        for client, values in figures.items()
        for number, value in enumerate(values)
    ]


def row(text: str, work: str) -> list[str]:
    return next(line for line in text.splitlines() if work in line).strip("| ").split(" | ")


class TestTable:
    def test_cell_is_ratio_to_best_python_peer_median_and_range(self) -> None:
        raw = lines("updates", "cpu_us", ours=[4, 2, 9], pomice=[10, 10, 10], wavelink=[40, 20, 30])
        cells = row(table(raw, {}), "a `playerUpdate` in a flood")
        assert cells[1] == "**0.40** · 4.00 (2.00 to 9.00)"
        assert cells[2:4] == ["≤ 0.35 times best Python", "no, 0.40"]
        assert "**3.00** · 30.0 (20.0 to 40.0)" in cells

    def test_row_where_more_is_better(self) -> None:
        raw = lines("load_16", "calls_s", ours=[6000], pomice=[8000], wavelink=[2000])
        cells = row(table(raw, {}), "track loads from 16 at once")
        assert cells[1:4] == ["**0.75** · 6,000", "≥ 0.65 times best Python", "yes"]

    def test_target_of_the_bare_work_of_another_measure_and_absolute(self) -> None:
        raw = lines("unheard", "cpu_us", ours=[6], bare=[4])
        raw += lines("updates", "cpu_us", ours=[2]) + lines("updates_10000", "cpu_us", ours=[2.1])
        raw += lines("latency_busy", "p99_us", ours=[26_000])
        text = table(raw, {})
        assert row(text, "nobody listens to")[3] == "no, 1.50"
        assert row(text, "among 10,000 players")[3] == "yes"
        assert row(text, "the same, p99 ms")[1:4] == ["26.0", "≤ 25", "no, 26.00"]

    def test_what_was_not_run_or_failed_is_said(self) -> None:
        raw = [*lines("load", "cpu_us", ours=[1]), {"client": "pomice", "measure": "load", "error": "RuntimeError: no"}]
        text = table(raw, {"Shoukaku": "node or npm is not found"})
        assert "- Shoukaku: not run, node or npm is not found." in text
        assert "- pomice, load: RuntimeError: no" in text
        assert "failed" in row(text, "one track load, CPU")
        assert "Shoukaku" not in text.splitlines()[0]

    def test_every_row_is_of_a_measure_that_is_run(self) -> None:
        assert {line.measure for line in measures.ROWS} == set(measures.COUNTS)


def test_flood_has_as_many_frames_as_asked_for_and_one_marker() -> None:
    for count in (1, 1999, 2000, 4500):
        whole = b"".join(flood("update", count, 10))
        assert whole.count(b'"playerUpdate"') == count
        assert whole.count(b'"TrackEndEvent"') == 1
        assert b'"TrackEndEvent"' in whole[-1500:]


def test_environment_that_cannot_be_made_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(UnavailableError, match="node or npm is not found"):
        environments.environment(Client("x", "x", ("x",), "x", "javascript"))


def test_driver_runs_this_client_on_the_load_server(monkeypatch: pytest.MonkeyPatch) -> None:
    small = dict.fromkeys(measures.COUNTS, (16, 16)) | {"updates_10000": (100, 100), "playlist": (1, 1)}
    small |= {"import": (1, 1), "reset": (1, 1), "connect_50": (1, 1)}
    # As many for each of the ten guilds.
    small |= {"latency": (20, 20), "latency_busy": (20, 20)}
    monkeypatch.setattr(measures, "COUNTS", small)
    here = [environments.environment(OURS), environments.environment(environments.BARE)]
    # `reset` waits for two seconds, and `nodes_500` looks at it idle for two.
    names = [name for name in measures.COUNTS if name not in ("reset", "nodes_500")]
    with driver.load_server() as address:
        came = list(driver.runs(here, names, 1, True, address))
    assert [line for line in came if "error" in line] == []
    assert {line["measure"] for line in came if line["client"] == OURS.name} == set(names)
    text = table(came, {})
    assert "failed" not in text


def test_run_that_fails_says_so_and_is_not_tried_again() -> None:
    broken = Environment(OURS, (sys.executable, "-c", "raise ValueError('it broke')"), environments.ROOT, {})
    came = list(driver.runs([broken], ["updates"], 3, True, "127.0.0.1:1"))
    assert [line["error"] for line in came] == ["ValueError: it broke"]
