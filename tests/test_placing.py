"""Which node a player is put on: by penalty, by region, by what its server can do, from one thread or many."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lavalink_sync import Client, Filters, InvalidArgumentError, Karaoke, MoveLimits, Node, Player, Status, by_penalty
from lavalink_sync.devnode import DevNode, ManualClock
from lavalink_sync.placing import Placements

from .support.nodes import GUILD, config_for, say_info
from .support.waiting import wait_until


@pytest.fixture
def second(make_devnode: Callable[..., DevNode]) -> DevNode:
    return make_devnode()


def info_requests(devnode: DevNode) -> int:
    return sum(request.path == "/v4/info" for request in devnode.requests)


def add(client: Client, devnode: DevNode, name: str = "main", **changes: Any) -> Node:
    """Add a node, and wait for its first stats: what is made after them is not in them."""
    node = client.add_node(config_for(devnode, name, **changes), timeout=10)
    wait_until(lambda: node.stats is not None, "the first stats")
    return node


def spread(client: Client) -> Counter[str]:
    return Counter(player.node.name for player in client.players if player.node)


# The penalty rule, and the players that no stats count yet.


def test_twenty_players_made_at_once_on_two_equal_nodes_land_ten_and_ten(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client(selector=by_penalty)
    add(client, devnode, "a")
    add(client, second, "b")
    for guild_id in range(20):
        client.player(guild_id)
    assert spread(client) == {"a": 10, "b": 10}


def test_players_made_by_sixteen_threads_at_once_land_half_and_half(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    together = threading.Barrier(16)
    chosen = threading.local()

    def choose(nodes: Sequence[Node]) -> Node | None:
        node = by_penalty(nodes)
        if not hasattr(chosen, "before"):
            # All threads have made their first choice, the same one, before any of them is counted.
            chosen.before = True
            together.wait(10)
        return node

    client = make_client(selector=choose)
    add(client, devnode, "a")
    add(client, second, "b")
    threads = [threading.Thread(target=client.player, args=(guild_id,)) for guild_id in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert spread(client) == {"a": 8, "b": 8}
    assert [node.new_players for node in client.nodes] == [8, 8]


def test_players_made_without_a_node_are_spread_once_there_are_some(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client(selector=by_penalty)
    players = [client.player(guild_id) for guild_id in range(20)]
    assert spread(client) == {}
    add(client, devnode, "a")
    add(client, second, "b")
    threads = [threading.Thread(target=player.set_volume, args=(5,)) for player in players]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert spread(client) == {"a": 10, "b": 10}


def test_a_player_is_new_until_stats_come_that_count_it(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]
) -> None:
    clock = ManualClock()
    devnode = make_devnode(clock=clock)
    client = make_client(selector=by_penalty)
    node = add(client, devnode)
    for guild_id in (1, 2, 3, 4):
        client.player(guild_id)
    client.player_on_node(node, 5)
    assert node.new_players == 5
    client.player(1).set_volume(5)
    client.player(2).destroy()
    assert node.new_players == 4
    clock.advance(60)
    wait_until(lambda: node.new_players == 3, "the stats that count the first player")
    # The rest was never told the server: no stats can count it.
    clock.advance(60)
    client.remove_player(3)
    assert node.new_players == 2


def test_a_player_that_was_moved_is_new_where_it_went(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    client = make_client(selector=by_penalty)
    first, other = add(client, devnode, "a"), add(client, second, "b")
    player = client.player(GUILD)
    assert player.node is first
    player.move_to(other)
    assert (first.new_players, other.new_players) == (0, 1)


def test_the_players_of_a_lost_node_are_spread_by_penalty(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]
) -> None:
    servers = {name: make_devnode() for name in ("a", "b", "c")}
    client = make_client(selector=by_penalty, move_limits=MoveLimits(at_once=1))
    nodes = {name: add(client, server, name) for name, server in servers.items()}
    for guild_id in range(20):
        client.player_on_node(nodes["a"], guild_id).set_volume(7)
    servers["a"].close()
    wait_until(lambda: spread(client)["a"] == 0, "the players on the other nodes")
    assert spread(client) == {"b": 10, "c": 10}


def test_a_busy_node_gets_no_player_by_penalty(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    devnode.set_stats(cpu={"systemLoad": 0.9}, frameStats={"sent": 2900, "nulled": 0, "deficit": 100})
    client = make_client(selector=by_penalty)
    add(client, devnode, "a")
    idle = add(client, second, "b")
    assert {client.player(guild_id).node for guild_id in range(20)} == {idle}


def test_a_slow_selector_is_not_asked_for_ever(make_client: Callable[..., Client], devnode: DevNode) -> None:
    asked: list[int] = []

    def meddling(nodes: Sequence[Node]) -> Node:
        # Each time it is asked, another player is put somewhere: the choice is never the newest.
        asked.append(len(asked))
        client.player_on_node(nodes[0], 1000 + len(asked))
        return nodes[0]

    client = make_client(selector=meddling)
    node = add(client, devnode)
    assert client.player(1).node is node
    assert len(asked) == 100
    assert node.new_players == 101


def test_of_two_threads_that_make_a_guilds_player_the_slower_one_counts_it_where_it_is(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    made: list[Player] = []

    def choose(nodes: Sequence[Node]) -> Node:
        if not made:
            # While this choice is made, the guild's player is made elsewhere.
            made.append(client.player_on_node(nodes[0], GUILD))
        return nodes[1]

    client = make_client(selector=choose)
    a = add(client, devnode, "a")
    add(client, second, "b")
    assert client.player(GUILD) is made[0]
    assert made[0].node is a
    assert [node.new_players for node in client.nodes] == [1, 0]


def test_a_guild_that_is_none_is_counted_nowhere(client: Client, node: Node) -> None:
    with pytest.raises(InvalidArgumentError):
        client.player(-1)
    assert node.new_players == 0


def test_placements_of_a_guild_are_counted_once() -> None:
    known: set[int] = set()
    placements = Placements(known.__contains__)
    moves = placements.moves
    assert placements.claim("a", 1, moves)
    assert not placements.claim("a", 2, moves), "another was put there since"
    placements.put("a", 1)
    placements.put("b", 1)
    assert (placements.count("a"), placements.count("b")) == (0, 1)
    placements.counted("b")
    assert placements.count("b") == 1, "no server knows it yet"
    known.add(1)
    placements.counted("a")
    assert placements.count("b") == 1, "those were another node's stats"
    placements.counted("b")
    placements.leave(1)
    assert placements.count("b") == 0


# What the server can do.


def test_a_node_is_chosen_by_what_its_server_can_do(client: Client, devnode: DevNode, second: DevNode) -> None:
    say_info(devnode, sourceManagers=["youtube"], filters=["volume", "timescale"])
    say_info(
        second, sourceManagers=["spotify"], plugins=[{"name": "lavasrc-plugin", "version": "4"}], filters=["karaoke"]
    )
    assert client.best_node(source="youtube") is None
    first = add(client, devnode, "a")
    other = add(client, second, "b")
    assert client.best_node() is first
    assert client.best_node(source="youtube") is first
    assert client.best_node(source="spotify") is other
    assert client.best_node(plugin="lavasrc-plugin") is other
    assert client.best_node(filters={"timescale"}) is first
    assert client.best_node(filters=Filters(karaoke=Karaoke())) is other
    assert client.best_node(source="youtube", filters="karaoke") is None
    other.close()
    assert client.best_node(source="spotify") is None, "only connected ones"


def test_a_selector_gets_the_nodes_that_have_what_is_needed(
    make_client: Callable[..., Client], devnode: DevNode, second: DevNode
) -> None:
    asked: list[list[str]] = []

    def selector(nodes: Sequence[Node]) -> Node:
        asked.append([node.name for node in nodes])
        return nodes[0]

    say_info(second, sourceManagers=["spotify"])
    client = make_client(selector=selector)
    add(client, devnode, "a")
    add(client, second, "b", region="eu")
    client.best_node(source="spotify")
    client.best_node(region="rotterdam")
    client.best_node()
    assert client.best_node(source="deezer") is None
    assert asked == [["b"], ["b"], ["a", "b"]]


def test_what_a_server_can_do_is_read_once_a_session(client: Client, devnode: DevNode) -> None:
    node = add(client, devnode, resume_timeout=60)
    assert node.cached_info == node.info()
    say_info(devnode, sourceManagers=["soundcloud"])
    asked = info_requests(devnode)
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the resume")
    client.best_node(source="soundcloud")
    assert info_requests(devnode) == asked, "a session that is resumed is of the same server"
    devnode.forget_sessions()
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 3, "the new session")
    assert client.best_node(source="soundcloud") is node
    assert info_requests(devnode) == asked + 1


@pytest.mark.parametrize("trouble", ["refused", "silent"])
def test_a_server_that_does_not_say_what_it_can_do_is_connected_all_the_same(
    client: Client, devnode: DevNode, trouble: str
) -> None:
    if trouble == "silent":
        devnode.silence("/v4/info")
    else:
        devnode.answer("/v4/info", 500, "no", "text/plain")
    node = add(client, devnode)
    assert (node.status, node.cached_info) == (Status.CONNECTED, None)
    assert client.best_node() is node
    assert client.best_node(source="http") is None
    devnode.heal()
    node.info()
    assert client.best_node(source="http") is node, "it has said it since"
    say_info(devnode, sourceManagers=["soundcloud"])
    devnode.close()
    devnode.start()
    wait_until(lambda: client.best_node(source="soundcloud") is node, "the next session")
    assert client.best_node(source="http") is None


# Regions.


def test_the_nearest_nodes_are_chosen_from_and_all_where_none_is_near(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    regions = {"here": None, "us": "us", "eu": "eu", "frankfurt": "frankfurt"}
    nodes = {name: add(client, make_devnode(), name, region=region) for name, region in regions.items()}
    assert client.best_node(region="us-east") is nodes["us"]
    assert client.best_node(region="rotterdam1234.discord.media:443") is nodes["eu"]
    assert client.best_node(region="frankfurt") is nodes["eu"], "both have it, and that is the first"
    nodes["eu"].close()
    assert client.best_node(region="rotterdam") is nodes["frankfurt"], "the same area"
    assert client.best_node(region="japan") is nodes["here"], "none is near: any will do"
    assert client.best_node() is nodes["here"]


def test_a_node_that_is_taking_enough_players_is_not_chosen_for_more(
    client: Client, devnode: DevNode, second: DevNode
) -> None:
    nodes = [add(client, devnode, "a"), add(client, second, "b")]
    player = client.player(GUILD)
    assert client._place_near(player, nodes, []) is nodes[0]
    assert client._place_near(player, nodes, nodes[:1]) is nodes[1]
    assert client._place_near(player, nodes, nodes) is None


def test_a_player_goes_to_the_region_of_its_voice_server(client: Client, make_devnode: Callable[..., DevNode]) -> None:
    client.on_voice_state_update(GUILD, 1234, "a-discord-session")
    client.on_voice_server_update(GUILD, "a-discord-token", "us-east1234.discord.media:443")
    player = client.player(GUILD)
    assert spread(client) == {}
    servers = [make_devnode() for _ in range(3)]
    for server, region in zip(servers, ("eu", "us", "us"), strict=True):
        add(client, server, f"{region} of {server.address}", region=region)
    player.set_volume(5)
    assert player.node is client.nodes[1]
    # And to the other one of that region when that is lost.
    servers[1].close()
    wait_until(lambda: player.node is client.nodes[2], "the failover")


def test_players_of_a_lost_node_stay_in_their_region_though_they_have_to_queue(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    lost, near, _ = servers = [make_devnode() for _ in range(3)]
    nodes = [
        add(client, server, name, region=name[:2]) for server, name in zip(servers, ("us1", "us2", "eu1"), strict=True)
    ]
    for guild_id in range(20):
        player = client.player_on_node(nodes[0], guild_id)
        player.set_volume(5)
        client.on_voice_state_update(guild_id, 1234, "a-discord-session")
        client.on_voice_server_update(guild_id, "a-discord-token", "us-east1234.discord.media:443")
    near.slow("/v4/sessions", 0.01)
    lost.close()
    wait_until(lambda: spread(client)["us1"] == 0, "the players on other nodes")
    assert spread(client) == {"us2": 20}


def test_asking_for_the_best_node_puts_nothing_there(client: Client, node: Node) -> None:
    assert client.best_node() is node
    assert node.new_players == 0
    client.player(GUILD)
    assert node.new_players == 1
