"""Every REST endpoint: what is sent, what comes back, and which error says what to do."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

import pytest

from lavalink_sync.config import Timeouts
from lavalink_sync.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidArgumentError,
    LavalinkError,
    NodeNotReadyError,
    NotFoundError,
    OutcomeUnknownError,
    PlayerNotFoundError,
    ProtocolError,
    RequestTimeoutError,
    RestError,
    ServerError,
    SessionNotFoundError,
    UnauthorizedError,
    UnexpectedAnswerError,
)
from lavalink_sync.models import (
    Filters,
    LoadFailed,
    NoMatches,
    PlayerUpdate,
    RoutePlannerClass,
    Session,
    SessionUpdate,
    TrackLoaded,
    TrackUpdate,
    VoiceState,
)
from lavalink_sync.rest import RestClient
from lavalink_sync.secret import Secret

from .support.clock import ManualClock
from .support.connections import PASSWORD, SESSION, assert_no_secrets
from .support.http_server import Calls, Replies, Reply, Request, Started, as_json, mute, then_end
from .support.recordings import lines
from .support.sockets import Peer, ScriptedServer, answer

RECORDED = {line["name"]: line for line in lines("rest") if "status" in line}
TRACK = RECORDED["load_local:sine5.mp3"]["response_body"]["data"]
PLAYER = RECORDED["patch:stop"]["response_body"]


class Stage:
    """A server, and a RestClient that talks to it."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.reply: Reply = as_json({})
        self.replies = Replies(self._play)
        self.session: str | None = SESSION
        self._server = ScriptedServer(self.replies)

    def __enter__(self) -> Stage:
        self._server.__enter__()
        timeouts = Timeouts(read=10, call=30, load=60)
        self.calls = Calls(self._server.address, self.clock, timeouts=timeouts)
        self.rest = RestClient(self.calls.config, self.calls.transport, lambda: self.session, self.clock)
        return self

    def __exit__(self, *_: Any) -> None:
        self.calls.close()
        self._server.__exit__(None, None, None)

    def _play(self, peer: Peer, request: Request) -> None:
        if isinstance(self.reply, bytes):
            peer.send(self.reply)
        else:
            self.reply(peer, request)

    def recorded(self, name: str) -> Stage:
        """Answer as the real server did."""
        self.reply = replayed(RECORDED[name])
        return self

    def error(self, call: Callable[[], object]) -> LavalinkError:
        """Return what `call` raises, after a look for secrets."""
        with pytest.raises(LavalinkError) as caught:
            call()
        assert_no_secrets(caught.value)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (str(again), vars(again)) == (str(caught.value), vars(caught.value))
        return caught.value

    @property
    def last(self) -> Request:
        """The last request that came."""
        return self.replies.seen[-1]


def replayed(line: dict[str, Any]) -> bytes:
    """Return a recorded answer as bytes."""
    body = line["response_body"]
    content = body.encode() if isinstance(body, str) else b"" if body is None else json.dumps(body).encode()
    status = f"{line['status']} {HTTPStatus(line['status']).phrase}"
    headers = [f"{name}: {value}" for name, value in line["response_headers"].items() if name == "Content-Type"]
    return answer(status, content, *headers, length=line["status"] != 204)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with Stage(ManualClock()) as stage:
        yield stage


# The endpoints.


def test_version_is_text(stage: Stage) -> None:
    assert stage.recorded("version").rest.version() == "4.2.2"
    assert stage.last[:2] == ("GET", "/version")
    stage.reply = answer("200 OK", "4.2-é\n".encode(), "Content-Type: text/plain;charset=ISO-8859-1")
    assert stage.rest.version() == "4.2-é"


def test_info_and_stats(stage: Stage) -> None:
    assert stage.recorded("info").rest.info().version.semver == "4.2.2"
    assert stage.last[:2] == ("GET", "/v4/info")
    assert stage.recorded("stats").rest.stats().frame_stats is None
    assert stage.last[:2] == ("GET", "/v4/stats")


def test_load_tracks(stage: Stage) -> None:
    match stage.recorded("load_local:sine5.mp3").rest.load_tracks("ytsearch:a b&c"):
        case TrackLoaded(track):
            assert track.info.title == "Sine 440"
    assert stage.last[:2] == ("GET", "/v4/loadtracks?identifier=ytsearch%3Aa%20b%26c")
    failed = stage.recorded("load_local:garbage.mp3").rest.load_tracks("x")
    assert isinstance(failed, LoadFailed)
    assert failed.exception is not None
    stage.reply = as_json({"loadType": "empty", "data": None})
    assert stage.rest.load_tracks("") == NoMatches()


