"""The connections that are kept for the next call, and what closing does to those in use."""

from __future__ import annotations

import select
import threading
from functools import partial
from typing import Any

import pytest
import trustme

from lavalink_sync.errors import (
    ConnectError,
    NodeClosedError,
    OutcomeUnknownError,
)
from lavalink_sync.transport.clock import SystemClock

from .support.clock import ManualClock
from .support.http_server import (
    FINE,
    PLAYER,
    Make,
    Replies,
    Request,
    Started,
    as_json,
    mute,
    then_end,
    then_reset,
)
from .support.sockets import Peer, ScriptedServer, answer
from .support.tls import serving
from .support.waiting import wait_until

# Connections that were kept.


def test_a_connection_idle_for_50_seconds_is_not_used_again(make_calls: Make, clock: ManualClock) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        clock.advance(49.9)
        calls.send()
        assert replies.connections == 1
        clock.advance(50)
        calls.send()
        assert replies.connections == 2
        assert calls.transport.idle == 1


@pytest.mark.parametrize("in_chunks", [False, True])
def test_a_server_that_keeps_connections_for_less_is_believed(
    make_calls: Make, clock: ManualClock, in_chunks: bool
) -> None:
    kept, chunks = "Keep-Alive: timeout=5, max=100", b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n"
    whole = answer("200 OK", b"", kept)
    parts = answer("200 OK", chunks, kept, "Transfer-Encoding: chunked", length=False)
    replies = Replies(parts if in_chunks else whole)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        clock.advance(4.5)
        calls.send()
    assert replies.connections == 2


