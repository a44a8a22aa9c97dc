"""Trouble on demand, handshakes, sources that try to escape, and the life of a development node."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import websocket

from lavalink_sync.devnode import DevNode, ManualClock

from .support.devnode_raw import Raw, close_code, closed_with, file_server, fill_music, next_of
from .support.waiting import wait_until


@pytest.fixture
def raw(devnode: DevNode) -> Iterator[Raw]:
    found = Raw(devnode)
    yield found
    found.close()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": "wrong"}, 401),
        ({"authorization": None}, 401),
        ({"user_id": None}, 400),
        ({"user_id": "0"}, 400),
        ({"origin": "http://elsewhere.example"}, 403),
    ],
)
def test_a_handshake_that_is_not_right_is_refused(raw: Raw, headers: dict[str, Any], status: int) -> None:
    with pytest.raises(websocket.WebSocketBadStatusException) as caught:
        raw.connect(**headers)
    assert caught.value.status_code == status


def test_a_user_id_that_is_no_number_is_closed_with_1011(raw: Raw) -> None:
    assert close_code(raw.connect(user_id="abc")) == 1011


def test_a_binary_frame_is_closed_with_1003_and_a_ping_gets_its_pong(raw: Raw) -> None:
    socket, _ = raw.open_session()
    socket.ping(b"x")
    while socket.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_PONG:
        pass
    assert raw.devnode.pings == 1
    socket.send_binary(b"x")
    assert closed_with(socket) == (1003, "Binary messages not supported")


def test_what_clients_say_is_ignored_and_what_is_no_frame_is_closed_with_1002(raw: Raw) -> None:
    socket, _ = raw.open_session()
    for text in ('{"op":"play"}', "", "x" * 100_000):
        socket.send(text)
    socket.ping(b"x")
    while socket.recv_data(control_frame=True)[0] != websocket.ABNF.OPCODE_PONG:
        pass
    socket.sock.sendall(b"\xf1\x80\0\0\0\0")  # with bits that nobody has agreed to
    assert close_code(socket) == 1002


def test_what_is_no_http_gets_one_answer(devnode: DevNode) -> None:
    host, _, port = devnode.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(b"nonsense\r\n\r\n")
        assert plain.recv(100).startswith(b"HTTP/1.1 400")


def test_sockets_can_be_cut_closed_and_told_anything(raw: Raw) -> None:
    first, _ = raw.open_session()
    raw.devnode.send_raw("anything at all")
    while first.recv() != "anything at all":
        pass
    raw.devnode.close_sockets(4000, "because")
    assert close_code(first) == 4000
    for reset in (True, False):
        second, _ = raw.open_session()
        raw.devnode.cut_sockets(reset)
        with pytest.raises((websocket.WebSocketConnectionClosedException, ConnectionError)):
            next_of(second, "something that never comes")
    assert raw.devnode.sessions == []


def test_handshakes_can_be_refused_so_many_times(raw: Raw) -> None:
    raw.devnode.refuse(503, times=2)
    for _ in range(2):
        with pytest.raises(websocket.WebSocketBadStatusException, match="503"):
            raw.connect()
    raw.open_session()
    raw.devnode.refuse(401)
    with pytest.raises(websocket.WebSocketBadStatusException, match="401"):
        raw.connect()
    raw.devnode.refuse(None)
    raw.open_session()


def test_answers_can_be_canned_late_or_missing(raw: Raw) -> None:
    raw.devnode.answer("/v4/info", 599, "page", "text/html", times=1)
    assert raw.ask("GET", "/v4/info")[::2] == (599, "page")
    assert raw.ask("GET", "/v4/info")[0] == 200
    raw.devnode.slow("/v4/info", 0.01)
    assert raw.ask("GET", "/v4/info")[0] == 200
    raw.devnode.slow("/v4/info", 0)
    raw.devnode.mute()
    impatient = Raw(raw.devnode, timeout=0.05)
    with pytest.raises(TimeoutError):
        impatient.ask("GET", "/version")
    impatient.close()
    raw.devnode.heal()
    assert raw.ask("GET", "/version")[2] == "4.2.2"


def test_a_slow_answer_waits_for_the_nodes_clock(make_devnode: Callable[..., DevNode]) -> None:
    clock = ManualClock()
    devnode = make_devnode(clock=clock)
    devnode.slow("/v4/info", 5)
    host, _, port = devnode.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        plain.sendall(f"GET /v4/info HTTP/1.1\r\nHost: x\r\nAuthorization: {devnode.password}\r\n\r\n".encode())
        wait_until(lambda: len(devnode.requests) == 1, "the request")
        clock.advance(4.9)
        assert select.select([plain], [], [], 0)[0] == []
        clock.advance(0.1)
        assert plain.recv(100).startswith(b"HTTP/1.1 200")


def test_stats_can_stop_and_sessions_be_forgotten(raw: Raw) -> None:
    raw.devnode.stop_stats()
    _, session = raw.open_session()
    assert [found.session_id for found in raw.devnode.sessions] == [session]
    raw.devnode.forget_sessions()
    assert raw.ask("GET", f"/v4/sessions/{session}/players")[0] == 404
    raw.devnode.heal()
    other, _ = raw.open_session()
    assert next_of(other, "stats")["players"] == 0


def test_every_request_is_noted(raw: Raw) -> None:
    raw.ask("POST", "/v4/decodetracks", [])
    noted = raw.devnode.requests[-1]
    assert (noted.method, noted.path, noted.body) == ("POST", "/v4/decodetracks", [])
    assert noted.headers["authorization"] == raw.devnode.password


@pytest.mark.parametrize(
    "escape",
    [
        "/music/../secret.wav",
        "{outside}",
        "/music/link.wav",
        "/music/folder",
        "/music",
        "../secret.wav",
        "/etc/passwd",
        "/music/\0",
    ],
)
def test_nothing_outside_the_music_folder_can_be_read(
    make_devnode: Callable[..., DevNode], tmp_path: Path, escape: str
) -> None:
    music = tmp_path / "music"
    (music / "folder").mkdir(parents=True)
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"RIFF")
    (music / "link.wav").symlink_to(secret)
    raw = Raw(make_devnode(music=music))
    try:
        _, _, body = raw.ask("GET", "/v4/loadtracks", query={"identifier": escape.format(outside=secret)})
    finally:
        raw.close()
    assert body == {"loadType": "empty", "data": None}


def test_files_of_every_kind_and_by_every_name(make_devnode: Callable[..., DevNode], tmp_path: Path) -> None:
    with file_server(tmp_path) as port:
        fill_music(tmp_path, port)
        raw = Raw(make_devnode(music=tmp_path))
        try:
            for name, length in (("aac10.m4a", 10_000), ("opus8.ogg", 8_000), ("sine5.mp3", 5_000)):
                for identifier in (f"/music/{name}", str(tmp_path / name), f"http://127.0.0.1:{port}/{name}"):
                    body = raw.ask("GET", "/v4/loadtracks", query={"identifier": identifier})[2]
                    assert body["loadType"] == "track", identifier
                    assert body["data"]["info"]["length"] == pytest.approx(length, abs=500)
            session = raw.open_session()[1]
            player = f"/v4/sessions/{session}/players/1"
            url = f"http://127.0.0.1:{port}/aac10.m4a"
            assert raw.ask("PATCH", player, {"track": {"identifier": url}})[0] == 200
            status, _, body = raw.ask("PATCH", player, {"track": {"identifier": f"http://127.0.0.1:{port}/none"}})
            assert (status, body["message"]) == (400, "No matches found for identifier")
        finally:
            raw.close()


def test_a_node_starts_and_ends_again_and_again() -> None:
    devnode = DevNode(port=0)
    with pytest.raises(RuntimeError, match="started"):
        _ = devnode.address
    for _ in range(50):
        devnode.start()
        devnode.start()
        devnode.close()
        devnode.close()
    assert devnode.sessions == []
    devnode.cut_sockets()


def test_a_node_that_can_not_be_is_refused(tmp_path: Path, devnode: DevNode) -> None:
    with pytest.raises(NotADirectoryError):
        DevNode(music=tmp_path / "none")
    with pytest.raises(ValueError, match="interval"):
        DevNode(player_update_interval=0)
    with pytest.raises(OSError, match="in use"), DevNode(port=int(devnode.address.rpartition(":")[2])):
        pass


def test_many_clients_at_once(devnode: DevNode) -> None:
    failures: list[BaseException] = []

    def use() -> None:
        client = Raw(devnode)
        try:
            _, session = client.open_session()
            for guild in range(20):
                assert client.ask("PATCH", f"/v4/sessions/{session}/players/{guild}", {"volume": guild})[0] == 200
        except BaseException as error:  # noqa: BLE001 - the test's own thread looks at it
            failures.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=use) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures


COMMAND = [sys.executable, "-m", "lavalink_sync.devnode"]


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("signal_", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_it_is_told_to_end(signal_: signal.Signals, tmp_path: Path) -> None:
    command = [
        *COMMAND,
        "--port",
        "0",
        "--password",
        "other",
        "--music",
        str(tmp_path),
        "--player-update-interval",
        "1",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready, _, address = process.stdout.readline().strip().rpartition(" ")
        assert ready == "ready on"
        client: Any = websocket.create_connection(
            f"ws://{address}/v4/websocket",
            timeout=10,
            header=["Authorization: other", "User-Id: 5"],
            suppress_origin=True,
        )
        try:
            process.send_signal(signal_)
            assert close_code(client) == 1001
        finally:
            client.shutdown()
        _, errors = process.communicate(timeout=10)
        assert (process.returncode, errors) == (0, "")


def test_the_command_says_what_is_wrong(devnode: DevNode, tmp_path: Path) -> None:
    port = devnode.address.rpartition(":")[2]
    for arguments, said in (
        (["--port", port], port),
        (["--music", str(tmp_path / "none")], "none"),
        (["--port", "x"], "port"),
    ):
        done = subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr
