"""Corners that users run into: bad input, odd orders, deaf peers, calls from the wrong place."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import pytest

from lavalink_sync import (
    BadRequestError,
    Client,
    ClientClosedError,
    ConnectError,
    HandshakeError,
    InvalidArgumentError,
    Node,
    NodeClosedError,
    NodeConfig,
    NodeDisconnected,
    NodeEvent,
    ReconnectPolicy,
    Status,
    UnknownEvent,
    VoiceFailed,
    VoiceStage,
    WaitTimeoutError,
)
from lavalink_sync.devnode import DevNode
from lavalink_sync.transport.connection import WebSocketConnection

from .support.nodes import GUILD, config_for, join_voice, listen
from .support.sockets import Peer, ScriptedServer, unused_port
from .support.waiting import wait_until
from .test_node_faults import READY, lavalink


class Odd(Protocol):
    """A type that nothing can be asked about."""


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.events(UnknownEvent, max_pending=0),
        lambda client: client.add_listener(Odd, print),
        lambda client: client.add_listener(list[int], print),
        lambda client: client.add_listener(UnknownEvent, "print"),
        lambda client: client.on(UnknownEvent)(None),
        lambda client: Client(1, listeners=[(UnknownEvent, "print")]),  # type: ignore[list-item]  # that is the slip
        lambda client: client.wait_for(UnknownEvent, guild_id="5", timeout=1),
        lambda client: client.wait_for(UnknownEvent, timeout=math.nan),
        lambda client: client.wait_for(UnknownEvent, timeout="5"),
        lambda client: client.expect(UnknownEvent, timeout=-1),
        lambda client: client.events(UnknownEvent, timeout="5"),
        lambda client: client.wait_for(UnknownEvent, guild_id=-1, timeout=1),
        lambda client: Client(1, max_pending=0),
        lambda client: client.player([1]),
        lambda client: client.player_on_node(client.nodes[0], "5"),
        lambda client: client.existing_player([]),
        lambda client: client.remove_player({}),
        lambda client: client.node([]),
        lambda client: client.remove_node([]),
        lambda client: client.player(GUILD).connect("5"),
        lambda client: client.player(GUILD).connect(True),
        lambda client: client.on_voice_state_update(8, "abc", "s"),
        lambda client: client.on_gateway_event("x"),
        lambda client: client.on_gateway_event(None),
    ],
)
def test_bad_input_is_refused_where_it_is_given(client: Client, node: Node, call: Callable[[Client], object]) -> None:
    with pytest.raises(InvalidArgumentError):
        call(client)
    assert client.existing_player(8) is None


@pytest.mark.parametrize(
    "option",
    [
        *("executor", "store", "selector", "send_voice_state", "timeouts", "session", "move_limits", "clock"),
        "client_name",
    ],
)
def test_an_option_of_a_client_that_is_of_another_kind_is_refused(option: str) -> None:
    wrong: dict[str, Any] = {option: "redis://:secret\n@host"}
    with pytest.raises(InvalidArgumentError, match=rf"Client\({option}=\.\.\.\) must be a") as caught:
        Client(1, **wrong)
    assert "secret" not in str(caught.value)


def test_the_class_of_an_executor_is_no_executor() -> None:
    kind: Any = ThreadPoolExecutor
    with pytest.raises(InvalidArgumentError, match=r"an? .*Executor; this is the class ThreadPoolExecutor"):
        Client(1, executor=kind)


def test_a_selector_that_chooses_no_candidate_is_told_so(make_client: Callable[..., Client], devnode: DevNode) -> None:
    client = make_client(selector=lambda _: "main")
    client.add_node(config_for(devnode), timeout=10)
    for call in (client.best_node, lambda: client.player(GUILD)):
        with pytest.raises(InvalidArgumentError, match="selector returned 'main'"):
            call()
    assert client.players == []


def test_a_second_connect_is_not_answered_with_the_first_ones_failure(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    def discord(guild_id: int, channel_id: int | None, self_mute: bool, self_deaf: bool) -> None:
        join_voice(client, guild_id, channel_id or 0)

    client: Client = make_client(send_voice_state=discord)
    failed = listen(client, VoiceFailed)
    client.add_node(config_for(devnode), timeout=10)
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"no such voice","path":"/"}'
    devnode.answer("/v4/sessions", 400, body, "application/json", times=1)
    player = client.player(GUILD)
    with pytest.raises(WaitTimeoutError, match="no such voice"):
        player.connect(1234, timeout=10)
    player.connect(5678, timeout=10)
    wait_until(lambda: failed, "VoiceFailed")
    assert len(failed) == 1


def test_a_destroyed_player_is_not_brought_back_by_its_voice(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    player.set_volume(5)
    devnode.slow("/v4/sessions", 0.2, times=1)
    destroyer = threading.Thread(target=player.destroy)
    destroyer.start()
    wait_until(lambda: any(request.method == "DELETE" for request in devnode.requests), "the DELETE")
    player.take_voice(lambda voice: voice.with_state(5, "s").with_server("t", "e:1"))
    destroyer.join(10)
    client.close()
    assert not [request for request in devnode.requests if request.method == "PATCH" and "voice" in str(request.body)]


def test_voice_that_met_a_refused_connection_is_sent_again(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    devnode = make_devnode()
    node = client.add_node(config_for(devnode), timeout=10)
    client.player(GUILD).set_volume(5)
    devnode.close()
    join_voice(client)
    wait_until(lambda: node.status is not Status.CONNECTED, "the loss to be noticed")
    devnode.start()
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    wait_until(lambda: any(player.state.connected for player in node.rest.players()), "the voice connection")


def test_a_keepers_fault_is_in_the_log(client: Client, node: Node, caplog: pytest.LogCaptureFixture) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a fault of ours")

    node.rest.update_player = broken  # type: ignore[method-assign]  # there is no other way to break it
    join_voice(client)
    wait_until(lambda: "a fault of ours" in caplog.text, "the log")


def test_waiting_for_a_status_ends_when_the_node_gives_up(client: Client) -> None:
    config = NodeConfig("main", f"127.0.0.1:{unused_port()}", "password", reconnect=ReconnectPolicy(step=0.05, limit=2))
    node = client.add_node(config, wait=False)
    with pytest.raises(ConnectError):
        node.wait_for(Status.CONNECTED)
    client.close()
    with pytest.raises(ClientClosedError):
        node.wait_for(Status.CONNECTED)


def test_a_node_closed_from_many_threads_says_so_once(client: Client, devnode: DevNode) -> None:
    heard: list[str] = []
    client.add_listener(NodeEvent, lambda _, event: heard.append(type(event).__name__))
    node = client.add_node(config_for(devnode), timeout=10)
    closers = [threading.Thread(target=node.close) for _ in range(6)]
    for closer in closers:
        closer.start()
    for closer in closers:
        closer.join(10)
    node.open(timeout=10)
    client.close()
    told = [name for name in heard if name != "StatsEvent"]
    assert told == ["NodeConnected", "NodeDisconnected", "NodeConnected", "NodeDisconnected"]


def test_the_end_of_a_connection_is_not_told_over_a_newer_one(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = listen(client, NodeDisconnected)
    node = client.add_node(config_for(devnode), timeout=10)
    client.player(GUILD)
    client._dispatcher.expect_replays(node, {GUILD: True})
    run, real = node.view.run, WebSocketConnection.close
    assert run is not None
    closing, go_on = threading.Event(), threading.Event()

    def late(self: WebSocketConnection, *args: Any, **options: Any) -> None:
        closing.set()
        go_on.wait(10)
        real(self, *args, **options)

    monkeypatch.setattr(WebSocketConnection, "close", late)
    node.close(timeout=0)
    assert closing.wait(10)
    monkeypatch.setattr(WebSocketConnection, "close", real)
    # Closed once more it is as far from its end as before.
    node.close(timeout=0)
    node.open(timeout=10)
    with client.expect(UnknownEvent, timeout=10) as event:
        devnode.send_raw(f'{{"op":"event","type":"Made","guildId":"{GUILD}"}}')
    assert not event.result().replayed, "the session is a new one"
    client._dispatcher.expect_replays(node, {GUILD: True})
    go_on.set()
    run.thread.join(10)
    with client.expect(UnknownEvent, timeout=10) as event:
        devnode.send_raw(f'{{"op":"event","type":"Made","guildId":"{GUILD}"}}')
    assert event.result().replayed, "what the newer one expects is left alone"
    client.close()
    assert told == [NodeDisconnected(node, None)]


def lose(devnode: DevNode, node: Node, as_it_gives_up: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut the node off for good; `as_it_gives_up` runs on its thread, when it is DISCONNECTED and has not told so."""
    real = node._state.write

    def watched(generation: int, **changes: Any) -> bool:
        is_written = real(generation, **changes)
        if changes.get("status") is Status.DISCONNECTED:
            as_it_gives_up()
        return is_written

    monkeypatch.setattr(node._state, "write", watched)
    devnode.refuse(503)
    devnode.cut_sockets()


