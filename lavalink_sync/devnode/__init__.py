"""A Lavalink v4 development node inside this process: no Java, no Discord, faults on demand.

It answers like Lavalink 4.2.2 over real sockets, plays nothing, but keeps the time as if it did. It shares the models'
track format with the client and nothing else, so that neither side can hide the other's mistakes.
"""

from __future__ import annotations

try:
    from .clock import Clock, ManualClock, RealClock
    from .http import Request
    from .node import DevNode
    from .races import Races
    from .recorder import Recorder
    from .replay import ReplayServer, UnexpectedRequest
    from .routeplanner import RoutePlanner
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] not in {"h11", "wsproto", "mutagen"}:
        raise
    # With the package's own name `python -m` tells it in one line instead of with a traceback.
    _hint = f"the development node needs {_error.name}: pip install 'lavalink_sync[devnode]'"
    raise ImportError(_hint, name=__name__) from _error

__all__ = [
    "Clock",
    "DevNode",
    "ManualClock",
    "Races",
    "RealClock",
    "Recorder",
    "ReplayServer",
    "Request",
    "RoutePlanner",
    "UnexpectedRequest",
]
