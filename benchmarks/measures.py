"""What is measured: how often, in which row of the table, and what is asked of this client there."""

from __future__ import annotations

from dataclasses import dataclass

COUNTS: dict[str, tuple[int, int]] = {
    "updates": (200_000, 40_000),
    "updates_10000": (200_000, 40_000),
    "events": (60_000, 15_000),
    "unheard": (60_000, 15_000),
    "latency": (5_000, 2_000),
    "latency_busy": (5_000, 2_000),
    "load": (2_000, 500),
    "load_16": (4_800, 1_600),
    "playlist": (12, 5),
    "update": (2_000, 500),
    "memory": (5_000, 2_000),
    "import": (3, 2),
    "connect": (30, 10),
    "connect_50": (2, 2),  # Lavalink.py can have no more than 100 connections
    "reset": (1, 1),
    "nodes_500": (500, 100),
}
"""How often each is done in one run, in full and in `--quick`. A runner does what its name says; see `ours.py`."""

BARE = ("updates", "events", "unheard", "latency", "load", "load_16", "update")
"""What can be done by hand: the floor of the client, the bound of the server."""

REST = ("load", "load_16", "playlist", "update")
"""What a client's way with JSON matters most in."""

PYTHON_ONLY = ("latency_busy",)
"""A thread that computes holds the interpreter's lock; Node has neither."""


@dataclass(frozen=True)
class Row:
    """One line of the table: `key` of what the runners print for `measure`, times `scale`.

    `target` is the most that this client may have (the least, where `high`): so many times the figure of the best
    Python peer, of `bare` (the same work done by hand) or of `own` (its measure `against`), or an `absolute` one.
    """

    work: str
    measure: str
    key: str
    target: float
    of: str = "best"
    high: bool = False
    scale: float = 1.0
    against: str = ""


ROWS = (
    Row("a `playerUpdate` in a flood, CPU µs", "updates", "cpu_us", 0.35),
    Row("an event to a handler in a flood, CPU µs", "events", "cpu_us", 0.6),
    Row("an event that nobody listens to, CPU µs", "unheard", "cpu_us", 1.2, of="bare"),
    Row("an event at 2,000 a second, p50 µs", "latency", "p50_us", 1.0),
    Row("the same, p99 µs", "latency", "p99_us", 1.0),
    Row("the same beside a thread that computes, p50 ms", "latency_busy", "p50_us", 25, of="absolute", scale=1e-3),
    Row("the same, p99 ms", "latency_busy", "p99_us", 25, of="absolute", scale=1e-3),
    Row("the same, how late the last one was, ms", "latency_busy", "last_us", 25, of="absolute", scale=1e-3),
    Row("one track load, CPU µs", "load", "cpu_us", 0.7),
    Row("the same, p50 µs", "load", "p50_us", 0.8),
    Row("track loads from 16 at once, calls/s", "load_16", "calls_s", 0.65, high=True),
    Row("a playlist of 5,000, CPU µs a track", "playlist", "cpu_us", 0.6),
    Row("a player update (PATCH), CPU µs", "update", "cpu_us", 0.7),
    Row("the same, p50 µs", "update", "p50_us", 0.7),
    Row("memory a player, bytes", "memory", "bytes", 2000, of="absolute"),
    Row("import, ms", "import", "ms", 1.2),
    Row("connect to ready, ms", "connect", "ms", 1.0),
    Row("50 nodes ready, ms", "connect_50", "ms", 2.0),
    Row("back after a reset, ms", "reset", "ms", 50, of="absolute"),
    Row("a `playerUpdate` among 10,000 players, CPU µs", "updates_10000", "cpu_us", 1.1, of="own", against="updates"),
    Row("500 nodes: kB each", "nodes_500", "kb", 100, of="absolute"),
    Row("500 nodes: file descriptors each", "nodes_500", "fds", 3, of="absolute"),
    Row("500 nodes: idle CPU, % of a core", "nodes_500", "idle_percent", 1, of="absolute"),
)
