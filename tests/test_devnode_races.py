"""The races of a development node: told, or drawn from a seed as often as they were recorded; and an hour of music."""

from __future__ import annotations

import functools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode.clock import ManualClock
from lavalink_sync.devnode.http import Answer, RestError
from lavalink_sync.devnode.loop import Loop
from lavalink_sync.devnode.player_rest import patch_player
from lavalink_sync.devnode.player_update import read_update
from lavalink_sync.devnode.races import Dice, Races
from lavalink_sync.devnode.session import Session
from lavalink_sync.devnode.sources import Sources
from lavalink_sync.devnode.voice import VoiceServers
from lavalink_sync.devnode.world import World

from .support.devnode_line import VOICE, Line, line_of
from .support.recorded_music import flac

TRACK = {"track": {"identifier": "/music/hour.flac"}}
TOLD = {"playerUpdate": "update", "TrackEndEvent": "end", "TrackStartEvent": "start"}


@pytest.fixture
def music(tmp_path: Path) -> Path:
    (tmp_path / "hour.flac").write_bytes(flac("An Hour", 3_600_000))
    return tmp_path


@pytest.fixture
def line(make_devnode: Callable[..., DevNode], music: Path) -> Iterator[Line]:
    with line_of(make_devnode, music=music) as line:
        yield line


def nothing() -> None:
    """Do it."""


class Desk:
    """A session without a network: what it says and answers, in the order in which it does."""

    def __init__(self, music: Path, races: Races) -> None:
        self.said: list[str] = []
        self.clock = ManualClock()
        loop = Loop(self.clock, "never started")
        dice = Dice(races)
        world = World(loop, 5.0, VoiceServers(lambda job: job(), dice.voice_resumes), dice)
        self.sources = Sources(music, loop.post)
        self.session = Session(world, 1, lambda frames: {})
        self.loop = loop
        self.started = False

    def start(self) -> None:
        if not self.started:
            self.started = True
            self.loop.start()

    def say(self, text: str) -> None:
        message = json.loads(text)
        self.said.append(TOLD.get(message.get("type", message["op"]), message["op"]))

    def patch(self, body: dict[str, Any]) -> list[str]:
        self.said.clear()
        patch_player(self.sources, self.session, 1, read_update(body), False, self._answer)
        return list(self.said)

    def _answer(self, answer: Answer | RestError) -> None:
        if isinstance(answer, RestError):
            raise answer
        self.said.append("reply")

    def close(self) -> None:
        self.start()
        self.loop.stop(lambda: True, 0, self.session.end)


@pytest.fixture
def desk(music: Path) -> Iterator[Callable[[Races], Desk]]:
    made: list[Desk] = []

    def make(races: Races) -> Desk:
        made.append(Desk(music, races))
        return made[-1]

    yield make
    for each in made:
        each.close()


class SlowSources(Sources):
    """Finds a track when it is told to."""

    find: Callable[[], None]

    def load(self, identifier: str, done: Callable[[dict[str, Any]], None]) -> None:
        self.find = functools.partial(super().load, identifier, done)


def test_a_player_that_is_deleted_while_its_track_is_looked_for_plays_all_the_same(
    desk: Callable[[Races], Desk], music: Path
) -> None:
    found = desk(Races())
    found.session.attach(found, resumed=False)
    found.sources = sources = SlowSources(music, found.loop.post)
    assert found.patch(TRACK) == []
    found.session.players.pop(1).destroy()
    sources.find()
    assert found.said == ["start", "update", "update", "reply"]
    assert found.session.players == {}
    found.start()
    found.clock.advance(5)
    assert found.said[4:] == ["update"]
    found.loop.call(found.session.end)
    found.clock.advance(100)
    assert found.said[5:] == [], "it ends with its session"


@pytest.mark.parametrize(
    ("reply", "told"),
    [
        ("before", ["reply", "end", "start", "update", "update"]),
        ("between", ["end", "reply", "start", "update", "update"]),
        ("after", ["end", "start", "update", "update", "reply"]),
    ],
)
def test_the_answer_comes_where_it_is_told_to(desk: Callable[[Races], Desk], reply: Any, told: list[str]) -> None:
    found = desk(Races(reply=reply))
    found.session.attach(found, resumed=False)
    found.patch(TRACK)
    assert found.patch(TRACK) == told


