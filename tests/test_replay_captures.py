"""The recordings of a real server, which were made without our recorder, are replayed too."""

from __future__ import annotations

import http.client
import json
from typing import Any

import pytest
import websocket

from lavalink_sync.devnode import ReplayServer

from .support.devnode_raw import close_code
from .support.recordings import CAPTURES, lines
from .support.relaying import dialed
from .support.replaying import PASSWORD, Asking, received, target


def abandon(asking: Asking, method: str, path: str, body: Any) -> None:
    """Ask what is not answered, see that nothing comes, and hang up."""
    raw = json.dumps(body).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {PASSWORD}\r\nContent-Length: {len(raw)}\r\n\r\n"
    with dialed(asking.address) as sock:
        sock.sendall(head.encode() + raw)
        sock.settimeout(0.02)
        with pytest.raises(TimeoutError):
            sock.recv(1)


def test_the_playback_recording_is_replayed_from_end_to_end() -> None:
    recorded = lines("playback")
    exchanges = sorted((line for line in recorded if line["kind"] == "rest"), key=lambda line: line["t_ms"])
    resumed_at = next(i for i, line in enumerate(recorded) if line["kind"] == "ws_open" and i)
    messages = [line["body"] for line in recorded[:resumed_at] if line["kind"] == "ws"]
    later = [line["body"] for line in recorded[resumed_at:] if line["kind"] == "ws"]
    with ReplayServer(CAPTURES / "playback.jsonl") as server, Asking(server) as asking:
        first = asking.open()
        second = None
        for line in exchanges:
            if second is None and line["t_ms"] > recorded[resumed_at]["t_ms"]:
                assert received(first, len(messages)) == messages
                second = asking.open(f"Session-Id: {recorded[1]['body']['sessionId']}")
            if "error" in line:
                abandon(asking, line["method"], line["path"], line["request"])
                continue
            answer = asking.ask(line["method"], line["path"], line["request"])
            assert answer == (line["status"], line["response"]), f"at {line['t_ms']} ms"
        assert received(second, len(later)) == later
        assert server.unexpected == []
        assert server.wait_finished(), server.missing


def test_messages_of_the_playback_recording_wait_for_what_led_to_them() -> None:
    recorded = lines("playback")
    play = next(line for line in recorded if line["kind"] == "rest" and line["method"] == "PATCH")
    with ReplayServer(CAPTURES / "playback.jsonl") as server, Asking(server) as asking:
        sock = asking.open()
        assert [body["op"] for body in received(sock, 2)] == ["ready", "stats"]
        asking.ask("GET", "/v4/sessions/05tkjyf6f53315v8/players/1001")
        sock.settimeout(0.05)
        with pytest.raises(websocket.WebSocketTimeoutException):
            sock.recv()
        sock.settimeout(10)
        asking.ask(play["method"], play["path"], play["request"])
        assert [body.get("type", body["op"]) for body in received(sock, 3)] == [
            "playerUpdate",
            "TrackStartEvent",
            "playerUpdate",
        ]


def test_the_rest_recording_is_replayed_line_by_line() -> None:
    passwords = {"<password>": PASSWORD, None: None}
    with ReplayServer(CAPTURES / "rest.jsonl") as server, Asking(server) as asking:
        for line in lines("rest"):
            given = line["request_headers"].get("Authorization")
            if "failed" in line:
                abandon(asking, line["method"], target(line), line["request_body"])
                continue
            answer = asking.ask(line["method"], target(line), line["request_body"], passwords.get(given, given))
            assert answer == (line["status"], line["response_body"]), line["name"]
        assert server.unexpected == []
        assert server.finished


def of_scenario(name: str, kind: str = "frame") -> list[Any]:
    return [line["data"] for line in lines("websocket") if line["scenario"] == name and line["kind"] == kind]


@pytest.mark.parametrize(("name", "code"), [("server_shutdown", 1001), ("bad_user_id", 1011)])
def test_a_scenario_that_the_server_closed_is_closed_with_its_code(name: str, code: int) -> None:
    frames = of_scenario(name)
    with ReplayServer(CAPTURES / "websocket.jsonl", scenarios=[name]) as server, Asking(server) as asking:
        sock = asking.open()
        assert received(sock, len(frames)) == frames
        assert close_code(sock) == code
        assert server.wait_finished()


@pytest.mark.parametrize(("name", "status"), [("wrong_password", 401), ("no_user_id", 400)])
def test_a_refused_handshake_is_refused_again(name: str, status: int) -> None:
    with ReplayServer(CAPTURES / "websocket.jsonl", scenarios=[name]) as server, Asking(server) as asking:
        with pytest.raises(websocket.WebSocketBadStatusException) as caught:
            asking.open(password="wrong" if status == 401 else PASSWORD)
        assert caught.value.status_code == status
        assert server.finished


def test_resuming_and_a_second_socket_are_scenarios_one_after_the_other() -> None:
    names = ["resume_first", "resume_second", "resume_after_cut", "second_socket_same_session", "resume_third"]
    with ReplayServer(CAPTURES / "websocket.jsonl", scenarios=names) as server, Asking(server) as asking:
        for name in names:
            sock = asking.open()
            frames = of_scenario(name)
            assert received(sock, len(frames)) == frames
            resumed = of_scenario(name, "handshake")[0]["headers"]["session-resumed"]
            assert sock.getheaders()["session-resumed"] == resumed
            sock.close()
        assert server.finished


def test_a_server_that_was_killed_or_down_is_gone_again() -> None:
    names = ["server_down", "after_server_restart"]
    with ReplayServer(CAPTURES / "websocket.jsonl", scenarios=names) as server, Asking(server) as asking:
        with pytest.raises((http.client.HTTPException, websocket.WebSocketException, ConnectionError)):
            asking.open()
        sock = asking.open()
        assert len(received(sock, 2)) == 2
        with pytest.raises(websocket.WebSocketConnectionClosedException):
            sock.recv()
        assert server.wait_finished()


def test_only_the_scenarios_that_are_there_can_be_chosen() -> None:
    with pytest.raises(ValueError, match="no scenario 'nope'"):
        ReplayServer(CAPTURES / "websocket.jsonl", scenarios=["players", "nope"])
    with pytest.raises(ValueError, match="no scenarios"):
        ReplayServer(CAPTURES / "rest.jsonl", scenarios=["players"])
