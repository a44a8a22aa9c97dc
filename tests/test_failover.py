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
    PlayerRestored,
    ReconnectPolicy,
    Status,
)
from lavalink_sync.devnode import DevNode

from .support.moves import playing_on, start
from .support.nodes import GUILD, config_for, listen
from .support.waiting import wait_until


def test_the_players_of_a_node_that_is_killed_play_on_on_another(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    told = listen(client, PlayerRestored)
    players = start(client, node, range(1, 31))
    source.close()
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
    source.start()
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    assert playing_on(source) == []
    assert all(player.node is other for player in players)


def test_a_session_that_can_resume_is_waited_for(client: Client, source: DevNode, target: DevNode) -> None:
    node = client.add_node(config_for(source, resume_timeout=60), timeout=10)
    client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    source.refuse(503, times=3)
    source.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert player.node is node
    assert playing_on(source) == [1]
    assert playing_on(target) == []
    assert player.set_volume(7).volume == 7


def test_a_session_whose_time_to_resume_has_passed_is_given_up(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = client.add_node(config_for(source, resume_timeout=1), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: player.node is other, "the player on the other node")
    assert node.status is Status.RECONNECTING
    wait_until(lambda: playing_on(target) == [1], "the music")


def test_what_a_node_still_plays_after_its_players_left_is_ended_when_it_resumes(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = client.add_node(config_for(source, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    player.move_to(other)
    source.refuse(None)
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    wait_until(lambda: playing_on(source) == [], "the end of what was left there")
    assert playing_on(target) == [1]
    assert player.node is other


def test_without_any_node_the_players_wait_and_the_first_that_is_ready_takes_them(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = client.add_node(config_for(source, reconnect=ReconnectPolicy(step=0.01, cap=0.01, limit=2)), timeout=10)
    players = start(client, node, range(1, 7))
    source.close()
    wait_until(lambda: node.status is Status.DISCONNECTED, "the node to give up")
    wait_until(lambda: all(player.node is None for player in players), "players without a node")
    with pytest.raises(NoNodeAvailableError):
        players[0].set_volume(3, timeout=0.05)
    other = client.add_node(config_for(target, "second"), timeout=10)
    wait_until(lambda: all(player.node is other for player in players), "the players on the new node")
    assert players[0].set_volume(44).volume == 44
    wait_until(lambda: playing_on(target) == [1, 2, 3, 4, 5, 6], "the music")


def test_the_lost_node_itself_takes_its_players_back(client: Client, node: Node, source: DevNode) -> None:
    told = listen(client, PlayerRestored)
    players = start(client, node, range(1, 6))
    source.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    source.start()
    wait_until(lambda: playing_on(source) == [1, 2, 3, 4, 5], "the music")
    wait_until(lambda: len(told) == 5, "five events")
    assert {event.how for event in told} == {"rebuilt"}
    assert all(player.node is node for player in players)


def test_a_call_that_waits_for_a_lost_node_goes_out_on_the_node_that_took_the_player(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    [player] = start(client, node, range(1, 2))
    target.slow("/v4/sessions", 0.3, times=1)
    source.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    assert player.set_volume(77).volume == 77
    assert player.node is other
    bodies = [r.body for r in target.requests if r.method == "PATCH" and "/players/1" in r.path]
    assert bodies[0]["volume"] == 1
    assert {"volume": 77} in bodies[1:]


def test_a_player_that_no_server_has_heard_of_leaves_a_lost_node_too(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    player = client.player_on_node(node, GUILD)
    source.close()
    wait_until(lambda: player.node is other, "the player on the other node")
    assert player.set_volume(5).volume == 5


def test_removing_a_node_brings_its_players_to_others_first(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    players = start(client, node, range(1, 11))
    client.remove_node("main")
    assert all(player.node is other for player in players)
    assert playing_on(target) == list(range(1, 11))
    # Each was deleted where it came from, not just dropped with its session.
    assert sum(r.method == "DELETE" for r in source.requests) == 10


def test_draining_reports_who_has_left_and_keeps_new_players_away(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    start(client, node, range(1, 6))
    report = node.drain(timeout=10)
    assert (sorted(report.moved), report.left) == ([1, 2, 3, 4, 5], ())
    assert node.status is Status.CONNECTED
    assert playing_on(source) == []
    assert all(client.player(guild_id).node is other for guild_id in range(10, 15))
    node.close()
    node.open(10)
    assert client.best_node() is node


def test_draining_without_another_node_says_who_is_left(client: Client, node: Node, source: DevNode) -> None:
    [player] = start(client, node, range(1, 2))
    report = node.drain(timeout=0.05)
    assert (report.moved, report.left) == ((), (1,))
    assert playing_on(source) == [1]
    assert player.node is node


@pytest.mark.parametrize("close", ["close", "remove"])
def test_a_node_that_is_closed_gives_its_players_to_others(
    client: Client, source: DevNode, target: DevNode, close: str
) -> None:
    node = client.add_node(config_for(source, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    players = start(client, node, range(1, 4))
    ends: dict[str, Callable[[], Any]] = {"close": node.close, "remove": lambda: client.remove_node("main")}
    ends[close]()
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    wait_until(lambda: playing_on(target) == [1, 2, 3], "the music")
    assert playing_on(source) == []
