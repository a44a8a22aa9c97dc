"""Servers that misbehave in ways the development node does not: certificates, a missing ready, a failure of ours."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest
import trustme

from lavalink_sync import (
    CertificateError,
    Client,
    ConnectError,
    LavalinkError,
    Node,
    NodeConfig,
    NodeConnected,
    ReconnectPolicy,
    Status,
    Timeouts,
    UnknownEvent,
    WaitTimeoutError,
)
from lavalink_sync.devnode import DevNode

from .support.nodes import EAGER, config_for
from .support.sockets import Peer, ScriptedServer, answer, text
from .support.waiting import wait_until

READY = text('{"op":"ready","resumed":false,"sessionId":"0123456789abcdef"}')


def lavalink(after_handshake: Callable[[Peer], None]) -> Callable[[Peer], None]:
    """A script that answers REST calls, and hands a WebSocket to `after_handshake`."""

    def script(peer: Peer) -> None:
        while True:
            request = peer.read_request()
            if "GET /v4/websocket" in request:
                peer.send(peer.agreement())
                after_handshake(peer)
                return
            length = int(peer.header("Content-Length") or 0)
            peer.read_exactly(length)
            if request.startswith("GET /version"):
                peer.send(answer("200 OK", b"4.2.2", "Content-Type: text/plain"))
            else:
                body = json.dumps({"timestamp": 1, "status": 500, "error": "x", "message": "no", "path": "/"}).encode()
                peer.send(answer("500 Internal Server Error", body, "Content-Type: application/json"))

    return script


def test_a_certificate_nobody_trusts_ends_add_node_at_once(client: Client) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with ScriptedServer(lavalink(Peer.wait_quit), tls=context) as server:
        with pytest.raises(CertificateError, match="certificate"):
            client.add_node(NodeConfig("main", server.address, "password", True), timeout=60)
        assert client.nodes == []


def test_a_node_over_tls(client: Client, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)

    def stay(peer: Peer) -> None:
        peer.send(READY)
        while peer.read_frame()[0] != 8:
            pass
        peer.send(bytes([0x88, 0]))

    with ScriptedServer(lavalink(stay), tls=context) as server:
        config = NodeConfig("main", server.address, "password", True, verify=str(tmp_path / "ca.pem"))
        node = client.add_node(config, timeout=20)
        assert node.status is Status.CONNECTED
        assert node.version() == "4.2.2"
        client.close()


def test_a_websocket_that_never_says_ready_is_a_failed_try(client: Client) -> None:
    with ScriptedServer(lavalink(Peer.wait_gone)) as server:
        config = NodeConfig(
            "main",
            server.address,
            "password",
            timeouts=Timeouts(read=0.1),
            reconnect=ReconnectPolicy(step=0, limit=2),
        )
        with pytest.raises(WaitTimeoutError, match="ready"):
            client.add_node(config, timeout=20)


def test_frames_before_ready_count(client: Client) -> None:
    stats = json.dumps(
        {
            "op": "stats",
            "players": 3,
            "playingPlayers": 0,
            "uptime": 1,
            "frameStats": None,
            "memory": {"free": 1, "used": 2, "allocated": 3, "reservable": 4},
            "cpu": {"cores": 1, "systemLoad": 0.5, "lavalinkLoad": 0.25},
        }
    )

    def stats_first(peer: Peer) -> None:
        peer.send(text(stats) + READY)
        peer.wait_quit()

    with ScriptedServer(lavalink(stats_first)) as server:
        node = client.add_node(NodeConfig("main", server.address, "password", timeouts=Timeouts(close=0.2)), timeout=20)
        assert node.stats is not None
        assert node.stats.players == 3
        client.close()


def test_a_session_that_can_not_be_configured_is_a_failed_try(client: Client) -> None:
    def ready(peer: Peer) -> None:
        peer.send(READY)
        peer.wait_gone()

    with ScriptedServer(lavalink(ready)) as server:
        config = NodeConfig(
            "main", server.address, "password", resume_timeout=60, reconnect=ReconnectPolicy(step=0, limit=2)
        )
        with pytest.raises(LavalinkError, match="500"):
            client.add_node(config, timeout=20)
        assert len(server.peers) >= 2


@pytest.mark.parametrize(("status", "body"), [(403, "<html>firewall</html>"), (404, ""), (502, "<html>bad</html>")])
def test_a_proxys_page_instead_of_a_version_leaves_it_at_a_failed_try(
    client: Client, devnode: DevNode, status: int, body: str
) -> None:
    devnode.refuse(404, times=1)
    devnode.answer("/version", status, body, "text/html")
    assert client.add_node(config_for(devnode), timeout=10).status is Status.CONNECTED


@pytest.mark.parametrize("status", [401, 403])
def test_a_password_that_is_refused_for_the_version_is_final(client: Client, devnode: DevNode, status: int) -> None:
    devnode.refuse(404)
    devnode.answer("/version", status, "", "text/plain")
    with pytest.raises(PermissionError):
        client.add_node(config_for(devnode), timeout=60)
    assert client.nodes == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_password_that_is_refused_for_the_info_is_final(client: Client, devnode: DevNode, status: int) -> None:
    devnode.answer("/v4/info", status, "", "text/plain")
    with pytest.raises(PermissionError):
        client.add_node(config_for(devnode), timeout=60)
    assert client.nodes == []


def test_a_page_instead_of_the_info_is_no_reason_not_to_connect(client: Client, devnode: DevNode) -> None:
    devnode.answer("/v4/info", 403, "<html>firewall</html>", "text/html")
    node = client.add_node(config_for(devnode), timeout=10)
    assert (node.status, node.cached_info) == (Status.CONNECTED, None)


def test_a_failure_of_ours_in_a_message_costs_that_message_alone(
    node: Node, devnode: DevNode, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = node.hooks

    def broken(node: Node, message: object, now: float) -> None:
        raise RuntimeError("a fault of ours")

    node.hooks = dataclasses.replace(hooks, message=broken)
    with caplog.at_level(logging.ERROR):
        devnode.send_raw('{"op":"news"}')
        wait_until(lambda: "a fault of ours" in caplog.text, "the log")
    assert node.status is Status.CONNECTED


def test_what_came_before_a_failure_in_the_middle_of_a_read_is_told(client: Client, node: Node) -> None:
    heard: SimpleQueue[int | None] = SimpleQueue()
    client.add_listener(UnknownEvent, lambda player, event: heard.put(event.guild_id))

    def frames() -> Iterator[bytes]:
        yield b'{"op":"event","type":"NewEvent","guildId":"1"}'
        raise MemoryError

    with pytest.raises(MemoryError):
        node._loop._take(node.view.generation, frames())
    assert heard.get(timeout=10) == 1


def test_a_failure_of_ours_in_the_thread_is_told_and_the_node_can_be_opened_again(
    node: Node, devnode: DevNode, caplog: pytest.LogCaptureFixture
) -> None:
    hooks = node.hooks

    def broken(node: Node, error: object) -> None:
        raise RuntimeError("a fault of ours")

    node.hooks = dataclasses.replace(hooks, reconnecting=broken, disconnected=broken)
    with caplog.at_level(logging.ERROR):
        devnode.cut_sockets()
        wait_until(lambda: node.status is Status.DISCONNECTED, "the node to give up")
    assert "a fault of ours" in caplog.text
    assert "RuntimeError" in str(node.last_error)
    node.hooks = hooks
    node.open(timeout=10)
    assert node.status is Status.CONNECTED


def test_a_reconnect_that_reaches_its_limit_ends_disconnected_and_can_be_opened_again(
    client: Client, devnode: DevNode
) -> None:
    node = client.add_node(config_for(devnode, reconnect=ReconnectPolicy(step=0, limit=2)), timeout=10)
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.DISCONNECTED, "the limit")
    assert isinstance(node.last_error, ConnectError)
    with pytest.raises(ConnectError, match="503"):
        node.open(timeout=10)
    devnode.refuse(None)
    node.open(timeout=10)
    assert node.status is Status.CONNECTED


def test_the_server_restarts_under_a_node(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    first = node.session_id
    heard: list[bool] = []
    client.add_listener(NodeConnected, lambda _, event: heard.append(event.resumed))
    devnode.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the loss")
    devnode.start()
    wait_until(lambda: node.status is Status.CONNECTED, "the node to be back")
    assert node.session_id != first
    wait_until(lambda: heard, "NodeConnected")
    assert heard == [False]


def test_many_nodes_open_and_close_at_once(client: Client, devnode: DevNode) -> None:
    start = threading.Barrier(8)
    failures: list[BaseException] = []

    def open_and_close(name: str) -> None:
        try:
            start.wait(10)
            for _ in range(3):
                node = client.add_node(config_for(devnode, name), timeout=10)
                assert node.status is Status.CONNECTED
                client.remove_node(name)
                node.wait_for(Status.DISCONNECTED, timeout=0)
        except BaseException as error:  # noqa: BLE001 - the test's own thread looks at it
            failures.append(error)

    threads = [threading.Thread(target=open_and_close, args=(str(n),)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert client.nodes == []


def test_one_node_opened_and_closed_from_many_threads_ends_as_the_last_one_said(
    client: Client, devnode: DevNode
) -> None:
    node = client.add_node(config_for(devnode, reconnect=EAGER), timeout=10)
    start = threading.Barrier(6)

    def work(opens: bool) -> None:
        start.wait(10)
        for _ in range(5):
            try:
                node.open(timeout=10) if opens else node.close()
            except LavalinkError:
                continue  # closed by another one meanwhile

    threads = [threading.Thread(target=work, args=(n % 2 == 0,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    node.open(timeout=10)
    assert node.status is Status.CONNECTED
    assert node.version() == "4.2.2"


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors are counted where /proc shows them")
def test_a_node_at_rest_holds_three_descriptors_at_most(client: Client) -> None:
    command = [sys.executable, "-m", "lavalink_sync.devnode", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            address = process.stdout.readline().removeprefix("ready on ").strip()
            before = len(os.listdir("/proc/self/fd"))
            nodes = [
                client.add_node(NodeConfig(str(n), address, "youshallnotpass", resume_timeout=60), timeout=20)
                for n in range(5)
            ]
            for node in nodes:
                node.load_tracks("/music/none.mp3")
            assert len(os.listdir("/proc/self/fd")) - before <= 3 * len(nodes)
            client.close()
        finally:
            process.terminate()
            process.wait(10)
