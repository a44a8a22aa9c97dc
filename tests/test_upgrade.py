"""The WebSocket handshake: what is sent, and every answer that is no WebSocket."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest
import websocket

from lavalink_sync.errors import AuthenticationError, ConfigError, ConnectError, HandshakeError, NodeClosedError
from lavalink_sync.transport.dial import dial
from lavalink_sync.transport.upgrade import upgrade

from .support.connections import PASSWORD, SESSION, Bench
from .support.sockets import Peer, Script, ScriptedServer, answer, text


def saying(data: bytes) -> Script:
    """Return a script that answers a request with `data` and stays."""

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(data)
        peer.wait_gone()

    return script


def agreeing(*headers: str) -> Script:
    def script(peer: Peer) -> None:
        peer.accept(*headers)
        peer.wait_gone()

    return script


def failure_of(bench: Bench, script: Script, **config: object) -> Exception:
    with ScriptedServer(script) as server:
        return bench.failure(server.address, **config)  # type: ignore[arg-type]  # **Any, and nothing else is meant


def test_the_request_has_what_lavalink_wants_and_nothing_else(bench: Bench) -> None:
    with ScriptedServer(agreeing()) as server:
        bench.open(server.address, path="/music%20box").abort()
        request = server.peers[0].request.split("\r\n")
    assert request[0] == "GET /music%20box/v4/websocket HTTP/1.1"
    names = {line.partition(":")[0]: line.partition(": ")[2] for line in request[1:]}
    assert names.pop("Sec-WebSocket-Key")
    assert names == {
        "Host": server.address,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Authorization": PASSWORD,
        "User-Id": "42",
        "Client-Name": "test/1",
        "Session-Id": SESSION,
    }


@pytest.mark.parametrize(
    ("headers", "resumed"),
    [
        (["Session-Resumed: true"], True),
        (["SESSION-RESUMED: False"], False),
        ([], None),
        (["Session-Resumed: x"], None),
    ],
)
def test_the_answer_tells_whether_the_session_was_resumed(
    bench: Bench, headers: list[str], resumed: bool | None
) -> None:
    with ScriptedServer(agreeing(*headers)) as server:
        assert bench.open(server.address).session_resumed is resumed


def test_a_password_beyond_ascii_goes_out_as_latin_1(bench: Bench) -> None:
    headers = {"Authorization": "p\xe4ss\xa0w\xf6rd"}
    with ScriptedServer(agreeing()) as server:
        node, attempt = bench.plain_attempt(server.address)
        stream = dial(node, attempt)
        upgrade(stream, node, headers, attempt)
        stream.close()
        assert server.peers[0].header("Authorization") == "p\xe4ss\xa0w\xf6rd"


@pytest.mark.parametrize("value", ["a\r\nX-Evil: 1", "a\nb", "a\0b", "10 €"])
def test_a_header_that_would_break_out_is_never_sent(bench: Bench, value: str) -> None:
    with ScriptedServer(agreeing()) as server:
        node, attempt = bench.plain_attempt(server.address)
        stream = dial(node, attempt)
        with pytest.raises(ConfigError, match="Client-Name"):
            upgrade(stream, node, {"Client-Name": value}, attempt)
        stream.close()


@pytest.mark.parametrize(
    ("status", "body"),
    [("401 Unauthorized", b""), ("401 Unauthorized", b"<html>login</html>"), ("403 Forbidden", b""), ("401 ", b"")],
)
def test_a_wrong_password_is_told_as_such(bench: Bench, status: str, body: bytes) -> None:
    error = failure_of(bench, saying(answer(status, body)))
    assert isinstance(error, AuthenticationError)
    assert f"refuses the connection ({status[:3]}): the password is wrong" in str(error)


def test_a_403_without_a_body_needs_no_content_length_to_be_understood(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("403 Forbidden", length=False))

    assert isinstance(failure_of(bench, script), AuthenticationError)
    chunked = answer("403 Forbidden", b"0\r\n\r\n", "Transfer-Encoding: chunked", length=False)
    assert isinstance(failure_of(bench, saying(chunked)), AuthenticationError)


def test_a_body_that_does_not_come_is_not_waited_for_for_long(bench: Bench) -> None:
    with ScriptedServer(saying(answer("403 Forbidden", length=False))) as server:

        def meanwhile() -> None:
            bench.clock.waiting(1, due_in=1)
            bench.clock.advance(1)

        assert isinstance(bench.failure(server.address, meanwhile=meanwhile), AuthenticationError)


PAGE = (
    b"<html>\r\n  <b>nginx</b>\x1b[31m " + PASSWORD.encode() + b" /v4/sessions/" + b"a" * 16 + b"/players" + b"." * 500
)


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "404 Not Found", "502 Bad Gateway", "599 Odd"])
@pytest.mark.parametrize("chunked", [False, True])
def test_a_proxy_s_page_is_told_by_status_and_beginning(bench: Bench, status: str, chunked: bool) -> None:
    if chunked:
        body = b"10;x=y\r\n" + PAGE[:16] + b"\r\n%x\r\n" % len(PAGE[16:]) + PAGE[16:] + b"\r\n0\r\n\r\n"
        error = failure_of(bench, saying(answer(status, body, "Transfer-Encoding: chunked", length=False)))
    else:
        error = failure_of(bench, saying(answer(status, PAGE)))
    assert isinstance(error, HandshakeError)
    assert error.status == int(status[:3])
    message, _, excerpt = str(error).partition(": <html>")
    assert f"answered the WebSocket handshake with {status[:3]}" in message
    assert excerpt.startswith(" <b>nginx</b>?[31m *** /v4/sessions/***/players....")
    assert len("<html>" + excerpt) == 200
    assert error.__cause__ is None


@pytest.mark.parametrize("length", ["9" * 11, "9" * 5000])
def test_a_page_without_end_is_not_read_to_its_end(bench: Bench, length: str) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("502 Bad Gateway", b"x" * 10_000, f"Content-Length: {length}", length=False))
        peer.wait_gone()

    error = failure_of(bench, script)
    assert isinstance(error, HandshakeError)
    assert error.status == 502


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent"])
def test_a_redirect_is_not_followed_and_the_password_does_not_travel(bench: Bench, status: str) -> None:
    with ScriptedServer(agreeing()) as other:
        location = f"Location: ws://{other.address}/v4/websocket"
        error = failure_of(bench, saying(answer(status, b"", location)))
        assert isinstance(error, HandshakeError)
        assert error.status == int(status[:3])
        assert "redirects are not followed" in str(error)
        assert other.peers == []


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 \r\n\r\n",
        b"HTTP/1.1 101 X\r\nno colon here\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"\x15\x03\x03\x00\x02\x02\x46",
    ],
)
def test_garbage_is_no_answer(bench: Bench, data: bytes) -> None:
    error = failure_of(bench, saying(data))
    assert isinstance(error, HandshakeError)
    assert error.retryable


def test_a_head_without_end_is_cut_off(bench: Bench) -> None:
    error = failure_of(bench, saying(b"HTTP/1.1 101 Switching Protocols\r\n" + b"X: y\r\n" * 20_000))
    assert isinstance(error, HandshakeError)
    assert "larger than 65536 bytes" in str(error)


@pytest.mark.parametrize(
    "headers",
    [
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "Upgrade: websocket\r\nConnection: Upgrade",
        "Connection: Upgrade",
        "Upgrade: h2c\r\nConnection: Upgrade",
    ],
)
def test_an_agreement_without_the_right_words_is_refused(bench: Bench, headers: str) -> None:
    error = failure_of(bench, saying(f"HTTP/1.1 101 Switching Protocols\r\n{headers}\r\n\r\n".encode()))
    assert isinstance(error, HandshakeError)
    assert error.status == 101


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 101 Switching"])
@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_server_that_hangs_up_in_the_handshake(bench: Bench, sent: bytes, how: str) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(sent)
        if how == "reset":
            peer.reset()

    error = failure_of(bench, script)
    assert isinstance(error, HandshakeError)
    assert error.status == 0
    assert "did not answer the WebSocket handshake properly" in str(error)


def test_a_mute_server_is_given_up_at_the_deadline(bench: Bench) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=10)
        bench.clock.advance(9.9)
        bench.clock.waiting(1)
        bench.clock.advance(0.1)

    with ScriptedServer(Peer.wait_gone) as server:
        error = bench.failure(server.address, meanwhile=meanwhile)
    assert type(error) is ConnectError
    assert str(error) == f"node main: the WebSocket handshake with {server.address} took too long"


def test_a_server_that_drips_its_answer_is_given_up_at_the_deadline_too(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        for byte in peer.agreement()[:-10]:
            bench.clock.advance(0.5)
            peer.send(bytes([byte]))
        peer.wait_gone()

    error = failure_of(bench, script, meanwhile=lambda: None)
    assert type(error) is ConnectError
    assert "took too long" in str(error)


def test_closing_the_node_ends_a_handshake_that_hangs(bench: Bench) -> None:
    def meanwhile() -> None:
        bench.clock.waiting(1, due_in=10)
        bench.interrupt()

    with ScriptedServer(Peer.wait_gone) as server:
        error = bench.failure(server.address, meanwhile=meanwhile)
    assert isinstance(error, NodeClosedError)


def test_a_waker_that_fires_for_something_else_ends_nothing(bench: Bench) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        bench.clock.waiting(1)
        bench.waker.wake()
        peer.send(peer.agreement() + text("hello"))
        peer.wait_gone()

    with ScriptedServer(script) as server:
        assert bench.open(server.address).poll(None) == [b"hello"]


def test_cookies_are_neither_kept_nor_sent(bench: Bench) -> None:
    websocket._handshake.CookieJar.set("theirs=1; Domain=127.0.0.1")
    try:
        with ScriptedServer(agreeing("Set-Cookie: ours=2; Domain=.lavalink.invalid")) as server:
            for _ in range(2):
                bench.open(server.address).abort()
            assert [peer.header("Cookie") for peer in server.peers] == [None, None]
        assert list(websocket._handshake.CookieJar.jar) == [".127.0.0.1"]
    finally:
        websocket._handshake.CookieJar.jar.clear()


@pytest.fixture
def tracing() -> Iterator[list[str]]:
    """Switch websocket-client's tracing on for the whole process, as a user who looks for a fault might."""
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    websocket.enableTrace(True, Keep())
    yield lines
    websocket.enableTrace(False)


