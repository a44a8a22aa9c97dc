"""A player's snapshot, and how it follows events, replies and reads, which may come in any order.

The server's history of a guild's tracks is a line: start 1, end 1, start 2, end 2, ... Events come along it, in order.
A reply tells of a point on it, too, and may arrive before or after the events that lead there. So every snapshot knows
two points: how far the events have come (`_seen`), and the furthest point that a reply has told of (`_known`). News is
only what lies beyond both; what lies before is late, and changes nothing. A point is (number of the start, ended).

A start is counted as told by a reply only where the update must have begun a track; where that can't be told (a play
with `no_replace` while something plays), the player is to be read once: `on_reply` says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..models import (
    Event,
    Filters,
    PlayerState,
    PlayerUpdate,
    ServerPlayer,
    Track,
    TrackEndEvent,
    TrackStartEvent,
    TrackUpdate,
    Unset,
    WebSocketClosedEvent,
)

# After a seek, an update this many milliseconds from where it went, and nearer to where it came from, is an old one.
_SEEK_SLACK = 1000


class Point(NamedTuple):
    """A point on the line of a guild's tracks."""

    start: int
    ended: bool


class SendMark(NamedTuple):
    """What was known when a call was sent, for judging what its reply adds."""

    seen: Point
    known: Point
    idle: bool


@dataclass(frozen=True)
class PlayerSnapshot:
    """A player at one moment, as far as it is known here.

    `track`: what plays or is paused. `volume`: percent. `filters`: as the server answered them. `state`: what the last
    `playerUpdate` said, `received` when that was (monotonic seconds). `end_time`: milliseconds, if one was set.
    """

    guild_id: int
    track: Track | None = None
    volume: int = 100
    paused: bool = False
    filters: Filters = field(default_factory=Filters)
    state: PlayerState = field(default_factory=PlayerState)
    received: float | None = None
    end_time: int | None = None
    # Where playback was at the monotonic time `_at`, milliseconds; and where the last seek came from.
    _position: int = field(default=0, repr=False)
    _at: float = field(default=0.0, repr=False)
    _seek_from: int | None = field(default=None, repr=False)
    _seen: Point = field(default=Point(0, True), repr=False)
    _known: Point = field(default=Point(0, True), repr=False)

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


def on_player_update(snapshot: PlayerSnapshot, state: PlayerState, now: float) -> PlayerSnapshot:
    """A `playerUpdate` came."""
    if snapshot._seek_from is not None:
        stale = _is_from_before_the_seek(snapshot, state, now)
        snapshot = _changed(snapshot, _seek_from=None)
        if stale:
            return _changed(snapshot, state=state, received=now, _position=snapshot.position_at(now), _at=now)
    return _changed(snapshot, state=state, received=now, _position=state.position, _at=now)


def on_event(snapshot: PlayerSnapshot, event: Event, now: float) -> PlayerSnapshot:
    """An event came. A replayed one is from before what is known, and changes nothing."""
    if event.replayed:
        return snapshot
    if isinstance(event, TrackStartEvent):
        return _on_start(snapshot, event, now)
    if isinstance(event, TrackEndEvent):
        return _on_end(snapshot, now)
    if isinstance(event, WebSocketClosedEvent):
        state = PlayerState(snapshot.state.time, snapshot.state.position, False, -1)
        return _changed(snapshot, state=state, _position=snapshot.position_at(now), _at=now)
    return snapshot


def _on_start(snapshot: PlayerSnapshot, event: TrackStartEvent, now: float) -> PlayerSnapshot:
    seen = Point(snapshot._seen.start + 1, False)
    snapshot = _changed(snapshot, _seen=seen)
    if seen <= snapshot._known:
        return snapshot
    return _changed(
        snapshot, track=event.track, end_time=None, _position=event.track.info.position, _at=now, _seek_from=None
    )


