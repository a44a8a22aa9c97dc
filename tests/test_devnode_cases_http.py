"""What the protocol's sections 3.1, 3.2 and 3.11 say of headers, paths and methods, as tables of cases."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import EXAMPLES, Raw, close_code
from .support.plain_http import Reply, ask, handshake

NOT_FOUND, NO_UPGRADE = "Not Found", 'Can "Upgrade" only to "WebSocket".'
JSON_TYPES = "application/json, application/*+json"
PLAYER = "/v4/sessions/x/players/1"
ROUTES = {
    "/": "GET",
    "/v3/websocket": "GET",
    "/version": "GET",
    "/v4/info": "GET",
    "/v4/stats": "GET",
    "/v4/loadtracks": "GET",
    "/v4/decodetrack": "GET",
    "/v4/decodetracks": "POST",
    "/v4/routeplanner/status": "GET",
    "/v4/routeplanner/free/address": "POST",
    "/v4/routeplanner/free/all": "POST",
    "/v4/sessions/x": "PATCH",
    "/v4/sessions/x/players": "GET",
    PLAYER: "GET,PATCH,DELETE",
}


@pytest.fixture(scope="module")
def devnode() -> Iterator[DevNode]:
    with DevNode(music=EXAMPLES) as found:
        found.tracks.add("a,b", title="Both")
        yield found


# --- 3.1 the handshake, in the order in which the server looks

REFUSED: dict[str, tuple[dict[str, Any], int, str]] = {
    "Authorization missing": ({"authorization": None}, 401, ""),
    "Authorization wrong": ({"authorization": "nope"}, 401, ""),
    "Authorization: Bearer": ({"authorization": "Bearer youshallnotpass"}, 401, ""),
    "Authorization of another case": ({"authorization": "YOUSHALLNOTPASS"}, 401, ""),
    "Authorization before User-Id": ({"authorization": None, "user_id": None}, 401, ""),
    "User-Id missing": ({"user_id": None}, 400, ""),
    "User-Id empty": ({"user_id": ""}, 400, ""),
    "User-Id 0": ({"user_id": "0"}, 400, ""),
    "User-Id 0, written longer": ({"user_id": "-000"}, 400, ""),
    "User-Id before Origin": ({"user_id": None, "origin": "http://elsewhere.example"}, 400, ""),
    "Origin of another host": ({"origin": "http://elsewhere.example"}, 403, ""),
    "Origin of another port": ({"origin": "http://127.0.0.1:1"}, 403, ""),
    "Origin of the default port": ({"origin": "http://127.0.0.1"}, 403, ""),
    "Origin of another scheme": ({"origin": "https://{address}"}, 403, ""),
    "Origin null": ({"origin": "null"}, 403, ""),
    "Origin empty": ({"origin": ""}, 403, ""),
    "Origin with no port": ({"origin": "http://127.0.0.1:none"}, 403, ""),
    "Origin before Upgrade": ({"origin": "http://elsewhere.example", "upgrade": None}, 403, ""),
    "no GET": ({}, 405, ""),
    "no Upgrade": ({"upgrade": None}, 400, NO_UPGRADE),
    "Upgrade to something else": ({"upgrade": "h2c"}, 400, NO_UPGRADE),
    "Connection is not Upgrade": ({"connection": "keep-alive"}, 400, '"Connection" must be "upgrade".'),
    "another version of WebSockets": ({"sec_websocket_version": "12"}, 426, ""),
    "no key": ({"sec_websocket_key": None}, 400, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_3_1_a_handshake_is_refused(devnode: DevNode, name: str) -> None:
    changes, status, text = REFUSED[name]
    changes = {key: value and value.replace("{address}", devnode.address) for key, value in changes.items()}
    reply = handshake(devnode, changes, "POST" if name == "no GET" else "GET")
    assert (reply.status, reply.text) == (status, text)
    assert "content-type" not in reply.headers
    assert reply.headers["lavalink-api-version"] == "4"
    # The header comes with the check of `User-Id`, so refusals before that have none.
    early = name.startswith(("Authorization", "User-Id"))
    assert reply.headers.get("session-resumed") == (None if early else "false")


TAKEN: dict[str, dict[str, str | None]] = {
    "header names of any case": {"AUTHORIZATION": "youshallnotpass"},
    "no Client-Name": {"client_name": None},
    "an odd Client-Name": {"client_name": "?"},
    "no Origin": {},
    "Origin of this host": {"origin": "http://{address}"},
    "Upgrade of any case": {"upgrade": "WebSOCKET"},
    "Connection of two": {"connection": "keep-alive, Upgrade"},
    "an unknown Session-Id": {"session_id": "0000000000000000"},
    "an older version of WebSockets": {"sec_websocket_version": "8"},
}


@pytest.mark.parametrize("name", TAKEN)
def test_3_1_a_handshake_is_taken(devnode: DevNode, name: str) -> None:
    changes = {key: value and value.replace("{address}", devnode.address) for key, value in TAKEN[name].items()}
    reply = handshake(devnode, changes)
    assert (reply.status, reply.headers["session-resumed"]) == (101, "false")


@pytest.mark.parametrize("user", ["me", "1.5", "1_0", "0x5", "9223372036854775808"])
def test_3_1_a_user_id_that_is_no_number_passes_and_then_kills_the_session(devnode: DevNode, user: str) -> None:
    raw = Raw(devnode)
    assert close_code(raw.connect(user_id=user)) == 1011
    raw.close()


def test_3_1_of_two_headers_the_first_counts(devnode: DevNode) -> None:
    right, wrong = ("Authorization", devnode.password), ("Authorization", "nope")
    assert ask(devnode, "GET", "/version", headers=[right, wrong]).status == 200
    assert ask(devnode, "GET", "/version", headers=[wrong, right]).status == 403


# --- 3.1 the password of the other endpoints

WRONG = ["nope", "", "Bearer youshallnotpass", "Basic eW91c2hhbGxub3RwYXNz", "Youshallnotpass", "youshallnotpas"]


@pytest.mark.parametrize("path", ROUTES)
def test_3_1_a_missing_password_is_401_and_a_wrong_one_403_both_empty(devnode: DevNode, path: str) -> None:
    method = ROUTES[path].partition(",")[0]
    for headers, status in [([], 401), *(([("Authorization", each)], 403) for each in WRONG)]:
        reply = ask(devnode, method, path, headers=headers)
        assert (reply.status, reply.text, reply.headers.get("content-type")) == (status, "", None)
        assert reply.headers["lavalink-api-version"] == "4"


def test_3_1_what_is_not_there_is_not_there_for_anybody(devnode: DevNode) -> None:
    assert ask(devnode, "GET", "/v4/nothing", headers=[]).status == 404
    assert ask(devnode, "POST", "/v4/info", headers=[]).status == 405


def test_3_1_error_is_free(devnode: DevNode) -> None:
    reply = ask(devnode, "GET", "/error", headers=[])
    assert (reply.status, list(reply.json)) == (500, ["timestamp", "status", "error", "message"])
    assert (reply.json["status"], reply.json["error"]) == (999, "None")


def test_3_1_the_old_paths_of_websockets_are_200_and_empty(devnode: DevNode) -> None:
    for path in ("/", "/v3/websocket"):
        assert ask(devnode, "GET", path)[::2] == (200, "")


def test_3_3_metrics_are_only_there_when_they_are_switched_on(devnode: DevNode) -> None:
    assert ask(devnode, "GET", "/metrics").status == 404


# --- 3.2 the error JSON

TRACES = [("", False), ("?trace=true", True), ("?trace", True), ("?trace=1", True), ("?trace=FALSE", False)]


@pytest.mark.parametrize(("query", "traced"), TRACES)
def test_3_2_trace_is_told_where_it_is_asked_for_on_every_endpoint(devnode: DevNode, query: str, traced: bool) -> None:
    for path in ("/v4/nothing", "/v4/sessions/x/players", "/v4/decodetrack"):
        found = ask(devnode, "GET", path + query).json
        keys = ["timestamp", "status", "error", *(["trace"] if traced else []), "message", "path"]
        assert (list(found), found["path"]) == (keys, path)


def test_3_2_an_exception_nobody_caught_loses_the_version_header(devnode: DevNode) -> None:
    thrown = ask(devnode, "GET", "/v4/decodetrack?encodedTrack=AAAA")
    told = ask(devnode, "POST", "/v4/routeplanner/free/all")
    assert (thrown.status, told.status) == (500, 500)
    assert ("lavalink-api-version" in thrown.headers, "lavalink-api-version" in told.headers) == (False, True)


# --- 3.11 paths and methods

UNKNOWN = ["/v4/info/", "//v4/info", "/v4//info", "/V4/info", "/v4/INFO", "/v4/infos", "/v4", "/v3/info", "/version/"]
UNKNOWN += ["/v4/sessions/x/players/", "/v4/sessions//players", "/v4/sessions/", "/v4/sessions/x/players/1/2"]


@pytest.mark.parametrize("path", UNKNOWN)
def test_3_11_paths_are_exact(devnode: DevNode, path: str) -> None:
    reply = ask(devnode, "GET", path)
    assert (reply.status, reply.json["error"], reply.json["path"]) == (404, NOT_FOUND, path)
    assert reply.json["message"] == f"No endpoint GET {path}."


@pytest.mark.parametrize("path", ["/v4/%69nfo", "/v4/info;a=b", "/v4/info?", "/v4/info?x=y&x", "/v4/info;%20?"])
def test_3_11_paths_are_exact_once_they_are_read(devnode: DevNode, path: str) -> None:
    assert ask(devnode, "GET", path).status == 200


def test_3_11_what_is_quoted_in_a_session_id_belongs_to_it(devnode: DevNode) -> None:
    for session in ("a%2Fb", "%20", "a%0Ab", "%E2%82%AC"):
        path = f"/v4/sessions/{session}/players"
        assert ask(devnode, "GET", path).json["message"] == "Session not found"


@pytest.mark.parametrize("path", ROUTES)
def test_3_11_another_method_is_405_and_names_those_there_are(devnode: DevNode, path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - set(ROUTES[path].split(",")):
        reply = ask(devnode, method, path)
        assert (reply.status, reply.headers["allow"]) == (405, ROUTES[path])
        assert reply.json["message"] == f"Method '{method}' is not supported."
        assert reply.json["error"] == "Method Not Allowed"


@pytest.mark.parametrize("path", ROUTES)
def test_3_11_options_names_the_methods(devnode: DevNode, path: str) -> None:
    reply = ask(devnode, "OPTIONS", path)
    head = ",HEAD" if "GET" in ROUTES[path] else ""
    assert (reply.status, reply.text, reply.headers["allow"]) == (200, "", f"{ROUTES[path]}{head},OPTIONS")


def test_3_11_head_is_get_without_a_body(devnode: DevNode) -> None:
    head, get = ask(devnode, "HEAD", "/version"), ask(devnode, "GET", "/version")
    assert (head.status, head.text) == (200, "")
    assert {**head.headers, "date": ""} == {**get.headers, "date": ""}
    assert ask(devnode, "HEAD", "/v4/nothing").status == 404
    assert ask(devnode, "HEAD", "/v4/decodetracks").status == 405


MALFORMED = ["?identifier=100%", "?identifier=%zz", "?identifier=%a", "?identifier=a|b", '?identifier="', "?a={}"]
MALFORMED += ["?identifier=ü", "#x", "?identifier=a\\b", "?identifier=`", "?identifier=<", "?identifier=^"]


@pytest.mark.parametrize("rest", MALFORMED)
def test_3_11_an_address_that_is_not_quoted_is_400_and_the_end_of_the_connection(devnode: DevNode, rest: str) -> None:
    host, _, port = devnode.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as plain:
        head = f"GET /v4/loadtracks{rest} HTTP/1.1\r\nHost: x\r\nAuthorization: {devnode.password}\r\n\r\n"
        plain.sendall(head.encode())
        found = b"".join(iter(lambda: plain.recv(4096), b""))
    status, *headers = found.decode().split("\r\n\r\n")[0].lower().split("\r\n")
    assert status == "http/1.1 400 bad request"
    assert sorted(headers) == ["connection: close", "content-length: 0"]


def test_3_3_values_of_one_name_are_one_with_commas(devnode: DevNode) -> None:
    reply = ask(devnode, "GET", "/v4/loadtracks?identifier=a&identifier=b")
    assert reply.json["data"]["info"]["title"] == "Both"
    assert ask(devnode, "GET", "/v4/loadtracks?identifier=a%2Cb").json["loadType"] == "track"


# --- what is sent and taken

SENT: list[tuple[str | None, str, int, str]] = [
    ("application/json", "[]", 400, "No tracks to decode provided"),
    ("application/json; charset=utf-8", "[]", 400, "No tracks to decode provided"),
    ("APPLICATION/JSON", "[]", 400, "No tracks to decode provided"),
    ("application/vnd.api+json", "[]", 400, "No tracks to decode provided"),
    ("application/json;charset=nonsense", "[]", 415, "Could not parse Content-Type."),
    ("nonsense", "[]", 415, "Could not parse Content-Type."),
    ("", "[]", 415, "Could not parse Content-Type."),
    ("text/plain", "[]", 415, "Content-Type 'text/plain;charset=UTF-8' is not supported."),
    ("text/plain", "", 415, "Content-Type 'text/plain;charset=UTF-8' is not supported."),
    ("Text/Plain; charset=latin1", "[]", 415, "Content-Type 'text/plain;charset=latin1' is not supported."),
    ("application/xml", "[]", 415, "Content-Type 'application/xml;charset=UTF-8' is not supported."),
    ("application/*", "[]", 415, "Content-Type 'application/*;charset=UTF-8' is not supported."),
    (None, "[]", 415, "Content-Type 'application/octet-stream' is not supported."),
    (None, "", 400, "Bad Request"),
    ("application/json", "", 400, "Bad Request"),
]


@pytest.mark.parametrize(("kind", "body", "status", "message"), SENT)
def test_3_1_bodies_are_json(devnode: DevNode, kind: str | None, body: str, status: int, message: str) -> None:
    headers = [("Authorization", devnode.password), *([] if kind is None else [("Content-Type", kind)])]
    reply = ask(devnode, "POST", "/v4/decodetracks", body, headers)
    assert (reply.status, reply.json["message"]) == (status, message)
    assert reply.headers.get("accept") == (JSON_TYPES if status == 415 else None)
    patch = ask(devnode, "PATCH", "/v4/sessions/x", body, headers)
    told_both = status == 415 and not message.startswith("Could not")
    assert patch.headers.get("accept-patch") == (JSON_TYPES if told_both else None)


def taking(devnode: DevNode, path: str, kinds: str) -> Reply:
    return ask(devnode, "GET", path, headers=[("Authorization", devnode.password), ("Accept", kinds)])


TAKES = [
    ("*/*", "application/json", "text/plain;charset=ISO-8859-1"),
    ("", "application/json", "text/plain;charset=ISO-8859-1"),
    ("application/*", "application/json", "application/json"),
    ("application/json", "application/json", "application/json"),
    ("application/json;q=0.5, text/plain", "application/json", "text/plain;charset=ISO-8859-1"),
    ("text/html, */*;q=0.1", "application/json", "text/html;charset=ISO-8859-1"),
    ("application/vnd.api+json", "application/vnd.api+json", "application/vnd.api+json"),
    ("text/plain", None, "text/plain;charset=ISO-8859-1"),
    ("text/html", None, "text/html;charset=ISO-8859-1"),
    ("nonsense", None, None),
]


@pytest.mark.parametrize(("kinds", "json_kind", "text_kind"), TAKES)
def test_3_1_answers_are_of_a_kind_that_is_taken(
    devnode: DevNode, kinds: str, json_kind: str | None, text_kind: str | None
) -> None:
    for path, wanted in (("/v4/info", json_kind), ("/version", text_kind)):
        reply = taking(devnode, path, kinds)
        assert reply.status == (406 if wanted is None else 200)
        if wanted is not None:
            assert reply.headers["content-type"] == wanted


def test_3_2_an_error_is_json_a_page_or_nothing_as_it_is_asked_for(devnode: DevNode) -> None:
    browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    page = taking(devnode, "/v4/nothing", browser)
    assert (page.status, page.headers["content-type"]) == (404, "text/html;charset=UTF-8")
    assert "No endpoint GET /v4/nothing." in page.text
    assert taking(devnode, "/v4/nothing", "application/json, text/html").json["status"] == 404
    for kinds in ("text/plain", "image/png", "nonsense"):
        assert taking(devnode, "/v4/nothing", kinds)[::2] == (404, "")
