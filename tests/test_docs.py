"""What the guides say runs as it stands, and the tests and files that they name exist."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest

from lavalink_sync.devnode import DevNode

ROOT = Path(__file__).parent.parent
FAILURES = (ROOT / "docs" / "failures.md").read_text("utf-8")
GUIDES = sorted((ROOT / "docs").glob("*.md"))


def blocks(guide: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", guide.read_text("utf-8"), re.DOTALL)


@pytest.mark.parametrize("guide", GUIDES, ids=lambda guide: guide.name)
def test_the_files_that_a_guide_names_exist(guide: Path) -> None:
    text = guide.read_text("utf-8")
    for name in re.findall(r"\]\((?!http)([^)#]+)\)", text):
        assert (guide.parent / name).exists(), name
    for name in re.findall(r"`(?:tests/)?(test_\w+\.py)`", text):
        assert (ROOT / "tests" / name).exists() or (ROOT / "examples" / name).exists(), name


def test_every_failure_names_a_test_that_exists() -> None:
    rows = [line.strip().strip("|").split(" | ") for line in FAILURES.splitlines() if line.startswith("| ")]
    rows = [row for row in rows if row[0].strip() != "what breaks"]
    assert len(rows) > 40
    for row in rows:
        assert len(row) == 5, f"a row of {len(row)} columns: {row[0]}"
        named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", row[4])
        assert named, f"no test for: {row[0]}"
        for file, test in named:
            text = (ROOT / "tests" / file).read_text("utf-8")
            assert not test or f"def {test}(" in text, f"{file} has no {test}"


def test_the_first_test_of_the_guide_passes(pytester: pytest.Pytester) -> None:
    conftest, test = blocks(ROOT / "docs" / "testing.md")[:2]
    pytester.makeini("[pytest]")
    pytester.makeconftest(conftest)
    pytester.makepyfile(test)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_recorder_and_the_replay_of_the_guide_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(blocks(ROOT / "docs" / "testing.md")[2], {})
    assert "point a client at 127.0.0.1:" in said.getvalue()


def test_every_call_that_the_guide_names_is_there() -> None:
    text = (ROOT / "docs" / "testing.md").read_text("utf-8")
    table = text.partition("## Trouble")[2].partition("## Other")[0]
    server = DevNode()
    named = re.findall(r"`(?:voice\.|playback\.)?([a-z_]+)\(", table)
    assert len(named) > 20
    for name in named:
        assert any(hasattr(each, name) for each in (server, server.voice, server.playback)), name
