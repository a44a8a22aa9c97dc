"""What a replay answers, and how it ends connections, with recordings made by hand."""

from __future__ import annotations

import http.client
import socket
from pathlib import Path
from typing import Any

import pytest
import websocket

from lavalink_sync.devnode import ReplayServer

from .support.devnode_raw import close_code
from .support.replaying import (
    PASSWORD,
    Asking,
    opened,
    ready,
    received,
    recording,
    rest,
)

FAILURES = [
    ("the server reset the connection", ConnectionResetError),
    ("the server ended the connection", http.client.RemoteDisconnected),
    ("the server can't be reached", http.client.RemoteDisconnected),
    ("the client left", TimeoutError),
    ("ReadTimeout", TimeoutError),
]


@pytest.mark.parametrize(("failure", "error"), FAILURES)
def test_what_failed_fails_again(failure: str, error: type[Exception], tmp_path: Path) -> None:
    path = recording(tmp_path, rest(1, "/a", failed=failure))
    with ReplayServer(path) as server, socket.create_connection(_address(server), 10) as sock:
        connection = http.client.HTTPConnection("unused")
        connection.sock = sock
        sock.settimeout(10 if error is not TimeoutError else 0.05)
        connection.request("GET", "/a", headers={"Authorization": PASSWORD})
        with pytest.raises(error):
            connection.getresponse()
        assert server.wait_finished()


def _address(server: ReplayServer) -> tuple[str, int]:
    host, _, port = server.address.rpartition(":")
    return host, int(port)


@pytest.mark.parametrize(("how", "error"), [("reset", ConnectionResetError), ("end", None)])
def test_a_websocket_is_cut_as_it_was(how: str, error: type[Exception] | None, tmp_path: Path) -> None:
    end = {"kind": "ws_end", "connection": 1, "from": "server", "how": how, "after": 0}
    with ReplayServer(recording(tmp_path, opened(), ready(), end)) as server, Asking(server) as asking:
        sock = asking.open()
        received(sock, 1)
        if error is not None:
            with pytest.raises(error):
                sock.sock.recv(1)
        else:
            assert sock.sock.recv(1) == b""


def test_close_frames_of_the_server_come_again_and_those_of_the_client_are_its_own(tmp_path: Path) -> None:
    def close(source: str, number: int, code: int | None) -> dict[str, Any]:
        return {"kind": "ws_close", "connection": number, "from": source, "code": code, "reason": "why", "after": 0}

    path = recording(
        tmp_path,
        *(opened(1), close("server", 1, 4444), close("client", 1, 4444)),
        *(opened(2), ready(0, 2), close("client", 2, 1000), close("server", 2, 1000)),
    )
    with ReplayServer(path) as server, Asking(server) as asking:
        assert close_code(asking.open()) == 4444
        sock = asking.open()
        received(sock, 1)
        sock.settimeout(0.05)
        with pytest.raises(websocket.WebSocketTimeoutException):
            sock.recv()
        sock.close()
        assert server.wait_finished()


def test_headers_and_text_come_as_they_were_and_framing_anew(tmp_path: Path) -> None:
    headers = {
        "Content-Type": "text/plain;charset=ISO-8859-1",
        "Transfer-Encoding": "chunked",
        "Content-Length": "3",
        "Date": "long ago",
        "Lavalink-Api-Version": "5",
        "X-More": ["1", "2"],
    }
    path = recording(
        tmp_path, rest(1, "/a", "ünï", response_headers=headers), rest(2, "/b", status=204, response_headers={})
    )
    with ReplayServer(path) as server, Asking(server) as asking:
        status, told, body = asking.exchange("GET", "/a")
        assert (status, body, told["content-length"]) == (200, "ünï".encode("latin-1"), "3")
        assert told["lavalink-api-version"] == "5"
        assert told["x-more"] == "2"
        assert told["date"] != "long ago"
        assert asking.exchange("GET", "/b")[::2] == (204, b"")


def test_a_wrong_password_gets_what_it_got_or_what_lavalink_says(tmp_path: Path) -> None:
    wrong = {"Authorization": "<wrong-password-1>"}
    path = recording(
        tmp_path,
        rest(1, "/a", "right"),
        rest(2, "/a", None, request_headers=wrong, status=403, response_headers={"X-Was": "wrong"}),
        rest(3, "/a", None, request_headers={}, status=401),
    )
    with ReplayServer(path) as server, Asking(server) as asking:
        assert asking.exchange("GET", "/a", password="a wrong one")[1]["x-was"] == "wrong"
        assert asking.exchange("GET", "/a", password=None)[0] == 401
        assert server.unexpected == []
        assert asking.ask("GET", "/a") == (200, "right")
        assert asking.exchange("GET", "/b", password="nope")[0] == 403
        assert asking.exchange("GET", "/b", password=None)[0] == 401
        assert len(server.unexpected) == 2
        assert "nope" not in repr(server.unexpected)


@pytest.mark.parametrize(
    "content", ["[1]\n", "no JSON\n", '{"x": 1}\n', '{"kind": "ws_open"}\n{"kind": "ws"}\n', '{"kind": 5}\n']
)
def test_what_is_no_recording_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(content)
    with pytest.raises(ValueError, match="is no recording"):
        ReplayServer(path)
    with pytest.raises(FileNotFoundError):
        ReplayServer(tmp_path / "missing")
