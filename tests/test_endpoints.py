"""Paths and queries: what users put in can't lead anywhere else."""

from __future__ import annotations

import pytest

from lavalink_sync.core import endpoints
from lavalink_sync.errors import InvalidArgumentError
from lavalink_sync.secret import Secret


def test_the_paths_of_a_session() -> None:
    session = Secret("abc123")
    assert endpoints.session(session).reveal() == "/v4/sessions/abc123"
    assert endpoints.players(session).reveal() == "/v4/sessions/abc123/players"
    assert endpoints.player("abc123", 42).reveal() == "/v4/sessions/abc123/players/42"
    assert "abc123" not in repr(endpoints.player(session, 42))


@pytest.mark.parametrize(
    ("session", "quoted"),
    [
        ("../info", "..%2Finfo"),
        ("a?b#c", "a%3Fb%23c"),
        ("a b%41", "a%20b%2541"),
        ("é", "%C3%A9"),
        ("a\r\nb", "a%0D%0Ab"),
    ],
)
def test_a_session_id_stays_one_part_of_the_path(session: str, quoted: str) -> None:
    assert endpoints.session(session).reveal() == f"/v4/sessions/{quoted}"


@pytest.mark.parametrize("session", ["", ".", "..", "\ud800"])
def test_a_session_id_that_can_be_no_part_of_a_path_is_refused(session: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        endpoints.session(session)
    assert caught.value.field == "sessionId"


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("/v4/lyrics", "/v4/lyrics"),
        ("/youtube/stream/a b", "/youtube/stream/a%20b"),
        ("/v4/lyrics/é%2Fx:y@z", "/v4/lyrics/%C3%A9%2Fx:y@z"),
        ('/a"<>|', "/a%22%3C%3E%7C"),
        ("/a\r\nX: y", "/a%0D%0AX:%20y"),
        ("/v4/...", "/v4/..."),
        (Secret("/v4/x"), "/v4/x"),
    ],
)
def test_a_plugins_path_is_quoted_where_needed(path: str, sent: str) -> None:
    assert endpoints.checked_path(path) == sent


@pytest.mark.parametrize(
    "path",
    [
        "",
        "v4/info",
        "http://elsewhere/v4",
        "/v4/../x",
        "/v4/.",
        "/%2e%2E/x",
        "/v4\\..\\x",
        "/a?b=c",
        "/a#b",
        "/100%",
        "/%zz",
        "/\ud83d",
        7,
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        endpoints.checked_path(path)
    assert caught.value.field == "path"


def test_a_query_says_what_was_meant() -> None:
    query: dict[str, endpoints.QueryValue] = {
        "identifier": "a b+c&d=e#f%41/é😀?\n100%",
        "trace": True,
        "no": False,
        "n": 5,
        "none": None,
    }
    assert endpoints.query_string(query) == (
        "?identifier=a%20b%2Bc%26d%3De%23f%2541%2F%C3%A9%F0%9F%98%80%3F%0A100%25&trace=true&no=false&n=5"
    )
    assert endpoints.query_string(None) == ""
    assert endpoints.query_string({"none": None}) == ""
    assert endpoints.query_string({"key": Secret("plain")}) == "?key=plain"


def test_half_a_surrogate_pair_in_a_query_is_told_by_name() -> None:
    with pytest.raises(InvalidArgumentError, match="character 2") as caught:
        endpoints.query_string({"query": "ab\ud800"})
    assert caught.value.field == "query"


def test_methods() -> None:
    assert endpoints.checked_method("patch") == "PATCH"
    for method in ("", "GET /x", "G\r\nT", 5):
        with pytest.raises(InvalidArgumentError) as caught:
            endpoints.checked_method(method)  # type: ignore[arg-type]  # what users do all the same
        assert caught.value.field == "method"