def test_what_is_drawn_comes_as_often_as_it_was_recorded(desk: Callable[[Races], Desk]) -> None:
    """Protocol 3.11, second round: of 150 plays over a playing track, 72 replies after, 36 between, 42 before."""
    found = desk(Races.drawn(seed=7))
    found.session.attach(found, resumed=False)
    found.patch(TRACK)
    places = Counter(found.patch(TRACK).index("reply") for _ in range(600))
    assert set(places) == {0, 1, 4}
    assert [round(places[place] / 600, 1) for place in (4, 1, 0)] == [0.5, 0.2, 0.3]


# How often each was recorded; the last two were not counted, "mostly" and "can".
CHANCES: list[tuple[Callable[[Dice], bool], float]] = [
    (Dice.stats_first, 49 / 200),
    (Dice.update_before_start, 26 / 47),
    (Dice.old_seek_update, 4 / 13),
    (Dice.old_seek_reply, 4 / 13),
    (Dice.voice_resumes, 12 / 15),
    (Dice.closed_event, 0.9),
    (Dice.update_after_delete, 0.05),
]


@pytest.mark.parametrize(("draw", "chance"), CHANCES)
def test_each_race_goes_as_often_as_it_was_recorded(draw: Callable[[Dice], bool], chance: float) -> None:
    dice = Dice(Races.drawn(seed=1))
    assert sum(draw(dice) for _ in range(4000)) / 4000 == pytest.approx(chance, abs=0.03)


def test_a_seed_gives_the_same_again(desk: Callable[[Races], Desk]) -> None:
    runs = []
    for _ in range(2):
        found = desk(Races.drawn(seed=3))
        found.session.attach(found, resumed=False)
        runs.append([found.patch(TRACK) for _ in range(30)])
    assert runs[0] == runs[1]
    assert len({tuple(each) for each in runs[0][1:]}) > 3


def test_by_default_nothing_is_drawn(desk: Callable[[Races], Desk]) -> None:
    found = desk(Races())
    found.session.attach(found, resumed=False)
    found.patch(TRACK)
    assert {tuple(found.patch(TRACK)) for _ in range(50)} == {("end", "start", "update", "update", "reply")}


def test_a_race_that_can_not_end_so_is_refused() -> None:
    with pytest.raises(ValueError, match="reply must be None or one of before, between, after"):
        Races(reply="never")  # type: ignore[arg-type]


def test_an_hour_of_music_takes_no_time_and_is_in_order(line: Line) -> None:
    line.join()
    line.ask("PATCH", TRACK)
    line.said()
    begun = time.process_time()
    line.clock.advance(3600)
    took = time.process_time() - begun
    wanted = [f"on 0 at {seconds * 1000 + 360}" for seconds in range(5, 3600, 5)]
    assert line.said() == [*wanted, "TrackEndEvent finished"]
    assert took < 2, "seconds of CPU for about 800 timers"


def test_timers_that_were_cancelled_do_not_pile_up(desk: Callable[[Races], Desk]) -> None:
    loop = desk(Races()).loop
    kept = [loop.later(3600, nothing) for _ in range(10)]
    for _ in range(20_000):
        loop.later(3600, nothing).cancel()
    assert len(loop._timers) < 2_000
    assert [each[2] for each in loop._timers if each[2].job is not None] == kept


def test_a_thousand_players_cost_little(desk: Callable[[Races], Desk]) -> None:
    found = desk(Races())
    found.session.attach(found, resumed=False)
    for guild_id in range(1000):
        body = read_update({**TRACK, "voice": VOICE})
        patch_player(found.sources, found.session, guild_id, body, False, found._answer)
    found.said.clear()
    found.start()
    begun = time.process_time()
    found.clock.advance(50)
    took = time.process_time() - begun
    assert Counter(found.said) == {"update": 10_000}
    assert took < 5, "seconds of CPU for 10,000 updates"