def test_idle_connections_can_be_given_back(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(Replies(FINE)) as server:
        calls = make_calls(server)
        calls.send()
        calls.transport.close_idle()
        assert calls.transport.idle == 1
        clock.advance(50)
        calls.transport.close_idle()
        assert calls.transport.idle == 0


def test_a_connection_closed_while_idle_is_noticed_before_anything_is_sent(make_calls: Make) -> None:
    replies = Replies(then_end(FINE), FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        wait_until(lambda: server.peers[0].sock.fileno() == -1, "the server closed the connection")
        assert calls.send("PATCH", body=b"{}").status == 200
    assert (replies.connections, len(replies.seen)) == (2, 2)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("poll", [True, False])
def test_a_kept_connection_whose_server_is_gone_is_not_kept_on(
    make_calls: Make,
    authority: trustme.CA,
    bundle: str,
    monkeypatch: pytest.MonkeyPatch,
    secure: bool,
    poll: bool,
) -> None:
    if not poll:  # as on Windows
        monkeypatch.delattr(select, "poll", raising=False)
    with ScriptedServer(Replies(FINE), tls=serving(authority) if secure else None) as server:
        calls = make_calls(server, secure=secure, verify=bundle if secure else True)
        calls.send()
        assert calls.transport.idle == 1
    for _ in range(2):
        assert type(calls.failure()) is ConnectError
        assert calls.transport.idle == 0


def test_an_answer_that_nobody_asked_for_is_not_taken_for_that_of_the_next_call(make_calls: Make) -> None:
    go_on, sent = threading.Event(), threading.Event()

    def answer_twice(peer: Peer, _: Request) -> None:
        peer.send(FINE)
        assert go_on.wait(10)
        peer.send(as_json({"whose": "nobody's"}))
        sent.set()

    with ScriptedServer(Replies(answer_twice, FINE)) as server:
        calls = make_calls(server)
        calls.send()
        go_on.set()
        assert sent.wait(10)
        assert calls.send().body == b'{"fine": true}'


@pytest.mark.parametrize("end", [then_end(), then_reset()])
@pytest.mark.parametrize("method", ["GET", "PATCH", "POST", "DELETE"])
def test_what_crosses_the_closing_of_a_used_connection_is_sent_again(make_calls: Make, method: str, end: Any) -> None:
    replies = Replies(FINE, end, FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        assert calls.send(method, body=b'{"volume":1}').status == 200
    assert replies.connections == 2
    assert replies.seen[1] == replies.seen[2]


def test_after_a_crossing_the_other_kept_connections_are_not_tried(make_calls: Make) -> None:
    both = threading.Barrier(2)

    def together(peer: Peer, _: Request) -> None:
        both.wait(10)
        peer.send(FINE)

    replies = Replies(together, together, then_end(), FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        for started in [calls.start(), calls.start()]:
            started.result()
        assert calls.transport.idle == 2
        assert calls.send("PATCH", body=b"{}").status == 200
    assert replies.connections == 3


def test_a_byte_of_an_answer_is_an_answer_begun(make_calls: Make) -> None:
    replies = Replies(FINE, then_end(b"H"), FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        assert isinstance(calls.failure("PATCH", PLAYER, body=b"{}"), OutcomeUnknownError)
    assert len(replies.seen) == 2


# The end.


def test_closing_ends_calls_that_wait_for_an_answer(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(Replies(mute)) as server:
        calls = make_calls(server)
        started = [calls.start(), calls.start("PATCH", PLAYER, body=b"{}")]
        clock.waiting(2, due_in=10)
        assert calls.transport.in_flight == 2
        reason = NodeClosedError("node main was closed")
        calls.transport.close(reason)
        errors = [call.failure() for call in started]
        assert calls.transport.in_flight == 0
    for error in errors:
        assert isinstance(error, NodeClosedError)
        assert str(error) == "node main was closed"
        assert error is not reason, "two threads would raise the same error"


@pytest.mark.parametrize("secure", [False, True])
def test_closing_ends_calls_that_connect_or_send(make_calls: Make, clock: ManualClock, secure: bool) -> None:
    with ScriptedServer(lambda peer: peer.wait_quit()) as server:
        calls = make_calls(server, secure=secure)
        started = calls.start("POST", body=b"x" * 20_000_000)
        clock.waiting(1)
        calls.transport.close(NodeClosedError("closed"))
        assert isinstance(started.failure(), NodeClosedError)


@pytest.mark.parametrize("secure", [False, True])
def test_closing_ends_a_wait_on_the_systems_own_clock(make_calls: Make, secure: bool) -> None:
    replies = Replies(FINE, mute)
    with ScriptedServer(replies, tls=serving(trustme.CA()) if secure else None) as server:
        calls = make_calls(server, clock=SystemClock(), secure=secure, verify=False)
        calls.send()
        started = calls.start(seconds=None, patient=True)
        replies.wait_for(2)
        calls.transport.close(NodeClosedError("closed"))
        assert isinstance(started.failure(), NodeClosedError)
    assert replies.connections == 1


def test_closing_and_opening_in_the_midst_of_calls_ends_some_and_confuses_none(make_calls: Make) -> None:
    def echo(peer: Peer, request: Request) -> None:
        peer.send(answer("200 OK", request.target.encode()))

    with ScriptedServer(Replies(echo)) as server:
        calls = make_calls(server, clock=SystemClock())
        over = threading.Event()
        ended: list[int] = []

        def ask(number: int) -> int:
            answered = 0
            while not over.is_set() or not answered:
                try:
                    got = calls.send("PATCH", f"/{number}/{answered}")
                except NodeClosedError:
                    ended.append(number)
                else:
                    assert got.body == f"/{number}/{answered}".encode()
                    answered += 1
            return answered

        started = [Started(partial(ask, number)) for number in range(4)]
        for _ in range(50):
            wait_until(lambda: calls.transport.in_flight > 0, "a call is on its way")
            calls.transport.close(NodeClosedError("closed"))
            calls.transport.open()
        over.set()
        assert all(run.result() for run in started)
        assert calls.transport.in_flight == 0
        assert calls.send(path="/last").body == b"/last"
    assert ended


def test_after_closing_nothing_is_sent_until_it_is_opened(make_calls: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        calls.transport.close(NodeClosedError("closed"))
        calls.transport.close(NodeClosedError("closed again"))
        assert calls.transport.idle == 0
        assert str(calls.failure()) == "closed again"
        assert len(replies.seen) == 1
        calls.transport.open()
        assert calls.send().status == 200
    assert replies.connections == 2


def test_a_call_of_before_is_ended_even_if_it_is_opened_again_at_once(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(Replies(mute)) as server:
        calls = make_calls(server)
        started = calls.start()
        clock.waiting(1)
        calls.transport.close(NodeClosedError("closed"))
        calls.transport.open()
        assert isinstance(started.failure(), NodeClosedError)


def test_a_call_that_is_answered_while_it_closes_leaves_no_connection(make_calls: Make) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def late(peer: Peer, _: Request) -> None:
        asked.set()
        assert go_on.wait(10)
        peer.send(FINE)

    with ScriptedServer(Replies(late)) as server:
        calls = make_calls(server)
        started = calls.start()
        assert asked.wait(10)
        calls.transport.close(NodeClosedError("closed"))
        go_on.set()
        started.failure()
        assert calls.transport.idle == 0
