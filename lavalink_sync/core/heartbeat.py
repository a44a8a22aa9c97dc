"""Whether the peer is still there, judged by when something was heard of it.

TCP alone notices a silent peer after a minute, and a stuck server never; so the node's loop asks this value what to do.
All times are the monotonic seconds that the caller hands in.
"""

from __future__ import annotations

from enum import Enum


class Beat(Enum):
    """What a check found."""

    QUIET = "quiet"
    """Nothing to do until `next_check()`."""

    PING = "ping"
    """Silent for an interval: send a ping, now and only once."""

    MUTE = "mute"
    """The ping went unanswered for another interval: the peer is dead."""

    STALE = "stale"
    """The peer answers, but its stats stopped: the server behind the socket is stuck."""


class Heartbeat:
    """The heartbeat of one connection; made when it opens. `interval` and `stats_limit` are seconds.

    A peer is never called mute without having had a whole interval to answer a ping. So a process that was itself
    asleep (a closed lid, a debugger) does not throw good connections away when it wakes up.
    """

    def __init__(self, interval: float, now: float, stats_limit: float = 150.0) -> None:
        self.interval = interval
        self.stats_limit = stats_limit
        self._heard = now
        self._stats = now
        self._pinged: float | None = None

    def heard(self, now: float) -> None:
        """Bytes came at `now`, whatever they were. An older time than the one known changes nothing."""
        if now > self._heard:
            self._heard = now
            self._pinged = None

    def stats_heard(self, now: float) -> None:
        """A `stats` message came at `now`."""
        self._stats = now

    def next_check(self) -> float:
        """Return when `check` is due if nothing is heard until then."""
        silent_since = self._heard if self._pinged is None else self._pinged
        return min(silent_since + self.interval, self._stats + self.stats_limit)

    def check(self, now: float) -> Beat:
        """Say what to do at `now`; `Beat.PING` is told once a silence and counts as sent."""
        if self._pinged is not None and now >= self._pinged + self.interval:
            return Beat.MUTE
        if now >= self._stats + self.stats_limit:
            return Beat.STALE
        if self._pinged is None and now >= self._heard + self.interval:
            self._pinged = now
            return Beat.PING
        return Beat.QUIET
