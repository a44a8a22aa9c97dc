"""The snapshot is right in every order in which events and replies can arrive.

A small model of a server does what a scenario says, in order. Its events travel on one line, its replies on another;
each keeps its own order, and every way to merge the two is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest

from lavalink_sync.core.playback import (
    PlayerSnapshot,
    SendMark,
    before_send,
    on_event,
    on_player_update,
    on_read,
    on_reply,
)
from lavalink_sync.models import (
    Event,
    Filters,
    PlayerState,
    PlayerUpdate,
    ServerPlayer,
    Timescale,
    Track,
    TrackEndEvent,
    TrackEndReason,
    TrackInfo,
    TrackStartEvent,
    TrackStuckEvent,
    TrackUpdate,
    WebSocketClosedEvent,
)

GUILD = 7


def track(name: str, position: int = 0, length: int = 10_000) -> Track:
    return Track(name, TrackInfo(name, True, "author", length, False, position, name, "local"))


A, B = track("A"), track("B")


def server_player(playing: Track | None, **changes: object) -> ServerPlayer:
    return replace(ServerPlayer.absent(GUILD), track=playing, **changes)  # type: ignore[arg-type]  # any of its fields


def update_for(step: tuple[str, object]) -> PlayerUpdate:
    kind, value = step
    if kind in ("play", "play_unless_playing"):
        assert isinstance(value, Track)
        return PlayerUpdate(track=TrackUpdate(encoded=value.encoded))
    if kind == "stop":
        return PlayerUpdate(track=TrackUpdate(encoded=None))
    return PlayerUpdate(volume=50)


@dataclass
class World:
    """The server, the two lines, and the snapshot, at one point of one order."""

    snapshot: PlayerSnapshot = field(default_factory=lambda: PlayerSnapshot(GUILD))
    playing: Track | None = None
    moves: int = 0
    step: int = 0
    events: tuple[Event, ...] = ()
    pending: tuple[SendMark, PlayerUpdate, ServerPlayer, bool, bool] | None = None
    sure_since: int | None = 0
    must_read: bool = False
    path: tuple[str, ...] = ()

    def copy(self, what: str) -> World:
        return replace(self, path=(*self.path, what))

    def do(self, step: tuple[str, object]) -> World:
        """The server does the next step; a call's reply is on its way from then on."""
        kind, value = step
        world = self.copy(f"{kind} {getattr(value, 'encoded', '')}")
        world.step += 1
        skipped = kind == "play_unless_playing" and world.playing is not None
        if kind == "finish":
            world.emit_end(TrackEndReason.FINISHED)
            return world
        update = update_for(step)
        mark = before_send(world.snapshot)
        if kind in ("play", "play_unless_playing") and not skipped:
            assert isinstance(value, Track)
            world.emit_end(TrackEndReason.REPLACED)
            world.playing, world.moves = value, world.moves + 1
            world.events = (*world.events, TrackStartEvent(GUILD, value))
        elif kind == "stop":
            world.emit_end(TrackEndReason.STOPPED)
        reply = server_player(world.playing, volume=world.moves % 100)
        world.pending = (mark, update, reply, kind == "play_unless_playing", kind == "read")
        world.sure_since = None
        return world

    def emit_end(self, reason: TrackEndReason) -> None:
        if self.playing is not None:
            self.events = (*self.events, TrackEndEvent(GUILD, self.playing, reason))
            self.playing, self.moves = None, self.moves + 1

    def deliver_event(self) -> World:
        world = self.copy(f"<{self.events[0].type}>")
        world.snapshot = on_event(world.snapshot, self.events[0], 0.0)
        world.events = self.events[1:]
        return world

    def deliver_reply(self) -> World:
        assert self.pending is not None
        mark, update, reply, no_replace, is_read = self.pending
        world = self.copy("<reply>")
        world.pending = None
        if is_read:
            world.snapshot = on_read(world.snapshot, mark, reply, 0.0)
        else:
            world.snapshot, world.must_read = on_reply(world.snapshot, mark, update, reply, 0.0, no_replace)
        # From here on the snapshot is right until the server moves on, whatever late events arrive; but for a read that
        # events overtook: then those still to come make it right.
        overtaken = is_read and before_send(self.snapshot).seen != mark.seen
        sure = reply.track == world.playing and not world.must_read and not overtaken
        world.sure_since = world.moves if sure else None
        return world

    def check(self) -> None:
        playing = self.snapshot.track.encoded if self.snapshot.track else None
        truth = self.playing.encoded if self.playing else None
        quiet = not self.events and self.pending is None and not self.must_read
        if quiet or (self.sure_since == self.moves and not self.must_read):
            assert playing == truth, f"{playing} is not {truth} after: {', '.join(self.path)}"


