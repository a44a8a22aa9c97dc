"""The recorder as a relay: what goes in comes out, bytes, ends and resets, and it leaves nothing behind."""

from __future__ import annotations

import json
import random
import socket
import ssl
import threading
from pathlib import Path

import pytest
import trustme
from wsproto.connection import Connection, ConnectionType
from wsproto.events import TextMessage
from wsproto.extensions import PerMessageDeflate

from lavalink_sync.devnode import DevNode, Recorder

from .support.devnode_raw import Raw, next_of
from .support.relaying import GET, UPGRADE, dialed, read_exactly, read_to_end, relayed, written
from .support.sockets import (
    BINARY,
    CLOSE,
    PING,
    PONG,
    TEXT,
    Peer,
    ScriptedServer,
    answer,
    close_frame,
    frame,
)
from .support.waiting import wait_until


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.jsonl"


def test_any_bytes_pass_unchanged_both_ways_at_once(path: Path) -> None:
    up, down = random.Random(1).randbytes(3_000_000), random.Random(2).randbytes(5_000_001)
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        sender = threading.Thread(target=peer.sock.sendall, args=(down,))
        sender.start()
        seen.append(read_exactly(peer.sock, len(up)))
        sender.join(10)

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sender = threading.Thread(target=sock.sendall, args=(up,))
        sender.start()
        assert read_exactly(sock, len(down)) == down
        sender.join(10)
        wait_until(lambda: seen, "all that the client sent")
        assert seen == [up]
        [line] = written(recorder, "unparsed")
    assert line["error"]
    assert path.stat().st_size < 1000