def test_a_load_may_take_longer_than_a_server_may_be_silent_otherwise(stage: Stage) -> None:
    stage.reply = mute
    for call in (
        lambda: stage.rest.load_tracks("slow"),
        lambda: stage.rest.update_player(1, PlayerUpdate(track=TrackUpdate(identifier="slow")), timeout=60),
    ):
        started = Started(call)
        stage.clock.waiting(1, due_in=60)
        stage.clock.advance(60)
        assert isinstance(started.failure(), (RequestTimeoutError, OutcomeUnknownError))


def test_decode_track_puts_the_text_right(stage: Stage) -> None:
    assert stage.recorded("decode_track:0").rest.decode_track("-_-_").encoded
    assert stage.last[:2] == ("GET", "/v4/decodetrack?encodedTrack=%2B%2F%2B%2F")
    with pytest.raises(InvalidArgumentError) as caught:
        stage.rest.decode_track("")
    assert caught.value.field == "encodedTrack"


def test_decode_tracks_is_asked_again_like_any_question(stage: Stage) -> None:
    answers = iter([then_end(), replayed(RECORDED["decode_tracks"])])

    def reply(peer: Peer, request: Request) -> None:
        now = next(answers)
        peer.send(now) if isinstance(now, bytes) else now(peer, request)

    stage.reply = reply
    tracks = stage.rest.decode_tracks(["QUI", "-_-_"])
    assert len(tracks) == len(RECORDED["decode_tracks"]["response_body"])
    assert stage.last[:2] == ("POST", "/v4/decodetracks")
    assert json.loads(stage.last.body) == ["QUI=", "+/+/"]
    assert len(stage.replies.seen) == 2


def test_players(stage: Stage) -> None:
    assert [player.guild_id for player in stage.recorded("players_all").rest.players()]
    assert stage.last[:2] == ("GET", f"/v4/sessions/{SESSION}/players")
    stage.reply = as_json(PLAYER)
    assert stage.rest.player(42).guild_id == 42
    assert stage.last[:2] == ("GET", f"/v4/sessions/{SESSION}/players/42")
    stage.rest.player(42, session_id="../other")
    assert stage.last.target == "/v4/sessions/..%2Fother/players/42"


def test_update_player(stage: Stage) -> None:
    stage.reply = as_json(PLAYER)
    update = PlayerUpdate(track=TrackUpdate(encoded="QUI"), end_time=None, paused=True, filters=Filters())
    assert stage.rest.update_player(42, update).guild_id == 42
    assert stage.last[:2] == ("PATCH", f"/v4/sessions/{SESSION}/players/42?noReplace=false")
    assert json.loads(stage.last.body) == {
        "track": {"encoded": "QUI="},
        "endTime": None,
        "paused": True,
        "filters": {},
    }
    stage.rest.update_player(42, PlayerUpdate(), no_replace=True, session_id=Secret("s2"))
    assert stage.last[:2] == ("PATCH", "/v4/sessions/s2/players/42?noReplace=true")
    assert stage.last.body == b"{}"


def test_what_the_server_could_not_take_is_not_sent(stage: Stage) -> None:
    for call in (
        lambda: stage.rest.update_player(42, PlayerUpdate(end_time=0)),
        lambda: stage.rest.update_player(-1, PlayerUpdate()),
        lambda: stage.rest.player(2**63),
        lambda: stage.rest.destroy_player("42"),  # type: ignore[arg-type]  # what users do all the same
        lambda: stage.rest.decode_tracks([]),
        lambda: stage.rest.load_tracks("\ud800"),
        lambda: stage.rest.load_tracks("x", timeout=-1),
        lambda: stage.rest.update_session(SessionUpdate(timeout=-1)),
        lambda: stage.rest.free_address(" "),
        lambda: stage.rest.request("GET", "/../x"),
        lambda: stage.rest.request("POST", "/x", body={"a": float("nan")}),
        lambda: stage.rest.request("POST", "/x", body={"a": object()}),
    ):
        assert isinstance(stage.error(call), InvalidArgumentError)
    assert not stage.replies.seen


def test_destroy_player(stage: Stage) -> None:
    stage.recorded("destroy").rest.destroy_player(42)
    assert stage.last[:2] == ("DELETE", f"/v4/sessions/{SESSION}/players/42")


def test_update_session(stage: Stage) -> None:
    assert stage.recorded("resume:on").rest.update_session(SessionUpdate(True, 20)) == Session(True, 20)
    assert stage.last[:2] == ("PATCH", f"/v4/sessions/{SESSION}")
    assert json.loads(stage.last.body) == {"resuming": True, "timeout": 20}
    stage.rest.update_session(SessionUpdate())
    assert stage.last.body == b"{}"