def orders(world: World, scenario: list[tuple[str, object]]) -> Iterator[World]:
    """Every order in which the scenario's steps, events and replies can follow each other; checked at each point."""
    world.check()
    ways: list[World] = []
    if world.must_read and world.pending is None:
        read = world.copy("read")
        read.must_read = False
        read.pending = (before_send(read.snapshot), PlayerUpdate(), server_player(read.playing), False, True)
        ways.append(read)
    elif world.step < len(scenario) and (world.pending is None or scenario[world.step][0] == "finish"):
        ways.append(world.do(scenario[world.step]))
    if world.events:
        ways.append(world.deliver_event())
    if world.pending is not None:
        ways.append(world.deliver_reply())
    if not ways:
        yield world
    for way in ways:
        yield from orders(way, scenario)


SCENARIOS: dict[str, list[tuple[str, object]]] = {
    "a track plays": [("play", A)],
    "a track replaces another": [("play", A), ("play", B)],
    "a track replaces itself": [("play", A), ("play", A)],
    "a track replaces itself twice": [("play", A), ("play", A), ("play", A)],
    "a track is stopped": [("play", A), ("stop", None)],
    "nothing is stopped": [("stop", None), ("stop", None)],
    "a stopped track is played again": [("play", A), ("stop", None), ("play", A)],
    "another is played after a stop": [("play", A), ("stop", None), ("play", B), ("stop", None)],
    "a short track is over at once": [("play", A), ("finish", None)],
    "a short track is over at once and played again": [("play", A), ("finish", None), ("play", A)],
    "a queue of short tracks": [("play", A), ("finish", None), ("play", B), ("finish", None)],
    "the volume changes while a track ends": [("play", A), ("volume", None), ("finish", None), ("volume", None)],
    "the volume changes between tracks": [("play", A), ("finish", None), ("volume", None), ("play", B)],
    "a stop while a track ends": [("play", A), ("finish", None), ("stop", None), ("play", B)],
    "a play that leaves alone what plays": [("play", A), ("play_unless_playing", B)],
    "a play that leaves itself alone": [("play", A), ("play_unless_playing", A), ("stop", None)],
    "a play for which nothing plays any more": [("play", A), ("finish", None), ("play_unless_playing", B)],
    "a read while a track ends": [("play", A), ("read", None), ("finish", None), ("read", None), ("play", B)],
    "a read between replaced tracks": [("play", A), ("play", B), ("read", None), ("stop", None)],
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_the_snapshot_is_right_in_every_order(scenario: list[tuple[str, object]]) -> None:
    ends = list(orders(World(), scenario))
    assert ends
    for end in ends:
        assert end.step == len(scenario)


def playing(connected: bool = True, at: float = 100.0, **changes: object) -> PlayerSnapshot:
    snapshot = on_event(PlayerSnapshot(GUILD), TrackStartEvent(GUILD, A), at)
    snapshot = on_player_update(snapshot, PlayerState(1, 2000, connected, 5), at)
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any of its fields


def test_the_position_moves_on_with_the_clock() -> None:
    assert playing().position_at(100.0) == 2000
    assert playing().position_at(101.5) == 3500


def test_the_position_keeps_to_the_track() -> None:
    assert playing().position_at(1000.0) == 10_000
    assert playing().position_at(0.0) == 0
    stream = replace(A, info=replace(A.info, is_stream=True, length=2**63 - 1))
    assert playing(track=stream).position_at(1000.0) == 902_000


def test_the_position_moves_at_the_timescales_speed_times_rate() -> None:
    filters = Filters(timescale=Timescale(speed=1.5, pitch=3.0, rate=2.0))
    assert playing(filters=filters).position_at(101.0) == 5000


def test_the_position_stands_still_while_paused_or_without_voice() -> None:
    assert playing(paused=True).position_at(105.0) == 2000
    assert playing(connected=False).position_at(105.0) == 2000


def test_without_a_track_the_position_is_0_and_before_the_first_update_where_it_starts() -> None:
    assert PlayerSnapshot(GUILD).position_at(50.0) == 0
    started = on_event(PlayerSnapshot(GUILD), TrackStartEvent(GUILD, track("C", position=700)), 1.0)
    assert started.position_at(60.0) == 700


def test_a_pause_and_a_change_of_speed_do_not_make_the_position_jump() -> None:
    snapshot = playing()
    for update, changes in (
        (PlayerUpdate(paused=True), {"paused": True}),
        (PlayerUpdate(paused=False), {"paused": False}),
        (PlayerUpdate(filters=Filters()), {"filters": Filters(timescale=Timescale(speed=2.0))}),
    ):
        before = snapshot.position_at(102.0)
        reply = server_player(replace(A, info=replace(A.info, position=before)), **changes)
        snapshot, _ = on_reply(snapshot, before_send(snapshot), update, reply, 102.0)
        assert snapshot.position_at(102.0) == before


def sought() -> PlayerSnapshot:
    reply = server_player(replace(A, info=replace(A.info, position=8000)))
    snapshot = playing()
    return on_reply(snapshot, before_send(snapshot), PlayerUpdate(position=8000), reply, 100.0)[0]


def test_a_seek_shows_at_once_and_an_old_update_after_it_is_not_believed() -> None:
    assert sought().position_at(100.0) == 8000
    late = on_player_update(sought(), PlayerState(2, 2100, True, 5), 100.1)
    assert late.position_at(100.1) == 8100
    again = on_player_update(late, PlayerState(3, 2200, True, 5), 100.2)
    assert again.position_at(100.2) == 2200, "the second one is the truth"


def test_an_update_that_follows_a_seek_is_believed() -> None:
    assert on_player_update(sought(), PlayerState(2, 8050, True, 5), 100.1).position_at(100.1) == 8050


def test_a_closed_voice_connection_freezes_the_position() -> None:
    closed = on_event(playing(), WebSocketClosedEvent(GUILD, 4014, "", True), 101.0)
    assert not closed.state.connected
    assert closed.position_at(110.0) == 3000


def test_a_reply_never_says_whether_there_is_a_voice_connection() -> None:
    reply = server_player(A, state=PlayerState(5, 0, False, -1))
    snapshot, _ = on_reply(playing(), before_send(playing()), PlayerUpdate(volume=5), reply, 100.0)
    assert snapshot.state.connected


def test_a_replayed_event_changes_nothing() -> None:
    snapshot = playing()
    assert on_event(snapshot, TrackEndEvent(GUILD, A, TrackEndReason.FINISHED, replayed=True), 1.0) == snapshot


def test_an_event_that_says_nothing_of_what_plays_changes_nothing() -> None:
    snapshot = playing()
    assert on_event(snapshot, TrackStuckEvent(GUILD, A, 10_000), 1.0) == snapshot


def test_the_end_time_goes_with_its_track() -> None:
    snapshot = playing()
    reply = server_player(A)
    snapshot, _ = on_reply(snapshot, before_send(snapshot), PlayerUpdate(end_time=5000), reply, 100.0)
    assert snapshot.end_time == 5000
    snapshot, _ = on_reply(snapshot, before_send(snapshot), update_for(("play", B)), server_player(B), 100.0)
    assert snapshot.end_time is None


def test_the_servers_answer_sets_volume_pause_and_filters() -> None:
    filters = Filters(volume=0.5)
    reply = server_player(None, volume=1000, paused=True, filters=filters)
    snapshot = PlayerSnapshot(GUILD)
    snapshot, _ = on_reply(snapshot, before_send(snapshot), PlayerUpdate(volume=5000), reply, 0.0)
    assert (snapshot.volume, snapshot.paused, snapshot.filters) == (1000, True, filters)
