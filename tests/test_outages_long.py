"""All nodes are gone for a while, or come and go as they like: in the end each player plays on one node, and on one."""

from __future__ import annotations

import contextlib
import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import Client, LavalinkError, PlayerLost, PlayerRestored, ReconnectPolicy, Status, Timeouts
from lavalink_sync.devnode import DevNode

from .support.clock import ManualClock
from .support.moves import made_on, offer, playing_on, start
from .support.nodes import config_for, listen
from .support.waiting import wait_until


def test_after_a_minute_without_any_node_all_music_goes_on_where_it_would_be_on_the_first_that_is_back(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode], clock: ManualClock
) -> None:
    client = make_client(clock=clock)
    told = listen(client, PlayerRestored)
    servers = [make_devnode(), make_devnode()]
    offer(*servers)
    patient: dict[str, Any] = {
        "heartbeat": 3600,
        "reconnect": ReconnectPolicy(),
        "timeouts": Timeouts(read=600, call=600),
    }
    node = client.add_node(config_for(servers[0], **patient), timeout=10)
    other = client.add_node(config_for(servers[1], "second", **patient), timeout=10)
    players = start(client, node, range(1, 7))
    for player in players:
        player.resume()
    wait_until(lambda: all(p.state.connected and p.position > 60_000 * p.guild_id for p in players), "the music")
    for server, its in ((servers[1], other), (servers[0], node)):
        server.close()
        wait_until(lambda: its.status is Status.RECONNECTING, "the outage")  # noqa: B023 - called at once
    left = {player.guild_id: player.position for player in players}
    volumes: list[int] = []
    caller = threading.Thread(target=lambda: volumes.append(players[0].set_volume(111).volume))
    caller.start()
    for _ in range(60):
        clock.advance(1)
    assert {player.guild_id: player.position - 60_000 for player in players} == left
    began = clock.monotonic() - 60
    servers[1].start()

    def are_back() -> bool:
        clock.advance(0.5)
        return all(player.node is other for player in players)

    wait_until(are_back, "the players on the node that is back")
    wait_until(lambda: playing_on(servers[1]) == [1, 2, 3, 4, 5, 6], "the music")
    caller.join(20)
    assert volumes == [111]
    wait_until(lambda: len(told) == 6, "an event for each")
    assert {event.how for event in told} == {"moved"}
    assert sorted(made_on(servers[1])) == [1, 2, 3, 4, 5, 6]
    passed = (clock.monotonic() - began) * 1000
    for request in servers[1].requests:
        if request.method == "PATCH" and "track" in request.body:
            guild_id = request.body["track"]["userData"]["n"]
            assert left[guild_id] + 60_000 <= request.body["position"] <= left[guild_id] + passed
    assert node.status is Status.RECONNECTING


@pytest.mark.parametrize("seed", range(4))
def test_whatever_nodes_do_no_player_is_lost_or_plays_twice(
    client: Client, make_devnode: Callable[..., DevNode], seed: int
) -> None:
    dice = random.Random(seed)
    servers = [make_devnode() for _ in range(3)]
    offer(*servers)
    lost = listen(client, PlayerLost)
    nodes = [
        client.add_node(config_for(server, f"node-{n}", resume_timeout=None if n == 0 else 60), timeout=10)
        for n, server in enumerate(servers)
    ]
    players = start(client, nodes[0], range(1, 13))

    def restart(server: DevNode) -> None:
        server.close()
        server.start()

    def move(server: DevNode) -> None:
        # It may well fail: then the player stays where it was, or goes where others do.
        with contextlib.suppress(LavalinkError):
            dice.choice(players).move_to(nodes[servers.index(server)], timeout=1)

    faults: list[Callable[[DevNode], object]] = [
        DevNode.cut_sockets,
        DevNode.forget_sessions,
        restart,
        move,
        move,
        lambda server: server.refuse(503, times=dice.randint(1, 5)),
        lambda server: server.hang_up("/v4/sessions", times=1, method="PATCH"),
        lambda server: server.slow("/v4/sessions", 0.05, times=5),
    ]
    for _ in range(20):
        dice.choice(faults)(dice.choice(servers))
    for server in servers:
        server.heal()
    wait_until(lambda: all(node.status is Status.CONNECTED for node in nodes), "the nodes")

    def each_plays_once() -> bool:
        there = {node: playing_on(server) for node, server in zip(nodes, servers, strict=True)}
        everywhere = sorted(guild_id for guilds in there.values() for guild_id in guilds)
        return everywhere == list(range(1, 13)) and all(
            player.node is not None and player.guild_id in there[player.node] for player in players
        )

    wait_until(each_plays_once, "each player to play on its own node, and there alone", timeout=20)
    assert lost == []
    for player in players:
        assert player.set_volume(77, timeout=10).volume == 77
        assert player.track is not None
