"""What a recorder must not write down: passwords, session ids, voice tokens, wherever and however they are written."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from lavalink_sync import Client, NodeConfig, NodeConnected, TrackEndEvent, TrackStartEvent
from lavalink_sync.devnode import DevNode, Recorder
from lavalink_sync.devnode.bodies import parsed
from lavalink_sync.devnode.placeholders import Placeholders
from lavalink_sync.devnode.recording import Writer, read_lines

from .support.devnode_raw import Raw
from .support.nodes import EAGER, GUILD, PATIENT
from .support.relaying import dialed, read_to_end, written
from .support.sockets import Peer, ScriptedServer, answer
from .support.waiting import wait_until

PASSWORD = 'geheim/+ %"\\ pass'
UMLAUTS = 'gehäim/+ %"\\ pass'
TOKEN = "voice+token/1=="
VOICE_SESSION = "discord-session-äöü"


def spellings(secret: str) -> list[str]:
    """Every way in which `secret` might be in a file."""
    raw = secret.encode()
    escaped = json.dumps(secret)[1:-1]
    coded = [form(raw).decode().rstrip("=") for form in (base64.b64encode, base64.urlsafe_b64encode)]
    return [secret, quote(secret), quote(secret, safe=""), quote(secret).lower(), quote_plus(secret), escaped, *coded]


def assert_hidden(text: str, *secrets: str) -> None:
    for secret in secrets:
        for spelling in spellings(secret):
            assert spelling not in text, f"{spelling!r} of {secret!r} is in it"


def test_a_whole_session_of_the_client_is_recorded_without_a_secret(
    make_client: Callable[..., Client],
    make_devnode: Callable[..., DevNode],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    devnode = make_devnode(password=PASSWORD)
    with Recorder(devnode.address, tmp_path / "session.jsonl") as recorder:
        client = make_client()
        config = NodeConfig("main", recorder.address, PASSWORD, reconnect=EAGER, timeouts=PATIENT, resume_timeout=60)
        node = client.add_node(config, timeout=10)
        player = client.player(GUILD)
        with client.expect(TrackStartEvent, timeout=10) as started:
            player.play(node.load_tracks("/music/wav3.wav").tracks[0])
        started.result()
        client.on_voice_state_update(GUILD, 1234, VOICE_SESSION)
        client.on_voice_server_update(GUILD, TOKEN, "voice.example:443")
        wait_until(lambda: player.state is not None and player.state.connected, "the voice connection")
        session = str(devnode.sessions[0].session_id)
        with client.expect(NodeConnected, timeout=10) as again:
            devnode.cut_sockets()
        again.result()
        with client.expect(TrackEndEvent, timeout=10) as ended:
            player.stop()
        ended.result()
        client.close()
        written(recorder, "ws_end", 2)
        lines = recorder.lines
    text = (tmp_path / "session.jsonl").read_text("utf-8")
    assert_hidden(text + repr(recorder) + repr(vars(recorder)) + caplog.text, PASSWORD, TOKEN, VOICE_SESSION, session)
    opened = [line["request_headers"] for line in lines if line["kind"] == "ws_open"]
    assert [headers["Authorization"] for headers in opened] == ["<password>"] * 2
    assert [headers.get("Session-Id") for headers in opened] == [None, "<session-1>"]
    readies = [line["body"] for line in lines if line["kind"] == "ws" and line["body"]["op"] == "ready"]
    assert [(ready["sessionId"], ready["resumed"]) for ready in readies] == [
        ("<session-1>", False),
        ("<session-1>", True),
    ]
    [voice] = [line for line in lines if line["kind"] == "rest" and "voice" in (line["request"] or {})]
    assert voice["path"].startswith("/v4/sessions/<session-1>/players/")
    assert voice["request"]["voice"]["token"] == voice["response"]["voice"]["token"] == "<voice-token-1>"
    assert voice["request"]["voice"]["sessionId"] == voice["response"]["voice"]["sessionId"] == "<voice-session-1>"


@pytest.mark.parametrize("coding", ["utf-8", "latin-1"])
def test_what_a_server_repeats_of_a_secret_is_hidden_too(coding: str, tmp_path: Path) -> None:
    session = "abc123xyz+/ 789"
    text = " | ".join(spellings(UMLAUTS) + spellings(session))
    body = json.dumps({"message": text, UMLAUTS: [session, {"path": f"/v4/sessions/{quote(session)}/players"}]})

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(
            answer("404 Not Found", body.encode(), "Content-Type: application/json", f"Location: /x/{quote(session)}")
        )
        peer.wait_gone()

    with ScriptedServer(script) as server, Recorder(server.address, tmp_path / "x") as recorder:
        with dialed(recorder.address) as sock:
            head = f"GET /v4/sessions/{quote(session, safe='')}?trace={quote(UMLAUTS)} HTTP/1.1\r\nHost: x\r\n"
            sock.sendall(f"{head}Authorization: {UMLAUTS}\r\nConnection: close\r\n\r\n".encode(coding))
            sock.shutdown(1)
            assert read_to_end(sock)
        [line] = written(recorder, "rest")
    assert_hidden((tmp_path / "x").read_text(), UMLAUTS, session)
    assert line["path"] == "/v4/sessions/<session-1>?trace=<password>"
    assert line["response_headers"]["Location"] == "/x/<session-1>"
    assert line["response"]["message"].replace("<password>", "").replace("<session-1>", "").strip(" |=") == ""


def test_a_wrong_password_is_called_one(devnode: DevNode, tmp_path: Path) -> None:
    with Recorder(devnode.address, tmp_path / "x") as recorder:
        raw = Raw(devnode, address=recorder.address)
        for given in ("not-the-password", devnode.password, "wrong", devnode.password):
            raw.ask("GET", "/v4/info", headers={"Authorization": given})
        raw.ask("GET", "/v4/info", headers={})
        raw.close()
        told = [line["request_headers"].get("Authorization") for line in written(recorder, "rest", 5)]
    assert told == ["<wrong-password-1>", "<password>", "<wrong-password-2>", "<password>", None]


@pytest.mark.parametrize(
    ("body", "hidden"),
    [
        ({"op": "ready", "sessionId": "one-session"}, {"op": "ready", "sessionId": "<session-1>"}),
        (
            {"voice": {"token": "t", "sessionId": "s"}},
            {"voice": {"token": "<voice-token-1>", "sessionId": "<voice-session-1>"}},
        ),
        ({"spotify": {"clientSecret": "abc"}}, {"spotify": {"clientSecret": "<secret-1>"}}),
        ('{"voice": {"token": "cut in the mid', '{"voice": {"token": "<voice-token-1>'),
        ('{"token": "secret-ü", "x": "secret-\\u00FC', '{"token": "<voice-token-1>", "x": "<voice-token-1>'),
        ('{"token": "secret/1", "x": "secret\\/1', '{"token": "<voice-token-1>", "x": "<voice-token-1>'),
        ("token=formed&x=1", "token=<voice-token-1>&x=1"),
        ({"token": "12345678", "n": 12345678}, {"token": "<voice-token-1>", "n": "<voice-token-1>"}),
        ({"token": "t", "title": "t"}, {"token": "<voice-token-1>", "title": "t"}),
        (
            {"token": "tok7", "a": "tok7", "b": "tok78"},
            {"token": "<voice-token-1>", "a": "<voice-token-1>", "b": "tok78"},
        ),
        ({"token": "<password>"}, {"token": "<password>"}),
        (
            {"token": "long-long", "sessionId": "long-long-er", "both": "long-long-er-long-long"},
            {"token": "<voice-token-1>", "sessionId": "<voice-session-1>", "both": "<voice-session-1>-<voice-token-1>"},
        ),
        ({"token": None, "sessionId": 5, "x": True, "y": 1.5}, {"token": None, "sessionId": 5, "x": True, "y": 1.5}),
    ],
)
def test_secrets_are_known_by_where_they_stand(body: Any, hidden: Any) -> None:
    secrets = Placeholders()
    found = parsed(body if isinstance(body, str) else json.dumps(body), secrets)
    assert secrets.hide(found) == hidden


def test_more_secrets_can_be_named(devnode: DevNode, tmp_path: Path) -> None:
    with Recorder(devnode.address, tmp_path / "x", secrets=["wav3.wav"]) as recorder:
        raw = Raw(devnode, address=recorder.address)
        raw.ask("GET", "/v4/loadtracks", query={"identifier": "/music/wav3.wav"})
        raw.close()
        [line] = written(recorder, "rest")
    assert line["path"] == "/v4/loadtracks?identifier=%2Fmusic%2F<secret-1>"
    assert line["response"]["data"]["info"]["identifier"] == "/music/<secret-1>"


_TOO_LONG = "it is too long, or can't be inflated"
BODIES = [
    (b"\xff\xfe\x00", "image/png", None, {"size": 3, "type": "image/png", "why": "it is no text"}),
    (b"x" * 1001, "text/plain", None, {"size": 1001, "type": "text/plain", "why": _TOO_LONG}),
    (b"<html>", "text/html", "<html>", None),
    (b'{"a": 1, "a": 2}', "application/json", '{"a": 1, "a": 2}', None),
    (b"[NaN]", "application/json", "[NaN]", None),
    (b"[" * 900 + b"]" * 900, "application/json", "[" * 900 + "]" * 900, None),
    (b'"text"', "application/json", '"text"', None),
    (b'["\\ud800 \xc3\xbc"]', "application/json", ["\ud800 ü"], None),
    (b"", "application/json", None, None),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "kind", "body", "omitted"), BODIES)
def test_bodies_are_json_or_text_or_told_by_their_size(
    raw: bytes, kind: str, body: Any, omitted: Any, tmp_path: Path
) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(answer("200 OK", raw, f"Content-Type: {kind}"))
        peer.wait_gone()

    with (
        ScriptedServer(script) as server,
        Recorder(server.address, tmp_path / "x", max_body=2000 if body else 1000) as recorder,
        dialed(recorder.address) as sock,
    ):
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        sock.recv(1)
        [line] = written(recorder, "rest")
    assert line["response"] == body
    assert line.get("response_omitted") == omitted


def test_a_last_line_that_is_not_whole_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "x"
    writer = Writer(path)
    writer.write({"kind": "note", "t_ms": 1})
    writer.close()
    writer.write({"kind": "note", "t_ms": 2})
    with path.open("a") as file:
        file.write('{"kind": "no')
    assert read_lines(path) == [{"kind": "note", "t_ms": 1}]
    with path.open("a") as file:
        file.write("\n")
    with pytest.raises(ValueError, match="line 2 is no JSON"):
        read_lines(path)
