"""A bot's process ends, at once or in order, and another one goes on with what the store has."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lavalink_sync import Client, PlayerRestored
from lavalink_sync.devnode import DevNode
from lavalink_sync.stores import FileStore, MemoryStore

from .support.nodes import GUILD, config_for, join_voice
from .support.restarted import store_of
from .support.waiting import wait_until

FLAC = "/music/flac12.flac"


class Bot:
    """Another process that plays in `GUILD`."""

    def __init__(self, kind: str, place: str, devnode: DevNode) -> None:
        command = [sys.executable, "-m", "tests.support.restarted", kind, place, devnode.address, devnode.password]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parent.parent
        )
        assert self.heard() == "playing"

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def set_volume(self, percent: int) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{percent}\n")
        self.process.stdin.flush()
        assert self.heard() == "done"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)


@pytest.fixture
def start() -> Iterator[Callable[..., Bot]]:
    bots: list[Bot] = []

    def make(kind: str, place: str, devnode: DevNode) -> Bot:
        bots.append(Bot(kind, place, devnode))
        return bots[-1]

    yield make
    for bot in bots:
        bot.kill()


def begun(devnode: DevNode) -> int:
    """How many tracks were begun in the guild."""
    return sum("track" in (r.body or {}) for r in devnode.requests if r.method == "PATCH")


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_bot_that_was_killed_goes_on_with_the_same_session_and_the_music_never_stops(
    kind: str, tmp_path: Path, start: Callable[..., Bot], make_client: Callable[..., Client], devnode: DevNode
) -> None:
    place = str(tmp_path / "store")
    bot = start(kind, place, devnode)
    [session] = devnode.sessions
    wait_until(lambda: len(store_of_reader(kind, place).load().players) == 1, "the player in the store")
    bot.kill()
    wait_until(lambda: not devnode.sessions, "the node to notice")
    client = make_client(store=store_of(kind, place))
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    assert node.session_id == session.session_id
    player = client.existing_player(GUILD)
    assert player is not None
    assert player.track is not None
    assert (player.track.user_data, player.volume, player.channel_id) == ({"n": 1}, 37, 5)
    assert player.set_volume(50).volume == 50
    assert begun(devnode) == 1


def store_of_reader(kind: str, place: str) -> MemoryStore | FileStore:
    store: FileStore = store_of(kind, place)  # type: ignore[assignment]  # whichever, it can load
    return store


def test_what_was_stored_is_made_anew_where_the_server_has_forgotten_it(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    store = MemoryStore()
    first = make_client(store=store)
    node = first.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = first.player(GUILD)
    join_voice(first)
    player.play(node.load_tracks(FLAC).tracks[0], volume=37, user_data={"n": 1}, position=3000, paused=True)
    player.plugin_state = {"sponsorblock": ["intro"]}
    first.close(keep_sessions=True)
    devnode.close()
    devnode.start()
    restored: list[PlayerRestored] = []
    second = make_client(store=store)
    second.add_listener(PlayerRestored, lambda _, event: restored.append(event))
    node = second.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    wait_until(lambda: restored, "PlayerRestored")
    assert restored == [PlayerRestored(GUILD, "rebuilt")]
    made = node.rest.player(GUILD)
    assert made.track is not None
    assert (made.track.user_data, made.volume, made.paused) == ({"n": 1}, 37, True)
    again = second.existing_player(GUILD)
    assert again is not None
    assert again.plugin_state == {"sponsorblock": ["intro"]}
    assert again.channel_id == 1234


def test_after_a_close_in_order_nothing_is_left_in_the_store(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    store = MemoryStore()
    client = make_client(store=store)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    client.player(GUILD).play(node.load_tracks(FLAC).tracks[0])
    wait_until(lambda: store.load().players, "the player in the store")
    client.close()
    assert store.load().players == {}
    assert store.load().sessions == {}


def test_a_player_that_was_destroyed_is_forgotten(make_client: Callable[..., Client], devnode: DevNode) -> None:
    store = MemoryStore()
    client = make_client(store=store)
    client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    player.set_volume(7)
    wait_until(lambda: store.load().players, "the player in the store")
    player.destroy()
    wait_until(lambda: not store.load().players, "the player to be forgotten")


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_two_processes_never_drive_the_same_session(
    kind: str, tmp_path: Path, start: Callable[..., Bot], make_client: Callable[..., Client], devnode: DevNode
) -> None:
    place = str(tmp_path / "store")
    start(kind, place, devnode)
    [session] = devnode.sessions
    client = make_client(store=store_of(kind, place))
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    assert node.session_id != session.session_id
    assert client.players == []
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert node.session_id != session.session_id


def test_no_password_and_no_voice_token_reach_the_store(
    tmp_path: Path, make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(store=FileStore(tmp_path / "store.json"))
    client.add_node(config_for(devnode), timeout=10)
    join_voice(client)
    client.player(GUILD).set_volume(7)
    wait_until(lambda: (tmp_path / "store.json").exists(), "the store's file")
    client.close(keep_sessions=True)
    text = (tmp_path / "store.json").read_text("utf-8")
    assert "81384788765712384" in text
    for secret in (devnode.password, "a-discord-token", "a-discord-session"):
        assert secret not in text
