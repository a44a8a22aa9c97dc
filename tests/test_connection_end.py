"""All the ways in which an open WebSocket can end, by the peer, by the network, and by us."""

from __future__ import annotations

import threading

import pytest

from lavalink_sync.transport.clock import Deadline

from .support.connections import Bench, loss, messages, sending
from .support.sockets import CLOSE, PING, TEXT, Peer, Script, ScriptedServer, close_frame, frame, text
from .support.waiting import wait_until

CONTINUATION = 0x0


@pytest.mark.parametrize(("code", "reason"), [(1000, ""), (1001, "Going away"), (1011, "häh"), (4000, "own")])
def test_a_close_frame_is_answered_and_told(bench: Bench, code: int, reason: str) -> None:
    answers: list[tuple[int, bytes]] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.send(text("last") + close_frame(code, reason))
        answers.append(peer.read_frame())
        peer.wait_gone()

    with ScriptedServer(script) as server:
        connection = bench.open(server.address)
        assert messages(connection, 1) == [b"last"]
        error = loss(connection)
        assert (error.code, error.reason) == (code, reason)
        assert f"the server closed it, code {code}" in str(error)
        assert reason in str(error)
        assert loss(connection).code == code  # and so it stays
        wait_until(lambda: answers, "the answer is there")
    assert answers == [(CLOSE, code.to_bytes(2, "big"))]


def test_a_close_frame_without_a_code(bench: Bench) -> None:
    with ScriptedServer(sending(frame(CLOSE))) as server:
        assert loss(bench.open(server.address)).code == 1005


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(TEXT, b"x", masked=True), 1002),
        (frame(TEXT, b"x", rsv=4), 1002),
        (frame(0x3), 1002),
        (frame(CONTINUATION, b"x"), 1002),
        (frame(CLOSE, b"\x03"), 1002),
        (frame(CLOSE, (1006).to_bytes(2, "big")), 1002),
        (frame(PING, b"x" * 126), 1002),
        (b"\x81\x7f" + (16 * 1024 * 1024 + 1).to_bytes(8, "big"), 1009),
    ],
)
def test_a_peer_that_breaks_the_protocol_is_told_so_and_left(bench: Bench, data: bytes, code: int) -> None:
    answers: list[tuple[int, bytes]] = []

    def script(peer: Peer) -> None:
        peer.accept(then=data)
        answers.append(peer.read_frame())
        peer.wait_gone()

    with ScriptedServer(script) as server:
        error = loss(bench.open(server.address))
        assert error.code == code
        wait_until(lambda: answers, "the close frame is there")
    assert answers[0][0] == CLOSE
    assert answers[0][1][:2] == code.to_bytes(2, "big")


def test_an_end_without_a_close_frame(bench: Bench) -> None:
    with ScriptedServer(lambda peer: peer.accept(then=text("last"))) as server:
        connection = bench.open(server.address)
        assert messages(connection, 1) == [b"last"]
        error = loss(connection)
    assert error.code == 1006
    assert "without a close frame" in str(error)
    assert error.retryable


def test_a_reset(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.reset()

    with ScriptedServer(script) as server:
        error = loss(bench.open(server.address))
    assert error.code == 1006
    assert isinstance(error.__cause__, ConnectionResetError)


def test_a_ping_into_a_broken_connection_is_told_by_the_next_poll(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.reset()
        reset.set()

    reset = threading.Event()
    with ScriptedServer(script) as server:
        connection = bench.open(server.address)
        assert reset.wait(10)
        connection.ping()
        connection.ping()
        assert loss(connection).code == 1006


def test_a_peer_that_never_reads_is_left_before_what_it_should_read_piles_up(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        flood = frame(PING, b"x" * 125) * 1000
        for _ in range(1000):
            peer.send(flood)

    with ScriptedServer(script) as server:
        error = loss(bench.open(server.address))
    assert error.code == 1006
    assert "does not read" in str(error)


# Closing it ourselves


def closing_script(seen: list[tuple[int, bytes]], reply: bytes) -> Script:
    def script(peer: Peer) -> None:
        peer.accept()
        seen.append(peer.read_frame())
        peer.send(reply)
        peer.wait_gone()

    return script


def test_closing_sends_its_code_and_waits_for_the_answer(bench: Bench) -> None:
    seen: list[tuple[int, bytes]] = []
    with ScriptedServer(closing_script(seen, text("late") + frame(PING) + close_frame(1000))) as server:
        connection = bench.open(server.address)
        connection.close(1000, "bye", deadline=Deadline(bench.clock, 10))
        assert connection.fileno() == -1
        connection.close(deadline=Deadline(bench.clock, 10))
        connection.ping()
        assert loss(connection).code == 1000
    assert seen == [(CLOSE, b"\x03\xe8bye")]


@pytest.mark.parametrize("reply", [b"", text("no answer")])
def test_closing_waits_for_a_mute_peer_until_its_deadline(bench: Bench, reply: bytes) -> None:
    with ScriptedServer(closing_script([], reply)) as server:
        connection = bench.open(server.address)
        with bench.when_waiting(3, lambda: bench.clock.advance(3)):
            connection.close(deadline=Deadline(bench.clock, 3))
        assert connection.fileno() == -1


@pytest.mark.parametrize("how", ["end", "reset", "garbage"])
def test_closing_never_raises(bench: Bench, how: str) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_frame()
        if how == "reset":
            peer.reset()
        if how == "garbage":
            peer.send(b"\xff\xff\xff")
            peer.wait_gone()

    with ScriptedServer(script) as server:
        bench.open(server.address).close(deadline=Deadline(bench.clock, 3))


def test_closing_what_the_peer_has_closed_is_nothing(bench: Bench) -> None:
    with ScriptedServer(sending(close_frame(1001))) as server:
        connection = bench.open(server.address)
        loss(connection)
        connection.close(deadline=Deadline(bench.clock, None))


def test_a_long_reason_is_cut_between_characters(bench: Bench) -> None:
    seen: list[tuple[int, bytes]] = []
    with ScriptedServer(closing_script(seen, close_frame(1000))) as server:
        bench.open(server.address).close(4000, "ä" * 100, deadline=Deadline(bench.clock, 3))
    assert seen == [(CLOSE, (4000).to_bytes(2, "big") + ("ä" * 61).encode())]


def test_leaving_the_block_aborts(bench: Bench) -> None:
    with ScriptedServer(sending()) as server:
        with bench.open(server.address) as connection:
            assert connection.fileno() > 0
        assert connection.fileno() == -1
        connection.abort()
        assert loss(connection).code == 1006
