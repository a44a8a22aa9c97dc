"""What a user sets is checked when it is set, and says which setting is wrong."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pytest

from lavalink_sync.config import NodeConfig, ReconnectPolicy, Timeouts
from lavalink_sync.errors import ConfigError

PASSWORD = "youshallnotpass"


def config(address: str = "localhost:2333", **others: object) -> NodeConfig:
    return NodeConfig("main", address, PASSWORD, **others)  # type: ignore[arg-type]  # wrong types are the point of some tests


def test_the_urls_of_a_plain_and_of_a_secure_node() -> None:
    plain = config()
    assert (plain.rest_url, plain.ws_url) == ("http://localhost:2333", "ws://localhost:2333/v4/websocket")
    secure = config("music.example:443", secure=True, path="lavalink/")
    assert secure.rest_url == "https://music.example:443/lavalink"
    assert secure.ws_url == "wss://music.example:443/lavalink/v4/websocket"


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("[::1]:2333", "::1", 2333), ("10.0.0.1:80", "10.0.0.1", 80), ("a.b-c.d:65535", "a.b-c.d", 65535)],
)
def test_an_address_is_taken_apart(address: str, host: str, port: int) -> None:
    assert (config(address).host, config(address).port) == (host, port)


@pytest.mark.parametrize(
    "address",
    [
        "localhost",
        "localhost:",
        ":2333",
        "localhost:0",
        "localhost:65536",
        "http://localhost:2333",
        "a b:1",
        "::1:2333",
        "h:1/x",
        "h:२",
        "user@h:1",
        "h:1\r\n",
        5,
    ],
)
def test_an_address_that_is_none_is_refused_with_what_would_be_one(address: str) -> None:
    with pytest.raises(ConfigError, match="host:port"):
        config(address)


@pytest.mark.parametrize("password", ["", "a\r\nX: y", "\x00", " lead", "trail ", "日本", None, 5])
def test_a_password_that_would_break_its_header_is_refused_without_being_shown(password: str) -> None:
    with pytest.raises(ConfigError, match="password") as caught:
        NodeConfig("main", "localhost:2333", password)
    if isinstance(password, str) and password.strip():
        assert password not in str(caught.value)


@pytest.mark.parametrize("session_id", ["", "a b\n", 7])
def test_a_session_id_that_would_break_its_header_is_refused(session_id: str) -> None:
    with pytest.raises(ConfigError, match="session_id"):
        config(session_id=session_id)


def test_neither_password_nor_session_id_is_shown_and_both_survive_replace() -> None:
    first = config(session_id="0123456789abcdef", proxies={"http": "http://user:pass@proxy:1"})
    assert PASSWORD not in repr(first)
    assert "0123456789abcdef" not in repr(first)
    assert "pass@" not in repr(first)
    second = dataclasses.replace(first, name="other")
    assert second.password == PASSWORD
    assert second.session_id == "0123456789abcdef"


@pytest.mark.parametrize("path", ["/a/../b", "/a b", "/a?b", "/a#b", "/ä"])
def test_a_path_that_is_no_prefix_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="path"):
        config(path=path)


@pytest.mark.parametrize("path", ["", "/", "//"])
def test_no_prefix_is_no_prefix_however_it_is_written(path: str) -> None:
    assert config(path=path).rest_url == "http://localhost:2333"


@pytest.mark.parametrize("name", ["", "  ", 5])
def test_a_node_needs_a_name(name: str) -> None:
    with pytest.raises(ConfigError, match="name"):
        NodeConfig(name, "localhost:2333", PASSWORD)


def test_a_region_is_a_text() -> None:
    assert config(region="eu").region == "eu"
    with pytest.raises(ConfigError, match="region must be a place"):
        config(region=5)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, True, "5", None])
@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(Timeouts)])
def test_a_timeout_is_a_number_of_seconds_above_0(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"timeouts.{field}"):
        Timeouts(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", -1),
        ("cap", math.inf),
        ("jitter", 1.5),
        ("jitter", -0.1),
        ("limit", 0),
        ("limit", True),
        ("limit", 2.5),
        ("step", "2"),
    ],
)
def test_a_reconnect_policy_that_makes_no_sense_is_refused(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"reconnect.{field}"):
        ReconnectPolicy(**{field: value})  # type: ignore[arg-type]  # one of them is a text on purpose


@pytest.mark.parametrize("field", ["resume_timeout", "heartbeat"])
@pytest.mark.parametrize("value", [0, -5, True, "60"])
def test_seconds_of_a_node_are_checked(field: str, value: object) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError, match=field):
        config(**changes)


def test_a_config_never_changes() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        config().name = "other"  # type: ignore[misc]  # that is what is tried
