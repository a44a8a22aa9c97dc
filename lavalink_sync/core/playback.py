"""How a player's snapshot follows events, replies and reads, which may come in any order.

The server's history of a guild's tracks is a line: start 1, end 1, start 2, end 2, ... Events come along it, in order.
A reply tells of a point on it, too, and may arrive before or after the events that lead there. So every snapshot knows
two points: how far the events have come (`_seen`), and the furthest point that a reply has told of (`_known`). News is
only what lies beyond both; what lies before is late, and changes nothing. A point is (number of the start, ended).

Why that is enough: calls of a guild go out one at a time, so between a call's mark and its reply the line moves on by
that call's own start, and by ends. A reply to a play is past one start more than was known when it was sent; a reply to
a stop is past the end of it; any other reply is at the start that was known, and shows whether it has ended. Events are
numbered as they come, never compared by track: the end of a track that was replaced by itself is late all the same.

Where a play may or may not have begun a track (`no_replace` while something plays), the player is to be read once:
`on_reply` says so. Where others begin tracks too, or an event got lost, the numbers may be off for a moment. Two things
put them right: an event beyond both points is always believed, and an update that the server made well after an answer
(by its own clock) shows that the events up to that answer have passed.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..models import (
    Event,
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
from .snapshot import PlayerSnapshot, Point, draft_of, freeze, with_state

__all__ = [
    "PlayerSnapshot",
    "Point",
    "SendMark",
    "before_send",
    "on_event",
    "on_node_left",
    "on_player_update",
    "on_read",
    "on_rebuilt",
    "on_refused",
    "on_reply",
]

# Milliseconds by which two positions may differ and still tell the same.
_SLACK = 1000
# Milliseconds of the server's clock from a seek's reply on, within which it may still tell the position from before.
_SETTLING = 250
# Milliseconds of the server's clock after which an update can't have overtaken an event any more.
_PASSED = 1000
# No message is on its way for as long as this, in milliseconds: a clock that goes back by more was put right.
_LATE = 60_000


class SendMark(NamedTuple):
    """What was known when a call was sent, for judging what its reply adds."""

    seen: Point
    known: Point
    idle: bool


def on_player_update(snapshot: PlayerSnapshot, state: PlayerState, now: float) -> PlayerSnapshot:
    """A `playerUpdate` came."""
    age = state.time - snapshot._told_at
    if -_LATE < age < 0:
        # An answer that was made after it has come before it.
        return _with_state_alone(snapshot, state, now)
    known = snapshot._known
    if snapshot._seen < known:
        if 0 <= age <= _PASSED:
            # It may be about the track before, whose end is still on its way.
            return _with_state_alone(snapshot, state, now)
        snapshot = _changed(snapshot, _seen=known)
    if snapshot._sought_at is not None:
        far = abs(state.position - snapshot.position_at(now)) > _SLACK
        unheard = snapshot.paused or not state.connected
        if far and _is_settling(snapshot, state.time, unheard, state.position):
            return _with_state_alone(snapshot, state, now)
        if not unheard:
            snapshot = _changed(snapshot, _sought_at=None)
    return with_state(snapshot, state, now)


def _with_state_alone(snapshot: PlayerSnapshot, state: PlayerState, now: float) -> PlayerSnapshot:
    """Take an update but for its position; ours is kept as it is at this moment."""
    return _changed(snapshot, state=state, received=now, _position=snapshot.position_at(now), _at=now)


def _is_settling(snapshot: PlayerSnapshot, time: int, unheard: bool, told: int) -> bool:
    """Whether what the server `told` at its `time` may be from before the last seek, or a start, took effect.

    That takes a moment, and the first frame: until somebody hears it the old position is told, 0 in a new track.
    """
    if snapshot._sought_at is None:
        return False
    return unheard or told == 0 or time <= snapshot._sought_at + _SETTLING


def on_event(snapshot: PlayerSnapshot, event: Event, now: float) -> PlayerSnapshot:
    """An event came. A replayed one is from before what is known: it is counted, and changes nothing else."""
    # No `isinstance` here: models have an abstract root, with which it costs half a microsecond.
    if type(event) is TrackStartEvent or type(event) is TrackEndEvent:
        if snapshot._start_due:
            snapshot = _changed(snapshot, _start_due=False)
            if type(event) is TrackStartEvent and not event.replayed and _is_same(snapshot.track, event.track):
                return snapshot
        start = snapshot._seen.start
        seen = Point(start, True) if type(event) is TrackEndEvent else Point(start + 1, False)
        if event.replayed:
            return _changed(snapshot, _seen=seen, _known=max(seen, snapshot._known))
        if seen <= snapshot._known:
            return _changed(snapshot, _seen=seen)
        draft = draft_of(snapshot)
        begins = type(event) is TrackStartEvent
        draft.track = event.track if begins else None
        draft._position = event.track.info.position if begins else 0
        draft._at, draft._seen = now, seen
        draft.end_time = draft._sought_at = None
        return freeze(draft)
    if type(event) is WebSocketClosedEvent and not event.replayed:
        return _off_air(snapshot, now)
    # A track that broke goes on being the player's until its end is told, and one that is stuck may recover.
    return snapshot


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
    change = _change_of(update.track)
    # With `no_replace` the server leaves out track, position and end time while something plays.
    left_out = no_replace and not mark.idle
    if change is None:
        return _on_quiet_reply(snapshot, mark, update, reply, now, left_out), False
    snapshot = _take_settings(snapshot, reply, now)
    if left_out:
        # Whether the track that plays now is the one asked for, begun just now, can't be told.
        return snapshot, True
    began = max(mark.seen, mark.known).start + (1 if change == "play" else 0)
    told = Point(began, change == "stop")
    seen = snapshot._seen
    if snapshot._known > told:
        # The player was read meanwhile, and something had begun of which nothing was known when this was sent.
        return snapshot, True
    snapshot = _changed(snapshot, _known=told, _start_due=False)
    if seen > told:
        # The track has ended already, or somebody else has begun another: events tell the rest.
        return snapshot, False
    if change == "stop" or reply.track is None:
        return _without_track(snapshot, now), False
    if seen < told or reply.paused:
        snapshot = _with_track(snapshot, reply.track, now)
    # Else its start has come before, and updates maybe: they know the position better than a reply that took its time.
    end_time = update.end_time if isinstance(update.end_time, int) else None
    snapshot = _changed(snapshot, track=reply.track, end_time=end_time, _sought_at=None)
    return _starting_at(snapshot, update, reply, now), False


def _on_quiet_reply(
    snapshot: PlayerSnapshot, mark: SendMark, update: PlayerUpdate, reply: ServerPlayer, now: float, left_out: bool
) -> PlayerSnapshot:
    """The reply to an update that neither begins nor stops a track."""
    ours = snapshot.position_at(now)
    snapshot = _take_track_if_quiet(_take_settings(snapshot, reply, now), mark, reply, now)
    if snapshot.track is None or left_out:
        return snapshot
    # `null` alone does not take the server's marker away, whatever its documentation says.
    if isinstance(update.end_time, int):
        snapshot = _changed(snapshot, end_time=update.end_time)
    if isinstance(update.position, int):
        # The reply often has the old position still, and an update with the new one may have come before it.
        told = reply.track.info.position if reply.track else 0
        near = [place for place in (told, ours) if abs(place - update.position) <= _SLACK]
        position = near[0] if near else max(update.position, 0)
        snapshot = _changed(snapshot, _position=position, _at=now, _sought_at=reply.state.time)
    return snapshot


def on_read(snapshot: PlayerSnapshot, mark: SendMark, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """The player was read. What plays is taken unless an event has come since: events lead to the truth anyhow."""
    snapshot = _take_settings(snapshot, server, now)
    return _take_track_if_quiet(snapshot, mark, server, now)


def on_rebuilt(
    snapshot: PlayerSnapshot, mark: SendMark, update: PlayerUpdate, server: ServerPlayer, now: float
) -> PlayerSnapshot:
    """The player was made anew by `update` on another session or node, from which alone events came since `mark`.

    What is still missing of the old line of events never comes: a new one begins here.
    """
    snapshot = _off_air(_take_settings(snapshot, server, now), now)
    here = snapshot._seen
    due = here == mark.seen
    if due:
        start = max(here, snapshot._known).start
        # The new start is counted as seen, because its event may have come while the player was still elsewhere.
        here = Point(start, True) if server.track is None else Point(start + 1, False)
    snapshot = _changed(snapshot, _seen=here, _known=here, _sought_at=None, _start_due=due)
    if here.ended or server.track is None:
        return _without_track(snapshot, now)
    end_time = update.end_time if isinstance(update.end_time, int) else None
    return _starting_at(_changed(_with_track(snapshot, server.track, now), end_time=end_time), update, server, now)


def on_node_left(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """The player is on another node now, or on none: nothing plays until that one tells of a voice connection."""
    return _off_air(snapshot, now)


def on_refused(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """No server would make the player anew: nothing plays, and no event of before is waited for any more."""
    here = Point(max(snapshot._seen, snapshot._known).start, True)
    return _without_track(_changed(_off_air(snapshot, now), _seen=here, _known=here, _start_due=False), now)


def _take_settings(snapshot: PlayerSnapshot, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """Volume, pause and filters, which no event tells of. The position is kept as it is at this moment."""
    return _changed(
        snapshot,
        volume=server.volume,
        paused=server.paused,
        filters=server.filters,
        _told_at=server.state.time,
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
        # The event of its end is counted when it comes: no start can be before it.
        return _without_track(snapshot, now)
    begun = Point(newest.start + 1, False)
    if newest.ended:
        # A start that nobody told us of: count it as seen, so that its end is taken for one.
        snapshot = _changed(snapshot, _known=begun, _seen=begun, end_time=None, _sought_at=None)
        return _with_track(snapshot, server.track, now)
    if not _is_same(snapshot.track, server.track):
        # One track ended and another began, of which no event has come yet.
        snapshot = _changed(snapshot, _known=begun, end_time=None, _sought_at=None)
        return _with_track(snapshot, server.track, now)
    off = abs(server.track.info.position - snapshot.position_at(now))
    near = off <= _SLACK and not server.paused and snapshot.received is not None
    if near or _is_settling(snapshot, server.state.time, server.paused, server.track.info.position):
        # It was some time on its way: taking its position would only make ours jump back, by that or behind a seek.
        return _changed(snapshot, track=server.track)
    return _with_track(snapshot, server.track, now)


def _off_air(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """Without a voice connection the position stands still."""
    state = PlayerState(snapshot.state.time, snapshot.state.position, False, -1)
    return _changed(snapshot, state=state, _position=snapshot.position_at(now), _at=now)


def _with_track(snapshot: PlayerSnapshot, track: Track, now: float) -> PlayerSnapshot:
    return _changed(snapshot, track=track, _position=track.info.position, _at=now)


def _starting_at(snapshot: PlayerSnapshot, update: PlayerUpdate, reply: ServerPlayer, now: float) -> PlayerSnapshot:
    """A new track begins where `update` asked for, though the server tells 0 until its first frame."""
    start = update.position
    if not isinstance(start, int) or start <= 0:
        return snapshot
    if abs(snapshot.position_at(now) - start) > _SLACK:
        snapshot = _changed(snapshot, _position=start, _at=now)
    return _changed(snapshot, _sought_at=reply.state.time)


def _without_track(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    return _changed(snapshot, track=None, end_time=None, _position=0, _at=now, _sought_at=None)


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


def _changed(snapshot: PlayerSnapshot, **changes: Any) -> PlayerSnapshot:
    """A copy with `changes`."""
    draft = draft_of(snapshot)
    for name, value in changes.items():
        setattr(draft, name, value)
    return freeze(draft)
