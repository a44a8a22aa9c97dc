"""The snapshot is right in every order in which events, updates and replies can arrive.

A small model of a server does what a history says, one thing after the other. What it tells over the WebSocket is one
line, its replies are another; each keeps its own order, and every way to merge the two is tried, for histories that say
something to a reader, and for all there are up to some length. States that were reached before are not looked at twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias

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
    UNSET,
    Event,
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
NOW = 50.0
# Where tracks start, where seeks go and how far the server plays on meanwhile, milliseconds: no two places are near.
STARTS = {"A": 0, "B": 20_000}
FAR = 100_000
ADVANCE = 5_000

Step: TypeAlias = tuple[str, str]


def track(name: str, position: int) -> Track:
    return Track(f"{name}@{position}", TrackInfo(name, True, "author", 10**6, False, position, name, "local"))


@dataclass
class Server:
    """What is true, and what it says of it. `line`: events and updates in the order they are sent."""

    playing: str | None = None
    position: int = 0
    paused: bool = False
    volume: int = 100
    line: tuple[Event | PlayerState, ...] = ()
    # Its clock, milliseconds, and how far it goes on before each thing it does.
    time: int = 10**6
    pace: int = 1
    # How often something happened after which an earlier reply is no longer the truth.
    moves: int = 0

    def tell(self, position: int | None = None) -> None:
        self.line = (*self.line, PlayerState(self.time, self.position if position is None else position, True, 1))

    def end(self, reason: TrackEndReason) -> None:
        if self.playing is not None:
            self.line = (*self.line, TrackEndEvent(GUILD, track(self.playing, self.position), reason))
            self.playing, self.position = None, 0

    def do(self, step: Step) -> None:
        kind, what = step
        self.time += self.pace
        self.moves += kind != "tick"
        if kind in ("play", "play_unanswered", "other_play") or (
            kind == "play_unless_playing" and self.playing is None
        ):
            self.end(TrackEndReason.REPLACED)
            self.playing, self.position, self.paused = what, STARTS[what], False
            self.tell()
            self.line = (*self.line, TrackStartEvent(GUILD, track(what, self.position)))
            self.tell()
        elif kind == "stop":
            self.end(TrackEndReason.STOPPED)
            self.paused = False
        elif kind == "finish":
            self.end(TrackEndReason.FINISHED)
        elif kind == "seek" and self.playing is not None:
            self.tell()
            self.position = FAR
            self.tell()
        elif kind == "pause":
            self.paused = True
        elif kind == "volume":
            self.volume += 1
        elif kind == "advance" and self.playing is not None:
            self.position += ADVANCE
        elif kind == "tick" and self.playing is not None:
            self.tell()

    def resume(self, heard: int, read: bool) -> None:
        """The client was away since frame `heard` and is back: events were kept, updates not; one comes now."""
        kept = [frame for frame in self.line[heard:] if isinstance(frame, Event)]
        self.line = (*self.line[:heard], *(event.with_replayed() if read else event for event in kept))
        self.tell()

    def answer(self) -> ServerPlayer:
        playing = None if self.playing is None else track(self.playing, self.position)
        state = PlayerState(self.time, self.position, False, -1)
        absent = ServerPlayer.absent(GUILD)
        return replace(absent, track=playing, volume=self.volume, paused=self.paused, state=state)


def name_of(frame: Event | PlayerState | ServerPlayer) -> tuple[object, ...]:
    """What tells one thing that is on its way from another."""
    if isinstance(frame, PlayerState):
        return (frame.time, frame.position)
    if isinstance(frame, ServerPlayer):
        return (frame.track and frame.track.encoded, frame.paused, frame.volume, frame.state.time)
    assert isinstance(frame, (TrackStartEvent, TrackEndEvent))
    return (frame.type, frame.track.encoded, frame.replayed)


# Calls of ours; of the last two no reply ever comes. The server does the first of them, and never got the second.
CALLS = ("play", "play_unless_playing", "stop", "seek", "pause", "volume", "read", "play_unanswered", "play_lost")


def update_for(step: Step) -> PlayerUpdate:
    kind, what = step
    if kind in ("play", "play_unless_playing"):
        return PlayerUpdate(track=TrackUpdate(encoded=track(what, 0).encoded), position=STARTS[what])
    if kind == "stop":
        return PlayerUpdate(track=TrackUpdate(encoded=None))
    return PlayerUpdate(
        position=FAR if kind == "seek" else UNSET,
        paused=True if kind == "pause" else UNSET,
        volume=1 if kind == "volume" else UNSET,
    )


@dataclass
class World:
    """The server, what is under way, and the snapshot, at one point of one order."""

    server: Server = field(default_factory=Server)
    snapshot: PlayerSnapshot = field(default_factory=lambda: PlayerSnapshot(GUILD))
    steps: int = 0
    heard: int = 0
    asked: tuple[Step, SendMark] | None = None
    # The reply, and the server's `moves` when it was built.
    reply: tuple[ServerPlayer, int] | None = None
    must_read: bool = False
    # The server's `moves` for which a reply has settled what is true.
    settled: int | None = None
    # The same for a resume, whose read is behind everything that was kept.
    synced: int | None = None
    path: tuple[str, ...] = ()

    def key(self) -> tuple[Any, ...]:
        """Two worlds with the same key have the same future."""
        known = (getattr(self.snapshot, field.name) for field in fields(self.snapshot) if field.name != "filters")
        snapshot = [value.encoded if isinstance(value, Track) else value for value in known]
        server = [v for k, v in vars(self.server).items() if k != "line"]
        line = tuple(map(name_of, self.server.line[self.heard :]))
        reply = self.reply and (name_of(self.reply[0]), self.reply[1])
        return (self.steps, *snapshot, *server, line, self.asked, reply, self.must_read, self.settled, self.synced)

    def after(self, what: str) -> World:
        return replace(self, server=replace(self.server), path=(*self.path, what))

    def do(self, step: Step) -> World:
        """The server does the next step; if it is a call of ours, its reply is built at some later point."""
        world = self.after(" ".join(step).strip())
        world.steps += 1
        if step[0] in ("play_unanswered", "play_lost"):
            world.must_read = True
        elif step[0] in CALLS:
            world.asked = (step, before_send(world.snapshot))
        world.server.do(step)
        return world

    def resume(self, step: Step) -> World:
        """The session is resumed: the player is read before anything else is heard, unless a call is on the wire."""
        world = self.do(step)
        busy = self.asked is not None or self.must_read
        world.server.resume(self.heard, not busy)
        if busy:
            world.must_read = True
            return world
        world.snapshot = on_read(world.snapshot, before_send(world.snapshot), world.server.answer(), NOW)
        world.settled = world.synced = world.server.moves
        return world

    def read_anew(self) -> World:
        world = self.do(("read", ""))
        world.steps, world.must_read = self.steps, False
        return world

    def build_reply(self) -> World:
        world = self.after("(reply)")
        world.reply = (world.server.answer(), world.server.moves)
        return world

    def take_reply(self) -> World:
        assert self.asked is not None
        assert self.reply is not None
        (step, mark), (reply, moves) = self.asked, self.reply
        world = self.after("<reply>")
        world.asked, world.reply, world.settled = None, None, moves
        if step[0] == "read":
            world.snapshot = on_read(world.snapshot, mark, reply, NOW)
            if before_send(self.snapshot).seen != mark.seen:
                # Events that overtook it may be newer than it: then those still to come settle it.
                world.settled = None
        else:
            no_replace = step[0] == "play_unless_playing"
            world.snapshot, unsure = on_reply(world.snapshot, mark, update_for(step), reply, NOW, no_replace)
            world.must_read = self.must_read or unsure
        return world

    def hear(self) -> World:
        frame = self.server.line[self.heard]
        world = self.after(f"<{frame.type}>" if isinstance(frame, Event) else f"<update {frame.position}>")
        world.heard += 1
        if isinstance(frame, Event):
            world.snapshot = on_event(world.snapshot, frame, NOW)
        else:
            world.snapshot = on_player_update(world.snapshot, frame, NOW)
        return world

    def ways(self, steps: list[Step]) -> Iterator[World]:
        """What can happen next, `steps` being what the server may do next."""
        if self.heard < len(self.server.line):
            yield self.hear()
        if self.reply is not None:
            yield self.take_reply()
        elif self.asked is not None:
            yield self.build_reply()
        elif self.must_read:
            yield self.read_anew()
        for step in steps:
            # Calls of a guild go out one at a time, and the reading anew first. Nobody times the playing on meanwhile.
            if step[0] == "resume":
                yield self.resume(step)
            elif step[0] not in (*CALLS, "advance") or (self.asked is None and not self.must_read):
                yield self.do(step)

    def check(self, *, sure: bool) -> None:
        """Once everything has arrived, and if `sure` from a reply until the next move on, the snapshot is the truth."""
        if self.synced == self.server.moves and self.asked is None and not self.must_read:
            assert (self.snapshot.track.info.identifier if self.snapshot.track else None) == self.server.playing, (
                self.path
            )
        settled = self.settled == self.server.moves and self.asked is None
        if self.must_read or not ((settled and sure) or (self.heard == len(self.server.line) and self.asked is None)):
            return
        server, snapshot = self.server, self.snapshot
        assert (snapshot.track.info.identifier if snapshot.track else None) == server.playing, self.path
        if sure:
            assert (snapshot.volume, snapshot.paused) == (server.volume, server.paused), self.path
        if settled and sure:
            assert snapshot.position_at(NOW) == server.position, self.path


def try_all(steps_at: Callable[[int], list[Step]], start: World | None = None, *, sure: bool = True) -> int:
    """Walk through every order, `steps_at(n)` being the steps that may be the n-th. Returns the number of states."""
    seen = set()
    stack = [start or World()]
    while stack:
        world = stack.pop()
        if (key := world.key()) not in seen:
            seen.add(key)
            world.check(sure=sure)
            stack.extend(world.ways(steps_at(world.steps)))
    return len(seen)


def steps_of(history: str) -> list[Step]:
    return [(kind, what) for kind, _, what in (step.strip().partition(" ") for step in history.split(","))]


HISTORIES = {
    "a track plays": "play A",
    "a track replaces another": "play A, tick, play B",
    "a track replaces itself": "play A, play A",
    "a track replaces itself twice": "play A, play A, play A",
    "a track is stopped": "play A, stop",
    "nothing is stopped": "stop, stop",
    "a stopped track is played again": "play A, stop, play A",
    "another is played after a stop": "play A, stop, play B, stop",
    "a short track is over at once": "play A, finish",
    "a short track is over at once and played again": "play A, finish, play A",
    "a queue of short tracks": "play A, finish, play B, finish, play A, finish",
    "the volume changes while a track ends": "play A, volume, finish, volume",
    "the volume changes between tracks": "play A, finish, volume, play B",
    "a stop while a track ends": "play A, finish, stop, play B",
    "a seek in a track that is replaced": "play A, seek, tick, play B, tick",
    "a seek while a track ends": "play A, seek, finish, play A",
    "a paused track is replaced, which plays": "play A, pause, play B",
    "a read while a track ends": "play A, read, finish, read, play B",
    "a read between replaced tracks": "play A, play B, read, stop",
}
UNSURE = {
    "a play that leaves alone what plays": "play A, play_unless_playing B",
    "a play that leaves itself alone": "play A, play_unless_playing A, stop",
    "a play for which nothing plays any more": "play A, finish, play_unless_playing B",
    "the same again unless it plays": "play A, finish, play_unless_playing A, finish, play B",
    "a play that was never answered": "play A, play_unanswered A, play B, finish",
    "a play that never arrived": "play A, play_lost B, volume, finish",
    "others play": "other_play A, volume, other_play B, read, play A, other_play A, stop, finish",
}


RESUMED = {
    "a track ends while away": "play A, finish, resume, play B, finish",
    "a track is replaced while away": "play A, play B, resume, finish, play A",
    "a track is replaced by itself while away": "play A, play A, resume, finish",
    "a stop while away": "play A, stop, resume, play A",
    "others play while away": "play A, other_play B, resume, finish",
    "others play for the first time while away": "other_play A, resume, finish, play B",
    "a seek while away": "play A, seek, resume, finish",
    "others replace it by itself while away": "play A, other_play A, resume, finish",
    "away twice": "play A, finish, resume, play B, other_play A, resume, stop",
    "a volume is set while away": "play A, volume, resume, volume, finish",
}


@pytest.mark.parametrize("pace", [1, 2000])
@pytest.mark.parametrize("history", RESUMED.values(), ids=RESUMED)
def test_what_was_kept_while_away_and_late_replies_leave_the_snapshot_right_in_every_order(
    history: str, pace: int
) -> None:
    steps = [*([step] for step in steps_of(history)), []]
    assert try_all(steps.__getitem__, World(Server(pace=pace)), sure="other" not in history) > len(steps)


def test_a_resume_at_any_point_of_any_history_leaves_the_snapshot_right_in_every_order() -> None:
    first = steps_of("play A, other_play A, play_unanswered A")
    steps = steps_of("play A, play B, stop, finish, seek, resume, other_play B, play_unanswered B, play_lost B")
    assert try_all(lambda done: (first, steps, steps, [])[done], World(Server(pace=2000)), sure=False) > 1_000


@pytest.mark.parametrize("pace", [1, 2000])
@pytest.mark.parametrize("history", HISTORIES.values(), ids=HISTORIES)
def test_the_snapshot_is_right_in_every_order(history: str, pace: int) -> None:
    steps = [*([step] for step in steps_of(history)), []]
    assert try_all(steps.__getitem__, World(Server(pace=pace))) > len(steps)


@pytest.mark.parametrize("history", UNSURE.values(), ids=UNSURE)
def test_where_it_can_not_be_known_the_snapshot_is_right_once_everything_has_arrived(history: str) -> None:
    steps = [*([step] for step in steps_of(history)), []]
    assert try_all(steps.__getitem__, World(Server(pace=2000)), sure=False) > len(steps)


@pytest.mark.parametrize("first", ["play B", "stop", "volume", "read"])
def test_the_snapshot_is_right_in_every_order_of_every_history_of_four_steps(first: str) -> None:
    steps = steps_of("play A, play B, stop, finish, volume, seek, read, tick, advance")
    assert try_all(lambda done: (steps_of(first), steps, steps, steps, [])[done], World(Server(pace=2000))) > 5_000


def test_whatever_others_do_and_whatever_is_unanswered_the_snapshot_is_right_once_everything_has_arrived() -> None:
    first = steps_of("play A, other_play A, play_unanswered A")
    steps = steps_of("play A, stop, finish, volume, other_play A, play_unanswered B, play_unless_playing A")
    assert try_all(lambda done: (first, steps, steps, [])[done], sure=False) > 5_000
