"""`PlayerSnapshot`: a player at one moment, frozen; and `draft_of`, the quick way from one to the next.

Every message about a player makes a new snapshot. `dataclasses.replace` takes 3.4 us for that, the constructor of a
frozen dataclass of 15 fields 1.5, and what is here 0.2: a copy of the same layout that can still be written to, and
becomes a snapshot by a change of its class. With slots one takes 144 bytes instead of 264.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..models import Filters, PlayerState, Track

# One for all players that were told nothing yet.
_NO_FILTERS = Filters()
_NEVER_TOLD = PlayerState()


@dataclass(frozen=True, slots=True)
class PlayerSnapshot:
    """A player at one moment, as far as it is known here.

    `track`: what plays or is paused. `volume`: percent. `filters`: as the server answered them. `state`: what the last
    `playerUpdate` said, `received` when that was (monotonic seconds). `end_time`: milliseconds, if one was set.
    """

    guild_id: int
    track: Track | None = None
    volume: int = 100
    paused: bool = False
    filters: Filters = _NO_FILTERS
    state: PlayerState = _NEVER_TOLD
    received: float | None = None
    end_time: int | None = None
    # Where playback was at the monotonic time `_at`, milliseconds; and the server's time of the last seek's reply.
    _position: int = field(default=0, repr=False)
    _at: float = field(default=0.0, repr=False)
    _sought_at: int | None = field(default=None, repr=False)
    # How far the events have come on the line of the guild's tracks, and the furthest point a reply has told of.
    _seen: int = field(default=0, repr=False)
    _known: int = field(default=0, repr=False)
    # The server's time of the newest answer, unix milliseconds.
    _told_at: int = field(default=0, repr=False)
    # Whether the player was made anew, and the event of its track's new start, if it comes, is to change nothing.
    _start_due: bool = field(default=False, repr=False)

    def position_at(self, now: float) -> int:
        """Where playback is at the monotonic time `now`, in milliseconds, between 0 and the track's length.

        Moves on with the timescale's speed and rate; stands still while paused or without a voice connection.
        """
        track = self.track
        if track is None:
            return 0
        position: float = self._position
        if self.state.connected and not self.paused:
            position += (now - self._at) * 1000 * self._pace()
        if not track.info.is_stream:
            position = min(position, track.info.length)
        return max(round(position), 0)

    def _pace(self) -> float:
        timescale = self.filters.timescale
        return 1.0 if not timescale else timescale.speed * timescale.rate


class _Draft(PlayerSnapshot):
    """A snapshot in the making, known to nobody but who makes it."""

    __slots__ = ()
    __setattr__ = object.__setattr__  # that of the frozen class refuses
    __delattr__ = object.__delattr__  # CPython takes its quick way only with both
    __new__ = object.__new__  # both: an empty one by a call of the class, which is the quickest
    __init__ = object.__init__


def draft_of(snapshot: PlayerSnapshot) -> Any:
    """A copy that can be written to, until `freeze`; `Any`, because to a type checker its fields are frozen."""
    draft: Any = _Draft()
    draft.guild_id = snapshot.guild_id
    draft.track = snapshot.track
    draft.volume = snapshot.volume
    draft.paused = snapshot.paused
    draft.filters = snapshot.filters
    draft.state = snapshot.state
    draft.received = snapshot.received
    draft.end_time = snapshot.end_time
    draft._position = snapshot._position
    draft._at = snapshot._at
    draft._sought_at = snapshot._sought_at
    draft._seen = snapshot._seen
    draft._known = snapshot._known
    draft._told_at = snapshot._told_at
    draft._start_due = snapshot._start_due
    return draft


def with_state(snapshot: PlayerSnapshot, state: PlayerState, now: float) -> PlayerSnapshot:
    """A copy with what a `playerUpdate` told that came at `now`. Nearly all copies are such: hence no draft."""
    draft: Any = _Draft()
    draft.guild_id = snapshot.guild_id
    draft.track = snapshot.track
    draft.volume = snapshot.volume
    draft.paused = snapshot.paused
    draft.filters = snapshot.filters
    draft.state = state
    draft.received = draft._at = now
    draft.end_time = snapshot.end_time
    draft._position = state.position
    draft._sought_at = snapshot._sought_at
    draft._seen = snapshot._seen
    draft._known = snapshot._known
    draft._told_at = snapshot._told_at
    draft._start_due = snapshot._start_due
    draft.__class__ = PlayerSnapshot
    return draft  # type: ignore[no-any-return]  # it is one now


def with_track(snapshot: PlayerSnapshot, track: Track | None, seen: int, now: float) -> PlayerSnapshot:
    """A copy in which `track` has begun at `now`, or none plays any more, as the events up to point `seen` tell."""
    draft: Any = _Draft()
    draft.guild_id = snapshot.guild_id
    draft.track = track
    draft.volume = snapshot.volume
    draft.paused = snapshot.paused
    draft.filters = snapshot.filters
    draft.state = snapshot.state
    draft.received = snapshot.received
    draft._position = 0 if track is None else track.info.position
    draft._at, draft._seen = now, seen
    draft.end_time = draft._sought_at = None
    draft._known = snapshot._known
    draft._told_at = snapshot._told_at
    draft._start_due = snapshot._start_due
    draft.__class__ = PlayerSnapshot
    return draft  # type: ignore[no-any-return]  # it is one now


def freeze(draft: Any) -> PlayerSnapshot:
    """Make what `draft_of` returned a snapshot, and return it."""
    draft.__class__ = PlayerSnapshot
    return draft  # type: ignore[no-any-return]  # it is one now


def end_of(point: int) -> int:
    """The point on the line of a guild's tracks at which that of `point` has ended: itself, if it has."""
    return point + (point & 1)


def start_after(point: int) -> int:
    """The point at which the next track starts."""
    return point + (point & 1) + 1


def is_end(point: int) -> bool:
    """Whether no track plays at `point`."""
    return not point & 1
