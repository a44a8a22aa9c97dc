"""The rules of a replay, one by one, with recordings made by hand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import websocket

from lavalink_sync.devnode import ManualClock, ReplayServer

from .support.replaying import (
    ALLOWED,
    PASSWORD,
    Asking,
    message,
    nothing_came,
    opened,
    ready,
    received,
    recording,
    rest,
)
from .support.waiting import wait_until


def test_equal_requests_are_answered_in_their_order_and_the_last_again(tmp_path: Path) -> None:
    path = recording(tmp_path, rest(1, "/a", 1), rest(2, "/b", [2]), rest(3, "/a", 3))
    with ReplayServer(path) as server, Asking(server) as asking:
        assert [asking.ask("GET", "/a")[1] for _ in range(4)] == [1, 3, 3, 3]
        assert server.missing == ["GET /b was not asked"]
        assert not server.wait_finished(0)
        assert asking.ask("GET", "/b") == (200, [2])
        assert server.wait_finished(0)
    assert server.finished
    assert server.unexpected == []


def test_without_repeating_one_request_too_many_is_unexpected(tmp_path: Path) -> None:
    path = recording(tmp_path, rest(1, "/a", 1))
    with ReplayServer(path, repeat=False) as server, Asking(server) as asking:
        assert [asking.ask("GET", "/a")[0] for _ in range(2)] == [200, 501]
    assert [asked.path for asked in server.unexpected] == ["/a"]


def test_what_is_not_in_the_recording_gets_told_what_is(tmp_path: Path) -> None:
    session = "/v4/sessions/<session-1>"
    path = recording(
        tmp_path,
        opened(),
        ready(),
        rest(1, f"{session}/players/1", {}, method="PATCH", request={"volume": 5}),
        rest(2, "/version", "4"),
    )
    with ReplayServer(path) as server, Asking(server) as asking:
        [first] = received(asking.open(), 1)
        mine = session.replace("<session-1>", first["sessionId"])
        body = {"volume": 6, "voice": {"token": "my-secret-token"}}
        status, told = asking.ask("PATCH", f"{mine}/players/1?noReplace=true", body)
        assert status == told["status"] == 501
        assert told["message"] == (
            f"the recording has no such request: PATCH {session}/players/1?noReplace=true; "
            f"it expects PATCH {session}/players/1, GET /version"
        )
        assert told["asked"]["body"] == {"volume": 6, "voice": {"token": "<voice-token-1>"}}
        assert told["expected"] == [f"PATCH {session}/players/1", "GET /version"]
        [unexpected] = server.unexpected
    assert (unexpected.method, unexpected.path) == ("PATCH", f"{session}/players/1?noReplace=true")
    shown = f"{unexpected!r} {server!r} {unexpected.body} {told['message']}"
    assert first["sessionId"] not in shown
    assert "my-secret-token" not in shown
    assert PASSWORD not in shown


@pytest.mark.parametrize(
    ("asked", "fits"),
    [
        (("POST", "/x?a=1&b=2", {"k": [1, {"l": None}]}), True),
        (("POST", "/x?b=2&a=1", '{ "k" : [1.0, {"l":null}] }'), True),
        (("POST", "/%78?a=%31&b=2", {"k": [1, {"l": None}]}), True),
        (("PUT", "/x?a=1&b=2", {"k": [1, {"l": None}]}), False),
        (("POST", "/y?a=1&b=2", {"k": [1, {"l": None}]}), False),
        (("POST", "/x?a=1", {"k": [1, {"l": None}]}), False),
        (("POST", "/x?a=1&b=3", {"k": [1, {"l": None}]}), False),
        (("POST", "/x?a=1&b=2", {"k": [True, {"l": None}]}), False),
        (("POST", "/x?a=1&b=2", {"k": [1, {}]}), False),
        (("POST", "/x?a=1&b=2", {"k": [1, {"l": None}, 2]}), False),
        (("POST", "/x?a=1&b=2", {"k": [1, {"l": None}], "m": 1}), False),
        (("POST", "/x?a=1&b=2", "no JSON"), False),
        (("POST", "/x?a=1&b=2", None), False),
    ],
)
def test_requests_are_equal_by_what_they_mean(asked: tuple[str, str, Any], fits: bool, tmp_path: Path) -> None:
    path = recording(tmp_path, rest(1, "/x?a=1&b=2", "ok", method="POST", request={"k": [1, {"l": None}]}))
    with ReplayServer(path) as server, Asking(server) as asking:
        assert asking.exchange(*asked)[0] == (200 if fits else 501)


def test_keys_that_differ_from_run_to_run_can_be_ignored(tmp_path: Path) -> None:
    path = recording(tmp_path, rest(1, "/x", {}, method="PATCH", request={"position": 5, "paused": True}))
    with ReplayServer(path, ignore=["position"]) as server, Asking(server) as asking:
        assert asking.ask("PATCH", "/x", {"position": 7, "paused": False})[0] == 501
        assert asking.ask("PATCH", "/x", {"position": 7, "paused": True})[0] == 200


def test_placeholders_stand_for_one_value_each_all_through_a_run(tmp_path: Path) -> None:
    voice = {"token": "<voice-token-1>", "sessionId": "<voice-session-1>", "endpoint": "e"}
    players = "/v4/sessions/<session-1>/players"
    path = recording(
        tmp_path,
        opened(),
        ready(),
        rest(1, f"{players}/1", {"voice": voice}, method="PATCH", request={"voice": voice}),
        rest(2, f"{players}/2", {"voice": voice}, method="PATCH", request={"voice": voice}),
        opened(2, request_headers={**ALLOWED, "Session-Id": "<session-1>"}),
        ready(2, 2, resumed=True),
    )
    sessions = set()
    for _ in range(2):
        with ReplayServer(path) as server, Asking(server) as asking:
            [first] = received(asking.open(), 1)
            session = first["sessionId"]
            sessions.add(session)
            mine = {"token": "mine", "sessionId": "also mine", "endpoint": "e"}
            base = f"/v4/sessions/{session}/players"
            assert asking.ask("PATCH", f"{base}/1", {"voice": mine}) == (200, {"voice": mine})
            assert asking.ask("PATCH", f"{base}/2", {"voice": {**mine, "token": "other"}})[0] == 501
            assert asking.ask("PATCH", f"{base}/2", {"voice": mine}) == (200, {"voice": mine})
            with pytest.raises(websocket.WebSocketBadStatusException):
                asking.open("Session-Id: of somebody else")
            assert received(asking.open(f"Session-Id: {session}"), 1)[0]["sessionId"] == session
            assert server.wait_finished()
    assert len(sessions) == 2
    assert not any("<" in session for session in sessions)


def test_two_sessions_of_a_recording_are_never_taken_for_one(tmp_path: Path) -> None:
    def players(n: int, session: str) -> dict[str, Any]:
        return rest(n, f"/v4/sessions/{session}/players", [session])

    path = recording(tmp_path, opened(), ready(), players(1, "<session-2>"), players(2, "<session-1>"))
    with ReplayServer(path) as server, Asking(server) as asking:
        session = received(asking.open(), 1)[0]["sessionId"]
        assert asking.ask("GET", f"/v4/sessions/{session}/players")[1] == [session]
        assert asking.ask("GET", "/v4/sessions/another/players")[1] == ["another"]


def test_messages_come_before_or_after_the_answer_as_they_did(tmp_path: Path) -> None:
    path = recording(
        tmp_path,
        opened(),
        ready(),
        message("before", 1),
        rest(1, "/a", "answer", t_ms=1, took_ms=1000),
        message("after", 1, t_ms=1001),
        message("never without b", 2),
        rest(2, "/b", "answer"),
    )
    clock = ManualClock()
    with ReplayServer(path, pace=1, clock=clock) as server, Asking(server) as asking, Asking(server) as other:
        sock = asking.open()
        clock.advance(1)
        received(sock, 1)
        assert nothing_came(sock, asking)
        thread = threading.Thread(target=other.ask, args=("GET", "/a"))
        thread.start()
        wait_until(lambda: "GET /a was not asked" not in server.missing, "the request")
        clock.advance(0.5)
        assert received(sock, 1) == ["before"]
        assert nothing_came(sock, asking)
        clock.advance(0.5)
        assert received(sock, 1) == ["after"]
        thread.join(10)
        assert nothing_came(sock, asking)
        asking.ask("GET", "/b")
        clock.advance(1)
        assert received(sock, 1) == ["never without b"]


def test_a_message_waits_for_all_requests_before_it_in_whatever_order_they_come(tmp_path: Path) -> None:
    path = recording(tmp_path, opened(), rest(1, "/a", 1), rest(2, "/b", 2), rest(3, "/c", 3), ready(3))
    with ReplayServer(path) as server, Asking(server) as asking:
        sock = asking.open()
        for asked in ("/c", "/a"):
            asking.ask("GET", asked)
            assert nothing_came(sock, asking)
        assert server.missing == ["GET /b was not asked", "1 messages of WebSocket 1 were not sent"]
        asking.ask("GET", "/b")
        received(sock, 1)


def test_the_requests_of_other_sessions_hold_nothing_up(tmp_path: Path) -> None:
    path = recording(
        tmp_path,
        opened(),
        ready(),
        rest(1, "/v4/sessions/<session-2>/players", []),
        message("mine", 1),
        opened(2),
        ready(1, 2, "<session-2>"),
    )
    with ReplayServer(path) as server, Asking(server) as asking:
        assert received(asking.open(), 2)[1] == "mine"


def test_the_recorded_time_passes_on_the_clock_where_that_is_wanted(tmp_path: Path) -> None:
    clock = ManualClock()
    path = recording(
        tmp_path,
        opened(t_ms=0),
        ready() | {"t_ms": 1000},
        rest(1, "/a", "answer", t_ms=5000, took_ms=200),
        message("soon", 1, t_ms=5300),
        message("late", 1, t_ms=3_605_300),
    )
    answers: list[Any] = []
    with ReplayServer(path, pace=1, clock=clock) as server, Asking(server) as asking, Asking(server) as other:
        sock = asking.open()
        sock.settimeout(0.05)
        clock.advance(0.999)
        with pytest.raises(websocket.WebSocketTimeoutException):
            sock.recv()
        sock.settimeout(10)
        clock.advance(0.001)
        received(sock, 1)
        thread = threading.Thread(target=lambda: answers.append(other.ask("GET", "/a")))
        thread.start()
        wait_until(lambda: server.missing == ["2 messages of WebSocket 1 were not sent"], "the request")
        clock.advance(0.199)
        assert not answers
        clock.advance(0.001)
        thread.join(10)
        assert answers == [(200, "answer")]
        clock.advance(0.1)
        assert received(sock, 1) == ["soon"]
        clock.advance(3600)
        assert received(sock, 1) == ["late"]
        assert server.finished