def test_route_planner(stage: Stage) -> None:
    stage.reply = answer("204 No Content", length=False)
    assert stage.rest.route_planner_status() is None
    details = {"ipBlock": {"type": "Inet4Address", "size": "256"}, "failingAddresses": []}
    stage.reply = as_json({"class": "BalancingIpRoutePlanner", "details": details})
    status = stage.rest.route_planner_status()
    assert status is not None
    assert status.class_ is RoutePlannerClass.BALANCING_IP
    stage.recorded("route_planner_on:free_address").rest.free_address("/127.0.0.5")
    assert stage.last[:2] == ("POST", "/v4/routeplanner/free/address")
    assert json.loads(stage.last.body) == {"address": "127.0.0.5"}
    stage.recorded("route_planner_on:free_all").rest.free_all_addresses()
    assert stage.last[:2] == ("POST", "/v4/routeplanner/free/all")
    assert stage.last.headers["content-length"] == "0"
    error = stage.recorded("route_planner_free_all").error(stage.rest.free_all_addresses)
    assert isinstance(error, ServerError)
    assert "disabled route planner" in str(error)


def test_any_other_endpoint(stage: Stage) -> None:
    stage.reply = as_json([1])
    assert stage.rest.request("get", "/v4/lyrics", query={"track": "a b", "skip": True}, trace=True) == [1]
    assert stage.last[:2] == ("GET", "/v4/lyrics?track=a%20b&skip=true&trace=true")
    assert stage.last.body == b""
    stage.rest.request("PUT", "/v4/x", body=["sponsor"])
    assert stage.last.body == b'["sponsor"]'
    stage.rest.request("PUT", "/v4/x", body=None)
    assert stage.last.body == b"null"
    stage.rest.request("PUT", "/v4/x", body=SessionUpdate(resuming=True))
    assert stage.last.body == b'{"resuming":true}'
    stage.reply = answer("204 No Content", length=False)
    assert stage.rest.request("DELETE", "/v4/x") is None
    stage.reply = answer("200 OK")
    assert stage.rest.request("GET", "/") is None
    stage.reply = answer("200 OK", "é".encode(), "Content-Type: text/plain")
    assert stage.rest.request("GET", "/metrics") == "é"


def test_without_a_session_the_message_says_what_to_wait_for(stage: Stage) -> None:
    stage.session = None
    error = stage.error(stage.rest.players)
    assert isinstance(error, NodeNotReadyError)
    assert "node main has no session yet" in str(error)
    stage.reply = as_json([])
    assert stage.rest.players(session_id="another") == []


# Everything a real server was seen to answer.


def test_every_recorded_answer_becomes_its_value_or_the_fitting_error(stage: Stage) -> None:
    kinds = {400: BadRequestError, 401: UnauthorizedError, 403: ForbiddenError, 404: NotFoundError, 500: ServerError}
    seen = set()
    for line in RECORDED.values():
        stage.reply, status, body = replayed(line), line["status"], line["response_body"]
        seen.add(status)
        if status < 400:
            assert stage.rest.request(line["method"], line["path"], query=line["query"]) == (
                None if body == "" else body
            )
            continue
        error = stage.error(partial(stage.rest.request, line["method"], line["path"], query=line["query"]))
        assert isinstance(error, RestError)
        assert type(error).__mro__.index(kinds.get(status, RestError)) <= 1, line["name"]
        assert error.status == status
        if isinstance(body, dict):
            assert (error.error, error.timestamp) == (body["error"], body["timestamp"])
            assert error.server_message == body.get("message")
            assert (error.trace is None) == ("trace" not in body)
            assert "sessions/***" in error.path or error.path == body["path"]
            told_session = isinstance(error, SessionNotFoundError)
            assert told_session == (body.get("message") == "Session not found")
    assert seen == {200, 204, 400, 401, 403, 404, 405, 415, 500}


# What errors say.

