"""How a player's snapshot follows events, replies and reads, which may come in any order.

The server's history of a guild's tracks is a line: start 1, end 1, start 2, end 2, ... Events come along it, in order.
A reply tells of a point on it, too, and may arrive before or after the events that lead there. So every snapshot knows
two points: how far the events have come (`_seen`), and the furthest point that a reply has told of (`_known`). News is
only what lies beyond both; what lies before is late, and changes nothing. A point is a number: 2n - 1 where track n has
started, 2n where it has ended, 0 before the first.

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
from .snapshot import PlayerSnapshot, draft_of, end_of, freeze, is_end, start_after, with_state, with_track

__all__ = [
    "PlayerSnapshot",
    "SendMark",
    "before_send",
    "is_same_track",
    "on_event",
    "on_node_left",
    "on_player_update",
    "on_read",
    "on_rebuilt",
    "on_refused",
    "on_reply",
    "on_track",
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

    seen: int
    known: int
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
    if isinstance(event, TrackStartEvent):
        return on_track(snapshot, event.track, now, event.replayed)
    if isinstance(event, TrackEndEvent):
        return on_track(snapshot, None, now, event.replayed)
    if isinstance(event, WebSocketClosedEvent) and not event.replayed:
        return _off_air(snapshot, now)
    # A track that broke goes on being the player's until its end is told, and one that is stuck may recover.
    return snapshot


def on_track(snapshot: PlayerSnapshot, track: Track | None, now: float, replayed: bool = False) -> PlayerSnapshot:
    """The event came that `track` has begun; `None`: that one has ended."""
    if snapshot._start_due:
        snapshot = _changed(snapshot, _start_due=False)
        if track is not None and not replayed and is_same_track(snapshot.track, track):
            return snapshot
    seen = end_of(snapshot._seen) if track is None else start_after(snapshot._seen)
    if replayed:
        return _changed(snapshot, _seen=seen, _known=max(seen, snapshot._known))
    if seen <= snapshot._known:
        return _changed(snapshot, _seen=seen)
    return with_track(snapshot, track, seen, now)


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
    draft = draft_of(snapshot)
    reread = _take_reply(draft, mark, update, reply, now, no_replace)
    return freeze(draft), reread


# What takes a draft writes into it: a reply changes many fields, and one copy is enough.
def _take_reply(
    draft: Any, mark: SendMark, update: PlayerUpdate, reply: ServerPlayer, now: float, no_replace: bool
) -> bool:
    """Take what a reply tells; return whether the player must be read."""
    _take_settings(draft, reply, now)
    change = _change_of(update.track)
    # With `no_replace` the server leaves out track, position and end time while something plays.
    left_out = no_replace and not mark.idle
    if change is None:
        _take_quiet_reply(draft, mark, update, reply, now, left_out)
        return False
    if left_out:
        # Whether the track that plays now is the one asked for, begun just now, can't be told.
        return True
    newest = max(mark.seen, mark.known)
    told = end_of(newest) if change == "stop" else start_after(newest)
    seen = draft._seen
    if draft._known > told:
        # The player was read meanwhile, and something had begun of which nothing was known when this was sent.
        return True
    draft._known, draft._start_due = told, False
    if seen > told:
        # The track has ended already, or somebody else has begun another: events tell the rest.
        return False
    if change == "stop" or reply.track is None:
        _take_no_track(draft, now)
        return False
    if seen < told or reply.paused:
        _take_track(draft, reply.track, now)
    # Else its start has come before, and updates maybe: they know the position better than a reply that took its time.
    draft.track = reply.track
    draft.end_time = update.end_time if isinstance(update.end_time, int) else None
    draft._sought_at = None
    _start_at(draft, update, reply, now)
    return False


def _take_quiet_reply(
    draft: Any, mark: SendMark, update: PlayerUpdate, reply: ServerPlayer, now: float, left_out: bool
) -> None:
    """The reply to an update that neither begins nor stops a track. Its settings have been taken."""
    ours = draft._position
    _take_track_if_quiet(draft, mark, reply, now)
    if draft.track is None or left_out:
        return
    # `null` alone does not take the server's marker away, whatever its documentation says.
    if isinstance(update.end_time, int):
        draft.end_time = update.end_time
    if isinstance(update.position, int):
        # The reply often has the old position still, and an update with the new one may have come before it.
        told = reply.track.info.position if reply.track else 0
        near = [place for place in (told, ours) if abs(place - update.position) <= _SLACK]
        draft._position = near[0] if near else max(update.position, 0)
        draft._at, draft._sought_at = now, reply.state.time


def on_read(snapshot: PlayerSnapshot, mark: SendMark, server: ServerPlayer, now: float) -> PlayerSnapshot:
    """The player was read. What plays is taken unless an event has come since: events lead to the truth anyhow."""
    draft = draft_of(snapshot)
    _take_settings(draft, server, now)
    _take_track_if_quiet(draft, mark, server, now)
    return freeze(draft)


def on_rebuilt(
    snapshot: PlayerSnapshot, mark: SendMark, update: PlayerUpdate, server: ServerPlayer, now: float
) -> PlayerSnapshot:
    """The player was made anew by `update` on another session or node, from which alone events came since `mark`.

    What is still missing of the old line of events never comes: a new one begins here.
    """
    draft = draft_of(_off_air(snapshot, now))
    _take_settings(draft, server, now)
    here = draft._seen
    due = here == mark.seen
    if due:
        newest = max(here, draft._known)
        # The new start is counted as seen, because its event may have come while the player was still elsewhere.
        here = end_of(newest) if server.track is None else start_after(newest)
    draft._seen = draft._known = here
    draft._sought_at, draft._start_due = None, due
    if is_end(here) or server.track is None:
        _take_no_track(draft, now)
    else:
        _take_track(draft, server.track, now)
        draft.end_time = update.end_time if isinstance(update.end_time, int) else None
        _start_at(draft, update, server, now)
    return freeze(draft)


def on_node_left(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """The player is on another node now, or on none: nothing plays until that one tells of a voice connection."""
    return _off_air(snapshot, now)


def on_refused(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """No server would make the player anew: nothing plays, and no event of before is waited for any more."""
    draft = draft_of(_off_air(snapshot, now))
    draft._seen = draft._known = end_of(max(draft._seen, draft._known))
    draft._start_due = False
    _take_no_track(draft, now)
    return freeze(draft)


def _take_settings(draft: Any, server: ServerPlayer, now: float) -> None:
    """Volume, pause and filters, which no event tells of. The position is kept as it is at this moment."""
    draft._position, draft._at = draft.position_at(now), now
    draft.volume = server.volume
    draft.paused = server.paused
    draft.filters = server.filters
    draft._told_at = server.state.time


def _take_track_if_quiet(draft: Any, mark: SendMark, server: ServerPlayer, now: float) -> None:
    """Take what the server says plays, unless events that came since the call are newer than its answer may be.

    Events up to a point that an earlier reply told of are not: the server was past it when it answered this one.
    The settings have been taken, so `_position` is where playback is now.
    """
    seen, known = draft._seen, draft._known
    if seen > known and seen != mark.seen:
        return
    newest = max(seen, known)
    track = server.track
    if track is None:
        # The event of its end is counted when it comes: no start can be before it.
        _take_no_track(draft, now)
    elif is_end(newest):
        # A start that nobody told us of: count it as seen, so that its end is taken for one.
        draft._known = draft._seen = start_after(newest)
        draft.end_time = draft._sought_at = None
        _take_track(draft, track, now)
    elif not is_same_track(draft.track, track):
        # One track ended and another began, of which no event has come yet.
        draft._known = start_after(newest)
        draft.end_time = draft._sought_at = None
        _take_track(draft, track, now)
    else:
        told = track.info.position
        near = abs(told - draft._position) <= _SLACK and not server.paused and draft.received is not None
        if near or _is_settling(draft, server.state.time, server.paused, told):
            # It was some time on its way: taking its position would only make ours jump back, by that or behind a seek.
            draft.track = track
        else:
            _take_track(draft, track, now)


def _off_air(snapshot: PlayerSnapshot, now: float) -> PlayerSnapshot:
    """Without a voice connection the position stands still."""
    state = PlayerState(snapshot.state.time, snapshot.state.position, False, -1)
    return _changed(snapshot, state=state, _position=snapshot.position_at(now), _at=now)


def _take_track(draft: Any, track: Track, now: float) -> None:
    draft.track = track
    draft._position, draft._at = track.info.position, now


def _take_no_track(draft: Any, now: float) -> None:
    draft.track = draft.end_time = draft._sought_at = None
    draft._position, draft._at = 0, now


def _start_at(draft: Any, update: PlayerUpdate, reply: ServerPlayer, now: float) -> None:
    """A new track begins where `update` asked for, though the server tells 0 until its first frame."""
    start = update.position
    if not isinstance(start, int) or start <= 0:
        return
    if abs(draft.position_at(now) - start) > _SLACK:
        draft._position, draft._at = start, now
    draft._sought_at = reply.state.time


def is_same_track(one: Track | None, other: Track | None) -> bool:
    """Whether it is the same track, or none both times. Not by `encoded`, which has the position in it."""
    if one is None or other is None:
        return one is other
    return one.info.identifier == other.info.identifier and one.info.source_name == other.info.source_name


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
