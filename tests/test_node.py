"""One node against a real server on loopback: connecting, refusals, reconnecting, heartbeat, loading."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections.abc import Callable

import pytest

from lavalink_sync import (
    AuthenticationError,
    Client,
    ClientClosedError,
    ConnectError,
    LoadFailed,
    LoadResult,
    Node,
    NodeClosedError,
    NodeConfig,
    NodeConnected,
    NodeDisconnected,
    NodeReconnecting,
    NoMatches,
    ReconnectPolicy,
    Stats,
    Status,
    Timeouts,
    TrackLoaded,
    UnknownMessageEvent,
    UnsupportedServerError,
    WaitTimeoutError,
)
from lavalink_sync.devnode import DevNode
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.connection import WebSocketConnection

from .conftest import _open_files
from .support.clock import ManualClock
from .support.nodes import config_for, say_info
from .support.waiting import wait_until


def test_add_node_returns_a_connected_node(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode), timeout=10)
    assert node.status is Status.CONNECTED
    assert node.session_id is not None
    assert node.session_id.reveal() in [session.session_id for session in devnode.sessions]
    assert client.node("main") is node
    assert node.client is client
    assert node.last_error is None


def test_what_the_node_page_names_can_be_read(node: Node, devnode: DevNode) -> None:
    wait_until(lambda: node.stats is not None, "the first stats")
    assert node.stats is not None
    assert node.stats.players == 0
    assert (node.name, node.config.address, node.config.secure) == ("main", devnode.address, False)
    assert node.config.password == devnode.password
    assert node.config.session_id == node.session_id, "the config is ready to be kept for a restart"
    assert node.version() == "4.2.2"
    info = node.info()
    assert info.version.major == 4
    assert "local" in info.source_managers
    assert node.rest.version() == "4.2.2"


def test_updating_the_session_is_answered_and_remembered_for_the_next_one(node: Node, devnode: DevNode) -> None:
    session = node.update(resuming=True, timeout=42)
    assert (session.resuming, session.timeout) == (True, 42)
    devnode.forget_sessions()
    first = node.session_id
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.CONNECTED and node.session_id != first, "a new session")
    again = node.update()
    assert (again.resuming, again.timeout) == (True, 42)


def test_a_second_node_of_the_same_name_is_refused_and_the_first_lives_on(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode), timeout=10)
    with pytest.raises(ValueError, match="main"):
        client.add_node(config_for(devnode), timeout=10)
    assert client.nodes == [node]
    assert node.status is Status.CONNECTED


def test_a_wrong_password_ends_add_node_at_once_and_leaves_nothing(client: Client, devnode: DevNode) -> None:
    with pytest.raises(AuthenticationError, match="password"):
        client.add_node(config_for(devnode, password="wrong"), timeout=60)
    assert client.nodes == []
    client.add_node(config_for(devnode), timeout=10)


@pytest.mark.parametrize("status", [400, 404, 403])
def test_a_server_without_our_websocket_is_asked_for_its_version(client: Client, devnode: DevNode, status: int) -> None:
    devnode.refuse(status, body="no such page")
    devnode.answer("/version", 200, "3.7.11", "text/plain")
    with pytest.raises(UnsupportedServerError, match=r"3\.7\.11.*Lavalink v4") as raised:
        client.add_node(config_for(devnode), timeout=60)
    assert raised.value.version == "3.7.11"
    assert client.nodes == []


@pytest.mark.parametrize(("version", "major"), [("3.7.11", 3), ("5.0.0", 5)])
def test_a_server_that_takes_the_websocket_and_is_of_another_major_version_ends_add_node_at_once(
    client: Client, devnode: DevNode, version: str, major: int
) -> None:
    say_info(devnode, version, major)
    with pytest.raises(UnsupportedServerError, match=re.escape(version)):
        client.add_node(config_for(devnode, resume_timeout=60), timeout=60)
    assert client.nodes == []
    assert not any(request.method == "PATCH" for request in devnode.requests), "nothing is asked of such a session"


@pytest.mark.parametrize("version", ["4.0.0-beta.3", "a1b2c3d-SNAPSHOT", "4", ""])
def test_an_odd_version_text_is_no_reason_to_give_up(client: Client, devnode: DevNode, version: str) -> None:
    devnode.refuse(404, times=1)
    devnode.answer("/version", 200, version, "text/plain")
    say_info(devnode, version, major=4 if version.startswith("4") else 0)
    assert client.add_node(config_for(devnode), timeout=10).status is Status.CONNECTED
    assert sum(request.path == "/version" for request in devnode.requests) == 1


def test_a_server_that_comes_back_as_another_major_version_is_tried_until_it_is_ours_again(
    node: Node, devnode: DevNode
) -> None:
    say_info(devnode, "5.0.0", 5)
    devnode.forget_sessions()
    devnode.cut_sockets()
    wait_until(lambda: node.view.attempt > 2, "some tries")
    assert node.status is Status.RECONNECTING
    assert isinstance(node.last_error, UnsupportedServerError)
    devnode.refuse(404)
    wait_until(lambda: isinstance(node.last_error, ConnectError), "a refusal")
    assert not any(request.path == "/version" for request in devnode.requests), "no version is final now"
    say_info(devnode)
    devnode.refuse(None)
    wait_until(lambda: node.status is Status.CONNECTED, "the server of before")


def test_add_node_goes_on_until_the_server_is_there(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503, times=3)
    node = client.add_node(config_for(devnode), timeout=20)
    assert node.status is Status.CONNECTED
    assert node.view.attempt == 0


def test_add_node_gives_up_at_its_timeout_and_says_what_the_last_try_met(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503)
    with pytest.raises(WaitTimeoutError, match="503") as caught:
        client.add_node(config_for(devnode), timeout=0.3)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.last_error is not None
    assert client.nodes == []


def test_add_node_without_waiting_returns_while_it_goes_on(client: Client, devnode: DevNode) -> None:
    devnode.refuse(404)
    node = client.add_node(config_for(devnode), wait=False)
    assert node.status is Status.CONNECTING
    wait_until(lambda: node.last_error is not None, "a failed try")
    assert node.status is Status.CONNECTING
    devnode.refuse(None)
    assert node.wait_for(Status.CONNECTED, timeout=10) is Status.CONNECTED


def test_the_delays_of_fifty_refusals_are_two_seconds_more_each_up_to_thirty(
    timed_client: Client,
    clock: ManualClock,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    # Timeouts that can't be taken for one of the delays.
    config = NodeConfig("main", f"127.0.0.1:{port}", "password", timeouts=Timeouts(connect=5.25, read=7.5))
    node = timed_client.add_node(config, wait=False)
    for attempt in range(1, 51):
        delay = min(attempt * 2, 30)
        clock.waiting(1, due_in=delay)
        assert node.view.attempt == attempt
        clock.advance(delay)
    assert isinstance(node.last_error, ConnectError)


def test_the_limit_of_tries_ends_add_node_with_what_the_last_one_met(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503)
    with pytest.raises(ConnectError, match="503"):
        client.add_node(config_for(devnode, reconnect=ReconnectPolicy(step=0, limit=3)), timeout=20)
    assert client.nodes == []


@pytest.mark.parametrize(
    "end",
    [
        lambda node, devnode: devnode.cut_sockets(),
        lambda node, devnode: devnode.close_sockets(1011, "odd"),
        lambda node, devnode: node.session_is_lost(node.session_id),
    ],
    ids=["cut", "closed", "session forgotten"],
)
def test_a_server_that_ends_each_connection_at_once_is_not_dialled_in_a_storm(
    timed_client: Client, clock: ManualClock, devnode: DevNode, end: Callable[[Node, DevNode], None]
) -> None:
    config = NodeConfig("main", devnode.address, devnode.password, heartbeat=3600)
    node = timed_client.add_node(config, timeout=60)
    clock.advance(60)
    # One that lasted is made again at once; each that does not puts the next one off by 2 s more.
    for readies, delay in enumerate((0, 2, 4, 6), 2):
        end(node, devnode)
        if delay:
            clock.waiting(1, due_in=delay)
            clock.advance(delay)
        wait_until(lambda: node.view.readies == readies, "the node to be back")  # noqa: B023 - called at once
    clock.advance(2)
    end(node, devnode)
    wait_until(lambda: node.view.readies == 6, "the node to be back, at once again")


def test_a_lost_connection_is_made_again_and_told_once(client: Client, devnode: DevNode) -> None:
    heard: list[tuple[str, str]] = []
    for kind in (NodeConnected, NodeReconnecting, NodeDisconnected):
        client.add_listener(kind, lambda _, event: heard.append((type(event).__name__, getattr(event, "reason", ""))))
    node = client.add_node(config_for(devnode), timeout=10)
    wait_until(lambda: len(heard) == 1, "NodeConnected")
    devnode.refuse(503, times=3)
    devnode.cut_sockets()
    wait_until(lambda: len(heard) == 3, "the way back")
    assert [name for name, _ in heard] == ["NodeConnected", "NodeReconnecting", "NodeConnected"]
    assert "lost" in heard[1][1]
    assert node.status is Status.CONNECTED
    client.remove_node("main")
    wait_until(lambda: len(heard) == 4, "NodeDisconnected")
    assert heard[3] == ("NodeDisconnected", "closed on request")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refusal_while_reconnecting_is_not_final(node: Node, devnode: DevNode, status: int) -> None:
    devnode.refuse(status, times=2)
    readies = node.view.readies
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == readies + 1, "the node to be back")
    assert node.status is Status.CONNECTED


def test_a_close_frame_of_the_server_begins_a_reconnect(node: Node, devnode: DevNode) -> None:
    readies = node.view.readies
    devnode.close_sockets(1001, "going away")
    wait_until(lambda: node.view.readies == readies + 1, "the node to be back")


@pytest.fixture
def timed_client(make_client: Callable[..., Client], clock: ManualClock) -> Client:
    """A client in the time of `clock`."""
    return make_client(clock=clock)


def with_stats(client: Client, devnode: DevNode, *, heartbeat: float) -> tuple[Node, Stats]:
    """Add a node, and wait for its first stats."""
    node = client.add_node(config_for(devnode, heartbeat=heartbeat), timeout=60)
    wait_until(lambda: node.stats is not None, "the first stats")
    assert node.stats is not None
    return node, node.stats


def test_a_mute_peer_is_noticed_within_two_heartbeats(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, _ = with_stats(timed_client, devnode, heartbeat=10)
    devnode.mute(True)
    clock.waiting(1, due_in=10)
    clock.advance(10)
    clock.waiting(1, due_in=10)
    assert node.status is Status.CONNECTED
    clock.advance(10)
    wait_until(lambda: node.status is Status.RECONNECTING, "the mute peer to be noticed")
    assert "two heartbeats" in str(node.last_error)


def pass_a_heartbeat(clock: ManualClock, client: Client, devnode: DevNode, seconds: float, *frames: str) -> None:
    """Move the time to where the node pings, and see to it that the answer, and `frames` after it, have arrived."""
    clock.waiting(1, due_in=seconds)
    pings = devnode.pings
    clock.advance(seconds)
    wait_until(lambda: devnode.pings == pings + 1, "the ping")
    with client.expect(UnknownMessageEvent) as behind_the_pong:
        for frame in frames:
            devnode.send_raw(frame)
        devnode.send_raw('{"op":"behind the pong"}')
    behind_the_pong.result()


def test_a_peer_that_answers_pings_is_not_thrown_away(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, _ = with_stats(timed_client, devnode, heartbeat=10)
    for _ in range(6):
        pass_a_heartbeat(clock, timed_client, devnode, 10)
    assert node.status is Status.CONNECTED
    assert node.view.readies == 1


def load_at_once(node: Node, devnode: DevNode) -> None:
    """Load in eight threads at a time, for which the node needs a connection each."""
    devnode.slow("/v4/loadtracks", 0.2, times=8)
    threads = [threading.Thread(target=node.load_tracks, args=("nothing",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert node._transport.idle > 3


def test_connections_of_a_burst_of_calls_are_closed_at_a_heartbeat(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, _ = with_stats(timed_client, devnode, heartbeat=25)
    at_rest = _open_files().total()
    load_at_once(node, devnode)
    for _ in range(2):
        assert node._transport.idle > 3
        pass_a_heartbeat(clock, timed_client, devnode, 25)
    assert node._transport.idle == 0
    # The server's ends are of this process too.
    wait_until(lambda: _open_files().total() <= at_rest, "no more files than before the burst")


def test_connections_of_a_burst_of_calls_are_closed_while_there_is_always_something_heard(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, stats = with_stats(timed_client, devnode, heartbeat=3600)
    load_at_once(node, devnode)
    clock.advance(60)
    devnode.send_raw(json.dumps({"op": "stats", **stats.to_dict()}))
    wait_until(lambda: node._transport.idle == 0, "the idle connections to be closed")


def test_a_node_whose_thread_has_ended_keeps_no_connection(client: Client, devnode: DevNode) -> None:
    reconnect = ReconnectPolicy(step=0.01, limit=1)
    node = client.add_node(config_for(devnode, reconnect=reconnect), timeout=10)
    load_at_once(node, devnode)
    devnode.refuse(503)
    devnode.close_sockets(1001)
    wait_until(lambda: node.status is Status.DISCONNECTED, "the node to give up")
    wait_until(lambda: node._transport.idle == 0, "the idle connections to be closed")


def test_a_peer_that_only_stops_its_stats_is_noticed_within_150_seconds(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, _ = with_stats(timed_client, devnode, heartbeat=60)
    devnode.stop_stats()
    for _ in range(2):
        pass_a_heartbeat(clock, timed_client, devnode, 60)
    clock.waiting(1, due_in=30)
    assert node.view.readies == 1
    clock.advance(30)
    wait_until(lambda: node.view.readies == 2, "the node to be made anew")


def test_a_peer_that_sends_stats_now_and_then_is_not_thrown_away(
    timed_client: Client, clock: ManualClock, devnode: DevNode
) -> None:
    node, stats = with_stats(timed_client, devnode, heartbeat=60)
    frame = json.dumps({"op": "stats", **stats.to_dict()})
    for _ in range(4):
        pass_a_heartbeat(clock, timed_client, devnode, 60, frame)
    assert node.status is Status.CONNECTED
    assert node.view.readies == 1


def test_closing_a_node_ends_its_session_unless_it_is_kept(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    for keep in (True, False):
        session_id = node.session_id
        node.close(keep_session=keep)
        wait_until(lambda: not devnode.sessions, "the socket to be gone")
        node.open(timeout=10)
        assert (node.session_id == session_id) is keep


def test_a_close_right_behind_a_read_waits_for_the_servers_answer_too(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, is_over, close = node._state, node._state.is_over, WebSocketConnection.close
    run = node.view.run
    assert run is not None
    left: list[float | None] = []

    def closed_just_now(generation: int) -> bool:
        state.end(generation, closing=Deadline(SystemClock(), 10))
        return is_over(generation)

    def closing(connection: WebSocketConnection, *, deadline: Deadline) -> None:
        left.append(deadline.remaining())
        close(connection, deadline=deadline)

    monkeypatch.setattr(WebSocketConnection, "close", closing)
    monkeypatch.setattr(state, "is_over", closed_just_now)
    run.waker.wake()
    run.thread.join(10)
    assert len(left) == 1
    assert left[0]


def test_a_bad_frame_is_counted_and_costs_nothing_else(node: Node, devnode: DevNode) -> None:
    readies = node.view.readies
    for frame in ("{", '{"op":"playerUpdate"}', "[]", '{"op":"event","type":"TrackStartEvent","guildId":"x"}'):
        devnode.send_raw(frame)
    wait_until(lambda: node.bad_frames == 4, "four bad frames")
    assert (node.status, node.view.readies) == (Status.CONNECTED, readies)


def test_a_session_that_the_server_forgot_is_made_anew(client: Client, node: Node, devnode: DevNode) -> None:
    first = node.session_id
    devnode.forget_sessions()
    player = client.player(1)
    assert player.set_volume(50, timeout=20).volume == 50
    assert node.session_id != first


def test_opening_an_open_node_waits_for_it(node: Node) -> None:
    node.open(timeout=5)
    assert node.status is Status.CONNECTED


def test_a_closed_node_can_be_opened_again(node: Node) -> None:
    node.close()
    assert node.wait_for(Status.DISCONNECTED, timeout=0) is Status.DISCONNECTED
    with pytest.raises(NodeClosedError):
        node.version()
    node.open(timeout=10)
    assert node.wait_for(Status.CONNECTED, timeout=0) is Status.CONNECTED
    assert node.version() == "4.2.2"


def test_close_ends_an_open_that_waits(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503)
    node = client.add_node(config_for(devnode), wait=False)
    met: list[BaseException] = []

    def wait() -> None:
        try:
            node.open()
        except NodeClosedError as error:
            met.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    node.close()
    waiter.join(10)
    assert [type(error) for error in met] == [NodeClosedError]


def test_remove_node_ends_an_add_node_that_waits(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503)
    met: list[BaseException] = []

    def add() -> None:
        try:
            client.add_node(config_for(devnode))
        except NodeClosedError as error:
            met.append(error)

    adder = threading.Thread(target=add)
    adder.start()
    wait_until(lambda: client.node("main") is not None, "the node to be registered")
    client.remove_node("main")
    adder.join(10)
    assert [type(error) for error in met] == [NodeClosedError]
    assert client.nodes == []


def test_waiting_for_a_status_ends_with_what_is_the_case(node: Node) -> None:
    assert node.wait_for(Status.CONNECTED, Status.DISCONNECTED) is Status.CONNECTED
    with pytest.raises(WaitTimeoutError, match="CONNECTED"):
        node.wait_for(Status.RECONNECTING, timeout=0.05)
    with pytest.raises(ValueError, match="Status"):
        node.wait_for()


def test_waiting_for_a_status_ends_when_the_node_is_closed(node: Node) -> None:
    met: list[BaseException] = []

    def wait() -> None:
        try:
            node.wait_for(Status.RECONNECTING)
        except NodeClosedError as error:
            met.append(error)

    waiter = threading.Thread(target=wait)
    waiter.start()
    node.close()
    waiter.join(10)
    assert len(met) == 1


def test_tracks_are_loaded_with_a_result(node: Node) -> None:
    result = node.load_tracks("/music/sine5.mp3")
    assert isinstance(result, TrackLoaded)
    assert result.track.info.title == "Sine 440"
    assert isinstance(node.load_tracks("/music/none.mp3"), NoMatches)


def test_tracks_are_loaded_with_a_handler_on_a_worker(node: Node) -> None:
    heard: list[tuple[str, LoadResult]] = []
    future = node.load_tracks(
        "/music/sine5.mp3", lambda result: heard.append((threading.current_thread().name, result))
    )
    result = future.result(timeout=10)
    ((thread, told),) = heard
    assert thread.startswith("lavalink-worker-")
    assert told is result


def test_what_a_handler_raises_is_in_the_future(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    def handler(result: LoadResult) -> None:
        raise RuntimeError("the handler's own")

    with pytest.raises(RuntimeError, match="the handler's own"):
        node.load_tracks("/music/sine5.mp3", handler).result(timeout=10)
    assert "the handler's own" in caplog.text


def test_a_failure_to_ask_the_server_reaches_the_handler(node: Node, devnode: DevNode) -> None:
    errors: list[object] = []

    class Handler:
        def load_failed(self, error: object) -> None:
            errors.append(error)

    devnode.answer("/v4/loadtracks", 502, "<html>bad gateway</html>", "text/html")
    result = node.load_tracks("/music/sine5.mp3", Handler()).result(timeout=10)
    assert isinstance(result, LoadFailed)
    assert errors == [result.error]
    assert "502" in str(result.error)


def test_tracks_are_decoded_by_the_server(node: Node) -> None:
    track = node.load_tracks("/music/sine5.mp3").tracks[0]
    assert node.decode_track(track.encoded).info == track.info
    assert [decoded.info for decoded in node.decode_tracks([track.encoded, track.encoded])] == [track.info] * 2


def test_a_name_that_does_not_resolve_yet_is_tried_again(client: Client) -> None:
    config = NodeConfig("main", "no.such.host.invalid:2333", "password", reconnect=ReconnectPolicy(step=0, limit=2))
    with pytest.raises(ConnectError, match=r"no\.such\.host\.invalid"):
        client.add_node(config, timeout=30)


def test_a_mute_server_ends_the_attempt_at_the_timeouts(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        config = NodeConfig(
            "main", f"127.0.0.1:{server.getsockname()[1]}", "password", timeouts=Timeouts(connect=0.1, read=0.1)
        )
        with pytest.raises(WaitTimeoutError):
            client.add_node(config, timeout=0.5)


def test_no_secret_shows_in_reprs_logs_and_errors(
    client: Client, devnode: DevNode, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    node = client.add_node(config_for(devnode), timeout=10)
    session_id = node.session_id
    assert session_id is not None
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    client.player(1).set_volume(10)
    shown = f"{node!r} {node.view!r} {node.config!r} {client!r} {node.last_error!r} {caplog.text}"
    for secret in (devnode.password, session_id.reveal(), node.session_id.reveal() if node.session_id else ""):
        assert secret not in shown


def test_a_node_of_a_closed_client_stays_closed(client: Client, node: Node) -> None:
    client.close()
    with pytest.raises(ClientClosedError):
        node.open()
    assert node.status is Status.DISCONNECTED
