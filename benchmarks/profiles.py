"""The pictures of docs/performance.md: where the time of the three hottest paths went, at a commit and now.

Usage: python -m benchmarks.profiles COMMIT [FOLDER]

Each path is measured first, by turns and without a profiler: that gives the scale. Then py-spy, in an environment of
its own, samples one run of each: the thread that holds the interpreter's lock, if one does. So the boxes are Python's
work; what the system does in a call of `send`, `recv` or `poll` is in the scale and in no box of its own.
"""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.driver import load_server, run
from benchmarks.environments import CACHE, OURS, ROOT, Client, Environment, earlier, environment
from benchmarks.flame import Profile, picture

_ROUNDS = 3
# Samples a second. The process stands still for each; a thousand left it no time for its work on some machines.
_RATE = 200
_PATIENCE = 200.0
_FRAME = re.compile(r"(?P<name>.*) \((?P<file>[^:]*)(?::\d+)?\)$")


@dataclass(frozen=True)
class HotPath:
    """A hot path: its measure, how many calls are sampled, and the function that all of its stacks go through."""

    title: str
    file: str
    measure: str
    count: int
    through: tuple[str, ...]


PATHS = (
    HotPath(
        "A playerUpdate, from the socket to the player's state", "player-update", "updates", 1_500_000, ("._read ",)
    ),
    HotPath("An event, from the socket to its listener", "event", "events", 500_000, ("._read ", "_work ")),
    HotPath("One track load, from the call to its result", "track-load", "load", 20_000, (".load_tracks ",)),
)


def main() -> None:
    commit, folder = sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "docs" / "pictures"
    before, now = earlier(commit), environment(OURS)
    sampler = environment(Client("py-spy", "py-spy", ("py-spy",), ""))
    folder.mkdir(parents=True, exist_ok=True)
    with load_server() as address:
        for path in PATHS:
            costs: dict[str, list[float]] = {"before": [], "now": []}
            for _ in range(_ROUNDS):
                for name, place in (("before", before), ("now", now)):
                    costs[name].append(run(place, path.measure, False, address)["values"]["cpu_us"])
            profiles = [
                Profile(title, median(costs[name]), _sampled(sampler, place, path, address))
                for name, title, place in (("before", f"at {commit}", before), ("now", "now", now))
            ]
            target = folder / f"{path.file}.svg"
            target.write_text(picture(f"{path.title}: CPU of one", profiles), encoding="utf-8")
            print(f"{target.name}: " + ", ".join(f"{each.title} {each.microseconds:.2f} µs" for each in profiles))


def _sampled(sampler: Environment, place: Environment, path: HotPath, address: str) -> list[tuple[list[str], int]]:
    """The stacks of one run, from the frame that the path goes through inwards."""
    raw = CACHE / "stacks.txt"
    spy = Path(sampler.command[0]).with_name("py-spy")
    command = (str(spy), "record", "--gil", "--rate", str(_RATE), "--format", "raw", "--output", str(raw), "--")
    whole = (*command, *place.run(path.measure, address, path.count))
    subprocess.run(whole, cwd=place.home, check=True, capture_output=True, timeout=_PATIENCE)
    stacks = []
    for line in raw.read_text().splitlines():
        text, _, samples = line.rpartition(" ")
        frames = [_named(frame) for frame in text.split(";")]
        start = next((at for at, name in enumerate(frames) if any(part in name for part in path.through)), None)
        if start is not None:
            stacks.append((frames[start:], int(samples)))
    return stacks


def _named(frame: str) -> str:
    """A frame without its line and the package's name: one function is one box."""
    match = _FRAME.fullmatch(frame)
    return f"{match['name']} ({match['file'].replace('lavalink_sync/', './')})" if match else frame


if __name__ == "__main__":
    main()
