"""REST calls over real sockets: what is sent, what is sent again, what ends when, and what an error says."""

from __future__ import annotations

import http.client
import logging
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.config import NodeConfig
from lavalink_sync.errors import (
    AnswerTooLargeError,
    ConnectError,
    InvalidArgumentError,
    OutcomeUnknownError,
    UnexpectedAnswerError,
)
from lavalink_sync.transport import http_pool
from lavalink_sync.transport.dial import dial
from lavalink_sync.transport.stream import Attempt, Stream

from .support.connections import PASSWORD, SESSION
from .support.http_server import (
    FINE,
    PLAYER,
    Make,
    Replies,
    Request,
    Started,
    chunked,
    then_end,
    then_reset,
)
from .support.sockets import Peer, ScriptedServer, answer, unused_port

# What is sent, and how it is answered.


def test_a_call_carries_the_password_and_nothing_of_others(make_calls: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server, path="/lavalink")
        got = calls.send("PATCH", PLAYER, query={"noReplace": True, "left out": None, "é": "a b&c"}, body=b'{"a":1}')
    assert (got.status, got.body) == (200, b'{"fine": true}')
    assert got.headers["content-type"] == "application/json"
    (request,) = replies.seen
    assert request.method == "PATCH"
    assert request.target == f"/lavalink{PLAYER.reveal()}?noReplace=true&%C3%A9=a%20b%26c"
    assert request.body == b'{"a":1}'
    assert request.headers["authorization"] == PASSWORD
    assert request.headers["host"] == server.address
    assert request.headers["content-type"] == "application/json"
    assert request.headers["content-length"] == "7"
    assert request.headers["accept-encoding"] == "identity"
    assert "cookie" not in request.headers


