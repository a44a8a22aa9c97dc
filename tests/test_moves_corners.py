"""What goes wrong around a move, and must not cost a guild its music or let it play twice."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from lavalink_sync import Client, LavalinkError, Node, NodeConfig, PlayerLost, Status, Timeouts
from lavalink_sync.devnode import DevNode
from lavalink_sync.transport.clock import Deadline

from .support.moves import known_to, offer, playing_on, start
from .support.nodes import config_for
from .support.waiting import wait_until

REFUSAL = '{"timestamp":1,"status":400,"error":"Bad Request","message":"not this one","path":"/"}'
# Nobody listens there.
NOWHERE = "127.0.0.1:9"


@pytest.fixture
def source(devnode: DevNode) -> DevNode:
    offer(devnode)
    return devnode


@pytest.fixture
def target(make_devnode: Callable[..., DevNode]) -> DevNode:
    made = make_devnode()
    offer(made)
    return made


def test_a_guild_that_is_busy_after_its_move_does_not_play_on_two_nodes_for_good(
    client: Client, source: DevNode, target: DevNode
) -> None:
    brief = Timeouts(connect=5, read=10, call=0.3, load=20, voice=10, close=10)
    node = client.add_node(config_for(source, timeouts=brief), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, [1], voice=False)
    source.answer("/v4/sessions", 500, "{}", "application/json", times=1, method="DELETE")
    player.move_to(other, timeout=10)
    # The deletion comes again in a second, and waits for this one longer than a call may.
    with client._gate(1).turn(Deadline(client._clock, 10), what="a slow call"):
        wait_until(lambda: client._gate(1)._keepers, "the deletion to wait")
        wait_until(lambda: not client._gate(1)._keepers, "it to give up waiting")
    wait_until(lambda: known_to(source) == [], "the end of the old player")
    assert playing_on(target) == [1]


def test_a_node_that_refused_a_player_once_is_asked_again_when_the_players_own_is_lost(
    client: Client, source: DevNode, target: DevNode
) -> None:
    lost: list[PlayerLost] = []
    client.add_listener(PlayerLost, lambda _, event: lost.append(event))
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, [1], voice=False)
    target.answer("/v4/sessions", 400, REFUSAL, "application/json", times=1, method="PATCH")
    assert node.drain(timeout=10).left == (1,)
    source.close()
    wait_until(lambda: player.node is other, "the player on the other node")
    wait_until(lambda: playing_on(target) == [1], "its music")
    assert lost == []


def test_one_move_that_fails_leaves_the_other_players_on_a_node_that_is_only_starting(
    client: Client, source: DevNode
) -> None:
    client.add_node(config_for(source), timeout=10)
    starting = client.add_node(NodeConfig("starting", NOWHERE, "x"), wait=False)
    never = client.add_node(NodeConfig("never", NOWHERE, "x"), wait=False)
    players = [client.player_on_node(starting, guild_id) for guild_id in (1, 2, 3)]
    evacuated: list[Node] = []
    real = client._failover.evacuate
    client._failover.evacuate = lambda node: evacuated.append(node) or real(node)  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(LavalinkError):
        players[0].move_to(never, timeout=0.05)
    assert evacuated == []
    assert [player.node for player in players] == [starting] * 3


def test_a_player_that_was_moved_and_destroyed_does_not_come_back_with_its_old_node(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = client.add_node(config_for(source, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, [1], voice=False)
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    player.move_to(other)
    player.destroy()
    source.refuse(None)
    wait_until(lambda: node.view.readies == 2 and node.status is Status.CONNECTED, "the node to be back")
    wait_until(lambda: known_to(source) == [], "the end of what was left there")
    assert client.players == []


def test_a_selector_that_blocks_holds_up_one_thread_of_the_clients(
    make_client: Callable[..., Client], source: DevNode, target: DevNode
) -> None:
    go_on = threading.Event()
    asked: list[str] = []

    def choose(nodes: Sequence[Node]) -> Node | None:
        if threading.current_thread().name.startswith("lavalink-keeper"):
            asked.append("")
            go_on.wait(10)
        return nodes[0]

    client = make_client(selector=choose)
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    players = start(client, node, [1, 2, 3], voice=False)
    try:
        source.close()
        wait_until(lambda: node.status is not Status.CONNECTED, "the outage")
        for _ in range(5):
            client._failover.evacuate(node)
        wait_until(lambda: asked, "the selector to be asked")
        # Whatever else they do: this needs as many keepers as the client may have beside that one.
        done = [client._keepers.submit(lambda: None) for _ in range(20)]
        for future in done:
            future.result(timeout=5)
        assert asked == [""]
    finally:
        go_on.set()
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
