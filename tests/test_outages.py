"""The connection breaks in one way or another: what a user sees of it, which is mostly nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    LavalinkError,
    Node,
    NodeConnected,
    OutcomeUnknownError,
    PlayerLost,
    PlayerRestored,
    PlayersSynced,
    Status,
    TrackEndEvent,
)
from lavalink_sync.devnode import DevNode, ManualClock
from lavalink_sync.devnode.player import Player as ServersPlayer
from lavalink_sync.stores import MemoryStore

from .support.nodes import GUILD, config_for, join_voice, listen
from .support.waiting import wait_until

FLAC = "/music/flac12.flac"


def patches(devnode: DevNode, guild_id: int = GUILD) -> list[dict[str, object]]:
    return [r.body for r in devnode.requests if r.method == "PATCH" and r.path.endswith(f"/players/{guild_id}")]


def test_a_session_lost_between_two_calls_is_not_the_callers_problem(
    client: Client, node: Node, devnode: DevNode
) -> None:
    track = node.load_tracks(FLAC).tracks[0]
    player = client.player(GUILD)
    player.play(track, volume=30, user_data={"n": 1})
    # The socket stays open: only the next call learns of it.
    devnode.forget_sessions()
    assert player.set_volume(31).volume == 31
    made = node.rest.player(GUILD)
    assert made.track is not None
    assert (made.track.user_data, made.volume) == ({"n": 1}, 31)


@pytest.mark.parametrize("reset", [True, False])
def test_three_cuts_in_a_row_are_survived_with_the_same_session(client: Client, devnode: DevNode, reset: bool) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    session = node.session_id
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0], volume=30)
    for cut in range(3):
        devnode.cut_sockets(reset)
        wait_until(lambda: node.view.readies == cut + 2, "the node to be back")  # noqa: B023 - called at once
        assert player.set_volume(40 + cut).volume == 40 + cut
    assert node.session_id == session
    assert session is not None
    dials = [r.headers.get("session-id") for r in devnode.requests if r.path == "/v4/websocket"]
    assert dials == [None, *[session.reveal()] * 3]
    assert player.track is not None
    assert len([body for body in patches(devnode) if "track" in body]) == 1


def test_after_a_restart_of_the_server_the_players_are_made_anew(client: Client, node: Node, devnode: DevNode) -> None:
    restored = listen(client, PlayerRestored)
    player = client.player(GUILD)
    join_voice(client)
    player.play(node.load_tracks(FLAC).tracks[0], volume=30, paused=True, end_time=9000)
    devnode.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    devnode.start()
    wait_until(lambda: restored, "PlayerRestored")
    assert restored == [PlayerRestored(GUILD, "rebuilt")]
    [body] = [body for body in patches(devnode)[2:] if "track" in body]
    assert (body["volume"], body["paused"], body["endTime"]) == (30, True, 9000)
    wait_until(lambda: node.rest.player(GUILD).state.connected, "its voice connection")


def test_a_call_made_in_an_outage_comes_after_the_rebuild_and_is_not_undone_by_it(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0], volume=30)
    devnode.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    caller = threading.Thread(target=lambda: player.set_volume(99))
    caller.start()
    devnode.start()
    # The rebuild takes its time: the call, which was there first, has to wait for it all the same.
    caller.join(20)
    volumes = [body["volume"] for body in patches(devnode) if "volume" in body]
    assert volumes == [30, 30, 99]
    assert node.rest.player(GUILD).volume == 99
    assert player.volume == 99


def test_a_volume_set_while_away_is_not_undone_by_the_sync(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    player.set_volume(30)
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    caller = threading.Thread(target=lambda: player.set_volume(99))
    caller.start()
    devnode.refuse(None)
    caller.join(20)
    assert (player.volume, node.rest.player(GUILD).volume) == (99, 99)


def test_a_resume_tells_which_players_were_kept_changed_created_and_ended(client: Client, devnode: DevNode) -> None:
    synced = listen(client, PlayersSynced)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    for guild_id in (1, 2, 3):
        client.player(guild_id).set_volume(10)
    assert node.session_id is not None
    path = f"/v4/sessions/{node.session_id.reveal()}/players"
    node.rest.request("PATCH", f"{path}/2", body={"volume": 70})
    node.rest.request("DELETE", f"{path}/3")
    node.rest.request("PATCH", f"{path}/4", body={"volume": 15})
    devnode.cut_sockets()
    wait_until(lambda: synced, "PlayersSynced")
    assert synced == [PlayersSynced(node, kept=(1,), changed=(2,), created=(4,), ended=(3,))]


def test_what_the_server_kept_during_an_outage_is_told_as_replayed_and_changes_nothing(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    clock = ManualClock()
    devnode = make_devnode(clock=clock)
    ends = listen(client, TrackEndEvent)
    order = client.events(PlayersSynced, TrackEndEvent, NodeConnected)
    node = client.add_node(config_for(devnode, resume_timeout=600), timeout=10)
    track = node.load_tracks(FLAC).tracks[0]
    player = client.player(GUILD)
    player.set_volume(50)
    join_voice(client)
    wait_until(lambda: node.rest.player(GUILD).state.connected, "the voice connection")
    player.play(track)
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    clock.advance(30)
    devnode.refuse(None)
    wait_until(lambda: ends, "the end of the track")
    assert [(event.replayed, event.reason.value) for event in ends] == [(True, "finished")]
    told = [type(next(order)) for _ in range(4)]
    assert told == [NodeConnected, PlayersSynced, NodeConnected, TrackEndEvent]
    assert player.track is None
    # What happens from now on is news again.
    player.play(track)
    clock.advance(30)
    wait_until(lambda: len(ends) == 2, "the second end")
    assert not ends[1].replayed
    assert player.track is None


def test_a_player_that_the_server_will_not_take_back_is_told_and_can_be_used(
    client: Client, node: Node, devnode: DevNode
) -> None:
    lost = listen(client, PlayerLost)
    player = client.player(GUILD)
    player.play(node.load_tracks(FLAC).tracks[0])
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"not this track","path":"/"}'
    devnode.answer("/v4/sessions", 400, body, "application/json", times=2)
    devnode.close()
    devnode.start()
    wait_until(lambda: lost, "PlayerLost")
    assert "not this track" in lost[0].reason
    assert player.set_volume(3).volume == 3


@pytest.mark.parametrize("how", ["resumed", "refused", "restarted"])
def test_updates_from_many_threads_through_an_outage_arrive_once_or_say_so(
    client: Client, devnode: DevNode, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the server really plays because of these calls; a rebuild gives a position, too.
    played: Counter[int] = Counter()
    real = ServersPlayer.play

    def play(self: ServersPlayer, track: Any, position: int | None, end_time: int | None) -> None:
        if position is None:
            played[track.user_data["n"]] += 1
        real(self, track, position, end_time)

    monkeypatch.setattr(ServersPlayer, "play", play)
    node = client.add_node(config_for(devnode, resume_timeout=60 if how == "resumed" else None), timeout=10)
    track = node.load_tracks(FLAC).tracks[0]
    arrived: list[int] = []
    unknown: list[int] = []
    wrong: list[BaseException] = []

    def work(guild_id: int) -> None:
        player = client.player(guild_id)
        for step in range(1, 21):
            number = guild_id * 100 + step
            try:
                player.play(track, user_data={"n": number})
                arrived.append(number)
            except OutcomeUnknownError:
                unknown.append(number)
            except LavalinkError as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(guild_id,)) for guild_id in range(16)]
    for thread in threads:
        thread.start()
    for cut in range(3):
        wait_until(lambda: len(arrived) > 60 * (cut + 1), "some updates")  # noqa: B023 - called at once
        if how == "restarted":
            devnode.close()
            devnode.start()
        else:
            devnode.cut_sockets()
        wait_until(lambda: node.view.readies == cut + 2, "the node to be back")  # noqa: B023
    for thread in threads:
        thread.join(30)
    assert not wrong
    assert len(arrived) + len(unknown) == 16 * 20
    assert [number for number in arrived if played[number] != 1] == []
    assert [number for number in unknown if played[number] > 1] == []
    # Whatever happened, what is known of each player is what its server says.
    servers = {server.guild_id: server.track for server in node.rest.players()}
    assert len(servers) == 16
    for player in client.players:
        told = servers[player.guild_id]
        assert told is not None
        # One that was not sure is read anew.
        wait_until(lambda: player.track is not None and player.track.user_data == told.user_data, "what plays")  # noqa: B023


def test_a_thousand_players_made_and_destroyed_leave_nothing(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    store = MemoryStore()
    client = make_client(store=store)
    # So that there are lanes of which nothing may be left.
    client.add_listener(TrackEndEvent, lambda player, event: None)
    node = client.add_node(config_for(devnode), timeout=10)
    track = node.load_tracks(FLAC).tracks[0]
    before = threads_of_the_client()
    made = []
    for guild_id in range(1, 1001):
        player = client.player(guild_id)
        if guild_id % 10 == 0:
            join_voice(client, guild_id)
            player.play(track)
        else:
            player.set_volume(5)
        player.destroy()
        made.append(weakref.ref(player))
        del player
    assert client.players == []
    wait_until(lambda: node.rest.players() == [], "nothing on the node")
    wait_until(lambda: not devnode.voice.links, "no voice connections")
    wait_until(lambda: threads_of_the_client() == before, "the threads of before")
    wait_until(lambda: not client._workers._lanes, "no lanes")
    wait_until(lambda: not (client._keepers._jobs or client._keepers._voice_jobs or client._keepers._later), "no jobs")
    wait_until(lambda: not client._failover._waiting and not client._failover._under_way, "nobody on the way")
    wait_until(lambda: not store.load().players, "nothing in the store")

    def left() -> list[object]:
        gc.collect()
        return [*client._gates, *(ref for ref in made if ref() is not None)]

    wait_until(lambda: not left(), "no gates and no players")


def threads_of_the_client() -> list[str]:
    """All but the workers, which are few and stay."""
    names = sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("lavalink-"))
    return [name for name in names if not name.startswith("lavalink-worker")]
