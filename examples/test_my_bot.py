"""A small music bot and its tests: copy both, and replace what you like.

Your `conftest.py` needs one line: `pytest_plugins = ["lavalink_sync.testing"]`. No Lavalink and no Discord are needed:
the node runs inside the test.
"""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Callable

import pytest

from lavalink_sync import (
    Client,
    LoadFailed,
    Player,
    PlaylistLoaded,
    SearchResult,
    Track,
    TrackEndEvent,
    TrackExceptionEvent,
    TrackLoaded,
    TrackStuckEvent,
)
from lavalink_sync.devnode import DevNode, ManualClock
from lavalink_sync.testing import GUILD_ID, join_voice, wait_until


class Bot:
    """Plays what it is told in each guild, one track after the other. `say(text)` posts into the guild's channel."""

    def __init__(self, client: Client, say: Callable[[str], object]) -> None:
        self.client = client
        self.say = say
        self.queues: dict[int, deque[Track]] = defaultdict(deque)
        # Commands come on any thread, events on the client's workers.
        self.lock = threading.RLock()
        client.add_listener(TrackEndEvent, self.on_end)
        client.add_listener(TrackExceptionEvent, lambda player, event: say(f"{event.track.info.title} is broken"))
        client.add_listener(TrackStuckEvent, self.on_stuck)

    def command(self, guild_id: int, text: str) -> None:
        """What somebody typed: `play <address or words>`, `skip`, `stop`."""
        word, _, rest = text.partition(" ")
        if word == "play":
            self.play(guild_id, rest)
        elif word == "skip":
            self.next(guild_id)
        elif word == "stop":
            self.queues[guild_id].clear()
            self.client.player(guild_id).stop()

    def play(self, guild_id: int, wish: str) -> None:
        # Also one that is just reconnecting can load.
        node = self.client.best_node() or self.client.nodes[0]
        found: list[Track] = []
        match node.load_tracks(wish if "://" in wish else f"ytsearch:{wish}"):
            case TrackLoaded(track):
                found = [track]
            case PlaylistLoaded(playlist):
                found = list(playlist.tracks)
            case SearchResult([first, *_]):
                found = [first]
            case LoadFailed(exception):
                self.say(f"that can't be loaded: {exception.message if exception else 'no reason was given'}")
                return
        if not found:
            self.say("nothing was found")
            return
        with self.lock:
            self.queues[guild_id].extend(found)
            if self.client.player(guild_id).track is None:
                self.next(guild_id)
            else:
                self.say(f"queued {found[0].info.title}")

    def next(self, guild_id: int) -> None:
        with self.lock:
            queue, player = self.queues[guild_id], self.client.player(guild_id)
            if queue:
                player.play(queue.popleft())
                self.say(f"playing {player.track.info.title if player.track else 'what is already over'}")
            else:
                player.stop()
                self.say("that was all")

    def on_end(self, player: Player, event: TrackEndEvent) -> None:
        if event.reason.may_start_next:
            self.next(player.guild_id)

    def on_stuck(self, player: Player, event: TrackStuckEvent) -> None:
        self.say(f"{event.track.info.title} is stuck")
        self.next(player.guild_id)


# The tests.

ONE, TWO, THREE = "https://example.org/one", "https://example.org/two", "https://example.org/three"


@pytest.fixture
def said() -> list[str]:
    """What the bot has said."""
    return []


@pytest.fixture
def bot(lavalink_client: Client, lavalink_node: DevNode, said: list[str]) -> Bot:
    """A bot in a voice channel, and three songs of an hour each that can be loaded."""
    for address, title in ((ONE, "One"), (TWO, "Two"), (THREE, "Three")):
        lavalink_node.tracks.add(address, title=title, length=3_600_000)
    join_voice(lavalink_client)
    wait_until(lambda: lavalink_node.voice.links == [GUILD_ID], "the voice connection")
    return Bot(lavalink_client, said.append)


def test_it_plays_what_it_is_told(bot: Bot, said: list[str]) -> None:
    bot.command(GUILD_ID, f"play {ONE}")
    bot.command(GUILD_ID, f"play {TWO}")
    assert said == ["playing One", "queued Two"]


def test_words_are_searched_for(bot: Bot, lavalink_node: DevNode, said: list[str]) -> None:
    found = [lavalink_node.tracks.add(f"id-{title}", title=title) for title in ("Best", "Second best")]
    lavalink_node.tracks.search("ytsearch:something nice", found)
    bot.command(GUILD_ID, "play something nice")
    bot.command(GUILD_ID, "play no such thing")
    assert said == ["playing Best", "nothing was found"]


def test_after_an_hour_the_next_one_plays(bot: Bot, lavalink_clock: ManualClock, said: list[str]) -> None:
    bot.command(GUILD_ID, f"play {ONE}")
    bot.command(GUILD_ID, f"play {TWO}")
    lavalink_clock.advance(3601)
    wait_until(lambda: said[-1] == "playing Two", "the second song")
    lavalink_clock.advance(3601)
    wait_until(lambda: said[-1] == "that was all", "the end")


def test_it_skips_and_stops(bot: Bot, lavalink_client: Client, said: list[str]) -> None:
    for command in (f"play {ONE}", f"play {TWO}", "skip", "skip", f"play {THREE}", "stop"):
        bot.command(GUILD_ID, command)
    assert said == ["playing One", "queued Two", "playing Two", "that was all", "playing Three"]
    assert lavalink_client.player(GUILD_ID).track is None


def test_a_broken_song_is_told_and_left_out(bot: Bot, lavalink_node: DevNode, said: list[str]) -> None:
    both = [lavalink_node.tracks.add(address, title=title) for address, title in ((ONE, "One"), (TWO, "Two"))]
    lavalink_node.tracks.playlist("https://example.org/list", "Both", both)
    lavalink_node.tracks.break_track(ONE)
    bot.command(GUILD_ID, "play https://example.org/list")
    wait_until(lambda: said[-1] == "playing Two", "the second song")
    assert "One is broken" in said


@pytest.mark.parametrize("severity", ["common", "suspicious", "fault"])
def test_what_can_not_be_loaded_is_told(bot: Bot, lavalink_node: DevNode, said: list[str], severity: str) -> None:
    lavalink_node.tracks.fail(ONE, message="this video is private", severity=severity)
    bot.command(GUILD_ID, f"play {ONE}")
    assert said == ["that can't be loaded: this video is private"]


def test_a_stuck_song_is_left(bot: Bot, lavalink_node: DevNode, lavalink_clock: ManualClock, said: list[str]) -> None:
    bot.command(GUILD_ID, f"play {ONE}")
    bot.command(GUILD_ID, f"play {TWO}")
    lavalink_clock.advance(60)
    lavalink_node.playback.stall(GUILD_ID)
    lavalink_clock.advance(30)
    wait_until(lambda: said[-1] == "playing Two", "the second song")
    assert said[-2] == "One is stuck"


def test_a_lost_connection_goes_unnoticed(bot: Bot, lavalink_node: DevNode, said: list[str]) -> None:
    bot.command(GUILD_ID, f"play {ONE}")
    lavalink_node.cut_sockets()
    bot.command(GUILD_ID, f"play {TWO}")
    bot.command(GUILD_ID, "skip")
    assert said == ["playing One", "queued Two", "playing Two"]
