"""A node is lost: its players play on elsewhere, each on one node at a time, and none is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    Node,
    NoNodeAvailableError,
    Player,
    PlayerRestored,
    ReconnectPolicy,
    Status,
)
from lavalink_sync.devnode import DevNode

from .support.nodes import GUILD, config_for, join_voice
from .support.waiting import wait_until

FLAC = "/music/flac12.flac"


def playing_on(devnode: DevNode) -> list[int]:
    return sorted(guild_id for session in devnode.sessions for guild_id, p in session.players.items() if p.track)


def start(client: Client, node: Node, guilds: range) -> list[Player]:
    track = node.load_tracks(FLAC).tracks[0]
    players = [client.player_on_node(node, guild_id) for guild_id in guilds]
    for player in players:
        join_voice(client, player.guild_id)
        player.play(track, volume=player.guild_id, user_data={"n": player.guild_id}, paused=True)
    return players


@pytest.fixture
def second(make_devnode: Callable[..., DevNode]) -> DevNode:
    return make_devnode()


def test_the_players_of_a_node_that_is_killed_play_on_on_another(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    told: list[PlayerRestored] = []
    client.add_listener(PlayerRestored, lambda _, event: told.append(event))
    node = client.add_node(config_for(devnode), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    players = start(client, node, range(1, 31))
    devnode.close()
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    wait_until(lambda: len(told) == 30, "30 events")
    assert Counter((event.guild_id, event.how) for event in told) == Counter((g, "moved") for g in range(1, 31))
    servers = {server.guild_id: server for server in other.rest.players()}
    assert sorted(servers) == list(range(1, 31))
    for guild_id, server in servers.items():
        assert server.track is not None
        assert (server.track.user_data, server.volume, server.paused) == ({"n": guild_id}, guild_id, True)
    wait_until(lambda: all(server.state.connected for server in other.rest.players()), "their voice connections")
    # It comes back, and gets none of them.
    devnode.start()
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    assert playing_on(devnode) == []
    assert all(player.node is other for player in players)


def test_a_session_that_can_resume_is_waited_for(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    client.add_node(config_for(second, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    devnode.refuse(503, times=3)
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert player.node is node
    assert playing_on(devnode) == [1]
    assert playing_on(second) == []
    assert player.set_volume(7).volume == 7


def test_a_session_whose_time_to_resume_has_passed_is_given_up(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode, resume_timeout=1), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: player.node is other, "the player on the other node")
    assert node.status is Status.RECONNECTING
    wait_until(lambda: playing_on(second) == [1], "the music")


def test_what_a_node_still_plays_after_its_players_left_is_ended_when_it_resumes(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    player.move_to(other)
    devnode.refuse(None)
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    wait_until(lambda: playing_on(devnode) == [], "the end of what was left there")
    assert playing_on(second) == [1]
    assert player.node is other


def test_without_any_node_the_players_wait_and_the_first_that_is_ready_takes_them(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode, reconnect=ReconnectPolicy(step=0.01, cap=0.01, limit=2)), timeout=10)
    players = start(client, node, range(1, 7))
    devnode.close()
    wait_until(lambda: node.status is Status.DISCONNECTED, "the node to give up")
    wait_until(lambda: all(player.node is None for player in players), "players without a node")
    with pytest.raises(NoNodeAvailableError):
        players[0].set_volume(3, timeout=0.05)
    other = client.add_node(config_for(second, "second"), timeout=10)
    wait_until(lambda: all(player.node is other for player in players), "the players on the new node")
    assert players[0].set_volume(44).volume == 44
    wait_until(lambda: playing_on(second) == [1, 2, 3, 4, 5, 6], "the music")


def test_the_lost_node_itself_takes_its_players_back(make_client: Callable[..., Client], devnode: DevNode) -> None:
    client = make_client()
    told: list[PlayerRestored] = []
    client.add_listener(PlayerRestored, lambda _, event: told.append(event))
    node = client.add_node(config_for(devnode), timeout=10)
    players = start(client, node, range(1, 6))
    devnode.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    devnode.start()
    wait_until(lambda: playing_on(devnode) == [1, 2, 3, 4, 5], "the music")
    wait_until(lambda: len(told) == 5, "five events")
    assert {event.how for event in told} == {"rebuilt"}
    assert all(player.node is node for player in players)


def test_a_call_that_waits_for_a_lost_node_goes_out_on_the_node_that_took_the_player(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    second.slow("/v4/sessions", 0.3, times=1)
    devnode.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    assert player.set_volume(77).volume == 77
    assert player.node is other
    bodies = [r.body for r in second.requests if r.method == "PATCH" and "/players/1" in r.path]
    assert bodies[0]["volume"] == 1
    assert {"volume": 77} in bodies[1:]


def test_a_player_that_no_server_has_heard_of_leaves_a_lost_node_too(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    devnode.close()
    wait_until(lambda: player.node is other, "the player on the other node")
    assert player.set_volume(5).volume == 5


def test_removing_a_node_brings_its_players_to_others_first(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    players = start(client, node, range(1, 11))
    client.remove_node("main")
    assert all(player.node is other for player in players)
    assert playing_on(second) == list(range(1, 11))
    # Each was deleted where it came from, not just dropped with its session.
    assert sum(r.method == "DELETE" for r in devnode.requests) == 10


def test_draining_reports_who_has_left_and_keeps_new_players_away(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    start(client, node, range(1, 6))
    report = node.drain(timeout=10)
    assert (sorted(report.moved), report.left) == ([1, 2, 3, 4, 5], ())
    assert node.status is Status.CONNECTED
    assert playing_on(devnode) == []
    assert all(client.player(guild_id).node is other for guild_id in range(10, 15))
    node.close()
    node.open(10)
    assert client.best_node() is node


def test_draining_without_another_node_says_who_is_left(client: Client, node: Node, devnode: DevNode) -> None:
    [player] = start(client, node, range(1, 2))
    report = node.drain(timeout=0.05)
    assert (report.moved, report.left) == ((), (1,))
    assert playing_on(devnode) == [1]
    assert player.node is node


@pytest.mark.parametrize("close", ["close", "remove"])
def test_a_node_that_is_closed_gives_its_players_to_others(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode, close: str
) -> None:
    client = make_client()
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(second, "second"), timeout=10)
    players = start(client, node, range(1, 4))
    ends: dict[str, Callable[[], Any]] = {"close": node.close, "remove": lambda: client.remove_node("main")}
    ends[close]()
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    wait_until(lambda: playing_on(second) == [1, 2, 3], "the music")
    assert playing_on(devnode) == []
