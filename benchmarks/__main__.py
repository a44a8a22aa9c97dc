"""The command behind `make bench`. Usage: python -m benchmarks [--quick] [--rounds N] [--only CLIENT,...]
[--measures NAME,...] [--before COMMIT] [--raw FILE]

Makes the environments, runs everything, writes one line of JSON a run to FILE (`.cache/bench/raw.jsonl`), and prints
the table. With `--from FILE` it only makes the table of lines that are there already.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from pathlib import Path

from benchmarks.driver import load_server, runs
from benchmarks.environments import BARE, CACHE, OURS, PEERS, Environment, UnavailableError, earlier, environment
from benchmarks.measures import COUNTS
from benchmarks.table import table


def main() -> None:
    options = _options()
    if options.table_of is not None:
        lines = [json.loads(line) for line in options.table_of.read_text().splitlines()]
        print(table(lines[1:], lines[0]["absent"]))
        return
    begun = time.monotonic()
    environments, absent = _environments(options.only.split(",") if options.only else [])
    if options.before is not None:
        environments.insert(1, earlier(options.before))
    measures = options.measures.split(",") if options.measures else list(COUNTS)
    about = {
        "date": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {made.client.name: made.versions for made in environments},
        "absent": absent,
    }
    lines = []
    options.raw.parent.mkdir(parents=True, exist_ok=True)
    with load_server() as address, options.raw.open("w") as raw:
        raw.write(json.dumps(about) + "\n")
        for line in runs(environments, measures, options.rounds, options.quick, address):
            raw.write(json.dumps(line) + "\n")
            raw.flush()
            lines.append(line)
            if sys.stderr.isatty():
                print(f"\r{len(lines)} runs, {time.monotonic() - begun:.0f} s ", end="", file=sys.stderr, flush=True)
    print(table(lines, absent))
    took = f"{len(lines)} runs in {time.monotonic() - begun:.0f} s"
    print(f"{about['date']} UTC, Python {about['python']}, {about['cores']} cores; {took}, kept in {options.raw}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure this client and its peers.")
    parser.add_argument("--quick", action="store_true", help="one round of shorter runs")
    parser.add_argument("--rounds", type=int, help="how often each client gets its turn (5; 1 with --quick)")
    parser.add_argument("--only", help="names of clients, with commas between")
    parser.add_argument("--measures", help=f"of {', '.join(COUNTS)}")
    parser.add_argument("--before", metavar="COMMIT", help="measure this package as it was then, too")
    parser.add_argument("--raw", type=Path, default=CACHE / "raw.jsonl", help="where the raw lines go")
    parser.add_argument("--from", dest="table_of", type=Path, help="print the table of these raw lines, run nothing")
    options = parser.parse_args()
    options.rounds = options.rounds or (1 if options.quick else 5)
    return options


def _environments(only: list[str]) -> tuple[list[Environment], dict[str, str]]:
    made, absent = [], {}
    for client in (OURS, *PEERS, BARE):
        if only and client.name not in only:
            absent[client.name] = "not asked for"
            continue
        try:
            made.append(environment(client))
        except UnavailableError as error:
            absent[client.name] = str(error)
    return made, absent


if __name__ == "__main__":
    main()
