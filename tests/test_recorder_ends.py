"""The recorder and how connections end: answers, resets, servers that are down or go, its own end."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from lavalink_sync.devnode import DevNode, Recorder
from lavalink_sync.devnode.recording import read_lines

from .support.devnode_raw import Raw, close_code
from .support.relaying import GET, UPGRADE, dialed, read_to_end, relayed, reset, written
from .support.sockets import (
    GoneError,
    Peer,
    answer,
    unused_port,
)
from .support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def test_a_client_that_ends_its_side_still_gets_the_answer(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        with pytest.raises(GoneError):
            peer.read_exactly(1)  # the end came through
        peer.send(answer("200 OK", b"late"))

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        assert read_to_end(sock).endswith(b"late")
        [line] = written(recorder, "rest")
    assert line["status"] == 200


def test_a_server_that_ends_its_side_still_hears_the_client(path: Path) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.sock.shutdown(socket.SHUT_WR)
        heard.append(peer.read_exactly(9))

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        assert read_to_end(sock) == b""
        sock.sendall(b"good bye!")
        wait_until(lambda: heard, "what the client said last")
    assert heard == [b"good bye!"]


def test_a_server_learns_that_a_client_which_had_ended_its_side_is_gone(path: Path) -> None:
    told: list[str] = []

    def script(peer: Peer) -> None:
        with pytest.raises(GoneError):
            peer.read_exactly(1)
        try:
            for _ in range(5000):
                peer.send(bytes(65_536))
            told.append("nothing")
        except ConnectionError as error:
            told.append(type(error).__name__)

    with relayed(path, script) as recorder:
        with dialed(recorder.address) as sock:
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1)
        wait_until(lambda: told, "the server can't send any more")
    assert told != ["nothing"]


def test_a_reset_by_the_server_resets_the_client(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.reset()

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(GET)
        with pytest.raises(ConnectionResetError):
            sock.recv(1)
        [line] = written(recorder, "rest")
    assert line["failed"] == "the server reset the connection"
    assert "status" not in line


def test_a_reset_by_the_client_resets_the_server(path: Path) -> None:
    told: list[type[BaseException]] = []
    asked = threading.Event()

    def script(peer: Peer) -> None:
        peer.read_request()
        asked.set()
        select.select([peer.sock], [], [], 10)
        try:
            peer.sock.recv(1)
        except ConnectionResetError as error:
            told.append(type(error))

    with relayed(path, script) as recorder:
        with dialed(recorder.address) as sock:
            sock.sendall(GET)
            assert asked.wait(10)
            reset(sock)
        wait_until(lambda: told, "the reset came through")
        [line] = written(recorder, "rest")
    assert line["failed"] == "the client left"


def test_an_end_without_length_ends_the_answer(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nuntil the end")

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(GET)
        assert read_to_end(sock).endswith(b"until the end")
        [line] = written(recorder, "rest")
    assert line["response"] == "until the end"


def test_an_answer_that_breaks_off_is_recorded_as_failed(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all")

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(GET)
        assert read_to_end(sock).endswith(b"not all")
        [line] = written(recorder, "rest")
    assert line["failed"] == "the server ended the connection"


def test_when_the_server_is_down_the_client_sees_an_end_and_the_recording_tells(path: Path) -> None:
    with Recorder(f"127.0.0.1:{unused_port()}", path) as recorder:
        for opening, kind in ((GET, "rest"), (UPGRADE, "ws_open")):
            with dialed(recorder.address) as sock:
                sock.sendall(opening)
                assert read_to_end(sock) == b""
            [line] = written(recorder, kind)
            assert line["failed"] == "the server can't be reached"
        with dialed(recorder.address) as sock:
            sock.shutdown(socket.SHUT_WR)  # one that wants nothing is not kept waiting either
            assert read_to_end(sock) == b""


def test_a_client_that_asks_late_of_a_server_that_is_down_is_not_kept_waiting(path: Path) -> None:
    with Recorder(f"127.0.0.1:{unused_port()}", path) as recorder, dialed(recorder.address) as late:
        with dialed(recorder.address) as sock:
            sock.sendall(GET)
            assert read_to_end(sock) == b""  # so it is known by now
        late.sendall(GET)
        late.settimeout(5)
        assert read_to_end(late) == b""
        assert len(written(recorder, "rest", 2)) == 2


def test_a_server_that_is_closed_in_the_middle_ends_its_clients(
    path: Path, make_devnode: Callable[..., DevNode]
) -> None:
    devnode = make_devnode()
    with Recorder(devnode.address, path) as recorder:
        raw = Raw(devnode, address=recorder.address)
        websocket, _ = raw.open_session()
        assert raw.ask("GET", "/version")[0] == 200
        devnode.close()
        assert close_code(websocket) == 1001
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            raw.ask("GET", "/version")
        raw.close()
        written(recorder, "ws_end")
    assert {"code": 1001, "from": "server"}.items() <= written(recorder, "ws_close")[0].items()


def test_a_server_that_is_killed_is_gone_for_its_clients(path: Path) -> None:
    command = [sys.executable, "-m", "lavalink_sync.devnode", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = process.stdout.readline().split()[-1]
            with Recorder(address, path) as recorder, dialed(recorder.address) as sock:
                sock.sendall(UPGRADE.replace(b"\r\n\r\n", b"\r\nAuthorization: youshallnotpass\r\nUser-Id: 1\r\n\r\n"))
                ready = written(recorder, "ws")[0]["body"]
                process.kill()
                with contextlib.suppress(ConnectionResetError):
                    read_to_end(sock)
                [end] = written(recorder, "ws_end")
        finally:
            process.kill()
    assert ready["sessionId"] == "<session-1>"
    assert end["from"] == "server"
    assert not [line for line in read_lines(path) if line["kind"] == "ws_close"]


def test_closing_ends_every_connection_and_tells_it(path: Path, devnode: DevNode) -> None:
    recorder = Recorder(devnode.address, path).start()
    raw = Raw(devnode, address=recorder.address)
    raw.open_session()
    with dialed(recorder.address) as sock:
        wait_until(lambda: recorder.connections == 2, "both are there")
        recorder.close()
        recorder.close()
        assert read_to_end(sock) == b""
    raw.close()
    assert recorder.lines[-1] | {"t_ms": 0, "after": 0} == {
        "kind": "ws_end", "t_ms": 0, "connection": 1, "from": "recorder", "how": "end", "after": 0,
    }  # fmt: skip
    with pytest.raises(RuntimeError, match="can't be started again"):
        recorder.start()


def test_what_can_not_be_started_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="HOST:PORT"):
        Recorder("localhost", tmp_path / "x")
    with pytest.raises(FileNotFoundError):
        Recorder("127.0.0.1:1", tmp_path / "no" / "x").start()
    with pytest.raises(RuntimeError, match="before it has started"):
        _ = Recorder("127.0.0.1:1", tmp_path / "x").address


def test_when_the_disk_is_full_relaying_goes_on(devnode: DevNode) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with Recorder(devnode.address, "/dev/full") as recorder:
        raw = Raw(devnode, address=recorder.address)
        assert raw.ask("GET", "/version")[0] == 200
        raw.close()
        assert recorder.error is not None


def test_what_is_asked_of_a_server_that_has_ended_its_side_is_told(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.sock.shutdown(socket.SHUT_WR)
        peer.wait_gone()

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        assert read_to_end(sock) == b""
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        [line] = written(recorder, "rest")
    assert line["failed"] == "the server ended the connection"
