"""The compiled decoder and encoder: equal to dataclasses-json's own on what is valid, clear about what is not."""

import contextlib
import copy
import dataclasses
import json
import types
from datetime import datetime, timezone
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from dataclasses_json import config
from dataclasses_json.core import _asdict, _decode_dataclass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lavalink_sync import models
from lavalink_sync.errors import InvalidArgumentError, ProtocolError
from lavalink_sync.models import (
    Filters,
    Info,
    Model,
    OpenEnum,
    PlayerUpdate,
    Playlist,
    ServerPlayer,
    Severity,
    Stats,
    Track,
    TrackInfo,
    codec,
    jsontext,
)

from .support.wire import json_of

FIXED = settings(
    derandomize=True, database=None, deadline=None, max_examples=25, suppress_health_check=list(HealthCheck)
)

# Their JSON is no dataclass's: an envelope, or a message with the fields of another class.
BY_HAND = {"LoadResult", "StatsMessage", "UnknownEvent", "UnknownMessage"}


def _classes() -> list[type[Model]]:
    found = [getattr(models, name) for name in models.__all__]
    return [
        cls
        for cls in found
        if isinstance(cls, type)
        and issubclass(cls, Model)
        and "__dataclass_fields__" in vars(cls)
        and not any(base.__name__ in BY_HAND for base in cls.__mro__)
    ]


def stock_decode(cls: type[Model], data: Any) -> Any:
    return _decode_dataclass(cls, data, False)  # type: ignore[no-untyped-call]  # the library's own gap


def stock_encode(model: Model) -> Any:
    return _asdict(model)  # type: ignore[no-untyped-call]  # the library's own gap


@pytest.mark.parametrize("cls", _classes(), ids=lambda cls: cls.__name__)
def test_every_class_decodes_and_encodes_as_dataclasses_json_does(cls: type[Model]) -> None:
    @FIXED
    @given(json_of(cls))
    def holds(data: dict[str, Any]) -> None:
        before = copy.deepcopy(data)
        ours, theirs = codec.decoder(cls)(data), stock_decode(cls, copy.deepcopy(data))
        assert ours == theirs
        assert repr(ours) == repr(theirs)  # equality does not tell 1 from 1.0, nor a Secret from a text
        assert codec.encoder(cls)(ours) == stock_encode(theirs)
        assert codec.decoder(cls)(codec.encoder(cls)(ours)) == ours
        assert codec.decode_list(cls, [data, ours, types.MappingProxyType(data)]) == [ours] * 3
        assert data == before

    holds()


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclasses.dataclass(frozen=True)
class Leaf(Model):
    some_name: int
    other: "Leaf | None" = None


