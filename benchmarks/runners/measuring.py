"""What every Python runner shares: CPU time, the load server's control path, percentiles, the line it prints.

Standard library only: this runs in the peers' environments.
"""

from __future__ import annotations

import gc
import http.client
import json
import os
import resource
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from benchmarks.load_bytes import GUILD

GUILDS = range(GUILD, GUILD + 10)
"""The guilds of all measures but those that say otherwise."""

PASSWORD = "youshallnotpass"
USER_ID = 817327181659111454
# A flood before the counted one, as a part of it: caches, the allocator and the peer's lazy parts are warm then.
WARM_UP = 0.1
# Seconds that a connection is left alone before it is reset: this client takes one that lasted less than two for
# a server in trouble, and pauses before it dials again.
STEADY = 2.1


def cpu() -> float:
    """Seconds of CPU, user and system, of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def ask(address: str, what: str) -> Any:
    """Ask the load server for something: `flood?kind=update&count=1000`. Returns at once with what it says."""
    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("GET", f"/bench/{what}")
        return json.loads(connection.getresponse().read())
    finally:
        connection.close()


def flood(kind: str, count: int, guilds: int = len(GUILDS)) -> str:
    """The asking for a flood."""
    return f"flood?kind={kind}&count={count}&guilds={guilds}"


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of all are below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latencies(address: str, heard: dict[int, list[int]]) -> dict[str, float]:
    """From the nanoseconds when each guild's events reached their handler: p50 and p99 in microseconds, how many came.

    The load server says when each event left; a guild's events come in order in every client.
    """
    sent = ask(address, "sent")
    late = [
        (at - sent[GUILDS.index(guild) + number * len(GUILDS)]) / 1000
        for guild, times in heard.items()
        for number, at in enumerate(times)
    ]
    return {
        "p50_us": percentile(late, 0.5),
        "p99_us": percentile(late, 0.99),
        "came": len(late),
        # Whether it kept up: what came last was not later than the rest.
        "last_us": max((times[-1] - sent[-1]) / 1000 for times in heard.values() if times),
    }


def timed(calls: Callable[[], object], count: int) -> tuple[list[float], float]:
    """Call it `count` times after a warm-up: microseconds of each call, CPU microseconds a call."""
    for _ in range(max(1, int(count * WARM_UP))):
        calls()
    took = []
    used = cpu()
    for _ in range(count):
        begun = time.perf_counter()
        calls()
        took.append((time.perf_counter() - begun) * 1e6)
    return took, (cpu() - used) / count * 1e6


def spin_beside() -> Callable[[], None]:
    """Start a thread of Python that computes without a pause, as a bot's own work may; what is returned ends it."""
    over = threading.Event()

    def compute() -> None:
        number = 1
        while not over.is_set():
            number = number * 1103515245 % 2147483647

    thread = threading.Thread(target=compute, daemon=True)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    return end


class MemoryOf:
    """How many bytes of Python objects are made between `with` and its end, and still there: `.bytes`."""

    bytes = 0

    def __enter__(self) -> MemoryOf:
        gc.collect()
        tracemalloc.start()
        return self

    def __exit__(self, *exception: object) -> None:
        gc.collect()
        self.bytes = tracemalloc.get_traced_memory()[0]
        tracemalloc.stop()


def resident() -> int:
    """Bytes of memory of this process."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    """How many files and sockets this process has open."""
    return len(os.listdir("/proc/self/fd"))


def run(measures: Mapping[str, Callable[[str, int], dict[str, float]]]) -> NoReturn:
    """Measure what the command line asks for, and report it."""
    measure, address, count = asked()
    report(measures[measure](address, count))


def asked() -> tuple[str, str, int]:
    """The command line: MEASURE ADDRESS COUNT."""
    return sys.argv[1], sys.argv[2], int(sys.argv[3])


def report(values: dict[str, float]) -> NoReturn:
    """Print the one line, and end: what a library left running is not waited for."""
    measure, _, count = asked()
    print(json.dumps({"measure": measure, "count": count, "values": values}), flush=True)
    os._exit(0)
