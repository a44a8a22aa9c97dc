"""A process that is killed with SIGKILL while it saves: the next one finds the last save whole, whatever the moment."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from .support.store_writer import opener
from .support.stores import player

ROOT = Path(__file__).parent.parent
KILLS = 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("kind", ["file", "sqlite", "redis"])
def test_a_process_killed_in_mid_save_leaves_the_last_save_whole(
    request: pytest.FixtureRequest, kind: str, tmp_path: Path
) -> None:
    place = request.getfixturevalue("redis_server") if kind == "redis" else str(tmp_path / "state")
    seed = random.randrange(2**32)
    command = [sys.executable, "-m", "tests.support.store_writer", kind, place, str(KILLS), str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, f"seed {seed}: {done.stderr}"
    assert not done.stderr, "nothing was damaged, so nothing is told"
    seen = json.loads(done.stdout)
    assert seen["saves"] >= seen["kills"] == KILLS
    if kind != "redis":
        # The next save takes away what a killed one has left behind.
        with opener(kind, place)() as store:
            store.save_players([player(1)])
        left = {entry.name for entry in tmp_path.iterdir() if entry.name.startswith("state")}
        assert left == ({"state", "state.lock"} if kind == "file" else {"state"})