@dataclasses.dataclass
class Everything(Model):
    """Every kind of field a user's own model may have."""

    whole: int
    leaf: Leaf
    leaves: list[Leaf]
    row: tuple[Leaf, ...]
    by_name: dict[str, Leaf]
    numbers: list[float]
    maybe: list[int | None]
    colour: Colour
    price: Decimal
    when: datetime
    anything: Any
    texts: dict[str, str] = dataclasses.field(default_factory=dict)
    free: list[Any] = dataclasses.field(default_factory=list)
    renamed: int = dataclasses.field(default=7, metadata=config(field_name="other-name"))
    hidden: int = dataclasses.field(default=8, metadata=config(exclude=lambda value: value == 8))
    doubled: int = dataclasses.field(
        default=2, metadata=config(decoder=lambda value: int(value) // 2, encoder=lambda value: str(value * 2))
    )
    derived: list[int] = dataclasses.field(default_factory=lambda: [1], init=False)


EVERYTHING: dict[str, Any] = {
    "whole": 1,
    "leaf": {"someName": 2, "other": {"someName": 3}},
    "leaves": [{"someName": 4}],
    "row": [{"someName": 5}, {"someName": 6}],
    "byName": {"a": {"someName": 7}},
    "numbers": [1, 2.5],
    "maybe": [1, None],
    "colour": 2,
    "price": "1.50",
    "when": 1_700_000_000.0,
    "anything": {"free": [1]},
    "texts": {"k": "v"},
    "free": [{"x": 1}, 2],
    "other-name": 9,
    "doubled": "8",
}


def test_a_models_own_kinds_of_field_are_as_in_dataclasses_json() -> None:
    ours, theirs = Everything.from_dict(EVERYTHING), stock_decode(Everything, EVERYTHING)
    assert ours == theirs
    assert ours.row == (Leaf(5), Leaf(6))
    assert (ours.renamed, ours.doubled, ours.derived, ours.price) == (9, 4, [1], Decimal("1.50"))
    assert ours.when == datetime.fromtimestamp(1_700_000_000, timezone.utc)
    encoded, expected = ours.to_dict(), stock_encode(theirs)
    expected["colour"] = Colour.BLUE.value  # dataclasses-json leaves that to the JSON writer
    assert encoded == expected
    assert "hidden" not in encoded


def test_a_class_may_hold_its_own_kind() -> None:
    deep = {"someName": 1, "other": {"someName": 2, "other": {"someName": 3, "other": None}}}
    assert Leaf.from_dict(deep) == Leaf(1, Leaf(2, Leaf(3)))
    assert Leaf.from_dict(deep).to_dict() == deep
    with pytest.raises(ProtocolError) as caught:
        Leaf.from_dict({"someName": 1, "other": {"someName": 2, "other": {"someName": "x"}}})
    assert caught.value.path == "other.other.someName"


def test_a_constructor_that_does_more_than_keep_its_arguments_is_called() -> None:
    @dataclasses.dataclass(frozen=True)
    class Checked(Model):
        some_name: int

        def __post_init__(self) -> None:
            object.__setattr__(self, "some_name", self.some_name * 10)

    assert Checked.from_dict({"someName": 4}).some_name == 40


def test_a_subclass_and_a_constructor_of_ones_own_are_respected() -> None:
    class Named(Leaf):
        def name(self) -> str:
            return f"leaf {self.some_name}"

    class Doubled(Leaf):
        def __init__(self, some_name: int, other: Leaf | None = None) -> None:
            super().__init__(some_name * 2, other)

    assert Named.from_dict({"someName": 4}).name() == "leaf 4"
    assert Named(4).to_dict() == {"someName": 4, "other": None}
    assert Doubled.from_dict({"someName": 4}).some_name == 8


INFO = {
    "identifier": "i",
    "isSeekable": True,
    "author": "a",
    "length": 1,
    "isStream": False,
    "position": 0,
    "title": "t",
    "sourceName": "s",
}
TRACK = {"encoded": "e", "info": INFO}


def test_what_is_optional_and_absent_takes_its_default() -> None:
    track = Track.from_dict(TRACK)
    assert track == Track("e", TrackInfo("i", True, "a", 1, False, 0, "t", "s"))
    assert (track.info.uri, track.plugin_info, track.user_data) == (None, {}, {})


def test_defaults_are_not_shared_between_objects() -> None:
    first, second = Track.from_dict(TRACK), Track.from_dict(TRACK)
    assert first.user_data is not second.user_data


def test_null_where_there_is_a_default_means_the_default() -> None:
    assert Track.from_dict({**TRACK, "pluginInfo": None, "userData": None}) == Track.from_dict(TRACK)
    assert Filters.from_dict({"timescale": {"speed": None}}).timescale == models.Timescale()


def test_null_where_it_may_be_is_kept() -> None:
    update = PlayerUpdate.from_dict({"endTime": None, "track": {"encoded": None}})
    assert update.end_time is None
    assert update.to_dict() == {"endTime": None, "track": {"encoded": None}}


def test_a_key_that_is_nullable_may_be_absent() -> None:
    player = ServerPlayer.absent(5).to_dict()
    del player["track"]
    assert ServerPlayer.from_dict(player).track is None


def test_unknown_keys_and_enum_values_lose_nothing_else() -> None:
    error = models.ExceptionInfo.from_dict({"message": None, "severity": "weird", "cause": "c", "new": 1})
    assert error.severity == "weird"
    assert not error.severity.known
    assert error.to_dict()["severity"] == "weird"


def test_whole_numbers_and_fractions_are_told_apart() -> None:
    cpu = models.Cpu.from_dict({"cores": 2.0, "systemLoad": 1, "lavalinkLoad": 0.5})
    assert (type(cpu.cores), type(cpu.system_load)) == (int, float)
    with pytest.raises(ProtocolError, match=r"cores: expected a whole number, got a number"):
        models.Cpu.from_dict({"cores": 2.5, "systemLoad": 1, "lavalinkLoad": 0.5})


def test_what_is_decoded_already_passes() -> None:
    track = Track.from_dict(TRACK)
    assert Track.from_dict(track) is track
    assert Playlist.from_dict({"info": {"name": "n"}, "tracks": [track]}).tracks == [track]


def test_a_decoded_object_does_not_follow_changes_of_what_it_was_made_of() -> None:
    data: dict[str, Any] = {**TRACK, "userData": {"a": 1}, "pluginInfo": {"b": [{"c": 1}]}}
    track = Track.from_dict(data)
    data["userData"]["a"] = data["pluginInfo"]["b"][0]["c"] = 2
    assert track.user_data == {"a": 1}
    assert track.plugin_info == {"b": [{"c": 1}]}
    track.to_dict()["userData"]["a"] = 3
    assert track.user_data == {"a": 1}


def test_what_was_parsed_for_a_model_is_not_copied_for_it() -> None:
    data = {**TRACK, "userData": {"a": 1}}
    assert codec.decode(Track, data).user_data is data["userData"]


PLAYLIST = {"info": {"name": "n", "selectedTrack": 0}, "pluginInfo": {}, "tracks": [TRACK, TRACK]}
STATS: dict[str, Any] = {
    "players": 1,
    "playingPlayers": 1,
    "uptime": 1,
    "memory": {"free": 1, "used": 1, "allocated": 1, "reservable": 1},
    "cpu": {"cores": 1, "systemLoad": 0.1, "lavalinkLoad": 0.1},
    "frameStats": None,
}


@pytest.mark.parametrize(
    ("cls", "valid", "place", "value", "message"),
    [
        (Playlist, PLAYLIST, ("tracks", 1, "info", "title"), 5, "tracks[1].info.title: expected text, got a number"),
        (Playlist, PLAYLIST, ("tracks", 1, "info", "title"), None, "tracks[1].info.title: is null"),
        (Playlist, PLAYLIST, ("tracks", 1, "info", "title"), ..., "tracks[1].info.title: is missing"),
        (Playlist, PLAYLIST, ("tracks", 1, "info"), [], "tracks[1].info: expected an object, got a list"),
        (Playlist, PLAYLIST, ("tracks", 0), "x", "tracks[0]: expected an object, got text"),
        (Playlist, PLAYLIST, ("tracks", 0), None, "tracks[0]: expected an object, got null"),
        (Playlist, PLAYLIST, ("tracks",), {"0": TRACK}, "tracks: expected a list, got an object"),
        (Playlist, PLAYLIST, ("tracks",), "abc", "tracks: expected a list, got text"),
        (Playlist, PLAYLIST, ("pluginInfo",), [1], "pluginInfo: expected an object, got a list"),
        (Track, TRACK, ("info", "length"), "5", "info.length: expected a whole number, got text"),
        (Track, TRACK, ("info", "length"), True, "info.length: expected a whole number, got a boolean"),
        (Track, TRACK, ("info", "length"), float("inf"), "info.length: expected a whole number, got a number"),
        (Track, TRACK, ("info", "isStream"), 0, "info.isStream: expected true or false, got a number"),
        (Track, TRACK, ("info", "uri"), 1, "info.uri: expected text, got a number"),
        (
            PlayerUpdate,
            {"track": {"userData": {}}},
            ("track", "userData"),
            [],
            "track.userData: expected an object, got a list",
        ),
        (Stats, STATS, ("cpu", "systemLoad"), "much", "cpu.systemLoad: expected a number, got text"),
        (Stats, STATS, ("frameStats",), 3, "frameStats: expected an object, got a number"),
        (
            ServerPlayer,
            ServerPlayer.absent(1).to_dict(),
            ("guildId",),
            "x",
            "guildId: expected a whole number, got text",
        ),
        (ServerPlayer, ServerPlayer.absent(1).to_dict(), ("guildId",), True, "guildId: expected a whole number"),
        (ServerPlayer, ServerPlayer.absent(1).to_dict(), ("voice", "token"), 1, "voice.token: expected text"),
        (Everything, EVERYTHING, ("byName", "a", "someName"), [], "byName.a.someName: expected a whole number"),
        (Everything, EVERYTHING, ("byName",), [], "byName: expected an object, got a list"),
        (Everything, EVERYTHING, ("numbers", 1), "x", "numbers[1]: expected a number, got text"),
        (Everything, EVERYTHING, ("row", 1, "someName"), ..., "row[1].someName: is missing"),
        (Everything, EVERYTHING, ("colour",), 3, "colour: expected one of 1, 2, got a number"),
        (Everything, EVERYTHING, ("price",), "dear", "price: expected Decimal, got text"),
        (Everything, EVERYTHING, ("doubled",), "x", "doubled: expected a whole number, got text"),
        (models.ExceptionInfo, {"severity": "common", "cause": "c"}, ("severity",), 1, "severity: expected text"),
        (models.ExceptionInfo, {"severity": "common", "cause": "c"}, ("severity",), [], "severity: expected text"),
    ],
)
def test_a_fault_is_named_with_its_path(
    cls: type[Model], valid: dict[str, Any], place: tuple[str | int, ...], value: Any, message: str
) -> None:
    data: Any = json.loads(json.dumps(valid))
    cls.from_dict(data)
    spot = data
    for step in place[:-1]:
        spot = spot[step]
    if value is ...:
        del spot[place[-1]]
    else:
        spot[place[-1]] = value
    with pytest.raises(ProtocolError) as caught:
        cls.from_dict(data)
    assert str(caught.value).startswith(message)
    assert caught.value.path == message.split(":")[0]
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("data", [None, [], "text", 5, 1.5, True, [TRACK], ()])
def test_what_is_no_object_at_all_is_refused(data: Any) -> None:
    with pytest.raises(ProtocolError, match="the whole: expected an object"):
        Track.from_dict(data)


def test_the_path_begins_where_the_caller_says() -> None:
    with pytest.raises(ProtocolError) as caught:
        codec.decode(Track, {"encoded": "e"}, "data[3]")
    assert caught.value.path == "data[3].info"
    with pytest.raises(ProtocolError) as caught:
        codec.decode_list(Track, [TRACK, {}], "data")
    assert caught.value.path == "data[1].encoded"
    with pytest.raises(ProtocolError, match="data: expected a list, got an object"):
        codec.decode_list(Track, {}, "data")
    assert codec.decode_list(Track, [TRACK]) == [Track.from_dict(TRACK)]


@FIXED
@given(st.sampled_from([Track, Playlist, Stats, Info, ServerPlayer, PlayerUpdate]), st.data())
def test_anything_in_place_of_anything_is_a_model_or_a_protocol_error(cls: type[Model], draw: st.DataObject) -> None:
    data = draw.draw(json_of(cls))
    junk: st.SearchStrategy[Any] = st.sampled_from(
        [None, 0, -1, 1.5, "x", True, [], {}, [[]], {"a": None}, 2**70, float("nan"), float("inf")]
    )
    for _ in range(3):
        spot: Any = data
        while isinstance(spot, (dict, list)) and spot:
            keys = list(spot) if isinstance(spot, dict) else list(range(len(spot)))
            key = draw.draw(st.sampled_from(keys))
            if draw.draw(st.booleans()) or not isinstance(spot[key], (dict, list)):
                spot[key] = draw.draw(junk)
                break
            spot = spot[key]
    fault = None
    try:
        codec.decoder(cls)(data)
    except ProtocolError as error:
        fault = error
    assert fault is None or (fault.path and str(fault).startswith(fault.path))
    with contextlib.nullcontext() if fault is None else pytest.raises(ProtocolError) as caught:
        codec.decode_list(cls, [data], "all")
    assert fault is None or (caught is not None and caught.value.path == f"all[0].{fault.path}")


def test_json_is_read_and_written_alike_with_and_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [{"a": [1, 2.5, None, True, "ü🎵"]}, "\ud800", 2**70, {"1": 2**64}]
    written = [codec.dumps(value) for value in values]
    assert [codec.loads(text) for text in written] == values
    monkeypatch.setattr(jsontext, "quick_loads", jsontext._loads_slowly)
    monkeypatch.setattr(jsontext, "_quick_dumps", jsontext._dumps_slowly)
    assert [codec.loads(text) for text in written] == values
    assert [codec.loads(codec.dumps(value)) for value in values] == values


@pytest.mark.parametrize(
    "text", [b"", b"{", b"secret", b'{"a": NaN}', b"\xff\xfe", "[" * 100_000, b'{"token":"secret"', memoryview(b"{")]
)
def test_what_is_no_json_is_a_protocol_error_that_does_not_repeat_it(text: Any) -> None:
    with pytest.raises(ProtocolError, match="not JSON") as caught:
        codec.loads(text)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, {("a",): 1}, [float("nan"), 2**70]])
