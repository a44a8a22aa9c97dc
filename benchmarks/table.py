"""The Markdown table, from the raw lines alone.

A cell is the median of the rounds, in brackets their range, and in bold the ratio to the best Python peer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.environments import BARE, BEFORE, OURS, PEERS
from benchmarks.measures import ROWS, Row

Figures = Mapping[tuple[str, str, str], Sequence[float]]
"""(client, measure, key) to what each round gave."""


def table(lines: Iterable[Mapping[str, Any]], absent: Mapping[str, str]) -> str:
    """One row a work, one column a client; `absent` says why a client was not run. Notes stand below."""
    lines = list(lines)
    figures: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    errors: dict[tuple[str, str], str] = {}
    for line in lines:
        if "error" in line:
            errors[line["client"], line["measure"]] = line["error"]
        for key, value in line.get("values", {}).items():
            figures[line["client"], line["measure"], key].append(value)
    clients = [OURS.name, BEFORE.name, *(peer.name for peer in PEERS), BARE.name]
    clients = [client for client in clients if any(line["client"] == client for line in lines)]
    rows = [
        ["work", *clients[:1], "target", "met", *clients[1:]],
        ["---"] * (len(clients) + 3),
        *(_row(row, clients, figures, errors) for row in ROWS if any(row.measure == key[1] for key in figures)),
    ]
    text = "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    notes = [f"{client}: not run, {why}." for client, why in absent.items()]
    notes += [f"{client}, {measure}: {why}" for (client, measure), why in sorted(errors.items())]
    notes += ["`-`: does not apply there.", *_bound(figures)]
    return text + "\n" + "".join(f"- {note}\n" for note in notes)


def _row(row: Row, clients: list[str], figures: Figures, errors: Mapping[tuple[str, str], str]) -> list[str]:
    best = _best(row, figures)
    cells = []
    for client in clients:
        values = figures.get((client, row.measure, row.key))
        if values:
            cells.append(_cell(row, values, best))
        else:
            cells.append("failed" if (client, row.measure) in errors else "-")
    return [row.work, cells[0], _target(row), _met(row, figures, best), *cells[1:]]


def _best(row: Row, figures: Figures) -> float | None:
    """The best Python peer's median."""
    python = [peer.name for peer in PEERS if peer.language == "python" and not peer.only_rest]
    medians = [median(values) for name in python if (values := figures.get((name, row.measure, row.key)))]
    return (max if row.high else min)(medians) if medians else None


def _cell(row: Row, values: Sequence[float], best: float | None) -> str:
    low, middle, high = (number(value * row.scale) for value in (min(values), median(values), max(values)))
    spread = f" ({low} to {high})" if len(values) > 1 else ""
    ratio = f"**{median(values) / best:.2f}** · " if best else ""
    return f"{ratio}{middle}{spread}"


def _target(row: Row) -> str:
    kind = {"best": "best Python", "bare": "bare", "own": f"its `{row.against}`", "absolute": ""}[row.of]
    limit = f"{row.target:g}" + (f" times {kind}" if kind else "")
    return f"{'≥' if row.high else '≤'} {limit}"


def _met(row: Row, figures: Figures, best: float | None) -> str:
    own = figures.get((OURS.name, row.measure, row.key))
    base = {
        "best": best,
        "bare": _median(figures.get((BARE.name, row.measure, row.key))),
        "own": _median(figures.get((OURS.name, row.against, row.key))),
        "absolute": 1.0 / row.scale,
    }[row.of]
    if not own or not base:
        return "?"
    share = median(own) / base
    return "yes" if (share >= row.target if row.high else share <= row.target) else f"no, {share:.2f}"


def _median(values: Sequence[float] | None) -> float | None:
    return median(values) if values else None


def _bound(figures: Figures) -> list[str]:
    """What the load server itself can do, measured by a client that does nothing but receive."""
    said = []
    for measure, key, text in (
        ("updates", "server_us", "a `playerUpdate` every {} µs"),
        ("events", "server_us", "an event every {} µs"),
        ("load_16", "calls_s", "{} track loads a second"),
    ):
        values = figures.get((BARE.name, measure, key))
        if values:
            said.append(text.format(number(median(values))))
    return [f"The load server's own bound in these runs: {', '.join(said)}."] if said else []


def number(value: float) -> str:
    """Three figures at most that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
