"""The non-blocking socket under a WebSocket: what does not fit, and TLS that wants to write in order to read."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from lavalink_sync.errors import ConnectError, NodeClosedError
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.stream import Attempt, Stream

from .support.connections import Bench
from .support.http_server import Started

if TYPE_CHECKING:
    from typing_extensions import Buffer


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def test_bytes_that_do_not_fit_go_out_while_waiting(bench: Bench) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    stream = Stream(here, bench.clock, bench.waker)
    sent, received = 0, 0
    while not stream._unsent:
        stream.write(b"x" * 10_000)
        sent += 10_000
    with there:
        while stream._unsent:
            received += len(there.recv(1 << 20))
            stream.wait(bench.clock.monotonic() + 1)
        while received < sent:
            received += len(there.recv(1 << 20))
    assert received == sent
    stream.close()
    stream.close()


def test_a_peer_that_takes_nothing_counts_as_gone(bench: Bench) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    stream = Stream(here, bench.clock, bench.waker)
    with there, pytest.raises(BrokenPipeError, match="does not read"):
        stream.write(b"x" * 4_000_000)
    stream.close()


def test_a_wait_without_a_waker_is_ended_by_shutting_down(bench: Bench) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    stream = Stream(here, SystemClock(), bench.waker)
    stream.watch(None)
    assert not stream.has_news()

    def wait_and_read() -> bytes | None:
        stream.wait(None)
        return stream.read()

    waited = Started(wait_and_read)
    with there:
        stream.shut_down()
        assert waited.result() == b""
        assert stream.has_news()
        stream.close()
        # Its number may be another file's by now.
        stream.shut_down()


def test_a_socket_without_a_waker_can_still_be_written_to_in_pieces(bench: Bench) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    stream = Stream(here, bench.clock, bench.waker)
    stream.watch(None)
    with there:
        while not stream._unsent:
            stream.write(b"x" * 10_000)
        assert not stream.has_news()
        while stream._unsent:
            there.recv(1 << 20)
            stream.wait(bench.clock.monotonic() + 1)
        there.send(b"y")
        assert stream.has_news()
    stream.close()


class MoodyTls(socket.socket):
    """A socket whose TLS has to send before it can go on reading, and the other way round."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(fileno=sock.detach())
        self.moods: list[Exception] = [ssl.SSLWantWriteError(), ssl.SSLWantReadError()]
        self.sent = b""

    def recv(self, *_: int) -> bytes:
        if self.moods:
            raise self.moods.pop(0)
        return b"data"

    def send(self, data: Buffer, *_: int) -> int:
        if self.moods:
            raise self.moods.pop()
        self.sent += bytes(data)
        return len(bytes(data))


def test_tls_that_wants_to_write_before_it_reads_is_waited_for_rightly(bench: Bench) -> None:
    here, there = socket.socketpair()
    stream = Stream(MoodyTls(here), bench.clock, bench.waker)
    with there:
        assert stream.read() is None
        # Nothing has come, but the socket can be written: waiting for that ends at once, without time going by.
        stream.wait(None)
        assert stream.read() is None
        there.send(b"x")
        stream.wait(None)
        assert stream.read() == b"data"
    stream.close()


def test_tls_that_wants_to_read_before_it_writes_sends_later(bench: Bench) -> None:
    here, there = socket.socketpair()
    moody = MoodyTls(here)
    stream = Stream(moody, bench.clock, bench.waker)
    with there:
        stream.write(b"ping")
        assert moody.sent == b""
        stream.wait(None)
        assert moody.sent == b""
        stream.wait(None)
        assert moody.sent == b"ping"
    stream.close()


def test_an_attempt_ends_when_the_node_is_closed_and_when_its_time_is_over(bench: Bench) -> None:
    attempt = Attempt("main", bench.clock, lambda: bench.waker, Deadline(bench.clock, 5), lambda: bench.closed)
    attempt.check("testing")
    short = attempt.within(2)
    bench.clock.advance(3)
    attempt.check("testing")
    with pytest.raises(ConnectError, match=r"^node main: testing took too long$"):
        short.check("testing")
    bench.closed = True
    with pytest.raises(NodeClosedError):
        attempt.check("testing")
    assert attempt.within(60).deadline.at == attempt.deadline.at
