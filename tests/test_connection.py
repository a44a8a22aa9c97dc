"""An open WebSocket: what arrives, what is answered, and the same over TLS."""

from __future__ import annotations

import os
import socket
import ssl
import threading
from typing import Any

import pytest
import trustme

from lavalink_sync.transport import stream
from lavalink_sync.transport.clock import Deadline

from .support.connections import Bench, loss, messages, sending
from .support.sockets import CLOSE, PING, PONG, TEXT, Peer, ScriptedServer, close_frame, frame, text
from .support.waiting import wait_until

CONTINUATION = 0x0


def test_ready_in_one_piece_with_the_answer(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.accept(then=text('{"op":"ready"}') + text('{"op":"stats"}') + b"\x81")
        peer.send(b"\x02{}")
        peer.wait_gone()

    with ScriptedServer(script) as server:
        connection = bench.open(server.address)
        assert messages(connection, 3) == [b'{"op":"ready"}', b'{"op":"stats"}', b"{}"]


def test_messages_in_the_order_in_which_they_were_sent(bench: Bench) -> None:
    large = "x" * 200_000
    with ScriptedServer(sending(*[text(str(n)) for n in range(500)], text(large))) as server:
        got = messages(bench.open(server.address), 501)
    assert got == [*[str(n).encode() for n in range(500)], large.encode()]


def test_fragments_with_a_ping_between_them(bench: Bench) -> None:
    pongs: list[tuple[int, bytes]] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.send(frame(TEXT, b"frag", fin=False) + frame(PING, b"are you there") + frame(CONTINUATION, b"ments"))
        pongs.append(peer.read_frame())
        peer.wait_gone()

    with ScriptedServer(script) as server:
        assert messages(bench.open(server.address), 1) == [b"fragments"]
        wait_until(lambda: pongs, "the pong is there")
    assert pongs == [(PONG, b"are you there")]


def test_polling_ends_at_its_deadline_and_by_the_waker(bench: Bench) -> None:
    with ScriptedServer(sending()) as server:
        connection = bench.open(server.address)
        for end in (lambda: bench.clock.advance(15), bench.waker.wake):
            with bench.when_waiting(15, end):
                assert connection.poll(bench.clock.monotonic() + 15) == []
        assert connection.poll(bench.clock.monotonic() - 1) == []


def test_when_the_peer_was_last_heard(bench: Bench) -> None:
    go = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        assert go.wait(10)
        peer.send(b"\x81")  # not even a whole frame
        peer.wait_gone()

    with ScriptedServer(script) as server:
        connection = bench.open(server.address)
        assert connection.last_heard == 1000
        bench.clock.advance(7)
        assert connection.poll(0) == []
        assert connection.last_heard == 1000
        go.set()
        assert connection.poll(None) == []
        assert connection.last_heard == 1007


def test_a_ping_of_ours_is_answered(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        assert peer.read_frame() == (PING, b"")
        peer.send(frame(PONG))
        peer.wait_gone()

    with ScriptedServer(script) as server:
        connection = bench.open(server.address)
        bench.clock.advance(15)
        connection.ping()
        assert connection.poll(None) == []
        assert connection.last_heard == 1015


def test_half_a_frame_and_then_silence_is_no_message(bench: Bench) -> None:
    with ScriptedServer(sending(text("whole") + text("half of this")[:7])) as server:
        connection = bench.open(server.address)
        assert messages(connection, 1) == [b"whole"]
        assert connection.poll(bench.clock.monotonic()) == []


# What it needs


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts descriptors as Linux shows them")
def test_a_node_at_rest_has_two_descriptors(bench: Bench) -> None:
    with ScriptedServer(sending()) as server:
        server_side = 1  # the server's end of the connection, in this process too
        before = len(os.listdir("/proc/self/fd"))  # the waker of the bench is among them
        connection = bench.open(server.address)
        wait_until(lambda: len(server.peers) == 1, "the server has the connection")
        connection.poll(0)
        assert len(os.listdir("/proc/self/fd")) == before + 1 + server_side


# TLS


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


def test_everything_works_over_tls_as_well(bench: Bench, tls: ssl.SSLContext) -> None:
    large = "y" * 300_000
    seen: list[Any] = []

    def script(peer: Peer) -> None:
        peer.accept("Session-Resumed: true", then=text("ready"))
        # Many frames in one record, frames over many records, and a record that ends in the middle of a frame.
        peer.send(b"".join(text(str(n)) for n in range(2000)) + text(large))
        peer.send(frame(PING, b"p"))
        seen.append(peer.read_frame())
        seen.append(peer.read_frame())
        peer.send(close_frame(1000))
        peer.wait_gone()

    with ScriptedServer(script, tls=tls) as server:
        connection = bench.open(server.address, secure=True, verify=False)
        assert connection.session_resumed is True
        assert messages(connection, 2002) == [b"ready", *[str(n).encode() for n in range(2000)], large.encode()]
        while not seen:
            connection.poll(bench.clock.monotonic())
        connection.close(deadline=Deadline(bench.clock, 10))
    assert seen == [(PONG, b"p"), (CLOSE, b"\x03\xe8")]


def test_what_tls_has_decrypted_already_is_not_waited_for(
    bench: Bench, tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "_CHUNK", 7)  # so that reading leaves something of a record
    with ScriptedServer(sending(text("one and two and three")), tls=tls) as server:
        connection = bench.open(server.address, secure=True, verify=False)
        assert connection.poll(None) == []
        monkeypatch.setattr(bench.clock, "poll", None)  # any waiting from here on fails
        assert messages(connection, 1) == [b"one and two and three"]


def test_an_end_of_a_tls_connection_without_its_farewell(bench: Bench, tls: ssl.SSLContext) -> None:
    with ScriptedServer(lambda peer: peer.accept(then=text("last")), tls=tls) as server:
        connection = bench.open(server.address, secure=True, verify=False)
        assert messages(connection, 1) == [b"last"]
        assert loss(connection).code == 1006


def test_bytes_that_are_no_tls_end_the_connection(bench: Bench, tls: ssl.SSLContext) -> None:
    def script(peer: Peer) -> None:
        peer.accept()
        socket.socket.sendall(peer.sock, b"\0" * 100)  # past the TLS of the socket
        peer.wait_gone()

    with ScriptedServer(script, tls=tls) as server:
        error = loss(bench.open(server.address, secure=True, verify=False))
    assert error.code == 1006
    assert isinstance(error.__cause__, ssl.SSLError)