@pytest.mark.parametrize("reply", [None, answer("404 Not Found")])
def test_tracing_of_websocket_client_does_not_show_our_request(
    bench: Bench, tracing: list[str], reply: bytes | None
) -> None:
    with ScriptedServer(agreeing() if reply is None else saying(reply)) as server:
        if reply is None:
            bench.open(server.address).ping()
        else:
            bench.failure(server.address)
        assert server.peers[0].header("Authorization") == PASSWORD
    assert tracing == []
    logging.getLogger("websocket").debug("of somebody else")
    assert tracing == ["of somebody else"]


@pytest.mark.parametrize("variable", ["http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"])
def test_proxy_variables_have_no_effect(bench: Bench, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with ScriptedServer(agreeing()) as server:
        bench.open(server.address)


def test_the_error_has_no_library_text_that_could_hold_headers(bench: Bench) -> None:
    checks: list[Callable[[], Exception]] = [
        lambda: failure_of(bench, saying(answer("500 Oops", PASSWORD.encode(), f"X-Echo: {PASSWORD}"))),
        lambda: failure_of(bench, saying(f"HTTP/1.1 101 X\r\n{PASSWORD}\r\n\r\n".encode())),
        lambda: failure_of(bench, saying(f"HTTP/1.1 {PASSWORD}\r\n\r\n".encode())),
        lambda: failure_of(bench, saying(answer("302 Found", b"", f"Location: ws://{PASSWORD}/"))),
    ]
    for check in checks:
        error = check()  # looked through for secrets where it is caught
        assert error.__cause__ is None
        assert error.__context__ is None