REFUSALS: list[tuple[bytes, type[RestError], str]] = [
    (
        as_json({"timestamp": 1, "status": 404, "error": "Not Found", "message": "Player not found"}, "404 Not Found"),
        PlayerNotFoundError,
        "404 Not Found: Player not found; the server has no player for that guild yet",
    ),
    (answer("401 Unauthorized"), UnauthorizedError, "401 Unauthorized; no password arrived"),
    (answer("403 Forbidden"), ForbiddenError, "403 Forbidden; the password is wrong"),
    (
        answer("403 Forbidden", b"<html>\n<h1>Access   denied</h1>"),
        ForbiddenError,
        "403 Forbidden: <html> <h1>Access denied</h1>; that is not Lavalink",
    ),
    (as_json({"error": "blocked"}, "403 Forbidden"), ForbiddenError, "that is not Lavalink"),
    (answer("502 Bad Gateway", b"<h1>nginx</h1>"), ServerError, "502 Bad Gateway: <h1>nginx</h1>; a proxy in front"),
    (answer("503 Service Unavailable"), ServerError, "503 Service Unavailable; the server failed"),
    (answer("404 Not Found", b"nothing"), NotFoundError, "404 Not Found: nothing; that is not Lavalink's JSON"),
    (answer("429 Too Many Requests", b"slow down"), RestError, "429 Too Many Requests: slow down; is that a page"),
    (answer("599 Odd", b"[]"), ServerError, "599: []; a proxy in front"),
    (answer("302 Found", b"", "Location: https://other/"), UnexpectedAnswerError, "redirects to 'https://other/' are"),
    (answer("301 Moved Permanently"), UnexpectedAnswerError, "redirects are not followed: give the final address"),
    (answer("200 OK", b"<html>" + b"x" * 500), UnexpectedAnswerError, "200 OK, but not JSON at character 0: <html>xxx"),
    (answer("200 OK"), UnexpectedAnswerError, "200 OK, but the body is empty"),
    (answer("204 No Content", length=False), UnexpectedAnswerError, "204 No Content, but the body is empty"),
    (answer("101 Switching Protocols", length=False), UnexpectedAnswerError, "101 Switching Protocols, but"),
    (answer("200 OK", b"\x1f\x8b", "Content-Encoding: gzip"), UnexpectedAnswerError, "it is compressed (gzip)"),
]


@pytest.mark.parametrize(("reply", "kind", "text"), REFUSALS, ids=[text[:24] for _, _, text in REFUSALS])
def test_an_answer_that_is_no_success(stage: Stage, reply: bytes, kind: type[RestError], text: str) -> None:
    stage.reply = reply
    error = stage.error(stage.rest.stats)
    assert type(error) is kind
    assert str(error).startswith("node main: GET /v4/stats: ")
    assert text in str(error)
    assert len(error.server_message or "") <= 200 if isinstance(error, RestError) else False


def test_a_page_is_no_version(stage: Stage) -> None:
    for reply in (
        answer("200 OK", b"<html>", "Content-Type: text/html; charset=utf-8"),
        answer("200 OK", b"x\n" * 3),
        answer("200 OK", b"x" * 300),
        answer("200 OK"),
    ):
        stage.reply = reply
        assert isinstance(stage.error(stage.rest.version), UnexpectedAnswerError)


def test_json_of_another_shape_is_told_with_the_path(stage: Stage) -> None:
    broken = {**PLAYER, "track": {**TRACK, "info": {**TRACK["info"], "length": "long"}}}
    stage.reply = as_json([PLAYER, broken])
    error = stage.error(stage.rest.players)
    assert isinstance(error, ProtocolError)
    assert error.path == "[1].track.info.length"
    assert str(error).startswith("node main: GET /v4/sessions/***/players: the answer is not what Lavalink v4 sends: ")


def test_no_secret_that_the_server_repeats_gets_into_an_error(stage: Stage) -> None:
    voice = VoiceState(Secret("t0k3n"), "eu.discord.gg:443", Secret("v0ice-s3ssion"), "9")
    other = "another-session"
    words = f"bad {PASSWORD} {SESSION} {other} t0k3n v0ice-s3ssion at /v4/sessions/{SESSION}/players"
    said = {"timestamp": 1, "status": 400, "error": words, "message": words, "trace": words, "path": words}
    for reply in (
        as_json(said, "400 Bad Request"),
        answer("502 Bad Gateway", words.encode()),
        answer("200 OK", words.encode()),
        answer("307 Temporary Redirect", b"", f"Location: /{words}"),
    ):
        stage.reply = reply
        error = stage.error(lambda: stage.rest.update_player(42, PlayerUpdate(voice=voice), session_id=Secret(other)))
        shown = f"{error} {error!r} {vars(error)}"
        assert "bad *** *** *** *** *** at" in shown
        assert not any(secret in shown for secret in (PASSWORD, SESSION, other, "t0k3n", "v0ice"))


def test_a_secret_is_not_cut_in_half_by_the_limit(stage: Stage) -> None:
    stage.reply = answer("500 Internal Server Error", b"x" * 195 + PASSWORD.encode())
    assert PASSWORD[:4] not in str(stage.error(stage.rest.info))


# Time.


def test_the_timeouts_of_the_config_are_the_default(stage: Stage) -> None:
    stage.reply = mute
    started = Started(lambda: stage.rest.update_player(1, PlayerUpdate()))
    stage.clock.waiting(1, due_in=10)
    stage.clock.advance(10)
    assert isinstance(started.failure(), OutcomeUnknownError)
    started = Started(lambda: stage.rest.info(timeout=3))
    stage.clock.waiting(1, due_in=3)
    stage.clock.advance(3)
    error = started.failure()
    assert isinstance(error, RequestTimeoutError)
    assert error.phase == "call"
