"""What the protocol's sections 3.6, 3.7 and 3.11 say of each field of a PATCH: its kinds, taken and refused."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import EXAMPLES, Raw

VOICE = {"token": "t", "endpoint": "voice.example:443", "sessionId": "s", "channelId": "5"}
# Every filter with its fields and their defaults; a field of `equalizer` is one of its bands'.
FILTERS: dict[str, dict[str, float]] = {
    "karaoke": {"level": 1.0, "monoLevel": 1.0, "filterBand": 220.0, "filterWidth": 100.0},
    "timescale": {"speed": 1.0, "pitch": 1.0, "rate": 1.0},
    "tremolo": {"frequency": 2.0, "depth": 0.5},
    "vibrato": {"frequency": 2.0, "depth": 0.5},
    "distortion": dict.fromkeys(("sinOffset", "cosOffset", "tanOffset", "offset"), 0.0)
    | dict.fromkeys(("sinScale", "cosScale", "tanScale", "scale"), 1.0),
    "rotation": {"rotationHz": 0.0},
    "channelMix": {"leftToLeft": 1.0, "leftToRight": 0.0, "rightToLeft": 0.0, "rightToRight": 1.0},
    "lowPass": {"smoothing": 20.0},
}
FIELDS = [(name, field) for name, fields in FILTERS.items() for field in fields]
DOUBLE = ("timescale", "rotation")


@pytest.fixture(scope="module")
def devnode() -> Iterator[DevNode]:
    with DevNode(music=EXAMPLES) as found:
        yield found


class Desk:
    """A player that plays, and what is answered to an update of it. `body` is JSON as it is written."""

    def __init__(self, devnode: DevNode) -> None:
        self.raw = Raw(devnode)
        self.socket, session = self.raw.open_session()
        self._path = f"/v4/sessions/{session}/players/7"
        self.patch('{"track": {"identifier": "/music/flac12.flac", "userData": {"kept": 1}}, "volume": 50}')

    def patch(self, body: str) -> tuple[int, Any]:
        status, _, answer = self.raw.ask("PATCH", self._path, body)
        return status, answer

    def player(self) -> Any:
        found = self.raw.ask("GET", self._path)[2]
        return {**found, "state": {**found["state"], "time": 0}}


@pytest.fixture
def desk(devnode: DevNode) -> Iterator[Desk]:
    found = Desk(devnode)
    yield found
    found.raw.close()


def told(player: Any, path: str) -> Any:
    for name in path.split("."):
        player = player[name]
    return player


# --- what is taken: the field, how it is written, where the answer tells it, and as what

INTEGER_TEXTS = [("1000", 1000), ('"1000"', 1000), ("1e3", 1000), ('"1E+3"', 1000), ("12000e-1", 1200), ("-0", 0)]
TAKEN = [
    *[("position", text, "state.position", value) for text, value in INTEGER_TEXTS],
    ("position", str(2**63 - 1), "state.position", 2**63 - 1),
    ("position", str(-(2**63)), "state.position", 0),
    *[("volume", text, "volume", min(value, 1000)) for text, value in INTEGER_TEXTS],
    ("volume", str(2**31 - 1), "volume", 1000),
    ("volume", str(-(2**31)), "volume", 0),
    ("endTime", '"9000"', "volume", 50),
    ("endTime", "null", "volume", 50),
    ("endTime", str(2**63 - 1), "volume", 50),
    ("paused", "true", "paused", True),
    ("paused", '"true"', "paused", True),
    ("paused", '"TRUE"', "paused", True),
    ("paused", '"False"', "paused", False),
    ("track", "{}", "track.info.title", "Flac Twelve"),
    ("track", '{"encoded": null}', "track", None),
    ("track", '{"userData": {}}', "track.userData", {}),
    ("track", '{"userData": {"a": [1, 2.5, null, {"b": "\\u00fc"}]}}', "track.userData.a", [1, 2.5, None, {"b": "ü"}]),
    ("track", '{"userData": {"a": 12345678901234567890}}', "track.userData", {"a": 12345678901234567890}),
    ("track", '{"other": 1}', "track.userData", {"kept": 1}),
    ("encodedTrack", "null", "track", None),
    ("identifier", '"/music/flac12.flac"', "track.userData", {}),
    ("filters", "{}", "filters", {}),
    ("filters", '{"other": {"a": 1}}', "filters", {}),
    ("filters", '{"pluginFilters": {}}', "filters", {}),
    ("filters", '{"pluginFilters": {"echo": null, "reverb": [1]}}', "filters", {}),
    ("filters", '{"equalizer": []}', "filters", {"equalizer": []}),
    ("filters", '{"equalizer": [{"band": "3"}]}', "filters", {"equalizer": [{"band": 3, "gain": 1.0}]}),
    ("filters", '{"equalizer": [{"band": 1, "gain": 9, "x": 1}]}', "filters.equalizer", [{"band": 1, "gain": 9.0}]),
    ("filters", '{"volume": "1.5"}', "filters", {"volume": 1.5}),
    ("filters", '{"volume": -1}', "filters", {"volume": -1.0}),
    ("voice", json.dumps({**VOICE, "other": None}), "voice", VOICE),
    ("other", "NaN", "volume", 50),
]  # fmt: skip


@pytest.mark.parametrize(("field", "text", "path", "value"), TAKEN)
def test_3_6_a_value_is_taken(desk: Desk, field: str, text: str, path: str, value: Any) -> None:
    status, player = desk.patch(f'{{"{field}": {text}}}')
    assert status == 200, player
    found = told(player, path)
    assert (found, type(found)) == (value, type(value))


# --- what is refused, and changes nothing

NO_INTEGERS = [
    "1.5",
    "1000.0",
    '"1.5"',
    '"soon"',
    '" 1"',
    '"1 "',
    '"1_0"',
    '""',
    "null",
    "true",
    "[]",
    "{}",
    "15e-1",
    "NaN",
]
NO_OBJECTS = ["null", "1", "1.5", '"x"', '"{}"', "true", "[]", "[{}]"]
NOT_TEXT: list[Any] = [1, True, []]
NO_NUMBERS = ['"x"', "null", "true", "[]", "{}", "NaN", '"1_0"', '""']
NO_TEXTS = ["1", "1.5", "true", "[]", "{}"]
REFUSED = [
    *[("position", text) for text in [*NO_INTEGERS, str(2**63), str(-(2**63) - 1)]],
    *[("endTime", text) for text in [*NO_INTEGERS, str(2**63)] if text != "null"],
    *[("volume", text) for text in [*NO_INTEGERS, str(2**31), str(-(2**31) - 1)]],
    *[("paused", text) for text in ["1", "0", "null", '"yes"', '"1"', '""', '" true"', "[]", "{}", "1.5"]],
    *[("track", text) for text in NO_OBJECTS],
    *[("track", f'{{"encoded": {text}}}') for text in NO_TEXTS],
    *[("track", f'{{"identifier": {text}}}') for text in [*NO_TEXTS, "null"]],
    *[("track", f'{{"userData": {text}}}') for text in NO_OBJECTS],
    *[("encodedTrack", text) for text in NO_TEXTS],
    *[("identifier", text) for text in [*NO_TEXTS, "null"]],
    *[("filters", text) for text in NO_OBJECTS],
    *[("filters", f'{{"volume": {text}}}') for text in [*NO_NUMBERS, "1e39"]],
    *[("filters", f'{{"equalizer": {text}}}') for text in ["null", "1", '"x"', "{}", "[null]", "[1]", "[[]]", "[{}]"]],
    *[("filters", f'{{"equalizer": [{{"band": {text}}}]}}') for text in [*NO_INTEGERS, str(2**31)]],
    *[("filters", f'{{"equalizer": [{{"band": 1, "gain": {text}}}]}}') for text in ["null", '"x"', "true", "1e39"]],
    *[("filters", f'{{"pluginFilters": {text}}}') for text in NO_OBJECTS],
    *[("filters", f'{{"{name}": {text}}}') for name in FILTERS for text in NO_OBJECTS if text != "null"],
    *[("voice", text) for text in NO_OBJECTS],
    *[("voice", json.dumps({**VOICE, name: value})) for name in VOICE for value in NOT_TEXT],
    *[("voice", json.dumps({**VOICE, name: None})) for name in VOICE if name != "channelId"],
    *[("voice", json.dumps({key: value for key, value in VOICE.items() if key != name})) for name in VOICE],
]  # fmt: skip


def test_3_11_a_value_of_another_kind_is_400_and_changes_nothing(desk: Desk) -> None:
    before = desk.player()
    wrong = []
    for field, text in REFUSED:
        # The others are right: they are not applied either.
        others = '"volume": 7' if field != "volume" else '"paused": true'
        status, answer = desk.patch(f'{{"{field}": {text}, {others}}}')
        if (status, answer.get("message")) != (400, "Bad Request") or desk.player() != before:
            wrong.append(f"{field}: {text} gave {status} {answer}")
    assert not wrong, "\n".join(wrong)
    assert len(REFUSED) > 200


BOTH_WAYS = "Cannot specify both track and encodedTrack/identifier"
BLANK = "token, endpoint, sessionId and channelId must be provided in voice state"
WORDED = [
    ({"voice": {**VOICE, "token": ""}}, BLANK),
    ({"voice": {**VOICE, "endpoint": " \t"}}, BLANK),
    ({"voice": {**VOICE, "sessionId": "\n"}}, BLANK),
    ({"voice": {**VOICE, "channelId": None}}, BLANK),
    ({"endTime": 0}, "End time must be greater than 0"),
    ({"endTime": -1}, "End time must be greater than 0"),
    ({"track": {"encoded": None, "identifier": "a"}}, "Cannot specify both encodedTrack and identifier"),
    ({"encodedTrack": None, "identifier": "a"}, "Cannot specify both encodedTrack and identifier"),
    ({"track": {}, "encodedTrack": None}, BOTH_WAYS),
    ({"track": {}, "identifier": "a"}, BOTH_WAYS),
    # Of several the first in the server's order is told.
    ({"track": {"encoded": "a", "identifier": "a"}, "identifier": "a", "endTime": 0}, BOTH_WAYS),
    ({"voice": {**VOICE, "token": ""}, "endTime": 0}, BLANK),
]  # fmt: skip


@pytest.mark.parametrize(("body", "message"), WORDED)
def test_3_6_what_does_not_go_together_is_400_in_the_servers_words(desk: Desk, body: Any, message: str) -> None:
    before = desk.player()
    status, answer = desk.patch(json.dumps({**body, "volume": 7, "filters": {"volume": 2}}))
    assert (status, answer["message"]) == (400, message)
    assert desk.player() == before


# --- 3.7 filters, field by field


@pytest.mark.parametrize("name", FILTERS)
def test_3_7_a_filter_is_told_with_its_defaults_and_null_is_off(desk: Desk, name: str) -> None:
    assert desk.patch(json.dumps({"filters": {name: {}}}))[1]["filters"] == {name: FILTERS[name]}
    assert desk.patch(json.dumps({"filters": {name: {"other": 1}, "volume": 1}}))[1]["filters"][name] == FILTERS[name]
    assert desk.patch(json.dumps({"filters": {name: None}}))[1]["filters"] == {}


@pytest.mark.parametrize(("name", "field"), FIELDS)
def test_3_7_a_field_is_a_number_also_as_text(desk: Desk, name: str, field: str) -> None:
    long = 0.12345678901234567
    numbers = [("3", 3.0), ("-0.25", -0.25), ('"2.5"', 2.5), ('" 2.5f "', 2.5), ("1e-3", 0.001), ("0.1", 0.1)]
    numbers += [(str(long), long if name in DOUBLE else 0.12345679)]
    for text, value in numbers:
        status, player = desk.patch(f'{{"filters": {{"{name}": {{"{field}": {text}}}}}}}')
        assert status == 200, player
        assert player["filters"] == {name: {**FILTERS[name], field: value}}
        assert all(isinstance(each, float) for each in player["filters"][name].values())
    status, player = desk.patch(f'{{"filters": {{"{name}": {{"{field}": 1e39}}}}}}')
    assert status == (200 if name in DOUBLE else 400), "beyond 32 bits"
    for text in ("null", "true", '"x"', '""', "[]", "{}", "1e999", "NaN", '"NaN"', '"Infinity"', '"1_0"', '"0x1"'):
        status, answer = desk.patch(f'{{"filters": {{"{name}": {{"{field}": {text}}}}}}}')
        assert (status, answer["message"]) == (400, "Bad Request"), text


def test_3_7_filters_are_told_in_the_servers_order(desk: Desk) -> None:
    given = {name: {} for name in reversed(FILTERS)} | {"equalizer": [], "volume": 1}
    found = desk.patch(json.dumps({"filters": given}))[1]["filters"]
    wanted = ["karaoke", "timescale", "tremolo", "vibrato", "distortion", "rotation", "channelMix", "lowPass"]
    assert list(found) == ["volume", "equalizer", *wanted]


@pytest.mark.parametrize("band", [-1, 15, 99, 2**31 - 1, -(2**31)])
def test_3_7_a_band_outside_is_an_exception_after_the_rest_was_applied(desk: Desk, band: int) -> None:
    bands = [{"band": 14, "gain": 0.25}, {"band": band, "gain": 0.1}]
    body = {"filters": {"equalizer": bands, "volume": 2}, "volume": 7, "track": {"encoded": None}}
    status, error = desk.patch(json.dumps(body))
    assert status == 500
    thrown = f"ArrayIndexOutOfBoundsException: Index {band} out of bounds for length 15"
    assert error["message"] == f"Request processing failed: java.lang.{thrown}"
    player = desk.player()
    assert (player["volume"], player["filters"], player["track"]["info"]["title"]) == (7, {}, "Flac Twelve")


# --- 3.6 noReplace


@pytest.mark.parametrize("flag", ["true", "TRUE", "on", "yes", "1", "%20true", "true&noReplace=false"])
def test_3_6_no_replace_is_on(desk: Desk, flag: str) -> None:
    path = f"{desk._path}?noReplace={flag}"
    status, _, player = desk.raw.ask("PATCH", path, {"track": {"encoded": None}})
    assert (status, player["track"]["info"]["title"]) == (200, "Flac Twelve")


@pytest.mark.parametrize(
    "flag", ["?noReplace=false", "?noReplace=off", "?noReplace=0", "?noReplace=", "?noReplace", ""]
)
def test_3_6_no_replace_is_off(desk: Desk, flag: str) -> None:
    assert desk.raw.ask("PATCH", desk._path + flag, {"track": {"encoded": None}})[2]["track"] is None


@pytest.mark.parametrize("flag", ["maybe", "2", "null", "truee"])
def test_3_6_no_replace_is_a_flag(desk: Desk, flag: str) -> None:
    status, _, error = desk.raw.ask("PATCH", f"{desk._path}?noReplace={flag}", {})
    assert (status, error["message"]) == (400, "Bad Request")
