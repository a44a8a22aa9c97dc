"""What the README says runs as it stands: its example, and the tests that its table names."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from lavalink_sync.devnode import DevNode

from .support.nodes import join_voice

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")


def test_the_ten_lines_play_music(devnode: DevNode) -> None:
    code = re.findall(r"```python\n(.*?)```", README, re.DOTALL)[0]
    code = code.replace("localhost:2333", devnode.address).replace("https://example.org/song.mp3", "/music/wav3.wav")
    # What a bot's gateway would have told the client by then.
    code = code.replace("            with client", "            join_voice(client)\n            with client")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(code, {"join_voice": join_voice})
    assert "finished" in printed.getvalue().lower()


def test_the_tests_named_in_the_table_exist() -> None:
    named = re.findall(r"`(test_\w+\.py)(?:::(test_\w+))?`", README)
    assert len(named) > 10
    for file, test in named:
        text = (ROOT / "tests" / file).read_text("utf-8")
        assert not test or f"def {test}(" in text, f"{file} has no {test}"
