"""What `docs/devnode.md` says of how true the node is, held to what the tests count and leave out."""

from __future__ import annotations

from collections import defaultdict

from . import test_devnode_recorded_playback as playback
from . import test_devnode_recordings as recordings
from .support.devnode_raw import ROOT
from .support.masks import MASKS

DOCS = (ROOT.parent / "docs" / "devnode.md").read_text("utf-8")


def test_the_docs_count_what_the_tests_count() -> None:
    counted = [
        ("rest.jsonl", f"{recordings.EXCHANGES} of {recordings.EXCHANGES}"),
        ("websocket.jsonl", f"{recordings.SCENARIOS} of {recordings.SCENARIOS} scenarios, {recordings.FRAMES} frames"),
        ("playback.jsonl", f"{playback.FRAMES} of {playback.FRAMES}"),
        ("playback.jsonl", f"{playback.CALLS} of {playback.CALLS}"),
        ("playback.jsonl", f"{playback.CONTROLS} of {playback.CONTROLS}"),
    ]
    rows = [line.split(" | ") for line in DOCS.splitlines() if line.startswith("| `") and ".jsonl`" in line]
    assert [(row[0].split("`")[1], row[1]) for row in rows] == counted


def test_the_docs_have_the_table_of_what_may_differ() -> None:
    reasons: dict[str, list[str]] = defaultdict(list)
    for mask in MASKS:
        if mask.field not in reasons[mask.why]:
            reasons[mask.why].append(mask.field)
    wanted = [f"| {', '.join(f'`{field}`' for field in fields)} | {why} |" for why, fields in reasons.items()]
    begin = DOCS.index("| what | why |")
    assert DOCS[begin:].split("\n\n")[0].splitlines()[2:] == wanted
