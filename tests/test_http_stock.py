"""REST calls through a proxy, over a session of the user's, and over TLS."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import requests
import trustme

from lavalink_sync.config import Timeouts
from lavalink_sync.errors import (
    AnswerTooLargeError,
    CertificateError,
    ConfigError,
    ConnectError,
    NodeClosedError,
    OutcomeUnknownError,
    RequestTimeoutError,
    UnexpectedAnswerError,
)
from lavalink_sync.transport.clock import SystemClock

from .support.connections import PASSWORD, PROXY_PASSWORD, SESSION
from .support.http_server import FINE, PLAYER, Calls, Make, Replies, Request, mute, then_end, then_reset
from .support.sockets import Peer, ScriptedServer, answer, unused_port
from .support.tls import serving

QUICK = Timeouts(read=0.2, connect=2)


@pytest.fixture
def make_calls(make_calls: Make) -> Make:
    """As everywhere, but that urllib3 knows real time only."""
    return partial(make_calls, clock=SystemClock())


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture(params=["session", "proxy"])
def over(request: pytest.FixtureRequest, make_calls: Make) -> Iterator[Make]:
    """Make transports that use requests' own adapter, for a user's session or for a proxy (which is the server)."""
    with requests.Session() as session:

        def make_one(server: ScriptedServer | str, **options: Any) -> Calls:
            address = server if isinstance(server, str) else server.address
            if request.param == "session":
                return make_calls(address, session=session, **options)
            proxy = f"http://digger:{PROXY_PASSWORD}@{address}"
            return make_calls("lavalink.invalid:2333", proxies={"http": proxy}, **options)

        yield make_one


def test_a_call_goes_out_as_ours_do(over: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        calls = over(server)
        for _ in range(2):
            assert calls.send("PATCH", PLAYER, query={"noReplace": False}, body=b"{}").body == b'{"fine": true}'
    assert replies.connections == 1
    request = replies.seen[0]
    assert request.target.endswith(f"{PLAYER.reveal()}?noReplace=false")
    assert request.headers["authorization"] == PASSWORD
    assert request.headers["accept-encoding"] == "identity"
    assert request.body == b"{}"


def test_a_proxy_gets_its_own_authorization(make_calls: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        proxies = {"all": f"http://digger:{PROXY_PASSWORD}@{server.address}"}
        make_calls("lavalink.invalid:2333", proxies=proxies).send()
    assert replies.seen[0].target == "http://lavalink.invalid:2333/v4/info"
    assert replies.seen[0].headers["proxy-authorization"].startswith("Basic ")


def test_a_proxy_for_another_scheme_is_not_used(make_calls: Make) -> None:
    replies = Replies(FINE)
    with ScriptedServer(replies) as server:
        nowhere = f"http://127.0.0.1:{unused_port()}"
        assert make_calls(server, proxies={"https": nowhere, "ws": nowhere}).send().status == 200
    assert len(replies.seen) == 1


def test_a_proxy_that_requests_can_not_use_is_told_without_showing_it(make_calls: Make) -> None:
    error = make_calls("lavalink.invalid:2333", proxies={"http": f"gopher://digger:{PROXY_PASSWORD}@x:1"}).failure()
    assert isinstance(error, (ConfigError, ConnectError))


def test_a_users_session_gives_its_adapters_only(make_calls: Make, session: requests.Session) -> None:
    session.auth = ("someone", "else")
    session.cookies.set("track", "me")
    session.trust_env = True
    replies = Replies(answer("200 OK", b"", "Set-Cookie: more=1"))
    with ScriptedServer(replies) as server:
        calls = make_calls(server, session=session)
        calls.send()
        calls.send()
        calls.close()
        assert session.get(f"http://{server.address}/mine").status_code == 200, "the session is still its owner's"
    for request in replies.seen[:2]:
        assert request.headers["authorization"] == PASSWORD
        assert "cookie" not in request.headers


def test_a_users_session_keeps_its_hooks(make_calls: Make, session: requests.Session) -> None:
    seen: list[tuple[int, bytes]] = []

    def look(response: requests.Response, *_: Any, **__: Any) -> None:
        seen.append((response.status_code, response.content))

    def replace(response: requests.Response, *_: Any, **__: Any) -> requests.Response:
        response.status_code = 299
        return response

    session.hooks["response"] += [look, replace]
    with ScriptedServer(Replies(FINE)) as server:
        got = make_calls(server, session=session).send()
    assert seen == [(200, b'{"fine": true}')]
    assert (got.status, got.body) == (299, b'{"fine": true}')
    assert got.headers["content-type"] == "application/json"


def test_what_a_hook_raises_is_no_failure_of_the_call(make_calls: Make, session: requests.Session) -> None:
    session.hooks["response"].append(lambda response, *_, **__: response.raise_for_status())
    replies = Replies(answer("500 Oops", b"{}"))
    with ScriptedServer(replies) as server:
        calls = make_calls(server, session=session)
        with pytest.raises(requests.HTTPError):
            calls.send()
        assert calls.transport.in_flight == 0
    assert len(replies.seen) == 1


def test_a_redirect_is_an_answer_here_too(over: Make) -> None:
    replies = Replies(answer("302 Found", b"moved", "Location: http://127.0.0.1:1/"))
    with ScriptedServer(replies) as server:
        assert over(server).send().status == 302
    assert len(replies.seen) == 1


def test_nobody_listens_here_too(over: Make) -> None:
    error = over(f"127.0.0.1:{unused_port()}").failure("PATCH", PLAYER, body=b"{}")
    assert isinstance(error, ConnectError)
    assert "refused" in str(error)
    assert isinstance(error.__cause__, requests.RequestException)
    assert error.__cause__.request is None
    assert error.__cause__.response is None


@pytest.mark.parametrize(
    "end", [then_end(), then_reset(), then_end(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123")]
)
def test_what_was_sent_and_not_answered_here_too(over: Make, end: Any) -> None:
    replies = Replies(end)
    with ScriptedServer(replies) as server:
        calls = over(server)
        assert isinstance(calls.failure("PATCH", PLAYER, body=b"{}"), OutcomeUnknownError)
        assert len(replies.seen) == 1
        error = calls.failure("GET", PLAYER)
    assert isinstance(error, ConnectError)
    assert len(replies.seen) == 3


def test_all_the_time_there_is_here_too(over: Make) -> None:
    with ScriptedServer(Replies(answer("200 OK", b"fine"))) as server:
        assert over(server).send(patient=True, seconds=float("inf")).body == b"fine"


def test_a_mute_server_here_too(over: Make) -> None:
    with ScriptedServer(Replies(mute)) as server:
        calls = over(server, timeouts=QUICK)
        error = calls.failure("GET", PLAYER)
        assert isinstance(error, RequestTimeoutError)
        assert error.phase == "read"
        assert isinstance(calls.failure("PATCH", PLAYER, body=b"{}"), OutcomeUnknownError)
        error = calls.failure("GET", patient=True, seconds=0.3)
        assert isinstance(error, RequestTimeoutError)
        assert error.phase == "call"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_dripping_body_here_too(over: Make, chunked: bool) -> None:
    def drip(peer: Peer, _: Request) -> None:
        framing = "Transfer-Encoding: chunked\r\n\r\nff" if chunked else "Content-Length: 255\r\n"
        peer.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n".encode())
        pause = threading.Event()
        while True:  # until the client is gone
            peer.send(b"x")
            pause.wait(0.01)

    with ScriptedServer(Replies(drip)) as server:
        error = over(server).failure(seconds=0.3)
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "call"


@pytest.mark.parametrize(
    "reply",
    [
        answer("200 OK", b"x" * 1001),
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * 1001,
        answer("200 OK", b"x" * 1001, "Content-Length: " + "9" * 5000, length=False),
    ],
)
def test_a_body_over_the_limit_here_too(over: Make, reply: bytes) -> None:
    with ScriptedServer(Replies(then_end(reply))) as server:
        assert isinstance(over(server, max_body=1000).failure(), AnswerTooLargeError)


def test_closing_ends_calls_here_too(over: Make) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def reply(peer: Peer, _: Request) -> None:
        asked.set()
        assert go_on.wait(10)
        peer.send(FINE)

    with ScriptedServer(Replies(reply)) as server:
        calls = over(server)
        started = calls.start("PATCH", PLAYER, body=b"{}")
        assert asked.wait(10)
        calls.transport.close(NodeClosedError("closed"))
        go_on.set()
        assert isinstance(started.failure(), NodeClosedError)
        assert isinstance(calls.failure(), NodeClosedError)


def test_urllib3_logs_nothing_of_our_calls_and_all_of_others(
    over: Make, session: requests.Session, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(Replies(FINE)) as server:
        over(server).send("PATCH", PLAYER, body=b"{}")
        assert SESSION not in caplog.text
        session.get(f"http://{server.address}/somebody-elses")
    assert "somebody-elses" in caplog.text


# TLS.


def test_tls_and_its_connections_are_kept(make_calls: Make, authority: trustme.CA, bundle: str) -> None:
    replies = Replies(answer("200 OK", b"x" * 200_000))
    with ScriptedServer(replies, tls=serving(authority)) as server:
        calls = make_calls(server, secure=True, verify=bundle)
        for _ in range(3):
            assert len(calls.send("PATCH", body=b"y" * 200_000).body) == 200_000
    assert replies.connections == 1


@pytest.mark.parametrize("own_session", [False, True])
@pytest.mark.parametrize("name", ["127.0.0.1", "elsewhere.example"])
def test_a_certificate_that_does_not_verify(
    make_calls: Make, authority: trustme.CA, bundle: str, session: requests.Session, name: str, own_session: bool
) -> None:
    trusted: bool | str = True if name == "127.0.0.1" else bundle
    with ScriptedServer(Replies(FINE), tls=serving(authority, name)) as server:
        more = {"session": session} if own_session else {}
        error = make_calls(server, secure=True, verify=trusted, **more).failure("PATCH", PLAYER, body=b"{}")
    assert isinstance(error, CertificateError)
    assert not error.retryable
    assert "does not verify" in str(error)


def test_a_users_session_says_whom_to_trust(
    make_calls: Make, authority: trustme.CA, bundle: str, session: requests.Session
) -> None:
    session.verify = bundle
    with ScriptedServer(Replies(FINE), tls=serving(authority)) as server:
        assert make_calls(server, secure=True, session=session).send().status == 200


def test_no_tls_where_tls_is_wanted(make_calls: Make) -> None:
    def plain(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with ScriptedServer(plain) as server:
        error = make_calls(server, secure=True).failure("PATCH", PLAYER, body=b"{}")
    assert isinstance(error, ConnectError)
    assert "is there TLS at that port?" in str(error)


def test_tls_where_none_is_wanted(make_calls: Make, authority: trustme.CA) -> None:
    with ScriptedServer(Replies(FINE), tls=serving(authority)) as server:
        error = make_calls(server).failure()
    # Some servers say so in TLS, others just hang up.
    assert isinstance(error, (UnexpectedAnswerError, ConnectError))
