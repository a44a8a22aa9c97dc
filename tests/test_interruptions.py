"""One thing comes between another: a cut into a rebuild, a call into a sync, a lost session into a leave-taking."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    ConnectError,
    Node,
    NodeNotReadyError,
    PlayerRestored,
    PlayersSynced,
    Plugin,
    ServerPlayer,
    Session,
    Status,
    TrackEndEvent,
    TrackStartEvent,
    VoiceStage,
)
from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode import ManualClock as DevClock

from .support.clock import ManualClock
from .support.nodes import GUILD, config_for, join_voice, listen
from .support.voice import HERE, quick, updates, watched
from .support.waiting import wait_until

FLAC = "/music/flac12.flac"
NO_SESSION = '{"timestamp":1,"status":404,"error":"Not Found","message":"Session not found","path":"/"}'


def sent(devnode: DevNode, key: str) -> list[Any]:
    """What was sent as `key` of a player, in order."""
    bodies = [r.body for r in devnode.requests if r.method == "PATCH" and "/players/" in r.path]
    return [body[key] for body in bodies if key in body]


def test_a_cut_in_the_middle_of_a_rebuild_costs_no_music(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = listen(client, PlayersSynced)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0], volume=30)
    real = node.rest.update_player

    def cut(*args: Any, **options: Any) -> ServerPlayer:
        monkeypatch.setattr(node.rest, "update_player", real)
        devnode.cut_sockets()
        raise ConnectError("cut in the middle")

    monkeypatch.setattr(node.rest, "update_player", cut)
    devnode.forget_sessions()
    devnode.cut_sockets()
    # The second connection resumes a session that knows nothing of the player yet.
    wait_until(lambda: node.view.readies == 3, "the node to be back a second time")
    wait_until(lambda: [there.guild_id for there in node.rest.players()] == [GUILD], "the player")
    wait_until(lambda: synced, "PlayersSynced")
    assert synced == [PlayersSynced(node, kept=(), changed=(), created=(), ended=())]
    assert player.set_volume(31).track is not None
    there = node.rest.player(GUILD)
    assert there.track is not None
    assert there.volume == 31


def test_an_answer_that_overtakes_the_sync_is_not_undone_by_it(
    client: Client, make_devnode: Callable[..., DevNode], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = DevClock()
    devnode = make_devnode(clock=clock)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    player.set_volume(30)
    devnode.slow("/v4/sessions", 60, times=1, method="PATCH")
    caller = threading.Thread(target=lambda: player.set_volume(99))
    caller.start()
    wait_until(lambda: sent(devnode, "volume") == [30, 99], "the call to be on the wire")
    real = node.rest.players

    def read_late() -> list[ServerPlayer]:
        players = real()
        clock.advance(60)
        caller.join(10)
        return players

    monkeypatch.setattr(node.rest, "players", read_late)
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert player.volume == 99
    assert player.set_filters(player.filters).volume == 99


def test_a_player_that_somebody_ended_while_it_was_away_can_be_heard_again(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: player.voice.stage is VoiceStage.TAKEN, "the voice connection")
    player.play(node.load_tracks(FLAC).tracks[0])
    assert node.session_id is not None
    node.rest.request("DELETE", f"/v4/sessions/{node.session_id.reveal()}/players/{GUILD}")
    assert devnode.voice.links == []
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert player.track is None
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection, again")


@pytest.mark.parametrize("was_read", [True, False])
def test_what_was_kept_is_news_to_a_player_that_could_not_be_read(
    client: Client, node: Node, devnode: DevNode, was_read: bool
) -> None:
    player = client.player(GUILD)
    event = TrackStartEvent(GUILD, node.load_tracks(FLAC).tracks[0])
    client._dispatcher.expect_replays(node, {GUILD: was_read})
    with client.expect(TrackStartEvent) as told:
        client._dispatcher.message(node, event, time.monotonic())
    assert told.result().replayed
    assert (player.track is None) == was_read


def test_who_listens_just_before_an_event_takes_effect_hears_it(client: Client, node: Node) -> None:
    player = client.player_on_node(node, GUILD)
    heard: SimpleQueue[object] = SimpleQueue()
    track = node.load_tracks(FLAC).tracks[0]
    event = {"op": "event", "guildId": str(GUILD), "track": track.to_dict(), "reason": "finished"}
    waited: list[Any] = []

    def frames(kind: type[TrackStartEvent | TrackEndEvent]) -> Iterator[bytes]:
        # The read has begun: nobody listened as it was asked.
        waited.append(client.expect(kind, guild_id=GUILD, timeout=10))
        client.add_listener(kind, lambda _, event: heard.put(event))
        assert (player.track is None) == (kind is TrackStartEvent)
        yield json.dumps({**event, "type": kind.type}).encode()
        assert (player.track is None) == (kind is TrackEndEvent)

    for kind in (TrackStartEvent, TrackEndEvent):
        node._loop._take(node.view.generation, frames(kind))
        told = waited[-1].result()
        assert type(told) is kind
        assert heard.get(timeout=10) == told


@pytest.mark.parametrize("end_time", [None, 9000])
def test_what_is_made_anew_is_where_it_would_be_by_now(
    make_client: Callable[..., Client], devnode: DevNode, end_time: int | None, clock: ManualClock
) -> None:
    client, _ = watched(make_client, devnode, clock)
    clock.advance(60)
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: player.voice.stage is VoiceStage.TAKEN, "the voice connection")
    node = player.node
    assert node is not None
    track = node.load_tracks(FLAC).tracks[0]
    player.play(track, position=1000, end_time=end_time)
    wait_until(lambda: player.state.connected and player.state.position >= 1000, "it to play")
    devnode.refuse(503, times=1)
    devnode.forget_sessions()
    devnode.cut_sockets()
    clock.waiting(due_in=0.01)
    clock.advance(9)
    wait_until(lambda: len(sent(devnode, "position")) == 2, "the rebuild")
    [_, position] = sent(devnode, "position")
    if end_time is None:
        assert 10_000 <= position <= 12_000
    else:
        # Its end has passed: were it to begin behind that, it would play on to the end of the track.
        assert (position, sent(devnode, "endTime")) == (end_time - 1, [end_time, end_time])
        wait_until(lambda: player.track is None, "its end")


def test_destroying_a_player_whose_session_waits_to_be_resumed_ends_its_music(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0])
    # The server has noticed that the socket is dead, this side has not: until it has, the session is not found.
    devnode.answer("/v4/sessions", 404, NO_SESSION, "application/json", times=1, method="DELETE")
    player.destroy()
    assert node.view.readies == 2
    assert node.rest.players() == []
    assert client.players == []


def test_destroying_a_player_that_is_not_made_anew_yet_leaves_none_behind(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0])
    devnode.refuse(503)
    devnode.forget_sessions()
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    caller = threading.Thread(target=player.destroy)
    caller.start()
    devnode.refuse(None)
    caller.join(20)
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    client.player(5).set_volume(5)
    assert [there.guild_id for there in node.rest.players()] == [5]


@pytest.mark.parametrize("noticed", [True, False])
@pytest.mark.parametrize("call", ["player", "node"])
def test_a_session_that_is_never_found_is_called_an_outage(
    make_client: Callable[..., Client],
    devnode: DevNode,
    call: str,
    noticed: bool,
    monkeypatch: pytest.MonkeyPatch,
    clock: ManualClock,
) -> None:
    client, _ = watched(make_client, devnode, clock)
    [node] = client.nodes
    devnode.answer("/v4/sessions", 404, NO_SESSION, "application/json")
    devnode.refuse(503)
    if not noticed:
        # The node's thread has better things to do.
        monkeypatch.setattr(node._state, "session_is_lost", lambda session_id: None)
    met: list[BaseException] = []

    def work() -> None:
        try:
            if call == "player":
                client.player(GUILD).set_volume(5, timeout=7)
            else:
                node.update(resuming=True, deadline=7)
        except Exception as error:  # noqa: BLE001 - looked at below
            met.append(error)

    caller = threading.Thread(target=work)
    caller.start()
    if noticed:
        wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    clock.waiting(due_in=7 if noticed else 1)
    clock.advance(7)
    caller.join(10)
    assert [type(error) for error in met] == [NodeNotReadyError]
    assert "main" in str(met[0])


@pytest.mark.parametrize("how", ["forgotten", "away"])
def test_changing_the_session_waits_an_outage_out(client: Client, node: Node, devnode: DevNode, how: str) -> None:
    answered: list[Session] = []
    caller = threading.Thread(target=lambda: answered.append(node.update(resuming=True, timeout=42)))
    if how == "away":
        devnode.refuse(503)
    devnode.forget_sessions()
    if how == "away":
        devnode.cut_sockets()
        wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    caller.start()
    devnode.refuse(None)
    caller.join(20)
    assert answered == [Session(resuming=True, timeout=42)]
    assert node.update() == answered[0]


class Categories(Plugin):
    """Tells the server anew what its side of the plugin has forgotten."""

    name = "categories"

    def __init__(self) -> None:
        self.told: list[tuple[str, str, int]] = []
        self.failed: list[BaseException] = []

    def on_player_restored(self, player: Any, how: str) -> None:
        session = player.node.session_id.reveal()
        try:
            there = player.node.rest.request("GET", f"/v4/sessions/{session}/players/{player.guild_id}")
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.failed.append(error)
        else:
            self.told.append((how, player.plugin_state["categories"], int(there["guildId"])))


def test_a_plugin_can_put_its_state_back_whenever_the_server_has_forgotten_it(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]
) -> None:
    plugin = Categories()
    first, second = make_devnode(), make_devnode()
    client = make_client(plugins=[plugin])
    node = client.add_node(config_for(first, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    player.play(node.load_tracks(FLAC).tracks[0])
    player.plugin_state = {"categories": "sponsor"}
    for how in ("resumed", "rebuilt", "moved"):
        plugin.told.clear()
        if how == "moved":
            player.move_to(other)
        else:
            if how == "rebuilt":
                first.forget_sessions()
            first.cut_sockets()
        wait_until(lambda: plugin.told, how)
        assert plugin.told == [(how, "sponsor", GUILD)]
    assert not plugin.failed


def to_the_remake(client: Client, devnode: DevNode, clock: ManualClock) -> None:
    """A player whose voice update is not answered, up to where it is about to be deleted for that."""
    join_voice(client)
    wait_until(lambda: updates(devnode) == [HERE], "the voice update")
    clock.waiting(due_in=2)
    clock.advance(2)
    clock.waiting(due_in=8)
    clock.advance(8)
    clock.waiting(due_in=2)


@pytest.mark.parametrize("trouble", [False, True])
def test_a_player_that_is_deleted_to_clear_its_voice_keeps_its_music(
    make_client: Callable[..., Client], devnode: DevNode, trouble: bool, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    [node] = client.nodes
    restored = listen(client, PlayerRestored)
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0], volume=44, user_data={"n": 1})
    devnode.voice.dead(HERE)
    to_the_remake(client, devnode, clock)
    devnode.voice.heal()
    if trouble:
        # It is deleted, and then the call that makes it anew is lost, as is its second try.
        devnode.hang_up("/v4/sessions", times=2, method="PATCH")
    clock.advance(2)
    wait_until(lambda: restored, "PlayerRestored")
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    # A plugin's side of the server has forgotten the player, which is told.
    assert restored == [PlayerRestored(GUILD, "rebuilt")]
    there = node.rest.player(GUILD)
    assert there.track is not None
    assert (there.track.user_data, there.volume) == ({"n": 1}, 44)
    assert player.track is not None
    assert not told


def test_voice_data_that_has_to_wait_long_for_another_call_is_sent_after_it(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]
) -> None:
    clock, servers_clock = ManualClock(), DevClock()
    devnode = make_devnode(clock=servers_clock)
    client = make_client(clock=clock)
    client.add_node(quick(devnode, read=600), timeout=60)
    player = client.player(GUILD)
    player.set_volume(5)
    devnode.slow("/v4/sessions", 500, times=1, method="PATCH")
    caller = threading.Thread(target=lambda: player.set_volume(6, timeout=500))
    caller.start()
    wait_until(lambda: sent(devnode, "volume") == [5, 6], "the call to be on the wire")
    join_voice(client)
    clock.waiting(due_in=60)
    clock.advance(60)
    # It did not get its turn in time, and comes again.
    clock.waiting(due_in=2)
    servers_clock.advance(500)
    caller.join(10)
    clock.advance(2)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
