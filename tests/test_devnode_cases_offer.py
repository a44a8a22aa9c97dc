"""What the protocol says of what a server may have or not: route planner, filters that are off, and its figures."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode, ManualClock, RoutePlanner
from lavalink_sync.devnode.routeplanner import KINDS

from .support.devnode_raw import Raw, next_of
from .support.plain_http import ask
from .support.recorded_music import fill

VOICE = {"token": "t", "endpoint": "e:443", "sessionId": "s", "channelId": "5"}

# --- 3.3 the route planner

ADDRESSES = [
    ("127.0.0.5", None),
    ("", None),
    ("::1", None),
    ("[::1]", None),
    ("127.1", None),
    ("1", None),
    ("localhost", None),
    ("/127.0.0.5", "Invalid address: /127.0.0.5: Name or service not known"),
    ("256.1.1.1", "Invalid address: 256.1.1.1: Name or service not known"),
    ("nope", "Invalid address: nope: Name or service not known"),
    ("::zz", "Invalid address: ::zz: invalid IPv6 address"),
]


@pytest.mark.parametrize(("address", "message"), ADDRESSES)
def test_3_3_an_address_is_freed_or_bad(address: str, message: str | None) -> None:
    planner = RoutePlanner()
    planner.fail("127.0.0.1")
    with DevNode(route_planner=planner) as devnode:
        reply = ask(devnode, "POST", "/v4/routeplanner/free/address", json.dumps({"address": address}))
        assert (reply.status, reply.text and reply.json["message"]) == (400 if message else 204, message or "")
        failing = ask(devnode, "GET", "/v4/routeplanner/status").json["details"]["failingAddresses"]
    assert len(failing) == (0 if address in ("", "127.1", "localhost") else 1)


@pytest.mark.parametrize("body", ["{}", '{"address": null}', '{"address": 1}', "[]", "null", ""])
def test_3_3_an_address_is_a_text_whether_there_is_a_route_planner_or_not(body: str) -> None:
    for planner in (None, RoutePlanner()):
        with DevNode(route_planner=planner) as devnode:
            reply = ask(devnode, "POST", "/v4/routeplanner/free/address", body)
            assert (reply.status, reply.json["message"]) == (400, "Bad Request")


# After two uses, of which the second one failed.
DETAILS = {
    KINDS[0]: {"rotateIndex": "1", "ipIndex": "2", "currentAddress": "/fd00::5"},
    KINDS[1]: {"currentAddressIndex": "2"},
    KINDS[2]: {"blockIndex": "1", "currentAddressIndex": "2"},
    KINDS[3]: {},
}


@pytest.mark.parametrize("kind", KINDS)
def test_3_4_a_route_planner_has_its_own_details_and_indices_are_texts(kind: str) -> None:
    planner = RoutePlanner(kind, "fd00::/64")
    planner.use("fd00::4")
    planner.fail("fd00::5", at=1_700_000_000.5)
    with DevNode(route_planner=planner) as devnode:
        told = ask(devnode, "GET", "/v4/routeplanner/status").json
        assert ask(devnode, "POST", "/v4/routeplanner/free/all").status == 204
        after = ask(devnode, "GET", "/v4/routeplanner/status").json
    assert (list(told), told["class"]) == (["class", "details"], kind)
    assert list(told["details"]) == ["ipBlock", "failingAddresses", *DETAILS[kind]]
    assert told["details"]["ipBlock"] == {"type": "Inet6Address", "size": str(2**64)}
    assert {name: told["details"][name] for name in DETAILS[kind]} == DETAILS[kind]
    failing = told["details"]["failingAddresses"]
    assert [(each["failingAddress"], each["failingTimestamp"]) for each in failing] == [("/fd00::5", 1_700_000_000_500)]
    assert after["details"]["failingAddresses"] == []


# --- 3.3 metrics


def test_3_3_metrics_need_no_password_and_only_those_that_are_named_are_told() -> None:
    with DevNode(metrics="/prometheus") as devnode:
        whole = ask(devnode, "GET", "/prometheus", headers=[])
        one = ask(devnode, "GET", "/prometheus?name[]=lavalink_cpu_cores&name%5B%5D=lavalink_players_total", headers=[])
        prometheus = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
        scraped = ask(devnode, "GET", "/prometheus", headers=[("Accept", prometheus)])
        assert scraped.headers["content-type"] == whole.headers["content-type"]
        assert ask(devnode, "POST", "/prometheus", headers=[]).status == 405
        assert ask(devnode, "GET", "/metrics").status == 404
    assert (whole.status, whole.headers["content-type"]) == (200, "text/plain;version=0.0.4;charset=utf-8")
    assert len(re.findall(r"^# TYPE \w+ gauge\n\w+ [\d.]+$", whole.text, re.MULTILINE)) == 10
    assert "\nlavalink_players_total 0.0\n" in whole.text
    assert re.findall(r"^(\w+) ", one.text, re.MULTILINE) == ["lavalink_players_total", "lavalink_cpu_cores"]


# --- 3.4 info, and what is off


def test_3_4_info_names_the_filters_that_are_on() -> None:
    with DevNode(disabled_filters=("karaoke", "echo")) as devnode:
        told = ask(devnode, "GET", "/v4/info").json
        assert "karaoke" not in told["filters"]
        assert told["filters"][:2] == ["volume", "equalizer"]
        raw = Raw(devnode)
        _, session = raw.open_session()
        path = f"/v4/sessions/{session}/players/1"
        for name, value in (("karaoke", None), ("karaoke", {}), ("pluginFilters", {"echo": {}})):
            given = {"filters": {"volume": 2.0, name: value}, "volume": 7}
            status, _, error = raw.ask("PATCH", path, given)
            off = "echo" if name == "pluginFilters" else name
            assert (status, error["message"]) == (400, f"Following filters are disabled in the config: {off}")
        assert raw.ask("GET", path)[0] == 404, "not even a player was made"
        both = {"filters": {"pluginFilters": {"echo": 1}, "karaoke": {}}}
        assert raw.ask("PATCH", path, both)[2]["message"].endswith("config: karaoke, echo")
        raw.close()


@pytest.mark.parametrize(("gap", "counted"), [(0.05, True), (0.2, False)])
def test_3_4_frame_stats_are_of_what_played_a_minute_of_the_clock_without_a_gap(
    tmp_path: Path, gap: float, counted: bool
) -> None:
    fill(tmp_path)
    clock = ManualClock(start=0)
    with DevNode(music=tmp_path, clock=clock) as devnode:
        raw = Raw(devnode)
        clock.advance(10)
        socket, session = raw.open_session()
        path = f"/v4/sessions/{session}/players/1"
        play = {"track": {"identifier": "/music/long.flac"}, "filters": {"timescale": {"speed": 0.1}}, "voice": VOICE}
        raw.ask("PATCH", path, play)
        clock.advance(50)
        raw.ask("PATCH", path, {"track": {"encoded": None}})
        clock.advance(gap)
        raw.ask("PATCH", path, play)
        clock.advance(71 - gap)
        told = [next_of(socket, "stats")["frameStats"] for _ in range(3)]
        raw.close()
    # At 10, 70 and 130 s; the last whole minute was from 60 s on.
    assert [each is not None for each in told] == [False, False, counted]


def test_3_4_frame_stats_are_of_the_session_they_are_told(tmp_path: Path) -> None:
    fill(tmp_path)
    clock = ManualClock()
    with DevNode(music=tmp_path, clock=clock) as devnode:
        raw = Raw(devnode)
        (first, session), (second, _) = raw.open_session(), raw.open_session()
        for socket in (first, second):
            next_of(socket, "stats")
        slow = {"timescale": {"speed": 0.1}}
        body: dict[str, Any] = {"track": {"identifier": "/music/long.flac"}, "voice": VOICE, "filters": slow}
        raw.ask("PATCH", f"/v4/sessions/{session}/players/1", body)
        clock.advance(181)
        found = [[next_of(socket, "stats") for _ in range(3)][-1] for socket in (first, second)]
        raw.close()
    assert found[0]["frameStats"] == {"sent": 3000, "nulled": 0, "deficit": 0}
    assert found[1]["frameStats"] is None
    assert [(each["players"], each["playingPlayers"]) for each in found] == [(1, 1)] * 2