def test_what_json_cannot_carry_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="JSON can't carry this"):
        codec.dumps(value)


def test_what_was_put_into_free_form_json_comes_out_as_json() -> None:
    free = {"track": Track.from_dict(TRACK), "severity": Severity.COMMON, "set": (1, 2), "deep": [{"x": Leaf(1)}]}
    encoded = Track("e", TrackInfo.from_dict(INFO), {}, free).to_dict()["userData"]
    assert json.loads(json.dumps(encoded)) == encoded
    assert encoded["deep"] == [{"x": {"someName": 1, "other": None}}]
    assert type(encoded["severity"]) is str


def test_open_enum_of_a_user_is_open_too() -> None:
    class Mood(OpenEnum):
        GOOD = "good"

    @dataclasses.dataclass(frozen=True)
    class Day(Model):
        mood: Mood

    assert Day.from_dict({"mood": "good"}).mood is Mood.GOOD
    assert Day.from_dict({"mood": "so-so"}).to_dict() == {"mood": "so-so"}


@dataclasses.dataclass(frozen=True)
class Holder(Model):
    """A user's class that holds one of those whose JSON has no fixed shape, and a type that is left to the library."""

    result: models.LoadResult
    tags: set[int] = dataclasses.field(default_factory=set)
    bare: list = dataclasses.field(default_factory=list)  # type: ignore[type-arg]  # that is the test
    either: int | str = 0


