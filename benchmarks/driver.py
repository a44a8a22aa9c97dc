"""Runs every measure of every client in turn against one load server, and gives what they print, one line a run.

Round after round, and in a round measure after measure, the clients take turns: what else the machine does meets all.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from typing import Any

from benchmarks import measures
from benchmarks.environments import BARE, ROOT, Environment

Line = dict[str, Any]
"""A run: `round client measure count`, and `values` or `error`."""

_PATIENCE = 100.0
_ERROR = re.compile(r"[\w.]*(Error|Exception)\b")


@contextmanager
def load_server() -> Iterator[str]:
    """Start the load server as a process of its own; gives its address, and ends it."""
    command = (sys.executable, "-m", "benchmarks.load_server")
    server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        said = server.stdout.readline().split()
        if said[:2] != ["ready", "on"]:
            raise RuntimeError("the load server did not start; what it wrote is above")
        yield said[2]
    finally:
        server.stdin.close()
        server.wait(10)
        server.stdout.close()


def runs(
    environments: Sequence[Environment], names: Sequence[str], rounds: int, quick: bool, address: str
) -> Iterator[Line]:
    """All runs, each as soon as it is done. What failed once is not tried again."""
    failed = set()
    for number in range(rounds):
        for measure in names:
            for environment in environments:
                name = environment.client.name
                if (name, measure) in failed or not _applies(measure, environment):
                    continue
                line = {"round": number, "client": name, **run(environment, measure, quick, address)}
                if "error" in line:
                    failed.add((name, measure))
                yield line


def _applies(measure: str, environment: Environment) -> bool:
    if environment.client is BARE:
        return measure in measures.BARE
    if environment.client.only_rest:
        return measure in measures.REST
    return environment.client.language == "python" or measure not in measures.PYTHON_ONLY


def run(environment: Environment, measure: str, quick: bool, address: str) -> Line:
    """One run of one measure, in a process of its own."""
    count = measures.COUNTS[measure][quick]
    line: Line = {"measure": measure, "count": count}
    try:
        if measure == "import":
            took = [float(_output(environment.run_import(), environment)) for _ in range(count)]
            return {**line, "values": {"ms": median(took)}}
        said = _output(environment.run(measure, address, count), environment).splitlines()
        return {**line, "values": json.loads(said[-1])["values"]}
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired, ValueError, IndexError) as error:
        return {**line, "error": _reason(error)}


def _output(command: tuple[str, ...], environment: Environment) -> str:
    # What the caller's shell says to Python or Node is not said to the clients.
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "NODE_"))}
    done = subprocess.run(
        command, cwd=environment.home, env=variables, capture_output=True, text=True, timeout=_PATIENCE, check=True
    )
    return done.stdout


def _reason(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        said = [line for line in (error.stderr or "").splitlines() if _ERROR.match(line)]
        return said[-1][:200] if said else f"exit code {error.returncode}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"not done after {_PATIENCE:.0f} s"
    return f"said no figure ({type(error).__name__})"
