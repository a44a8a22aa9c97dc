"""The example that a newcomer runs first, as the command it is: with the development node, and with a real server."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lavalink_sync.devnode import DevNode

SCRIPT = Path(__file__).parent.parent / "examples" / "quickstart.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("LAVALINK_")}
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**clean, **environment},
    )


def test_it_plays_four_files_one_to_its_end() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("Sine 440 by Tone Maker, 0:05.0, from local", "Flac Twelve", "Vorbis Eight", "wav3.wav", " of 0:05.0"):
        assert said in done.stdout
    assert done.stdout.count("result: ") == done.stdout.count("handler: ") == 4
    assert done.stdout.rstrip().endswith("'Sine 440': finished\nfinished")


def test_it_talks_to_a_server_of_ones_own(devnode: DevNode) -> None:
    done = run("/music/wav3.wav", LAVALINK_ADDRESS=devnode.address, LAVALINK_PASSWORD=devnode.password)
    assert (done.returncode, done.stderr) == (0, "")
    assert "no voice connection" in done.stdout
    assert done.stdout.rstrip().endswith("stopped")


def test_it_says_what_is_missing_or_wrong(devnode: DevNode) -> None:
    assert run(LAVALINK_ADDRESS=devnode.address).returncode == 2
    refused = run("x", LAVALINK_ADDRESS=devnode.address, LAVALINK_PASSWORD="wrong")
    assert refused.returncode == 1
    assert "password is wrong" in refused.stderr
    assert "Traceback" not in refused.stderr
