"""What a node has to offer beyond the usual, and what it refuses: as a server's configuration file would say."""

from __future__ import annotations

from dataclasses import dataclass

from .routeplanner import RoutePlanner

__all__ = ["Offer"]


@dataclass(frozen=True)
class Offer:
    """See the module. `disabled_filters`: their names; such a filter is refused, also when it is sent as `null`.

    `metrics`: the path of Prometheus' metrics, `None` without them.
    """

    route_planner: RoutePlanner | None = None
    disabled_filters: frozenset[str] = frozenset()
    metrics: str | None = None
