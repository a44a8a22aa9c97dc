"""A node's WebSocket through an HTTP proxy: the tunnel, its refusals, and a password that must not show."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

from lavalink_sync.config import NodeConfig
from lavalink_sync.errors import AuthenticationError, ConfigError, ConnectError, NodeClosedError
from lavalink_sync.transport.dial import proxy_of

from .support.connections import PASSWORD, PROXY_PASSWORD, Bench
from .support.sockets import Peer, ScriptedServer, answer, text
from .support.tls import serving


def tunnelling(to: ScriptedServer | None = None, reply: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> Any:
    """Return a proxy's script: answer CONNECT, then play the server itself."""

    def script(peer: Peer) -> None:
        peer.read_request()
        connects.append(peer.request)
        peer.send(reply)
        peer.accept(then=text("through"))
        peer.wait_gone()

    connects: list[str] = []
    script.connects = connects  # type: ignore[attr-defined]  # for the test to look at
    return script


def test_through_a_proxy_that_wants_a_password(bench: Bench) -> None:
    script = tunnelling()
    with ScriptedServer(script) as proxy:
        url = f"http://digger:{PROXY_PASSWORD}@{proxy.address}"
        connection = bench.open("lavalink.example:2333", proxies={"http": url})
        assert connection.poll(None) == [b"through"]
        assert script.connects == [
            "CONNECT lavalink.example:2333 HTTP/1.1\r\nHost: lavalink.example:2333\r\n"
            "Proxy-Authorization: Basic ZGlnZ2VyOnR1bm5lbC1yYXQ="
        ]
        assert proxy.peers[0].header("Authorization") == PASSWORD
        assert proxy.peers[0].header("Proxy-Authorization") is None


def test_tls_through_a_proxy(bench: Bench, authority: trustme.CA, bundle: str) -> None:
    context = serving(authority, "lavalink.example")

    def script(peer: Peer) -> None:
        peer.read_request()
        assert peer.header("Proxy-Authorization") is None
        peer.send(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\n")
        peer.sock = context.wrap_socket(peer.sock, server_side=True)
        with peer.sock:
            peer.accept(then=text("safe"))
            peer.wait_gone()

    with ScriptedServer(script) as proxy:
        url = f"http://{proxy.address}"
        connection = bench.open("lavalink.example:443", secure=True, verify=bundle, proxies={"https": url})
        assert connection.poll(None) == [b"safe"]
        assert proxy.peers[0].header("Host") == "lavalink.example"


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (answer("407 Proxy Authentication Required", b"no"), "the proxy answered 407"),
        (answer("401 Unauthorized"), "the proxy answered 401"),
        (b"HTTP/1.1 200 OK\r\n\r\nand more", "the proxy sent more than its answer"),
        (b"SOCKS?\r\n\r\n", "what came is no HTTP/1 answer"),
    ],
)
def test_a_proxy_that_does_not_let_us_through(bench: Bench, reply: bytes, problem: str) -> None:
    with ScriptedServer(tunnelling(reply=reply)) as proxy:
        url = f"http://digger:{PROXY_PASSWORD}@{proxy.address}"
        error = bench.failure("lavalink.example:2333", proxies={"all": url})
    assert type(error) is ConnectError  # above all no AuthenticationError: it is not the server's word
    assert not isinstance(error, AuthenticationError)
    assert str(error) == f"node main: no connection through {proxy.address}: {problem}"


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_proxy_that_hangs_up(bench: Bench, how: str) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        if how == "reset":
            peer.reset()

    with ScriptedServer(script) as proxy:
        error = bench.failure(
            "lavalink.example:2333", proxies={"ws": f"http://digger:{PROXY_PASSWORD}@{proxy.address}"}
        )
    assert type(error) is ConnectError


def test_a_mute_proxy_can_be_interrupted(bench: Bench) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=5)
        bench.interrupt()

    with ScriptedServer(Peer.wait_gone) as proxy:
        error = bench.failure("lavalink.example:2333", proxies={"http": f"http://{proxy.address}"}, meanwhile=meanwhile)
    assert isinstance(error, NodeClosedError)


@pytest.mark.parametrize(
    "url",
    [
        f"socks5://digger:{PROXY_PASSWORD}@127.0.0.1:1080",
        f"https://digger:{PROXY_PASSWORD}@127.0.0.1:1080",
        f"http://digger:{PROXY_PASSWORD}@:80",
        f"http://digger:{PROXY_PASSWORD}/@127.0.0.1:1080",
        f"http://[digger:{PROXY_PASSWORD}@127.0.0.1:1080",
        f"http://digger€:{PROXY_PASSWORD}@127.0.0.1:1080",
    ],
)
def test_a_proxy_that_can_not_be_used_is_told_without_showing_it(bench: Bench, url: str) -> None:
    error = bench.failure("127.0.0.1:1", proxies={"http": url})
    assert isinstance(error, ConfigError)
    assert "digger" not in str(error)


@pytest.mark.parametrize(
    ("secure", "proxies", "host"),
    [
        (False, None, None),
        (False, {}, None),
        (False, {"http": ""}, None),
        (False, {"https": "http://a:1"}, None),
        (True, {"http": "http://a:1"}, None),
        (False, {"http": "http://a:1", "all": "http://b:1"}, "a"),
        (True, {"https": "http://a:1", "wss": "http://b:1"}, "b"),
        (False, {"http": "http://a:1", "http://node": "http://b:1"}, "b"),
        (False, {"all": "a:1", "http://other": "http://b:1"}, "a"),
        (False, {"all://node": "http://a"}, "a"),
    ],
)
def test_which_proxy_is_the_node_s(secure: bool, proxies: dict[str, str] | None, host: str | None) -> None:
    proxy = proxy_of(NodeConfig("main", "node:2333", PASSWORD, secure, proxies=proxies))
    assert (proxy and proxy.host) == host


def test_a_proxy_s_password_does_not_show() -> None:
    proxy = proxy_of(NodeConfig("main", "node:2333", PASSWORD, proxies={"http": f"http://u:{PROXY_PASSWORD}@p:8080"}))
    assert repr(proxy) == "Proxy(host='p', port=8080, authorization='***')"
