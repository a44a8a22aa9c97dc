"""From a config to a connected stream: addresses, TCP, the proxy's tunnel, TLS; what fails and how it is told."""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from lavalink_sync.config import Timeouts
from lavalink_sync.errors import CertificateError, ConnectError, NodeClosedError
from lavalink_sync.transport.dial import tls_context

from .support.connections import Bench
from .support.sockets import Peer, ScriptedServer, has_ipv6, text, unused_port
from .support.tls import serving


def greet(peer: Peer) -> None:
    peer.accept(then=text("hello"))
    peer.wait_gone()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: tuple[str, int]) -> None:
    """Let every name resolve to `addresses`."""
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", address) for address in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)


# TCP


def test_nobody_listens_there(bench: Bench) -> None:
    address = f"127.0.0.1:{unused_port()}"
    error = bench.failure(address)
    assert type(error) is ConnectError
    assert str(error) == f"node main: no connection to {address}: Connection refused"
    assert isinstance(error.__cause__, OSError)
    assert error.__cause__.errno == errno.ECONNREFUSED
    assert error.retryable


def test_a_name_that_does_not_resolve(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    error = bench.failure("no-such-host:2333")
    assert type(error) is ConnectError
    assert str(error) == "node main: the name 'no-such-host' does not resolve: Name or service not known"
    assert isinstance(error.__cause__, socket.gaierror)


def test_a_name_that_can_not_even_be_asked_for(bench: Bench) -> None:
    error = bench.failure(f"{'x' * 70}.example:2333")
    assert type(error) is ConnectError
    assert "does not resolve" in str(error)


def test_a_socket_that_was_made_to_block_does_not(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    class Deaf(socket.socket):
        """Like gevent's, which takes no notice of the flag for one that never blocks."""

        def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
            super().__init__(family, type, proto, fileno)
            self.settimeout(7)
            made.append(self)

    made: list[Deaf] = []
    with ScriptedServer(greet) as server:
        monkeypatch.setattr(socket, "socket", Deaf)
        assert bench.open(server.address).poll(None) == [b"hello"]
        assert made[0].gettimeout() == 0


def test_all_addresses_of_a_name_are_tried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with ScriptedServer(greet) as server:
        names(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.1", server.port))
        assert bench.open("lavalink:2333").poll(None) == [b"hello"]


def test_if_no_address_answers_each_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, ("127.0.0.1", unused_port()), ("127.0.0.2", unused_port()))
    error = bench.failure("lavalink:2333")
    assert str(error) == (
        "node main: no connection to lavalink:2333: 127.0.0.1: Connection refused; 127.0.0.2: Connection refused"
    )


@pytest.fixture
def black_hole() -> Iterator[tuple[str, int]]:
    """An address at which connecting hangs: a listener whose queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()
        for filler in fillers:
            filler.close()


def test_an_address_that_swallows_everything_is_given_up_in_time(bench: Bench, black_hole: tuple[str, int]) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=3)
        bench.clock.advance(3)

    address = f"127.0.0.1:{black_hole[1]}"
    error = bench.failure(address, meanwhile=meanwhile, timeouts=Timeouts(connect=3))
    assert type(error) is ConnectError
    assert str(error) == f"node main: no connection to {address}: no answer in time"


def test_such_an_address_leaves_time_for_the_next_one(
    bench: Bench, black_hole: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ScriptedServer(Peer.wait_gone) as server:
        names(monkeypatch, black_hole, ("127.0.0.1", server.port))

        def meanwhile() -> None:
            bench.clock.waiting(1, due_in=2.5)
            bench.clock.advance(2.5)
            bench.clock.waiting(1, due_in=10)  # now in the handshake
            bench.interrupt()

        assert isinstance(bench.failure("lavalink:2333", meanwhile=meanwhile), NodeClosedError)


def test_closing_the_node_ends_connecting_at_once(bench: Bench, black_hole: tuple[str, int]) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1)
        bench.interrupt()

    assert isinstance(bench.failure(f"127.0.0.1:{black_hole[1]}", meanwhile=meanwhile), NodeClosedError)


def test_a_node_closed_before_does_not_even_ask_for_the_name(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", None)
    bench.closed = True
    assert isinstance(bench.failure("lavalink:2333"), NodeClosedError)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 loopback on this machine")
def test_ipv6(bench: Bench) -> None:
    with ScriptedServer(greet, family=socket.AF_INET6) as server:
        assert bench.open(server.address).poll(None) == [b"hello"]
        assert server.peers[0].header("Host") == server.address


def test_a_dead_peer_is_noticed_by_the_system_too(bench: Bench) -> None:
    with ScriptedServer(greet) as server:
        connection = bench.open(server.address)
        with socket.socket(fileno=socket.dup(connection.fileno())) as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


# TLS


def test_tls_with_a_certificate_that_verifies(bench: Bench, authority: trustme.CA, bundle: str) -> None:
    with ScriptedServer(greet, tls=serving(authority)) as server:
        connection = bench.open(server.address, secure=True, verify=bundle)
        assert connection.poll(None) == [b"hello"]


def test_certificates_may_be_in_a_directory(
    bench: Bench, authority: trustme.CA, bundle: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A directory has its files named by a hash that OpenSSL's tool makes; that it is asked for is enough here.
    asked: list[dict[str, str]] = []
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", lambda _, **where: asked.append(where))
    tls_context(str(tmp_path))
    tls_context(bundle)
    assert asked == [{"capath": str(tmp_path)}, {"cafile": bundle}]


def test_a_certificate_of_somebody_unknown_is_refused(bench: Bench, authority: trustme.CA) -> None:
    with ScriptedServer(greet, tls=serving(authority)) as server:
        error = bench.failure(server.address, secure=True)
    assert isinstance(error, CertificateError)
    assert not error.retryable
    assert "the certificate does not verify: " in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert all(peer.request == "" for peer in server.peers)  # the password was not sent


def test_a_certificate_for_another_host_is_refused(bench: Bench, authority: trustme.CA, bundle: str) -> None:
    with ScriptedServer(greet, tls=serving(authority, "elsewhere.example")) as server:
        error = bench.failure(server.address, secure=True, verify=bundle)
    assert isinstance(error, CertificateError)
    assert "127.0.0.1" in str(error)


def test_verification_can_be_switched_off(bench: Bench, authority: trustme.CA) -> None:
    with ScriptedServer(greet, tls=serving(authority, "elsewhere.example")) as server:
        assert bench.open(server.address, secure=True, verify=False).poll(None) == [b"hello"]


@pytest.mark.parametrize("content", [None, "this is no certificate"])
def test_a_place_without_certificates_is_told(bench: Bench, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with ScriptedServer(Peer.wait_gone) as server:
        error = bench.failure(server.address, secure=True, verify=str(path))
    assert isinstance(error, CertificateError)
    assert "no certificates can be read from there" in str(error)


def test_a_port_without_tls_is_told(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        peer.wait_gone()

    with ScriptedServer(script) as server:
        error = bench.failure(server.address, secure=True)
    assert type(error) is ConnectError
    assert "is there TLS at that port?" in str(error)


def test_a_server_that_hangs_up_in_the_tls_handshake(bench: Bench) -> None:
    with ScriptedServer(lambda peer: None) as server:
        error = bench.failure(server.address, secure=True)
    assert type(error) is ConnectError


def test_a_server_that_is_mute_in_the_tls_handshake_is_given_up_in_time(bench: Bench) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=5)
        bench.clock.advance(5)

    with ScriptedServer(Peer.wait_gone) as server:
        error = bench.failure(server.address, secure=True, meanwhile=meanwhile)
    assert type(error) is ConnectError
    assert str(error) == f"node main: the TLS handshake with {server.address} took too long"


def test_closing_the_node_ends_a_tls_handshake_that_hangs(bench: Bench) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=5)
        bench.interrupt()

    with ScriptedServer(Peer.wait_gone) as server:
        assert isinstance(bench.failure(server.address, secure=True, meanwhile=meanwhile), NodeClosedError)