def _on_end(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    seen = Point(snapshot._seen.start, True)
    snapshot = _changed(snapshot, _seen=seen)
    if seen <= snapshot._known:
        return snapshot
    return _changed(snapshot, track=None, end_time=None, _position=0, _at=now, _seek_from=None)


def before_send(snapshot: PlayerSnapshot) -> SendMark:
    """Note what is known before a call is sent."""
    return SendMark(snapshot._seen, snapshot._known, snapshot.track is None)


def on_reply(
    snapshot: PlayerSnapshot,
    mark: SendMark,
    update: PlayerUpdate,
    reply: ServerPlayer,
    now: float,
    no_replace: bool = False,
) -> tuple[PlayerSnapshot, bool]:
    """An update was answered. Returns the snapshot, and whether the player must be read to know what plays."""
    before = snapshot.position_at(now)
    snapshot = _take_settings(snapshot, reply, now)
    change = _change_of(update.track)
    if change is None:
        snapshot = _take_track_if_quiet(snapshot, mark, reply, now)
        if snapshot.track is not None and not isinstance(update.position, Unset):
            snapshot = _changed(snapshot, _seek_from=before)
    elif no_replace and not mark.idle:
        # Whether the track that plays now is the one asked for, begun just now, can't be told.
        return snapshot, True
    else:
        began = max(mark.seen.start, mark.known.start) + (1 if change == "play" else 0)
        told = Point(began, change == "stop")
        if told >= snapshot._known:
            snapshot = _changed(snapshot, _known=told)
        if snapshot._seen <= told:
            snapshot = _take_track(snapshot, reply.track if change == "play" else None, now)
    if snapshot.track is not None and (change == "play" or not isinstance(update.end_time, Unset)):
        snapshot = _changed(snapshot, end_time=None if isinstance(update.end_time, Unset) else update.end_time)
    return snapshot, False


def on_read(snapshot: PlayerSnapshot, mark: SendMark, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """The player was read. What plays is taken unless an event has come since: events lead to the truth anyhow."""
    snapshot = _take_settings(snapshot, server, now)
    return _take_track_if_quiet(snapshot, mark, server, now)


def _take_settings(snapshot: PlayerSnapshot, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """Volume, pause and filters, which no event tells of. The position is kept as it is at this moment."""
    return _changed(
        snapshot,
        volume=server.volume,
        paused=server.paused,
        filters=server.filters,
        _position=snapshot.position_at(now),
        _at=now,
    )


def _take_track_if_quiet(snapshot: PlayerSnapshot, mark: SendMark, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """Take what the server says plays, unless events that came since the call are newer than its answer may be.

    Events up to a point that an earlier reply told of are not: the server was past it when it answered this one.
    """
    seen, known = snapshot._seen, snapshot._known
    if seen > known and seen != mark.seen:
        return snapshot
    newest = max(seen, known)
    if server.track is None:
        snapshot = _changed(snapshot, _known=Point(newest.start, True))
    elif newest.ended:
        # A start that nobody told us of: count it as seen, so that its end is taken for one.
        begun = Point(newest.start + 1, False)
        snapshot = _changed(snapshot, _known=begun, _seen=begun)
    elif not _is_same(snapshot.track, server.track):
        # One track ended and another began, of which no event has come yet.
        snapshot = _changed(snapshot, _known=Point(newest.start + 1, False))
    return _take_track(snapshot, server.track, now)


def _take_track(snapshot: PlayerSnapshot, track: Track | None, now: float) -> PlayerSnapshot:
    if track is None:
        return _changed(snapshot, track=None, end_time=None, _position=0, _at=now, _seek_from=None)
    return _changed(snapshot, track=track, _position=track.info.position, _at=now)


def _is_same(one: Track | None, other: Track) -> bool:
    """Whether it is the same track. Not by `encoded`, which has the position in it."""
    return (
        one is not None
        and one.info.identifier == other.info.identifier
        and one.info.source_name == other.info.source_name
    )


def _change_of(track: TrackUpdate | Unset) -> str | None:
    """What an update does to the track: `play`, `stop`, or nothing."""
    if isinstance(track, Unset):
        return None
    if track.encoded is None:
        return "stop"
    return None if isinstance(track.encoded, Unset) and isinstance(track.identifier, Unset) else "play"


def _is_from_before_the_seek(snapshot: PlayerSnapshot, state: PlayerState, now: float) -> bool:
    """Whether an update still tells where playback was before a seek: the first one after it may."""
    here, there = snapshot.position_at(now), snapshot._seek_from
    off = abs(state.position - here)
    return there is not None and off > _SEEK_SLACK and abs(state.position - there) < off


def _changed(snapshot: PlayerSnapshot, **changes: Any) -> PlayerSnapshot:
    """A copy with `changes`. Straight into the dictionary: a frozen dataclass's own way costs several times as much."""
    new = object.__new__(PlayerSnapshot)
    fields = new.__dict__
    fields.update(snapshot.__dict__)
    fields.update(changes)
    return new
