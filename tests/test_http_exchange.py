"""How long a call may take. The clock is moved by hand: what is waited for is exact."""

from __future__ import annotations

import pickle
import threading

import pytest

from lavalink_sync.config import Timeouts
from lavalink_sync.errors import OutcomeUnknownError, RequestTimeoutError
from lavalink_sync.transport.clock import SystemClock

from .support.clock import ManualClock
from .support.http_server import FINE, PLAYER, Make, Replies, Reply, Request, chunked, mute, then_end
from .support.sockets import Peer, ScriptedServer, answer


def test_a_mute_server_ends_a_question_after_the_read_timeout_asked_twice(make_calls: Make, clock: ManualClock) -> None:
    replies = Replies(mute)
    with ScriptedServer(replies) as server:
        started = make_calls(server).start()
        for tries in (1, 2):
            replies.wait_for(tries)
            clock.waiting(1, due_in=10)
            clock.advance(10)
        error = started.failure()
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "read"
    assert "timeouts.read" in str(error)
    assert pickle.loads(pickle.dumps(error)).phase == "read"
    assert len(replies.seen) == 2


def test_a_mute_server_leaves_the_outcome_of_a_change_unknown(make_calls: Make, clock: ManualClock) -> None:
    replies = Replies(mute)
    with ScriptedServer(replies) as server:
        started = make_calls(server).start("PATCH", PLAYER, body=b"{}")
        replies.wait_for(1)
        clock.waiting(1, due_in=10)
        clock.advance(10)
        assert isinstance(started.failure(), OutcomeUnknownError)
    assert len(replies.seen) == 1


def test_a_used_connection_that_has_gone_mute_is_no_reason_to_repeat_a_change(
    make_calls: Make, clock: ManualClock
) -> None:
    replies = Replies(FINE, mute)
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        calls.send()
        started = calls.start("PATCH", PLAYER, body=b"{}")
        replies.wait_for(2)
        clock.waiting(1, due_in=10)
        clock.advance(10)
        assert isinstance(started.failure(), OutcomeUnknownError)
    assert len(replies.seen) == 2


def test_a_patient_call_waits_until_its_deadline(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(Replies(mute)) as server:
        started = make_calls(server).start(patient=True, seconds=60)
        clock.waiting(1, due_in=60)
        clock.advance(60)
        error = started.failure()
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "call"


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", chunked(end=b"63\r\n")]
)
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_dripping_answer_ends_with_the_deadline_for_the_call(
    make_calls: Make, clock: ManualClock, head: bytes, method: str
) -> None:
    begun = threading.Event()

    def begin(peer: Peer, _: Request) -> None:
        peer.send(head)
        begun.set()
        peer.wait_gone()

    with ScriptedServer(Replies(begin)) as server:
        started = make_calls(server).start(method, seconds=25)
        assert begun.wait(10)
        for left in (25, 17, 9):
            # Never silent for the read timeout of 10 s: the limit of each wait shows that it began anew.
            clock.waiting(1, due_in=min(left, 10))
            clock.advance(8)
            server.peers[0].send(b"x")
        clock.waiting(1, due_in=1)
        clock.advance(1)
        error = started.failure()
    if method == "GET":
        assert isinstance(error, RequestTimeoutError)
        assert error.phase == "call"
    else:
        assert isinstance(error, OutcomeUnknownError)


def test_a_server_that_does_not_take_the_request_ends_it(make_calls: Make, clock: ManualClock) -> None:
    def never_reads(peer: Peer) -> None:
        peer.wait_quit()

    with ScriptedServer(never_reads) as server:
        # A connect timeout that the moving clock does not reach when it connects for the second time.
        started = make_calls(server, timeouts=Timeouts(connect=1e9)).start("POST", body=b"x" * 20_000_000, seconds=None)
        while not started.done:
            # As long as the system still takes some of it, each wait begins anew.
            clock.advance(10)
        error = started.failure()
    # The whole of it never arrived, so nothing can have come of it.
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "read"


def test_a_handshake_that_hangs_ends_with_the_connect_timeout(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(lambda peer: peer.wait_gone()) as server:
        started = make_calls(server, secure=True).start("PATCH", body=b"{}")
        for _ in range(2):
            clock.waiting(1, due_in=5)
            clock.advance(5)
        error = started.failure()
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "connect"
    assert "timeouts.connect" in str(error)


def test_the_deadline_for_the_call_counts_while_connecting_too(make_calls: Make, clock: ManualClock) -> None:
    with ScriptedServer(lambda peer: peer.wait_gone()) as server:
        started = make_calls(server, secure=True).start(seconds=3)
        clock.waiting(1, due_in=3)
        clock.advance(3)
        error = started.failure()
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "call"


def test_without_any_time_nothing_is_sent(make_calls: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        error = make_calls(server).failure("PATCH", body=b"{}", seconds=0)
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "call"
    assert not replies.connections


def test_the_real_clock_ends_a_mute_call_as_well(make_calls: Make) -> None:
    with ScriptedServer(Replies(mute)) as server:
        error = make_calls(server, clock=SystemClock()).failure("PATCH", body=b"{}", seconds=0.2)
    assert isinstance(error, OutcomeUnknownError)


@pytest.mark.parametrize(
    ("reply", "whole"),
    [
        (answer("200 OK", b"12345"), True),
        (chunked(b"123", b"45"), True),
        (then_end(answer("200 OK", b"12345", length=False)), True),
        (then_end(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n123"), False),
        (then_end(chunked(b"123", end=b"")), False),
    ],
)
def test_a_body_is_either_whole_or_no_answer(make_calls: Make, reply: Reply, whole: bool) -> None:
    with ScriptedServer(Replies(reply)) as server:
        calls = make_calls(server)
        if whole:
            assert calls.send().body == b"12345"
        else:
            assert isinstance(calls.failure("PATCH"), OutcomeUnknownError)


def test_a_head_call_is_answered_without_a_body(make_calls: Make) -> None:
    replies = Replies(answer("200 OK", b"", "Content-Length: 99", length=False))
    with ScriptedServer(replies) as server:
        calls = make_calls(server)
        for _ in range(2):
            assert calls.send("HEAD").body == b""
    assert replies.connections == 1
