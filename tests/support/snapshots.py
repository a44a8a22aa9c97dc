"""Snapshots of a player that plays, and the answers and events that change them."""

from __future__ import annotations

from dataclasses import replace

from lavalink_sync.core.playback import (
    PlayerSnapshot,
    before_send,
    on_event,
    on_player_update,
    on_reply,
)
from lavalink_sync.models import (
    PlayerState,
    PlayerUpdate,
    ServerPlayer,
    Track,
    TrackEndEvent,
    TrackEndReason,
    TrackInfo,
    TrackStartEvent,
    TrackUpdate,
)

GUILD = 7


def track(name: str, position: int = 0, length: int = 10_000) -> Track:
    return Track(name, TrackInfo(name, True, "author", length, False, position, name, "local"))


A, B = track("A"), track("B")
PLAY_A, PLAY_B = (PlayerUpdate(track=TrackUpdate(encoded=name)) for name in "AB")


def server_player(playing: Track | None, time: int = 0, **changes: object) -> ServerPlayer:
    absent = ServerPlayer.absent(GUILD)
    return replace(absent, track=playing, state=PlayerState(time=time), **changes)  # type: ignore[arg-type]  # any field


def reply_to(
    snapshot: PlayerSnapshot, update: PlayerUpdate, reply: ServerPlayer, now: float = 100.0, no_replace: bool = False
) -> PlayerSnapshot:
    """The snapshot after a call that nothing came in between of."""
    return on_reply(snapshot, before_send(snapshot), update, reply, now, no_replace)[0]


def start(of: Track, **flags: bool) -> TrackStartEvent:
    return TrackStartEvent(GUILD, of, **flags)


def end(of: Track, reason: TrackEndReason = TrackEndReason.FINISHED, **flags: bool) -> TrackEndEvent:
    return TrackEndEvent(GUILD, of, reason, **flags)


def playing(connected: bool = True, at: float = 100.0, **changes: object) -> PlayerSnapshot:
    snapshot = on_event(PlayerSnapshot(GUILD), TrackStartEvent(GUILD, A), at)
    snapshot = on_player_update(snapshot, PlayerState(1, 2000, connected, 5), at)
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any of its fields