def test_a_node_that_gave_up_and_is_opened_before_that_is_told_is_not_called_disconnected(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = listen(client, NodeDisconnected)
    node = client.add_node(config_for(devnode, reconnect=ReconnectPolicy(step=0, limit=1)), timeout=10)

    def open_again() -> None:
        devnode.refuse(None)
        node.start()

    lose(devnode, node, open_again, monkeypatch)
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    client.close()
    assert told == [NodeDisconnected(node, None)]


def test_a_node_that_is_closed_as_it_gives_up_says_so_once(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = listen(client, NodeDisconnected)
    node = client.add_node(config_for(devnode, reconnect=ReconnectPolicy(step=0, limit=1)), timeout=10)
    lose(devnode, node, node.close, monkeypatch)
    wait_until(lambda: told, "the end")
    client.close()
    assert [type(event.error) for event in told] == [HandshakeError]


def test_what_a_node_replays_is_its_own_and_not_that_of_another_of_its_name(client: Client, devnode: DevNode) -> None:
    first = client.add_node(config_for(devnode), timeout=10)
    client.remove_node(first.name)
    second = client.add_node(config_for(devnode), timeout=10)
    client.player(GUILD)
    client._dispatcher.expect_replays(second, {GUILD: True})
    client._dispatcher.forget_replays(first)
    with client.expect(UnknownEvent, timeout=10) as event:
        devnode.send_raw(f'{{"op":"event","type":"Made","guildId":"{GUILD}"}}')
    assert event.result().replayed


def test_a_node_that_is_closed_in_the_middle_of_its_opening_makes_no_calls(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.close()
    real = node._transport.open

    def after_a_close() -> None:
        node.close()
        real()

    monkeypatch.setattr(node._transport, "open", after_a_close)
    with pytest.raises(NodeClosedError):
        node.open(timeout=10)
    with pytest.raises(NodeClosedError):
        node.version()
    monkeypatch.undo()
    node.open(timeout=10)
    assert node.version()


def test_a_peer_that_never_answers_the_close_frame_holds_up_nobody(client: Client) -> None:
    def deaf(peer: Peer) -> None:
        peer.send(READY)
        peer.wait_quit()

    with ScriptedServer(lavalink(deaf)) as server:
        node = client.add_node(NodeConfig("main", server.address, "password"), timeout=10)
        began = time.monotonic()
        client.close(timeout=3)
        assert time.monotonic() - began < 2.5
        run = node.view.run
        assert run is not None
        assert not run.thread.is_alive()


def test_close_in_a_callback_of_what_close_cancels_does_not_wait_for_itself(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(workers=1)
    node = client.add_node(config_for(devnode), timeout=10)
    go_on, busy = threading.Event(), threading.Event()

    def block(result: object) -> None:
        busy.set()
        go_on.wait(30)

    first = node.load_tracks("/music/wav3.wav", block)
    assert busy.wait(10)
    second = node.load_tracks("/music/wav3.wav", print)
    second.add_done_callback(lambda future: client.close())
    began = time.monotonic()
    client.close(timeout=0.5)
    assert time.monotonic() - began < 5
    go_on.set()
    first.result(10)


def test_nothing_of_a_node_is_heard_after_its_end(client: Client, devnode: DevNode) -> None:
    heard: list[str] = []
    client.add_listener(NodeDisconnected, lambda _, event: heard.append("end"))
    client.add_listener(UnknownEvent, lambda _, event: heard.append("event"))
    node = client.add_node(config_for(devnode), timeout=10)
    node.close()
    wait_until(lambda: heard == ["end"], "the end")
    devnode.send_raw('{"op":"event","type":"Late","guildId":"1"}')
    client.close()
    assert heard == ["end"]


def test_a_listeners_system_exit_stops_no_other(client: Client, node: Node, devnode: DevNode) -> None:
    heard: list[str] = []

    def leave(player: object, event: object) -> None:
        raise SystemExit

    client.add_listener(UnknownEvent, leave)
    client.add_listener(UnknownEvent, lambda player, event: heard.append("other"))
    devnode.send_raw('{"op":"event","type":"Made","guildId":"1"}')
    wait_until(lambda: heard == ["other"], "the other listener")


def test_a_selectors_own_error_is_not_taken_for_a_bad_message(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    def selector(nodes: object) -> Node:
        raise KeyError("the selector's own")

    client = make_client(selector=selector)
    client.add_node(config_for(devnode), timeout=10)
    with pytest.raises(KeyError, match="own"):
        client.on_gateway_event({"t": "VOICE_SERVER_UPDATE", "d": {"guild_id": "5", "token": "t", "endpoint": "e"}})


def test_leaving_and_joining_again_sends_the_voice_data_again(client: Client, node: Node, devnode: DevNode) -> None:
    def sent() -> int:
        return len([r for r in devnode.requests if r.method == "PATCH" and "voice" in (r.body or {})])

    join_voice(client)
    wait_until(lambda: sent() == 1 and client.player(GUILD).voice.stage is VoiceStage.TAKEN, "the voice update")
    client.on_voice_state_update(GUILD, None, "a-discord-session")
    join_voice(client)
    wait_until(lambda: sent() == 2, "the voice update, again")


def test_stats_of_a_lost_connection_are_not_shown(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode), timeout=10)
    wait_until(lambda: node.stats is not None, "the first stats")
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the loss")
    assert node.stats is None


def test_a_bad_request_is_no_outage(client: Client, node: Node, devnode: DevNode) -> None:
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"no","path":"/"}'
    devnode.answer("/v4/sessions", 400, body, "application/json", times=1)
    with pytest.raises(BadRequestError, match="no"):
        client.player(GUILD).set_volume(5)
