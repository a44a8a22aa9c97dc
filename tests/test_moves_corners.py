"""What goes wrong around a move, and must not cost a guild its music or let it play twice."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import pytest

from lavalink_sync import (
    Client,
    LavalinkError,
    Node,
    NodeConfig,
    NodeNotReadyError,
    NodeReconnecting,
    PlayerLost,
    PlayerRestored,
    ServerPlayer,
    Status,
    Timeouts,
)
from lavalink_sync.devnode import DevNode, ManualClock
from lavalink_sync.transport.clock import Deadline, SystemClock

from .support.moves import known_to, offer, playing_on, refuse, start
from .support.nodes import config_for, listen
from .support.waiting import wait_until

# Nobody listens there.
NOWHERE = "127.0.0.1:9"


def test_a_guild_that_is_busy_after_its_move_does_not_play_on_two_nodes_for_good(
    client: Client,
    source: DevNode,
    slow_target: DevNode,
    target_clock: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "lavalink_sync")
    brief = Timeouts(connect=5, read=10, call=0.3, load=20, voice=10, close=10)
    node = client.add_node(config_for(source, timeouts=brief), timeout=10)
    other = client.add_node(config_for(slow_target, "second"), timeout=10)
    [player] = start(client, node, [1], voice=False)
    source.answer("/v4/sessions", 500, "{}", "application/json", times=1, method="DELETE")
    player.move_to(other, timeout=10)
    slow_target.slow("/v4/sessions", 1, times=1, method="PATCH")
    caller = threading.Thread(target=player.set_volume, args=(5,))
    caller.start()
    # The deletion comes again in a second, and waits for that call longer than a call may.
    wait_until(lambda: "the end of its old player did not get its turn in time" in caplog.text, "it to give up waiting")
    target_clock.advance(1)
    caller.join(10)
    wait_until(lambda: known_to(source) == [], "the end of the old player")
    assert playing_on(slow_target) == [1]


def test_a_node_that_refused_a_player_once_is_asked_again_when_the_players_own_is_lost(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    lost = listen(client, PlayerLost)
    [player] = start(client, node, [1], voice=False)
    refuse(target, 1)
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
    with pytest.raises(LavalinkError):
        players[0].move_to(never, timeout=0.05)
    # On the way to another node, they would be on that one by then, and this would be done.
    with pytest.raises(NodeNotReadyError):
        players[1].set_volume(5, timeout=0.5)
    assert [player.node for player in players] == [starting] * 3


def destroyed_elsewhere(client: Client, source: DevNode, target: DevNode) -> Node:
    """The node at `source`, which is away and still has guild 1, whose player was moved to `target` and destroyed."""
    node = client.add_node(config_for(source, resume_timeout=60), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, [1], voice=False)
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    player.move_to(other)
    player.destroy()
    return node


def test_a_player_that_was_moved_and_destroyed_does_not_come_back_with_its_old_node(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = destroyed_elsewhere(client, source, target)
    source.refuse(None)
    wait_until(lambda: node.view.readies == 2 and node.status is Status.CONNECTED, "the node to be back")
    wait_until(lambda: known_to(source) == [], "the end of what was left there")
    assert client.players == []


def test_a_player_made_while_a_node_is_synced_learns_what_plays_there(
    client: Client, source: DevNode, target: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = destroyed_elsewhere(client, source, target)
    real = node.rest.players

    def overtaken() -> list[ServerPlayer]:
        players = real()
        client.player_on_node(node, 1)
        return players

    monkeypatch.setattr(node.rest, "players", overtaken)
    source.refuse(None)
    wait_until(lambda: node.view.readies == 2 and node.status is Status.CONNECTED, "the node to be back")
    made = client.existing_player(1)
    assert made is not None
    assert made.track is not None
    assert playing_on(source) == [1]


def test_a_player_that_waits_to_be_brought_home_counts_as_not_read(
    client: Client, node: Node, other: Node, source: DevNode
) -> None:
    start(client, node, [1], voice=False)
    client.remove_player(1)
    client.player_on_node(other, 1)
    with client._gate(1).turn(Deadline(SystemClock(), 10)):
        guilds = client._recovery.syncing.sync(node, lambda guild_id: client.player_on_node(node, guild_id), [])
    assert guilds == {1: False}


def test_a_selector_that_blocks_holds_up_one_thread_of_the_clients(
    make_client: Callable[..., Client], source: DevNode, target: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    go_on = threading.Event()
    asked: list[str] = []

    def choose(nodes: Sequence[Node]) -> Node | None:
        if threading.current_thread().name.startswith("lavalink-keeper"):
            asked.append("")
            go_on.wait(10)
        return nodes[0]

    client = make_client(selector=choose)
    lost = listen(client, NodeReconnecting)
    told = listen(client, PlayerRestored)
    other = client.add_node(config_for(target, "second"), timeout=10)
    restarted = make_devnode()
    offer(restarted)
    last = client.add_node(config_for(restarted, "third", resume_timeout=60), timeout=10)
    start(client, last, [99], voice=False)
    # As many as the client has keepers for such work.
    nodes = [client.add_node(config_for(source, f"lost-{n}"), timeout=10) for n in range(8)]
    players = [start(client, node, [n], voice=False)[0] for n, node in enumerate(nodes, 1)]
    try:
        source.close()
        wait_until(lambda: len({event.node for event in lost}) == 8, "the loss of all of them")
        wait_until(lambda: asked, "the selector to be asked")
        # Making a player anew on its own node is work for the same threads.
        restarted.forget_sessions()
        restarted.cut_sockets()
        wait_until(lambda: told == [PlayerRestored(99, "rebuilt")], "the music on the node that was started again")
        assert asked == [""]
    finally:
        go_on.set()
    wait_until(lambda: all(player.node in (other, last) for player in players), "the players on other nodes")
