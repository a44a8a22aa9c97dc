"""Players on their way from one node to another, and what breaks meanwhile: each is on one node, and none is lost."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from lavalink_sync import (
    BadRequestError,
    Client,
    LavalinkError,
    MoveLimits,
    Node,
    NodeNotReadyError,
    NodeReconnecting,
    OutcomeUnknownError,
    Player,
    PlayerLost,
    PlayerRestored,
    ReconnectPolicy,
    Status,
    Timeouts,
)
from lavalink_sync.devnode import DevNode, ManualClock
from lavalink_sync.errors import InvalidArgumentError

from .support.moves import SONG, check_settings, known_to, made_on, offer, playing_on, refuse, start
from .support.nodes import GUILD, config_for, listen
from .support.waiting import wait_until

# How many at a time.


def test_thirty_players_of_a_killed_node_never_flood_the_others(
    client: Client, source: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    # The others' time stands still: what was asked and not answered yet can be counted.
    clock = ManualClock()
    targets = [make_devnode(clock=clock) for _ in range(4)]
    offer(*targets)
    node = client.add_node(config_for(source), timeout=10)
    others = [client.add_node(config_for(each, f"other-{n}"), timeout=10) for n, each in enumerate(targets)]
    players = start(client, node, range(1, 31), voice=False)
    for each in targets:
        each.slow("/v4/sessions", 1, method="PATCH")
    source.close()
    most, most_a_node = 0, 0
    for moved in range(0, 30, 5):
        wait_until(lambda: sum(len(made_on(each)) for each in targets) >= moved + 5, "five more moves")  # noqa: B023
        arrived = {server.name: len(made_on(each)) for server, each in zip(others, targets, strict=True)}
        done = Counter(player.node.name for player in players if player.node in others)
        on_the_way = {name: count - done[name] for name, count in arrived.items()}
        most, most_a_node = max(most, sum(on_the_way.values())), max(most_a_node, *on_the_way.values())
        clock.advance(1)
        wait_until(lambda: sum(player.node in others for player in players) >= moved + 5, "five to arrive")  # noqa: B023
    assert (most, most_a_node) == (5, 2)
    assert sorted(guild_id for each in targets for guild_id in made_on(each)) == list(range(1, 31))
    for server, each in zip(others, targets, strict=True):
        check_settings(client, server, each, playing_on(each))


@pytest.mark.parametrize("limits", [{"at_once": 0}, {"per_node": 0}, {"at_once": 2.5}, {"per_node": True}])
def test_limits_are_whole_numbers_from_one_on(limits: dict[str, int]) -> None:
    with pytest.raises(InvalidArgumentError, match="whole number from 1 on"):
        MoveLimits(**limits)


def test_with_other_limits_more_are_moved_at_a_time(
    make_client: Callable[..., Client], source: DevNode, slow_target: DevNode, target_clock: ManualClock
) -> None:
    client = make_client(move_limits=MoveLimits(at_once=4, per_node=3))
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(slow_target, "second"), timeout=10)
    players = start(client, node, range(1, 7), voice=False)
    slow_target.slow("/v4/sessions", 1, method="PATCH")
    source.close()
    wait_until(lambda: len(made_on(slow_target)) >= 3, "three moves")
    assert len(made_on(slow_target)) == 3
    target_clock.advance(1)
    wait_until(lambda: len(made_on(slow_target)) >= 6, "three more")
    target_clock.advance(1)
    wait_until(lambda: all(player.node is other for player in players), "all on the other node")


# A user's move.


def test_a_move_keeps_everything(client: Client, node: Node, other: Node, source: DevNode, target: DevNode) -> None:
    [player] = start(client, node, range(1, 2))
    wait_until(lambda: node.rest.player(1).state.connected, "the voice connection")
    player.move_to(other)
    check_settings(client, other, target, [1])
    wait_until(lambda: other.rest.player(1).state.connected, "the voice connection there")
    assert known_to(source) == []
    player.resume()
    wait_until(lambda: player.position > 60_000, "the music to go on")


def test_a_move_to_a_node_that_dies_before_it_answers_leaves_the_music_where_it_was(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    [player] = start(client, node, range(1, 2))
    target.silence("/v4/sessions", method="PATCH")
    errors: list[LavalinkError] = []

    def move() -> None:
        try:
            player.move_to(other, timeout=1)
        except LavalinkError as error:
            errors.append(error)

    mover = threading.Thread(target=move)
    mover.start()
    wait_until(lambda: made_on(target), "the move to be on the wire")
    target.close()
    mover.join(20)
    assert [type(error) for error in errors] == [NodeNotReadyError]
    assert "node second is RECONNECTING" in str(errors[0])
    assert player.node is node
    check_settings(client, node, source, [1])


def test_what_a_move_without_an_answer_may_have_left_is_deleted(
    client: Client, node: Node, source: DevNode, target: DevNode
) -> None:
    brief = Timeouts(connect=5, read=0.1, call=20, load=20, voice=10, close=10)
    other = client.add_node(config_for(target, "second", timeouts=brief), timeout=10)
    [player] = start(client, node, range(1, 2))
    # As if the target had done it: the answer alone is missing.
    assert other.session_id is not None
    path = f"/v4/sessions/{other.session_id.reveal()}/players/1"
    other.rest.request("PATCH", path, body={"volume": 7})
    target.silence("/v4/sessions", method="PATCH")
    # It can't be deleted at first, either.
    target.answer("/v4/sessions", 503, "", "text/html", times=1, method="DELETE")
    with pytest.raises(OutcomeUnknownError):
        player.move_to(other)
    wait_until(lambda: known_to(target) == [], "what was left to be gone")
    check_settings(client, node, source, [1])


def test_a_move_to_a_node_that_dies_right_after_it_brings_the_player_back(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    told = listen(client, PlayerRestored)
    [player] = start(client, node, range(1, 2))
    player.move_to(other)
    target.close()
    wait_until(lambda: player.node is node, "the player back on the first node")
    wait_until(lambda: [event.how for event in told] == ["moved", "moved"], "two events")
    check_settings(client, node, source, [1])


def test_a_move_to_a_node_that_has_lost_its_session_waits_for_the_next_one(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    [player] = start(client, node, range(1, 2))
    # Its socket stays open: the move is what finds out.
    target.forget_sessions()
    player.move_to(other)
    check_settings(client, other, target, [1])
    assert known_to(source) == []


def test_a_move_that_the_target_refuses_leaves_the_music_where_it_was(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    [player] = start(client, node, range(1, 2))
    refuse(target, 1)
    with pytest.raises(BadRequestError, match="not this one"):
        player.move_to(other)
    check_settings(client, node, source, [1])
    wait_until(lambda: known_to(target) == [], "nothing on the target")


# The source comes back.


def test_a_node_that_comes_back_with_players_that_have_left_is_rid_of_them(
    client: Client, make_devnode: Callable[..., DevNode], target: DevNode
) -> None:
    # Its time stands still, so it keeps the session for longer than the client believes.
    source = make_devnode(clock=ManualClock())
    offer(source)
    node = client.add_node(config_for(source, resume_timeout=1), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    players = start(client, node, range(1, 4), voice=False)
    # It can't be told that they have left, as long as it is away.
    source.silence("/v4/sessions", method="DELETE")
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    source.heal()
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    wait_until(lambda: known_to(source) == [], "nothing left on it")
    check_settings(client, other, target, range(1, 4))


def test_a_node_that_is_opened_again_after_it_gave_up_keeps_the_music_that_it_still_has(
    client: Client, source: DevNode
) -> None:
    told = listen(client, PlayerRestored)
    never = ReconnectPolicy(step=0.01, cap=0.01, limit=2)
    node = client.add_node(config_for(source, resume_timeout=60, reconnect=never), timeout=10)
    players = start(client, node, range(1, 4))
    source.refuse(503)
    source.cut_sockets()
    wait_until(lambda: all(player.node is None for player in players), "the players without a node")
    source.heal()
    node.open(10)
    assert all(player.node is node for player in players)
    wait_until(lambda: [event.how for event in told] == ["resumed"] * 3, "three events")
    check_settings(client, node, source, [1, 2, 3])
    assert made_on(source) == [1, 2, 3]


def test_what_the_node_that_was_left_could_not_delete_at_once_is_deleted_later(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    [player] = start(client, node, range(1, 2))
    source.answer("/v4/sessions", 503, "", "text/html", times=1, method="DELETE")
    player.move_to(other)
    assert known_to(source) == [1]
    wait_until(lambda: known_to(source) == [], "it to be gone")
    check_settings(client, other, target, [1])


@pytest.mark.parametrize("how", ["moved by the user", "drained"])
def test_a_target_that_is_lost_between_its_answer_and_the_change_does_not_keep_the_player(
    make_client: Callable[..., Client],
    source: DevNode,
    target: DevNode,
    make_devnode: Callable[..., DevNode],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    third = make_devnode()
    offer(third)
    client = make_client(selector=lambda nodes: nodes[0])
    told = threading.Event()
    client.add_listener(NodeReconnecting, lambda _, event: told.set())
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    last = client.add_node(config_for(third, "third"), timeout=10)
    [player] = start(client, node, range(1, 2))
    put_on = Player.put_on

    def lose_it_first(self: Player, to: Node) -> Node | None:
        if to is other:
            target.close()
            # By then the players of that node were looked for, and this one was not there.
            assert told.wait(10)
        return put_on(self, to)

    monkeypatch.setattr(Player, "put_on", lose_it_first)
    if how == "drained":
        node.drain(timeout=20)
    else:
        player.move_to(other)
    wait_until(lambda: player.node in (node, last), "the player on a node that is there")
    assert player.node is not None
    check_settings(client, player.node, source if player.node is node else third, [1])


# What nobody takes.


def test_a_player_that_one_node_refuses_goes_to_another_and_the_rest_goes_on(
    make_client: Callable[..., Client], source: DevNode, target: DevNode, make_devnode: Callable[..., DevNode]
) -> None:
    third = make_devnode()
    offer(third)
    client = make_client(selector=lambda nodes: nodes[0])
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    last = client.add_node(config_for(third, "third"), timeout=10)
    players = start(client, node, range(1, 7))
    refuse(target, 3)
    source.close()
    wait_until(lambda: all(player.node in (other, last) for player in players), "the players on other nodes")
    assert players[2].node is last
    check_settings(client, last, third, playing_on(third))
    check_settings(client, other, target, playing_on(target))
    assert sorted(playing_on(target) + playing_on(third)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(("status", "times"), [(400, 1), (503, 3)])
def test_a_player_that_no_node_takes_is_told_and_can_be_used(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode, status: int, times: int
) -> None:
    lost = listen(client, PlayerLost)
    players = start(client, node, range(1, 7))
    # What a proxy says may pass, and is asked three times.
    refuse(target, 3, status, times)
    source.close()
    wait_until(lambda: lost, "PlayerLost")
    assert [event.guild_id for event in lost] == [3]
    assert "not this one" in lost[0].reason
    wait_until(lambda: playing_on(target) == [1, 2, 4, 5, 6], "the others")
    assert players[2].node is other
    assert players[2].track is None
    players[2].play(other.load_tracks(SONG).tracks[0])
    wait_until(lambda: other.rest.player(3).state.connected, "its voice connection")


def test_a_selector_that_fails_or_chooses_nobody_costs_no_player(
    make_client: Callable[..., Client], source: DevNode, target: DevNode
) -> None:
    threads: list[str] = []

    def choose(nodes: Sequence[Node]) -> Node | None:
        threads.append(threading.current_thread().name)
        return None if len(threads) == 1 else nodes[9]

    client = make_client(selector=choose)
    node = client.add_node(config_for(source), timeout=10)
    other = client.add_node(config_for(target, "second"), timeout=10)
    [player] = start(client, node, range(1, 2))
    source.close()
    wait_until(lambda: player.node is other, "the player on the other node")
    check_settings(client, other, target, [1])
    # Nobody was chosen; then it failed, and the first node was taken.
    assert len(threads) == 2
    assert not [name for name in threads if name.startswith("lavalink-node")], "user code ran on a node's thread"


# Draining and removing.


def test_a_drain_that_runs_out_of_time_says_who_is_left_and_goes_on(
    client: Client, node: Node, source: DevNode, slow_target: DevNode, target_clock: ManualClock
) -> None:
    other = client.add_node(config_for(slow_target, "second"), timeout=10)
    players = start(client, node, range(1, 4), voice=False)
    slow_target.slow("/v4/sessions", 1, method="PATCH")
    report = node.drain(timeout=0.05)
    assert (report.moved, sorted(report.left)) == ((), [1, 2, 3])
    assert playing_on(source) == [1, 2, 3]
    slow_target.slow("/v4/sessions", 0)
    wait_until(lambda: len(made_on(slow_target)) >= 2, "the moves")
    target_clock.advance(1)
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    wait_until(lambda: known_to(source) == [], "nothing left behind")
    check_settings(client, other, slow_target, [1, 2, 3])


def test_a_drain_leaves_a_player_that_nobody_takes_where_it_plays_and_ends(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    start(client, node, range(1, 4))
    refuse(target, 2)
    report = node.drain(timeout=60)
    assert (sorted(report.moved), report.left) == ([1, 3], (2,))
    check_settings(client, node, source, [2])
    check_settings(client, other, target, [1, 3])


def test_removing_a_node_whose_players_are_still_on_their_way_loses_none(
    client: Client, node: Node, source: DevNode, slow_target: DevNode, target_clock: ManualClock
) -> None:
    other = client.add_node(config_for(slow_target, "second"), timeout=10)
    players = start(client, node, range(1, 7), voice=False)
    slow_target.slow("/v4/sessions", 1, times=2, method="PATCH")
    client.remove_node("main", timeout=0.05)
    assert client.nodes == [other]
    target_clock.advance(1)
    wait_until(lambda: all(player.node is other for player in players), "the players on the other node")
    check_settings(client, other, slow_target, range(1, 7))


def test_calls_that_wait_while_their_node_is_removed_go_out_on_the_next_one(
    client: Client, node: Node, other: Node, source: DevNode, target: DevNode
) -> None:
    players = start(client, node, range(1, 5))
    source.refuse(503)
    source.slow("/v4/sessions", 0.2, method="PATCH")
    volumes: dict[int, int] = {}

    def work(guild_id: int) -> None:
        for volume in (101, 102, 103):
            volumes[guild_id] = players[guild_id - 1].set_volume(volume).volume

    callers = [threading.Thread(target=work, args=(guild_id,)) for guild_id in range(1, 5)]
    for caller in callers:
        caller.start()
    wait_until(lambda: sum(r.body == {"volume": 101} for r in source.requests) == 4, "calls on the wire")
    client.remove_node("main", timeout=10)
    for caller in callers:
        caller.join(20)
    assert volumes == dict.fromkeys(range(1, 5), 103)
    assert {server.guild_id: server.volume for server in other.rest.players()} == volumes
    assert all(player.node is other for player in players)


def test_the_player_of_the_only_node_keeps_everything_for_the_next_one(
    client: Client, source: DevNode, target: DevNode
) -> None:
    node = client.add_node(config_for(source), timeout=10)
    [player] = start(client, node, range(1, 2))
    wait_until(lambda: player.state.connected, "the voice connection")
    player.update(paused=False)
    client.remove_node("main")
    assert player.node is None
    stood = player.position
    assert stood >= 60_000
    assert player.position == stood, "nothing plays, so nothing moves on"
    client.add_node(config_for(target, "second"), timeout=10)
    wait_until(lambda: playing_on(target) == [1], "the music")
    [body] = [r.body for r in target.requests if r.method == "PATCH" and "track" in r.body]
    assert (body["position"], body["volume"], body["endTime"], body["paused"]) == (stood, 1, 3_000_001, False)
    assert body["track"]["userData"] == {"n": 1}


def test_players_of_a_node_that_is_refused_go_to_the_next_one(client: Client, source: DevNode, target: DevNode) -> None:
    wrong = client.add_node(config_for(source, password="wrong"), wait=False)
    player = client.player_on_node(wrong, GUILD)
    wait_until(lambda: wrong.status is Status.DISCONNECTED, "the refusal")
    other = client.add_node(config_for(target, "second"), timeout=10)
    assert player.set_volume(5).volume == 5
    assert player.node is other