ODD_ANSWERS = [
    pytest.param(
        b"GET / HTTP/1.1\r\nhOST: x\r\n\r\n", answer("200 Fine", b"body", "X-Odd:   two  spaces "), id="headers"
    ),
    pytest.param(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", id="HEAD"),
    pytest.param(GET, b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
    pytest.param(GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", id="304"),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"3\r\n[1,\r\n2;x=y\r\n2]\r\n0\r\nTail: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        b'2\r\n{"\r\n0005;ext\r\na":1}\r\n0\r\nTail: 2\r\n\r\n',
        id="chunked",
    ),
    pytest.param(GET, b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + answer("200 OK"), id="1xx"),
    pytest.param(
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n",
        answer("200 OK", b"still 1.1"),
        id="refused upgrade",
    ),
]


@pytest.mark.parametrize(("request_bytes", "answer_bytes"), ODD_ANSWERS)
def test_odd_but_right_http_passes_unchanged_and_the_connection_goes_on(
    request_bytes: bytes, answer_bytes: bytes, path: Path
) -> None:
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        for _ in range(2):
            seen.append(peer.read_exactly(len(request_bytes)))
            peer.send(answer_bytes)
        peer.wait_gone()

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        for _ in range(2):
            sock.sendall(request_bytes)
            assert read_exactly(sock, len(answer_bytes)) == answer_bytes
        lines = written(recorder, "rest", 2)
        assert [line["kind"] for line in recorder.lines] == ["recording", "rest", "rest"]
    assert seen == [request_bytes] * 2
    assert [line["n"] for line in lines] == [1, 2]
    assert all(line["status"] == int(answer_bytes.split(b"HTTP/1.1 ")[-1][:3]) for line in lines)


def test_pipelined_requests_are_each_recorded_with_their_own_answer(path: Path) -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % number for number in range(20))
    answers = b"".join(answer("200 OK", b"answer %d" % number, "Content-Type: text/plain") for number in range(20))

    def script(peer: Peer) -> None:
        peer.read_exactly(len(requests))
        for start in range(0, len(answers), 37):  # in pieces that begin and end anywhere
            peer.send(answers[start : start + 37])

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(requests)
        assert read_exactly(sock, len(answers)) == answers
        lines = written(recorder, "rest", 20)
    assert [(line["path"], line["response"]) for line in lines] == [(f"/{n}", f"answer {n}") for n in range(20)]


def test_every_frame_of_a_websocket_passes_unchanged(path: Path) -> None:
    down = b"".join(
        [
            frame(TEXT, b'{"op":', fin=False),
            frame(PING, b"in between"),
            frame(0, b'"stats"}'),
            frame(BINARY, bytes(range(256)) * 300),
            frame(PONG, b"nobody asked"),
            frame(TEXT, "no JSON: ünï".encode()),
            close_frame(4321, "a reason"),
        ]
    )
    up = frame(PING, b"are you there", masked=True) + frame(TEXT, b"[1]", masked=True) + frame(CLOSE, masked=True)
    seen: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.accept("Session-Resumed: false", then=down[:100])
        peer.send(down[100:])
        seen.append(peer.read_exactly(len(up)))

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read_exactly(sock, 1)
        assert read_exactly(sock, len(down)) == down
        sock.sendall(up)
        written(recorder, "ws_close", 2)
        assert read_to_end(sock) == b""
        written(recorder, "ws_end")
    assert seen == [up]
    lines = [{k: v for k, v in line.items() if k not in ("t_ms", "connection", "after")} for line in recorder.lines]
    opened = lines[1]
    assert (opened["kind"], opened["path"], opened["status"]) == ("ws_open", "/v4/websocket", 101)
    assert opened["response_headers"]["Session-Resumed"] == "false"
    expected = [
        {"kind": "ws_ping", "from": "server", "size": 10},
        {"kind": "ws", "body": {"op": "stats"}},
        {"kind": "ws", "omitted": {"size": 76_800, "type": "binary", "why": "it is no text"}},
        {"kind": "ws_pong", "from": "server", "size": 12},
        {"kind": "ws", "text": "no JSON: ünï"},
        {"kind": "ws_close", "from": "server", "code": 4321, "reason": "a reason"},
        {"kind": "ws_ping", "from": "client", "size": 13},
        {"kind": "ws", "from": "client", "body": [1]},
        {"kind": "ws_close", "from": "client", "code": None, "reason": ""},
        {"kind": "ws_end", "from": "server", "how": "end"},
    ]
    assert lines[2:] == expected


def test_twenty_clients_at_once_are_told_apart(path: Path, devnode: DevNode) -> None:
    rounds, clients = 5, 20
    sessions: dict[int, list[str]] = {}
    with Recorder(devnode.address, path) as recorder:

        def client(number: int) -> None:
            raw = Raw(devnode, address=recorder.address)
            websocket, session_id = raw.open_session(user_id=str(1000 + number))
            seen = sessions.setdefault(number, [])
            for _ in range(rounds):
                body = {"track": {"identifier": "/music/wav3.wav"}}
                assert raw.ask("PATCH", f"/v4/sessions/{session_id}/players/{number}", body)[0] == 200
                seen.append(next_of(websocket, "TrackStartEvent")["guildId"])
            websocket.close()
            raw.close()

        threads = [threading.Thread(target=client, args=(number,)) for number in range(1, clients + 1)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        written(recorder, "ws_end", clients)
        lines = recorder.lines
    assert sessions == {number: [str(number)] * rounds for number in range(1, clients + 1)}
    exchanges = [line for line in lines if line["kind"] == "rest"]
    assert sorted(line["n"] for line in exchanges) == list(range(1, clients * rounds + 1))
    for opened in (line for line in lines if line["kind"] == "ws_open"):
        of_it = [line["body"] for line in lines if line["kind"] == "ws" and line["connection"] == opened["connection"]]
        [session] = {body["sessionId"] for body in of_it if body["op"] == "ready"}
        [guild] = {body["guildId"] for body in of_it if body["op"] == "event"}
        assert guild == str(int(opened["request_headers"]["User-Id"]) - 1000)
        asked = [line["path"] for line in exchanges if session + "/" in line["path"]]
        assert asked == [f"/v4/sessions/{session}/players/{guild}"] * rounds


def test_a_client_that_does_not_read_makes_the_server_wait(path: Path) -> None:
    sent: list[int] = []

    def script(peer: Peer) -> None:
        peer.sock.settimeout(0.3)
        count = 0
        try:
            while count < 200 * 2**20:
                count += peer.sock.send(bytes(2**20))
        except TimeoutError:
            sent.append(count)

    with relayed(path, script) as recorder, dialed(recorder.address):
        wait_until(lambda: sent, "the server can't send more")
    assert sent[0] < 100 * 2**20


def test_a_server_behind_tls_is_spoken_to_with_tls(path: Path) -> None:
    authority = trustme.CA()
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    body = bytes(range(256)) * 5000
    posted = b"POST /big HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    def script(peer: Peer) -> None:
        assert peer.read_exactly(len(posted)) == posted
        peer.send(answer("200 OK", body))

    with ScriptedServer(script, tls=tls) as server:
        with Recorder(server.address, path, secure=trusting) as recorder, dialed(recorder.address) as sock:
            sock.sendall(posted)
            assert read_exactly(sock, len(answer("200 OK", body))) == answer("200 OK", body)
            sock.shutdown(socket.SHUT_WR)
            assert read_to_end(sock) == b""
            assert written(recorder, "rest")[0]["status"] == 200
        with Recorder(server.address, path, secure=True) as recorder, dialed(recorder.address) as sock:
            sock.sendall(GET)  # nobody vouches for that certificate
            assert read_to_end(sock) == b""
            assert written(recorder, "rest")[0]["failed"] == "the server can't be reached"


def test_compressed_messages_are_understood_and_pass_unchanged(path: Path) -> None:
    offer = "permessage-deflate; client_no_context_takeover; server_max_window_bits=12"
    deflate = PerMessageDeflate()
    deflate.finalize(offer)
    sender = Connection(ConnectionType.SERVER, [deflate])
    bodies = [{"op": "stats", "n": n, "same": "text" * 50} for n in range(3)]
    down = b"".join(sender.send(TextMessage(data=json.dumps(body))) for body in bodies)
    assert b"stats" not in down

    def script(peer: Peer) -> None:
        peer.accept(f"Sec-WebSocket-Extensions: {offer}", then=down)
        peer.wait_gone()

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(UPGRADE)
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += read_exactly(sock, 1)
        assert read_exactly(sock, len(down)) == down
        assert [line["body"] for line in written(recorder, "ws", 3)] == bodies


def test_an_answer_before_the_request_is_whole_is_an_answer(path: Path) -> None:
    head = b"POST /big HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nContent-Length: 4\r\n\r\nno"
    told = [answer("413 Too Large", b"no"), answer("200 OK", b"yes")]

    def script(peer: Peer) -> None:
        peer.read_exactly(len(head))
        peer.send(told[0])
        peer.read_exactly(2 + len(GET))
        peer.send(told[1])

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(head)
        assert read_exactly(sock, len(told[0])) == told[0]
        sock.sendall(b"ne" + GET)
        assert read_exactly(sock, len(told[1])) == told[1]
        first, second = written(recorder, "rest", 2)
    assert (first["status"], first["request_omitted"]["why"]) == (413, "not all of it came")
    assert (second["status"], second["response"], second["n"]) == (200, "yes", 2)


def test_what_is_no_http_any_more_is_told_once_and_passes(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\nConnection: Upgrade\r\n\r\n\0\1\2")
        peer.send(peer.read_exactly(3))

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(UPGRADE.replace(b"websocket\r\n", b"other\r\n"))
        while read_exactly(sock, 1) != b"\0":
            pass
        assert read_exactly(sock, 2) == b"\1\2"
        sock.sendall(b"\xff\xfe\xfd")
        assert read_exactly(sock, 3) == b"\xff\xfe\xfd"
        [line] = written(recorder, "unparsed")
        assert [line["kind"] for line in recorder.lines] == ["recording", "rest", "unparsed"]
    assert "no WebSocket" in line["error"]


def test_frames_that_are_none_are_told_and_the_other_side_is_heard_on(path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.accept(then=frame(0x3, b"reserved") + frame(TEXT, b"[1]"))
        peer.read_exactly(7)

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(UPGRADE)
        written(recorder, "unparsed")
        sock.sendall(frame(PING, b"x", masked=True))
        assert written(recorder, "ws_ping")[0]["from"] == "client"
        assert read_to_end(sock).endswith(frame(0x3, b"reserved") + frame(TEXT, b"[1]"))


@pytest.mark.parametrize("agreed", [True, False])
def test_a_client_may_go_on_before_it_knows_whether_it_has_a_websocket(agreed: bool, path: Path) -> None:
    early = frame(PING, b"early\r\n\r\n", masked=True) if agreed else GET

    def script(peer: Peer) -> None:
        peer.read_request()
        peer.read_exactly(len(early))
        peer.send(peer.agreement() if agreed else answer("401 Unauthorized") + answer("200 OK", b"yes"))
        peer.wait_gone()

    with relayed(path, script) as recorder, dialed(recorder.address) as sock:
        sock.sendall(UPGRADE + early)
        assert written(recorder, "ws_open")[0]["status"] == (101 if agreed else 401)
        if agreed:
            assert written(recorder, "ws_ping")[0]["size"] == len(b"early\r\n\r\n")
        else:
            assert written(recorder, "rest")[0]["response"] == "yes"
