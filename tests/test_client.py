"""A client with nodes and listeners: which node is best, and how events reach user code."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    Event,
    EventsDropped,
    InvalidArgumentError,
    Node,
    NodeConnected,
    NodeEvent,
    PlayerUpdateEvent,
    StatsEvent,
    Status,
    Track,
    TrackEndEvent,
    TrackStartEvent,
    UnknownEvent,
    UnknownMessageEvent,
    WaitTimeoutError,
    WouldDeadlockError,
)
from lavalink_sync.devnode import DevNode

from .support.nodes import GUILD, USER_ID, config_for, join_voice
from .support.waiting import wait_until


@pytest.fixture
def track(node: Node) -> Track:
    return node.load_tracks("/music/wav3.wav").tracks[0]


@pytest.mark.parametrize("user_id", [0, -1, True, "5", None])
def test_a_client_needs_a_bots_id(user_id: int) -> None:
    with pytest.raises(InvalidArgumentError, match="user_id"):
        Client(user_id)


def test_nodes_are_kept_in_the_order_they_were_added(client: Client, make_devnode: Callable[..., DevNode]) -> None:
    nodes = [client.add_node(config_for(make_devnode(), name), timeout=10) for name in ("b", "a", "c")]
    assert client.nodes == nodes
    assert client.node("a") is nodes[1]
    assert client.node("x") is None
    client.remove_node("a")
    assert client.nodes == [nodes[0], nodes[2]]
    with pytest.raises(InvalidArgumentError, match="'a'"):
        client.remove_node("a")


def stats(cpu: float, memory: int, system: float) -> str:
    return (
        '{"op":"stats","players":0,"playingPlayers":0,"uptime":1,"frameStats":null,'
        f'"memory":{{"free":0,"used":{memory},"allocated":0,"reservable":0}},'
        f'"cpu":{{"cores":1,"systemLoad":{system},"lavalinkLoad":{cpu}}}}}'
    )


def test_the_best_node_has_the_lowest_load_and_is_connected(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    assert client.best_node() is None
    servers = [make_devnode() for _ in range(2)]
    first, second = (
        client.add_node(config_for(s, n), timeout=10) for s, n in zip(servers, ("first", "second"), strict=True)
    )

    def load(node: Node, server: DevNode, cpu: float, memory: int, system: float) -> None:
        server.send_raw(stats(cpu, memory, system))
        wait_until(lambda: node.stats is not None and node.stats.memory.used == memory, "the stats")

    load(first, servers[0], 0.9, 1, 0.0)
    load(second, servers[1], 0.1, 2, 0.9)
    assert client.best_node() is second, "lowest CPU load first"
    load(first, servers[0], 0.1, 3, 0.0)
    assert client.best_node() is second, "then lowest memory"
    load(first, servers[0], 0.1, 2, 0.1)
    load(second, servers[1], 0.1, 2, 0.9)
    assert client.best_node() is first, "then lowest system load"
    load(second, servers[1], 0.1, 2, 0.1)
    assert client.best_node() is first, "then the first"
    first.close()
    assert client.best_node() is second, "only connected ones"


def test_a_selector_replaces_the_rule(make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]) -> None:
    asked: list[Sequence[Node]] = []

    def last(nodes: Sequence[Node]) -> Node:
        asked.append(nodes)
        return nodes[-1]

    client = make_client(selector=last)
    assert client.best_node() is None
    assert not asked, "it is not asked to choose among none"
    for name in ("a", "b"):
        client.add_node(config_for(make_devnode(), name), timeout=10)
    assert client.best_node() is client.node("b")
    assert client.player(1).node is client.node("b")


def test_a_listener_gets_player_and_event_after_the_state_is_in_place(client: Client, node: Node, track: Track) -> None:
    heard: list[tuple[Any, str | None, str]] = []

    @client.on(TrackStartEvent, TrackEndEvent)
    def listen(player: Any, event: Event) -> None:
        heard.append((player, player.track and player.track.info.identifier, event.type))

    player = client.player(GUILD)
    player.play(track)
    wait_until(lambda: len(heard) == 1, "the start")
    player.stop()
    wait_until(lambda: len(heard) == 2, "the end")
    assert heard == [(player, track.info.identifier, "TrackStartEvent"), (player, None, "TrackEndEvent")]


def test_a_listener_that_fails_stops_no_other(
    client: Client, node: Node, track: Track, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []

    def failing(player: object, event: object) -> None:
        raise RuntimeError("the listener's own")

    client.add_listener(TrackStartEvent, failing)
    client.add_listener(TrackStartEvent, lambda player, event: heard.append("other"))
    client.player(GUILD).play(track)
    wait_until(lambda: heard == ["other"], "the other listener")
    assert "the listener's own" in caplog.text


def test_events_of_one_guild_come_one_at_a_time_in_order_and_guilds_run_side_by_side(
    client: Client, node: Node, devnode: DevNode
) -> None:
    heard: dict[int, list[str]] = {1: [], 2: []}
    go_on = threading.Event()
    running: list[int] = []

    @client.on(UnknownEvent)
    def listen(player: object, event: UnknownEvent) -> None:
        guild = event.guild_id
        assert guild is not None
        running.append(guild)
        assert running.count(guild) == 1, "two events of one guild at once"
        if guild == 1:
            go_on.wait(10)
        running.remove(guild)
        heard[guild].append(event.type)

    for number in range(20):
        for guild in (1, 2):
            devnode.send_raw(f'{{"op":"event","type":"Made{number}","guildId":"{guild}"}}')
    wait_until(lambda: len(heard[2]) == 20, "the other guild's events, while the first guild's listener is busy")
    assert heard[1] == []
    go_on.set()
    wait_until(lambda: len(heard[1]) == 20, "the first guild's events")
    assert heard[1] == heard[2] == [f"Made{number}" for number in range(20)]


def test_listeners_may_come_and_go_while_events_do(client: Client, node: Node, devnode: DevNode) -> None:
    heard: list[str] = []

    def once(player: object, event: UnknownEvent) -> None:
        heard.append("once")
        assert client.remove_listener(UnknownEvent, once)
        client.add_listener(UnknownEvent, lambda player, event: heard.append("after"))

    client.add_listener(UnknownEvent, once)
    for number in range(3):
        devnode.send_raw(f'{{"op":"event","type":"Made{number}","guildId":"1"}}')
        wait_until(lambda: len(heard) == number + 1, "the event")  # noqa: B023 - called at once
    assert heard == ["once", "after", "after"]
    assert not client.remove_listener(UnknownEvent, once)


def test_a_listener_for_a_root_class_hears_all_of_its_kind(client: Client, devnode: DevNode) -> None:
    heard: list[str] = []
    client.add_listener(NodeEvent, lambda player, event: heard.append(f"{player} {type(event).__name__}"))
    client.add_node(config_for(devnode), timeout=10)
    wait_until(lambda: len(heard) >= 2, "two events of the node")
    assert {"None NodeConnected", "None StatsEvent"} <= set(heard)


def test_listeners_can_be_given_to_the_constructor(make_client: Callable[..., Client], devnode: DevNode) -> None:
    heard: list[Status] = []
    client = make_client(listeners=[(NodeConnected, lambda player, event: heard.append(event.node.status))])
    client.add_node(config_for(devnode), timeout=10)
    wait_until(lambda: heard == [Status.CONNECTED], "the listener")


def test_messages_and_events_unknown_here_are_not_lost(client: Client, node: Node, devnode: DevNode) -> None:
    heard: list[Any] = []
    client.add_listener(UnknownEvent, lambda player, event: heard.append(event))
    client.add_listener(UnknownMessageEvent, lambda player, event: heard.append(event))
    devnode.send_raw('{"op":"event","type":"SegmentSkipped","guildId":"5","segment":{"start":1}}')
    devnode.send_raw('{"op":"news","text":"hello"}')
    wait_until(lambda: len(heard) == 2, "both")
    heard.sort(key=lambda event: type(event).__name__)
    assert heard[0].data["segment"] == {"start": 1}
    assert (heard[1].node, heard[1].op, heard[1].data["text"]) == (node, "news", "hello")


def test_events_that_nobody_listens_to_start_no_thread(client: Client, node: Node, track: Track) -> None:
    client.player(GUILD).play(track)
    wait_until(lambda: client.player(GUILD).track is not None, "the track")
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("lavalink-worker-")]


def test_listeners_that_fall_behind_lose_the_oldest_and_are_told(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(max_pending=3)
    client.add_node(config_for(devnode), timeout=10)
    heard: list[str] = []
    dropped: list[EventsDropped] = []
    busy, go_on = threading.Event(), threading.Event()

    @client.on(UnknownEvent)
    def listen(player: object, event: UnknownEvent) -> None:
        heard.append(event.type)
        busy.set()
        go_on.wait(10)

    client.add_listener(EventsDropped, lambda player, event: dropped.append(event))
    devnode.send_raw('{"op":"event","type":"First","guildId":"1"}')
    assert busy.wait(10)
    for number in range(6):
        devnode.send_raw(f'{{"op":"event","type":"Made{number}","guildId":"1"}}')
    devnode.send_raw('{"op":"event","type":"Other","guildId":"2"}')
    wait_until(lambda: "Other" in heard and dropped, "the overflow")
    go_on.set()
    wait_until(lambda: len(heard) == 5, "what was kept")
    assert heard == ["First", "Other", "Made3", "Made4", "Made5"]
    assert [event.guild_id for event in dropped] == [1]


def test_player_updates_replace_the_one_before(client: Client, node: Node, devnode: DevNode) -> None:
    positions: list[int] = []
    busy, go_on = threading.Event(), threading.Event()

    @client.on(PlayerUpdateEvent)
    def listen(player: object, event: PlayerUpdateEvent) -> None:
        positions.append(event.state.position)
        busy.set()
        go_on.wait(10)

    def send(position: int) -> None:
        state = f'{{"time":1,"position":{position},"connected":true,"ping":1}}'
        devnode.send_raw(f'{{"op":"playerUpdate","guildId":"1","state":{state}}}')

    send(0)
    assert busy.wait(10)
    with client.expect(UnknownEvent, timeout=10) as last:
        for position in (1, 2, 3):
            send(position)
        devnode.send_raw('{"op":"event","type":"Last","guildId":"2"}')
        last.result()
    go_on.set()
    wait_until(lambda: len(positions) == 2, "the newest update")
    assert positions == [0, 3]


def test_waiting_for_an_event_gives_the_one_that_comes_after(client: Client, node: Node, track: Track) -> None:
    player = client.player(GUILD)
    with client.expect(TrackStartEvent, guild_id=GUILD, timeout=10) as started:
        player.play(track)
    assert started.result().track.info.identifier == track.info.identifier
    with pytest.raises(WaitTimeoutError, match="TrackEndEvent") as caught:
        client.wait_for(TrackEndEvent, guild_id=GUILD, timeout=0.05)
    assert isinstance(caught.value, TimeoutError)


def test_a_track_is_waited_for_to_its_natural_end(client: Client, node: Node, track: Track) -> None:
    join_voice(client)
    player = client.player(GUILD)
    with client.expect(TrackEndEvent, guild_id=GUILD, timeout=10) as ended:
        player.play(track, position=track.info.length - 200)
    assert ended.result().reason.may_start_next


def test_a_stream_of_events_ends_with_the_client(client: Client, node: Node, devnode: DevNode) -> None:
    types: list[str] = []
    begun = threading.Event()

    def read() -> None:
        with client.events(UnknownEvent) as stream:
            begun.set()
            types.extend(event.type for event in stream)

    reader = threading.Thread(target=read)
    reader.start()
    assert begun.wait(10)
    for number in range(3):
        devnode.send_raw(f'{{"op":"event","type":"Made{number}","guildId":"1"}}')
    wait_until(lambda: len(types) == 3, "the events")
    client.close()
    reader.join(10)
    assert types == ["Made0", "Made1", "Made2"]


@pytest.mark.parametrize("wait", ["wait_for", "expect"])
def test_a_wait_on_the_lane_it_waits_for_raises_at_once(
    client: Client, node: Node, devnode: DevNode, wait: str
) -> None:
    met: list[BaseException] = []

    @client.on(UnknownEvent)
    def listen(player: object, event: UnknownEvent) -> None:
        try:
            if wait == "wait_for":
                client.wait_for(TrackEndEvent, guild_id=1, timeout=30)
            else:
                with client.expect(TrackEndEvent, guild_id=1, timeout=30) as expected:
                    pass
                expected.result()
        except WouldDeadlockError as error:
            met.append(error)

    devnode.send_raw('{"op":"event","type":"Made","guildId":"1"}')
    wait_until(lambda: met, "the error")


def test_every_worker_may_wait_in_calls_of_ours(make_client: Callable[..., Client], devnode: DevNode) -> None:
    """Listeners of several guilds block in `connect`, which keepers carry out: nothing needs a worker."""

    def discord(guild: int, channel: int | None, self_mute: bool, self_deaf: bool) -> None:
        join_voice(client, guild, channel or 0)

    client: Client = make_client(workers=2, send_voice_state=discord)
    client.add_node(config_for(devnode), timeout=10)
    done: list[int] = []

    @client.on(UnknownEvent)
    def listen(player: object, event: UnknownEvent) -> None:
        assert event.guild_id is not None
        client.player(event.guild_id).connect(5, timeout=10)
        done.append(event.guild_id)

    for guild in range(1, 7):
        devnode.send_raw(f'{{"op":"event","type":"Made","guildId":"{guild}"}}')
    wait_until(lambda: len(done) == 6, "all guilds to be connected")


def test_stats_come_as_an_event_with_their_node(client: Client, node: Node, devnode: DevNode) -> None:
    with client.expect(StatsEvent, timeout=10, check=lambda event: event.stats.memory.used == 77) as expected:
        devnode.send_raw(stats(0.5, 77, 0.5))
    assert expected.result().node is node
    assert node.stats == expected.result().stats


def test_events_of_a_node_that_the_player_is_not_on_change_nothing(
    client: Client, node: Node, make_devnode: Callable[..., DevNode], track: Track
) -> None:
    second = make_devnode()
    client.add_node(config_for(second, "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    player.play(track)
    heard: list[object] = []
    client.add_listener(TrackEndEvent, lambda player, event: heard.append(event))
    end = '{"op":"event","type":"TrackEndEvent","guildId":"%d","reason":"finished","track":%s}'
    second.send_raw(end % (GUILD, track.to_json()))
    with client.expect(UnknownEvent, timeout=10) as last:
        second.send_raw('{"op":"event","type":"Last","guildId":"2"}')
    last.result()
    assert player.track is not None
    assert heard == []


def test_a_client_says_what_it_is_without_secrets(client: Client, node: Node) -> None:
    client.player(5)
    assert repr(client) == f"<Client of {USER_ID}: 1 nodes, 1 players>"
    assert "main" in repr(node)


def test_an_event_without_a_guild_reaches_its_listeners(client: Client, node: Node, devnode: DevNode) -> None:
    with client.expect(UnknownEvent, timeout=10) as expected:
        devnode.send_raw('{"op":"event","type":"Global"}')
    assert expected.result().guild_id is None


def test_events_of_a_node_that_are_dropped_name_it(make_client: Callable[..., Client], devnode: DevNode) -> None:
    client = make_client(max_pending=1)
    client.add_node(config_for(devnode), timeout=10)
    dropped: list[EventsDropped] = []
    busy, go_on = threading.Event(), threading.Event()

    @client.on(UnknownMessageEvent)
    def listen(player: object, event: UnknownMessageEvent) -> None:
        busy.set()
        go_on.wait(10)

    client.add_listener(EventsDropped, lambda player, event: dropped.append(event))
    devnode.send_raw('{"op":"one"}')
    assert busy.wait(10)
    for _ in range(3):
        devnode.send_raw('{"op":"more"}')
    wait_until(lambda: dropped, "the overflow")
    go_on.set()
    assert (dropped[0].guild_id, dropped[0].node_name) == (None, "main")


def test_what_to_listen_to_must_be_named(client: Client) -> None:
    for call in (client.wait_for, client.expect, client.events, client.on):
        with pytest.raises(InvalidArgumentError, match="event types"):
            call()
    with pytest.raises(InvalidArgumentError, match="event types"):
        client.add_listener("TrackEndEvent", print)  # type: ignore[arg-type]  # that is what is tried


@pytest.mark.parametrize("workers", [0, -1, True, "4"])
def test_a_client_needs_workers(workers: int) -> None:
    with pytest.raises(InvalidArgumentError, match="workers"):
        Client(USER_ID, workers=workers)


def test_a_node_is_added_by_its_config(client: Client) -> None:
    with pytest.raises(InvalidArgumentError, match="NodeConfig"):
        client.add_node({"password": "hunter2"})  # type: ignore[arg-type]  # that is what is tried