def test_the_environment_has_no_say(make_calls: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n", "utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{unused_port()}")
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        assert make_calls(server).send().status == 200
    assert replies.seen[0].headers["authorization"] == PASSWORD


def test_cookies_are_not_kept(make_calls: Make) -> None:
    replies = Replies(answer("200 OK", b"{}", "Set-Cookie: track=me; Path=/"))
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        calls.send()
    assert "cookie" not in replies.seen[1].headers


def test_a_redirect_is_not_followed(make_calls: Make) -> None:
    elsewhere = Replies(FINE)
    with ScriptedServer(elsewhere) as other:
        redirect = answer("307 Temporary Redirect", b"moved", f"Location: http://{other.address}/v4/info")
        with ScriptedServer(Replies(redirect)) as server:
            got = make_calls(server).send()
    assert (got.status, got.body) == (307, b"moved")
    assert not elsewhere.seen, "the password travelled"


@pytest.mark.parametrize(
    ("reply", "status", "body"),
    [
        (answer("204 No Content", length=False), 204, b""),
        (chunked(b"one,", b"two"), 200, b"one,two"),
        (chunked(b"one", end=b"0\r\nTrailer: 1\r\n\r\n"), 200, b"one"),
        (answer("100 Continue", length=False) + FINE, 200, b'{"fine": true}'),
        (answer("404 Not Found", b"{}"), 404, b"{}"),
        (answer("200 OK"), 200, b""),
        (b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
    ],
)
def test_every_way_to_answer_leaves_a_connection_that_is_used_again(
    make_calls: Make, reply: bytes, status: int, body: bytes
) -> None:
    replies = Replies(reply)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        for _ in range(3):
            got = calls.send("DELETE")
            assert (got.status, got.body) == (status, body)
        assert calls.transport.idle == 1
    assert (replies.connections, len(replies.seen)) == (1, 3)


@pytest.mark.parametrize(
    "reply",
    [
        answer("200 OK", b"ok", "Connection: close"),
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        answer("200 OK", b"ok") + b"what nobody asked for",
    ],
)
def test_a_connection_that_can_not_be_used_again_is_not(make_calls: Make, reply: bytes) -> None:
    replies = Replies(reply)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        assert [calls.send().body for _ in range(2)] == [b"ok", b"ok"]
        assert calls.transport.idle == 0
    assert replies.connections == 2


def test_an_answer_that_ends_with_its_connection(make_calls: Make) -> None:
    with ScriptedServer(Replies(then_end(answer("200 OK", b"all of it", length=False)))) as server:
        assert make_calls(server).send().body == b"all of it"


def test_a_large_answer_in_odd_pieces_arrives_whole(make_calls: Make) -> None:
    body = bytes(range(256)) * 4096

    def drip(peer: Peer, _: Request) -> None:
        data = chunked(body[:70_000], body[70_000:])
        for start in range(0, len(data), 9973):
            peer.send(data[start : start + 9973])

    with ScriptedServer(Replies(drip)) as server:
        calls = make_calls(server)
        assert calls.send().body == body
        assert calls.transport.idle == 1


def test_a_large_request_arrives_whole(make_calls: Make) -> None:
    body = b"x" * 3_000_000
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        assert make_calls(server).send("POST", body=body).status == 200
    assert replies.seen[0].body == body


def test_an_answer_before_the_whole_request_was_read_still_counts(make_calls: Make) -> None:
    def refuse(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("413 Payload Too Large", b"too much", "Connection: close"))
        peer.wait_gone()

    with ScriptedServer(refuse) as server:
        assert make_calls(server).send("POST", body=b"x" * 8_000_000).status == 413


def test_many_threads_get_their_own_answers(make_calls: Make) -> None:
    def echo(peer: Peer, request: Request) -> None:
        peer.send(answer("200 OK", request.target.encode()))

    with ScriptedServer(Replies(echo)) as server:
        calls = make_calls(server, pool_size=2)

        def several(number: int) -> list[bytes]:
            return [calls.send(path=f"/{number}/{turn}").body for turn in range(10)]

        started = [Started(partial(several, number)) for number in range(8)]
        for number, run in enumerate(started):
            assert run.result() == [f"/{number}/{turn}".encode() for turn in range(10)]
        assert calls.transport.idle <= 2
        assert calls.transport.in_flight == 0


# What fails.


def test_nobody_listens(make_calls: Make) -> None:
    address = f"127.0.0.1:{unused_port()}"
    error = make_calls(address).failure("PATCH", PLAYER)
    assert isinstance(error, ConnectError)
    assert error.retryable
    assert str(error) == (
        f"node main: PATCH /v4/sessions/***/players/7 was not sent: no connection to {address}: Connection refused; "
        "is Lavalink running there, and the address right?"
    )
    assert isinstance(error.__cause__, ConnectionRefusedError)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_what_was_never_sent_is_sent_again_once(make_calls: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[int] = []

    def dial_badly_once(config: NodeConfig, attempt: Attempt) -> Stream:
        tries.append(1)
        if len(tries) == 1:
            raise ConnectError("node main: unreachable for a moment")
        return dial(config, attempt)

    monkeypatch.setattr(http_pool, "dial", dial_badly_once)
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        assert make_calls(server).send("PATCH", body=b"{}").status == 200
    assert (len(tries), len(replies.seen)) == (2, 1)


CUT_OFF = [
    then_end(),
    then_reset(),
    then_end(b"HTTP/1.1 200 OK\r\nContent-Le"),
    then_end(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123"),
    then_end(chunked(b"123", end=b"")),
    then_end(chunked(end=b"5\r\n12")),
    then_reset(chunked(b"123", end=b"")),
]


@pytest.mark.parametrize("end", CUT_OFF)
def test_a_change_that_was_sent_and_not_answered_is_told_and_not_repeated(make_calls: Make, end: Any) -> None:
    replies = Replies(end)
    with ScriptedServer(replies) as server:
        error = make_calls(server).failure("PATCH", PLAYER, body=b'{"volume":1}')
    assert isinstance(error, OutcomeUnknownError)
    assert not error.retryable
    assert str(error).startswith(f"node main: PATCH /v4/sessions/***/players/7 was sent to {server.address} and not ")
    assert "may or may not" in str(error)
    assert error.__cause__ is not None
    assert len(replies.seen) == 1


@pytest.mark.parametrize("end", CUT_OFF)
def test_a_question_is_asked_once_more(make_calls: Make, end: Any) -> None:
    replies = Replies(end, FINE, end)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        assert calls.send("GET").status == 200
        calls.transport.close_idle(0)
        error = calls.failure("DELETE", PLAYER)
    assert isinstance(error, ConnectError)
    assert error.retryable
    assert "twice" in str(error)
    assert [request.method for request in replies.seen] == ["GET", "GET", "DELETE", "DELETE"]


def test_a_post_that_only_asks_counts_as_a_question(make_calls: Make) -> None:
    replies = Replies(then_end(), FINE)
    with ScriptedServer(replies) as server:
        assert make_calls(server).send("POST", "/v4/decodetracks", body=b"[]", idempotent=True).status == 200
    assert len(replies.seen) == 2


@pytest.mark.parametrize(
    "garbage",
    [b"\x15\x03\x03\x00\x02\x02\x50", b"220 mail ready\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70_000 + b"\n", b"\r\n"],
)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_something_that_does_not_speak_http(make_calls: Make, garbage: bytes, method: str) -> None:
    def talk(peer: Peer, _: Request) -> None:
        peer.send(garbage)
        peer.wait_gone()

    replies = Replies(talk)
    with ScriptedServer(replies) as server:
        error = make_calls(server).failure(method)
    assert isinstance(error, UnexpectedAnswerError)
    assert "no HTTP" in str(error)
    assert "secure=True" in str(error)
    assert len(replies.seen) == 1


@pytest.mark.parametrize(
    "reply",
    [
        answer("200 OK", b"x" * 1001),
        b"HTTP/1.1 200 OK\r\nContent-Length: 999999999999\r\n\r\n",
        chunked(b"x" * 600, b"x" * 600, end=b""),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n" + b"x" * 70_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1001,
    ],
)
def test_a_body_over_the_limit_is_not_read_on(make_calls: Make, reply: bytes) -> None:
    def send(peer: Peer, _: Request) -> None:
        peer.send(reply)
        peer.wait_gone()

    with ScriptedServer(Replies(send)) as server:
        calls = make_calls(server, max_body=1000)
        error = calls.failure()
        assert calls.transport.idle == 0
    assert isinstance(error, AnswerTooLargeError)
    assert error.limit == 1000
    assert "1000 bytes" in str(error)
    assert pickle.loads(pickle.dumps(error)).limit == 1000


def test_a_body_of_just_the_limit_is_fine(make_calls: Make) -> None:
    with ScriptedServer(Replies(chunked(b"x" * 600, b"x" * 400))) as server:
        assert len(make_calls(server, max_body=1000).send().body) == 1000


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X": "\u0161"}, {"X Y": "a"}, {"X": "\x00"}])
def test_a_header_that_would_break_out_is_refused(make_calls: Make, headers: dict[str, str]) -> None:
    error = make_calls("127.0.0.1:1").failure(headers=headers)
    assert isinstance(error, InvalidArgumentError)
    assert error.field in headers


def test_a_header_can_not_replace_the_password(make_calls: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        make_calls(server).send(headers={"Authorization": "other", "X-More": "yes"})
    assert replies.seen[0].headers["authorization"] == PASSWORD
    assert replies.seen[0].headers["x-more"] == "yes"


# Secrets.


def test_nothing_secret_is_logged_or_printed(
    make_calls: Make,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    caplog.set_level(logging.DEBUG)
    replies = Replies(FINE, then_end())
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send("PATCH", PLAYER, body=b'{"voice":{"token":"t0k3n"}}')
        calls.failure("DELETE", PLAYER)
    printed = capfd.readouterr()
    for secret in (PASSWORD, SESSION, "t0k3n"):
        assert secret not in caplog.text
        assert secret not in printed.out + printed.err
