"""The statistics as Prometheus reads them: the gauges of Lavalink's own collector, without those of a JVM."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

__all__ = ["CONTENT_TYPE", "exposition"]

CONTENT_TYPE = "text/plain;version=0.0.4;charset=utf-8"


def exposition(stats: Mapping[str, Any], names: Collection[str]) -> str:
    """Prometheus' text of the statistics; of those with these names only, if there are any names."""
    return "".join(
        f"# HELP {name} {help_text}\n# TYPE {name} gauge\n{name} {float(value)}\n"
        for name, help_text, value in _gauges(stats)
        if not names or name in names
    )


def _gauges(stats: Mapping[str, Any]) -> Iterator[tuple[str, str, float]]:
    memory, cpu = stats["memory"], stats["cpu"]
    yield "lavalink_players_total", "Players there are.", stats["players"]
    yield "lavalink_playing_players_total", "Players that play.", stats["playingPlayers"]
    yield "lavalink_uptime_milliseconds", "Milliseconds since the start.", stats["uptime"]
    for part in ("free", "used", "allocated", "reservable"):
        yield f"lavalink_memory_{part}_bytes", f"Bytes of memory: {part}.", memory[part]
    yield "lavalink_cpu_cores", "Cores of the machine.", cpu["cores"]
    yield "lavalink_cpu_system_load_percentage", "Load of the machine.", cpu["systemLoad"]
    yield "lavalink_cpu_lavalink_load_percentage", "Load by this node.", cpu["lavalinkLoad"]