def test_a_class_without_a_fixed_shape_may_be_inside_another() -> None:
    data = {"result": {"loadType": "track", "data": TRACK}, "tags": [1, 2], "bare": [{"x": 1}], "either": "e"}
    holder = Holder.from_dict(data)
    assert holder == Holder(models.TrackLoaded(Track.from_dict(TRACK)), {1, 2}, [{"x": 1}], "e")
    assert Holder.from_dict(holder.to_dict()) == holder
    with pytest.raises(ProtocolError) as caught:
        Holder.from_dict({"result": {"loadType": "track", "data": {**TRACK, "info": None}}})
    assert caught.value.path == "result.data.info"
    assert codec.decode_list(models.LoadResult, [data["result"]] * 2) == [holder.result] * 2
    with pytest.raises(ProtocolError, match="tags: expected set"):
        Holder.from_dict({**data, "tags": 5})


def test_any_mapping_is_an_object() -> None:
    proxy = types.MappingProxyType({**TRACK, "info": types.MappingProxyType(INFO)})
    assert Track.from_dict(proxy) == Track.from_dict(TRACK)


def test_a_text_of_a_kind_of_its_own_is_text() -> None:
    class Shout(str):
        __slots__ = ()

    assert Track.from_dict({**TRACK, "encoded": Shout("E")}).encoded == "E"


def test_a_fault_that_goes_away_when_looked_for_is_still_an_error() -> None:
    moods = iter([ValueError, int])

    @dataclasses.dataclass(frozen=True)
    class Moody(Model):
        some_name: int = dataclasses.field(metadata=config(decoder=lambda value: _call(next(moods), value)))

    with pytest.raises(ProtocolError, match="the whole: not a Moody"):
        Moody.from_dict({"someName": "5"})


def _call(mood: Any, value: Any) -> Any:
    if mood is ValueError:
        raise ValueError
    return mood(value)
