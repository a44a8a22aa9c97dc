"""A bot's process ends, at once or in order, and another one goes on with what the store has."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lavalink_sync import (
    Client,
    Node,
    Player,
    PlayerDestroyed,
    PlayerRestored,
    Status,
    StoreError,
    WaitTimeoutError,
)
from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode import ManualClock as DevClock
from lavalink_sync.stores import FileStore, MemoryStore, SQLiteStore, StoredState

from .support.clock import ManualClock
from .support.nodes import GUILD, config_for, join_voice, listen
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


@pytest.fixture(params=["file", "sqlite", "redis"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """A kind of store that outlives a process, and a place for it."""
    if request.param != "redis":
        return request.param, str(tmp_path / "store")
    return "redis", f"{request.getfixturevalue('redis_server')} restart-{uuid.uuid4().hex}"


def stored_tracks(kind: str, place: str) -> int:
    """How many players are in the store with what they play."""
    with store_of(kind, place) as store:
        return sum(player.track is not None for player in store.load().players.values())


def test_a_bot_that_was_killed_goes_on_with_the_same_session_and_the_music_never_stops(
    kept: tuple[str, str], start: Callable[..., Bot], make_client: Callable[..., Client], devnode: DevNode
) -> None:
    bot = start(*kept, devnode)
    [session] = devnode.sessions
    there = session.players[GUILD]
    wait_until(lambda: stored_tracks(*kept) == 1, "the player in the store")
    wait_until(lambda: there.position > 3000, "music that is under way")
    bot.kill()
    wait_until(lambda: not devnode.sessions, "the node to notice")
    heard = there.position
    client = make_client(store=store_of(*kept))
    restored = listen(client, PlayerRestored)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    assert node.session_id == session.session_id
    player = client.existing_player(GUILD)
    assert player is not None
    assert player.track is not None
    assert (player.track.user_data, player.volume, player.channel_id) == ({"n": 1}, 37, 5)
    assert player.position >= heard > 3000
    assert player.set_volume(50).volume == 50
    wait_until(lambda: restored, "PlayerRestored")
    assert restored == [PlayerRestored(GUILD, "resumed")]
    # The very player that was there before, with the one track that was ever begun.
    [session] = devnode.sessions
    assert session.players[GUILD] is there
    assert there.started == 1
    assert there.position >= heard


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


def test_the_music_goes_on_where_it_plays_though_discord_was_quicker_than_its_node(
    make_client: Callable[..., Client], devnode: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    store = MemoryStore()
    first = make_client(store=store)
    node = first.add_node(config_for(devnode, "b", resume_timeout=60), timeout=10)
    join_voice(first)
    first.player(GUILD).play(node.load_tracks(FLAC).tracks[0], volume=37)
    first.close(keep_sessions=True)
    second = make_client(store=store)
    empty = make_devnode()
    here = second.add_node(config_for(empty, "a"), timeout=10)
    join_voice(second)
    player = second.player(GUILD)
    assert player.node is here
    wait_until(lambda: empty.voice.links == [GUILD], "a voice connection of the wrong node")
    there = second.add_node(config_for(devnode, "b", resume_timeout=60), timeout=10)
    assert player.node is there
    assert (player.track is not None, player.volume) == (True, 37)
    wait_until(lambda: here.rest.players() == [], "the wrong node to be rid of it")
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    [session] = devnode.sessions
    assert session.players[GUILD].started == 1
    assert player.set_volume(38).volume == 38


def play_and_stop(first: Client, devnode: DevNode) -> None:
    """Leave a player on node b, as the process of a bot does that ends."""
    node = first.add_node(config_for(devnode, "b", resume_timeout=60), timeout=10)
    first.player(GUILD).play(node.load_tracks(FLAC).tracks[0], volume=37)
    first.close(keep_sessions=True)


def test_the_music_goes_on_though_a_call_to_the_wrong_node_was_on_the_wire(
    make_client: Callable[..., Client], devnode: DevNode, make_devnode: Callable[..., DevNode], clock: ManualClock
) -> None:
    store = MemoryStore()
    play_and_stop(make_client(store=store), devnode)
    second = make_client(store=store, clock=clock)
    restored = listen(second, PlayerRestored)
    empty = make_devnode()
    empty.voice.dead("voice.example")
    here = second.add_node(config_for(empty, "a"))
    join_voice(second)
    player = second.player(GUILD)
    clock.waiting(due_in=2)  # for an answer that never comes
    there = second.add_node(config_for(devnode, "b", resume_timeout=60))
    assert player.node is here
    clock.advance(2)
    wait_until(lambda: player.node is there and player.track is not None, "the player where it plays")
    assert player.volume == 37
    wait_until(lambda: restored == [PlayerRestored(GUILD, "resumed")], "PlayerRestored")
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    [session] = devnode.sessions
    assert session.players[GUILD].started == 1
    assert not [request for request in devnode.requests if request.method == "DELETE"]


def test_a_player_that_is_used_on_another_node_when_its_own_is_back_stays_there(
    make_client: Callable[..., Client], devnode: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    store, servers_clock = MemoryStore(), DevClock()
    play_and_stop(make_client(store=store), devnode)
    second = make_client(store=store)
    slow = make_devnode(clock=servers_clock)
    here = second.add_node(config_for(slow, "a"), timeout=10)
    player = second.player(GUILD)
    slow.slow("/v4/sessions", 1, method="PATCH")
    caller = threading.Thread(target=player.set_volume, args=(38,))
    caller.start()
    wait_until(lambda: [r for r in slow.requests if r.method == "PATCH"], "the call on the wire")
    second.add_node(config_for(devnode, "b", resume_timeout=60), timeout=10)
    [session] = devnode.sessions
    assert list(session.players) == [GUILD], "nothing is decided before the answer"
    servers_clock.advance(1)
    caller.join(10)
    wait_until(lambda: not session.players, "the other node to be rid of it")
    assert (player.node, player.session, player.volume) == (here, here.session_id, 38)


def test_a_call_that_comes_while_a_player_is_put_where_it_plays_waits_for_that(
    make_client: Callable[..., Client],
    devnode: DevNode,
    make_devnode: Callable[..., DevNode],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, clock = MemoryStore(), ManualClock()
    play_and_stop(make_client(store=store), devnode)
    second = make_client(store=store, clock=clock)
    second.add_node(config_for(make_devnode(), "a"))
    player = second.player(GUILD)
    answers: list[int] = []
    caller = threading.Thread(target=lambda: answers.append(player.set_volume(38, timeout=77).volume))
    put_on_from = Player.put_on_from

    def put_on_in_mid_call(self: Player, *nodes: Node | None) -> bool:
        caller.start()
        # At the guild's gate: a call on the wire would not be waited for that long without an answer.
        clock.waiting(due_in=77)
        return put_on_from(self, *nodes)

    monkeypatch.setattr(Player, "put_on_from", put_on_in_mid_call)
    there = second.add_node(config_for(devnode, "b", resume_timeout=60))
    caller.join(20)
    assert answers == [38]
    assert (player.node, player.session) == (there, there.session_id)
    [session] = devnode.sessions
    assert session.players[GUILD].volume == 38


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


def test_two_processes_never_drive_the_same_session(
    kept: tuple[str, str], start: Callable[..., Bot], make_client: Callable[..., Client], devnode: DevNode
) -> None:
    bot = start(*kept, devnode)
    [session] = devnode.sessions
    wait_until(lambda: stored_tracks(*kept) == 1, "the player in the store")
    client = make_client(store=store_of(*kept))
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    assert node.session_id != session.session_id
    assert client.players == []
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert node.session_id != session.session_id
    # What the second one does in the same guild, and its end, cost the first one nothing.
    client.player(GUILD).set_volume(99)
    client.player(GUILD).destroy()
    client.close()
    assert stored_tracks(*kept) == 1
    bot.set_volume(41)
    assert session.players[GUILD].volume == 41


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="a process can't be frozen here")
@pytest.mark.parametrize("kept", ["sqlite", "redis"], indirect=True)
def test_a_process_that_froze_for_longer_than_its_lease_leaves_the_music_to_the_one_that_took_over(
    kept: tuple[str, str], start: Callable[..., Bot], make_client: Callable[..., Client], devnode: DevNode
) -> None:
    bot = start(*kept, devnode)
    wait_until(lambda: stored_tracks(*kept) == 1, "the player in the store")
    bot.process.send_signal(signal.SIGSTOP)
    try:
        client = make_client(store=store_of(*kept))
        node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
        wait_until(lambda: [s.session_id for s in devnode.sessions if GUILD in s.players] == [node.session_id], "it")
    finally:
        bot.process.send_signal(signal.SIGCONT)
    # The first one finds its lease gone, and lets go of session and players.
    wait_until(lambda: [s.session_id for s in devnode.sessions] == [node.session_id], "the first one to leave")
    [session] = devnode.sessions
    assert session.players[GUILD].track is not None
    assert client.player(GUILD).set_volume(12).volume == 12


class Lent(MemoryStore):
    """A store whose leases another process takes away."""

    lease_seconds = 0.3
    taken: frozenset[str] = frozenset()

    def claim(self, node: str) -> bool:
        return node not in self.taken

    def renew(self, node: str) -> bool:
        return node not in self.taken


def test_the_players_of_a_node_that_another_process_has_taken_go_to_no_other_node_of_ours(
    make_client: Callable[..., Client], devnode: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    store = Lent()
    second = make_devnode()
    client = make_client(store=store)
    gone: list[int] = []
    client.add_listener(PlayerDestroyed, lambda _, event: gone.append(event.guild_id))
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    client.player_on_node(node, GUILD).play(node.load_tracks(FLAC).tracks[0])
    client.player_on_node(other, 2).set_volume(5)
    store.taken = frozenset({"main"})
    wait_until(lambda: node.status is Status.DISCONNECTED, "the node to be let go")
    wait_until(lambda: gone == [GUILD], "the event")
    assert [player.guild_id for player in client.players] == [2]
    assert [server.guild_id for server in other.rest.players()] == [2]
    assert not [r for r in devnode.requests if r.method == "DELETE"], "it is the other process's player"


def test_without_the_time_to_see_whether_another_process_lives_nothing_is_begun(
    tmp_path: Path, make_client: Callable[..., Client], devnode: DevNode
) -> None:
    place = tmp_path / "store"
    first = make_client(store=SQLiteStore(place, lease_seconds=600))
    first.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    second = make_client(store=SQLiteStore(place, lease_seconds=600))
    with pytest.raises(WaitTimeoutError, match="another process holds its stored session"):
        second.add_node(config_for(devnode), timeout=0.1)
    assert second.nodes == []
    assert len(devnode.sessions) == 1
    first.close(keep_sessions=True)
    assert second.add_node(config_for(devnode, resume_timeout=60), timeout=10) in second.nodes


def test_a_store_that_can_not_be_read_begins_nothing(
    tmp_path: Path, make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(store=FileStore(tmp_path / "no such directory" / "store.json"))
    with pytest.raises(StoreError, match="no such directory"):
        client.add_node(config_for(devnode), timeout=10)
    assert client.nodes == []
    assert devnode.sessions == []


def test_a_store_that_can_not_be_read_lets_the_lease_go(make_client: Callable[..., Client], devnode: DevNode) -> None:
    class Unreadable(MemoryStore):
        def __init__(self) -> None:
            super().__init__()
            self.held: set[str] = set()
            self.away = True

        def load(self) -> StoredState:
            if self.away:
                raise StoreError("away")
            return super().load()

        def claim(self, node: str) -> bool:
            self.held.add(node)
            return super().claim(node)

        def release(self, node: str) -> None:
            self.held.discard(node)
            super().release(node)

    store = Unreadable()
    client = make_client(store=store)
    with pytest.raises(StoreError, match="away"):
        client.add_node(config_for(devnode), timeout=10)
    assert store.held == set()
    store.away = False
    client.add_node(config_for(devnode), timeout=10)
    assert store.held == {"main"}


def test_a_player_that_was_ended_while_nobody_was_there_is_forgotten(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    store = MemoryStore()
    first = make_client(store=store)
    node = first.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    first.player(GUILD).set_volume(7)
    first.player(2).set_volume(8)
    first.close(keep_sessions=True)
    assert sorted(store.load().players) == [2, GUILD]
    assert node.session_id is not None
    other = make_client()
    other.add_node(config_for(devnode, session_id=node.session_id.reveal(), resume_timeout=60), timeout=10)
    other.player(2).destroy()
    other.close(keep_sessions=True)
    second = make_client(store=store)
    second.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    wait_until(lambda: sorted(store.load().players) == [GUILD], "the other one to be forgotten")
    assert [player.guild_id for player in second.players] == [GUILD]


def test_what_was_stored_is_made_anew_where_the_player_is_by_now(
    make_client: Callable[..., Client], devnode: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    store = MemoryStore()
    first = make_client(store=store)
    node = first.add_node(config_for(devnode, "b", resume_timeout=60), timeout=10)
    first.player(GUILD).play(node.load_tracks(FLAC).tracks[0], volume=37, paused=True)
    first.close(keep_sessions=True)
    devnode.close()
    devnode.start()
    second = make_client(store=store)
    here = second.add_node(config_for(make_devnode(), "a"), timeout=10)
    # Discord was quicker than the second node.
    join_voice(second)
    player = second.player(GUILD)
    assert player.node is here
    second.add_node(config_for(devnode, "b"), timeout=10)
    wait_until(lambda: [p.volume for p in here.rest.players() if p.track] == [37], "the music")
    assert player.set_volume(38).volume == 38
    assert player.track is not None


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
