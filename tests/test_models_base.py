"""What all models can do: dataclasses-json's methods, secrets that don't show, values that mean "not given"."""

import copy
import dataclasses
import json
import pickle
import subprocess
import sys
from dataclasses import FrozenInstanceError
from typing import Any

import pytest
from dataclasses_json import DataClassJsonMixin, config
from dataclasses_json.stringcase import camelcase
from hypothesis import given, settings
from hypothesis import strategies as st

from lavalink_sync import models
from lavalink_sync.errors import ProtocolError
from lavalink_sync.models import (
    UNSET,
    Filters,
    LoadResult,
    Model,
    PlayerUpdate,
    Playlist,
    PlaylistInfo,
    ServerPlayer,
    SessionUpdate,
    Severity,
    StatsMessage,
    Track,
    TrackInfo,
    TrackUpdate,
    UnknownEvent,
    Unset,
    VoiceState,
)
from lavalink_sync.models.base import camel_case, wire
from lavalink_sync.secret import Secret

TRACK = Track("QAAA", TrackInfo("id", True, "author", 5000, False, 0, "title", "http", uri="u"), {"p": 1}, {"u": [1]})
WIRE: dict[str, Any] = {
    "encoded": "QAAA",
    "info": {
        "identifier": "id",
        "isSeekable": True,
        "author": "author",
        "length": 5000,
        "isStream": False,
        "position": 0,
        "title": "title",
        "sourceName": "http",
        "uri": "u",
        "artworkUrl": None,
        "isrc": None,
    },
    "pluginInfo": {"p": 1},
    "userData": {"u": [1]},
}
VOICE = VoiceState(Secret("voice-token"), "eu.example:443", Secret("voice-session"), "5")

schema_warnings = pytest.mark.filterwarnings("ignore::marshmallow.warnings.RemovedInMarshmallow4Warning")


def test_dict_and_json_go_both_ways() -> None:
    assert TRACK.to_dict() == TRACK.to_dict(encode_json=True) == WIRE
    assert Track.from_dict(WIRE) == TRACK
    assert json.loads(TRACK.to_json()) == WIRE
    assert TRACK.to_json(indent=1, sort_keys=True) == json.dumps(WIRE, indent=1, sort_keys=True)
    for text in (json.dumps(WIRE), json.dumps(WIRE).encode(), bytearray(json.dumps(WIRE).encode())):
        assert Track.from_json(text) == TRACK


def test_from_json_takes_the_options_of_json_loads() -> None:
    text = '{"volume": 1.5}'
    assert Filters.from_json(text, parse_float=lambda _: 2.0).volume == 2.0
    with pytest.raises(ProtocolError, match="not JSON"):
        Filters.from_json("{", parse_float=float)
    with pytest.raises(ProtocolError, match="not JSON"):
        Filters.from_json("{")


@pytest.mark.filterwarnings("ignore:Missing value:RuntimeWarning")
def test_infer_missing_makes_absent_values_none() -> None:
    info = TrackInfo.from_dict({"identifier": "i", "title": "t"}, infer_missing=True)
    assert info.to_dict() == dict.fromkeys(WIRE["info"]) | {"identifier": "i", "title": "t"}


@schema_warnings
def test_schema_loads_and_dumps() -> None:
    assert Track.schema().load(WIRE) == TRACK
    assert Track.schema().dump(TRACK) == WIRE
    assert Track.schema(many=True).load([WIRE, WIRE]) == [TRACK, TRACK]
    player = ServerPlayer(5, TRACK, 100, False, models.PlayerState(), VOICE)
    assert ServerPlayer.schema().load(player.to_dict()) == player
    dumped = ServerPlayer.schema().dump(player)
    assert (dumped["guildId"], dumped["voice"]["token"]) == ("5", "voice-token")


@schema_warnings
def test_schema_leaves_out_what_is_not_given() -> None:
    update = PlayerUpdate(track=TrackUpdate(encoded=None), end_time=None, voice=VOICE)
    assert PlayerUpdate.schema().dump(update) == update.to_dict()
    assert PlayerUpdate.schema().load(update.to_dict()) == update


@schema_warnings
@pytest.mark.parametrize("name", models.__all__)
def test_every_model_has_a_schema_or_says_why_not(name: str) -> None:
    cls = getattr(models, name)
    if not isinstance(cls, type) or not issubclass(cls, Model) or cls is Model:
        return
    if issubclass(cls, (LoadResult, StatsMessage, UnknownEvent, models.UnknownMessage)):
        with pytest.raises(TypeError, match="no fixed shape"):
            cls.schema()
    else:
        assert cls.schema().fields or cls is models.NoMatches


@settings(derandomize=True, database=None, deadline=None)
@given(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]*", fullmatch=True))
def test_a_key_is_made_of_a_name_as_dataclasses_json_does(name: str) -> None:
    assert camel_case(name) == camelcase(name)  # type: ignore[no-untyped-call]  # the library's own gap


def test_metadata_of_a_field_is_what_dataclasses_json_makes() -> None:
    ours, theirs = (made["dataclasses_json"] for made in (wire("k", encoder=str), config(field_name="k", encoder=str)))
    assert (ours.keys(), ours["encoder"]) == (theirs.keys(), str)
    assert ours["letter_case"]("name") == theirs["letter_case"]("name") == "k"
    assert wire(exclude=bool, decoder=int) == config(exclude=bool, decoder=int)


def run_alone(code: str) -> str:
    """What a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("first", ["import dataclasses_json", "import lavalink_sync.models.stock"])
def test_a_class_of_dataclasses_json_may_hold_a_model(first: str) -> None:
    code = (
        f"{first}\n"
        + """
from dataclasses import dataclass
from lavalink_sync import PlayerState
from dataclasses_json import DataClassJsonMixin

@dataclass
class Saved(DataClassJsonMixin):
    state: PlayerState

saved = Saved(PlayerState(position=5))
assert issubclass(PlayerState, DataClassJsonMixin)
assert Saved.from_json(saved.to_json()) == saved
assert Saved.schema().load({"state": {"position": 5, "newer": 1}}) == saved
print("held")
"""
    )
    assert run_alone(code) == "held"


def test_the_library_may_be_needed_by_several_threads_at_once() -> None:
    code = """
import json, sys, threading, warnings
from lavalink_sync import PlayerState, VoiceState, Secret
warnings.simplefilter("ignore")
assert "dataclasses_json" not in sys.modules
start, done = threading.Barrier(8), []

def use(number):
    start.wait(10)
    if number % 2:
        done.append(json.loads(PlayerState().to_json())["ping"] == -1)
    else:
        done.append(VoiceState.schema().dump(VoiceState(Secret("t"), "e", Secret("s")))["token"] == "t")

threads = [threading.Thread(target=use, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join(20)
assert done == [True] * 8
print("used")
"""
    assert run_alone(code) == "used"


def test_a_model_has_what_it_would_have_of_the_mixin() -> None:
    mixin: type[Any] = DataClassJsonMixin
    assert isinstance(TRACK, mixin)
    assert {name for name in vars(DataClassJsonMixin) if not name.startswith("_")} <= set(dir(Model))


def test_models_are_frozen_and_survive_copying_and_pickling() -> None:
    for model in (TRACK, VOICE, ServerPlayer.absent(1), PlayerUpdate(volume=5), Filters.from_dict({"volume": 1.0})):
        assert copy.deepcopy(model) == model
        assert pickle.loads(pickle.dumps(model)) == model
        with pytest.raises(FrozenInstanceError):
            model.anything = 1  # type: ignore[union-attr]  # that is the test


@pytest.mark.parametrize("model", [TRACK, TRACK.info, models.PlayerState(), VOICE, ServerPlayer.absent(1)])
def test_what_has_slots_refuses_every_name(model: Any) -> None:
    assert not hasattr(model, "__dict__")
    known = dataclasses.fields(model)[0].name
    for name in (known, "anything"):
        with pytest.raises(FrozenInstanceError, match=f"cannot assign to field '{name}'"):
            setattr(model, name, 1)
        with pytest.raises(FrozenInstanceError, match=f"cannot delete field '{name}'"):
            delattr(model, name)


def test_a_subclass_of_what_has_slots_may_have_names_of_its_own() -> None:
    class Noted(TrackInfo):
        note: str

    noted = Noted.from_dict(WIRE["info"])
    noted.note = "mine"
    assert (noted.note, noted.title, type(noted)) == ("mine", "title", Noted)
    del noted.note
    assert not hasattr(noted, "note")
    with pytest.raises(FrozenInstanceError):
        noted.title = "other"  # type: ignore[misc]  # that is the test


def test_a_decoded_model_is_as_frozen_as_one_made_by_hand() -> None:
    track = Track.from_dict(WIRE)
    with pytest.raises(FrozenInstanceError):
        track.encoded = "x"  # type: ignore[misc]  # that is the test
    assert hash(track) == hash(TRACK)
    assert {track: 1}[TRACK] == 1


def test_a_track_can_get_other_user_data() -> None:
    marked = TRACK.with_user_data({"requester": 7})
    assert (marked.user_data, marked.info, TRACK.user_data) == ({"requester": 7}, TRACK.info, {"u": [1]})


@pytest.mark.parametrize(("index", "found"), [(-1, None), (0, TRACK), (1, None)])
def test_a_playlist_tells_its_selected_track(index: int, found: Track | None) -> None:
    assert Playlist(PlaylistInfo("n", index), {}, [TRACK]).selected_track == found


def test_voice_secrets_show_in_json_only() -> None:
    texts = f"{VOICE!r} {VOICE} {PlayerUpdate(voice=VOICE)!r} {VoiceState.from_dict(VOICE.to_dict())!r}"
    assert "voice-token" not in texts
    assert "voice-session" not in texts
    assert VOICE.to_dict() == {
        "token": "voice-token",
        "endpoint": "eu.example:443",
        "sessionId": "voice-session",
        "channelId": "5",
    }
    assert {type(value) for value in VOICE.to_dict().values()} == {str}
    decoded = VoiceState.from_dict(VOICE.to_dict())
    assert (type(decoded.token), type(decoded.session_id)) == (Secret, Secret)
    assert models.dumps(VOICE.to_dict()).decode().count("voice-") == 2


def test_a_voice_token_given_as_plain_text_is_sent_all_the_same() -> None:
    plain: Any = "voice-token"
    assert VoiceState(plain, "e", plain).to_dict()["token"] == "voice-token"


def test_an_error_does_not_show_what_it_is_about() -> None:
    with pytest.raises(ProtocolError) as caught:
        VoiceState.from_dict({"token": ["voice-token"], "endpoint": "", "sessionId": ""})
    assert "voice-token" not in f"{caught.value!r}{caught.value.__cause__!r}"


def test_an_absent_player_is_what_a_server_answers_for_one() -> None:
    assert ServerPlayer.absent(5).to_dict() == {
        "guildId": "5",
        "track": None,
        "volume": 100,
        "paused": False,
        "state": {"time": 0, "position": 0, "connected": False, "ping": -1},
        "voice": {"token": "", "endpoint": "", "sessionId": "", "channelId": None},
        "filters": {},
    }


def test_not_given_is_not_sent_and_none_is_null() -> None:
    assert PlayerUpdate().to_dict() == {}
    assert SessionUpdate().to_dict() == {}
    assert SessionUpdate(resuming=True).to_dict() == {"resuming": True}
    update = PlayerUpdate(track=TrackUpdate(encoded=None), end_time=None, position=0, paused=False, filters=Filters())
    assert update.to_dict() == {
        "track": {"encoded": None},
        "endTime": None,
        "position": 0,
        "paused": False,
        "filters": {},
    }


def test_unset_is_one_falsy_object_and_stays_one() -> None:
    assert not UNSET
    assert Unset() is UNSET
    assert copy.deepcopy(UNSET) is copy.copy(UNSET) is pickle.loads(pickle.dumps(UNSET)) is UNSET
    assert repr(UNSET) == "UNSET"


def test_open_enums_keep_what_they_do_not_know() -> None:
    stranger = Severity("apocalyptic")
    assert stranger == "apocalyptic" == f"{stranger}" == str(stranger)
    assert stranger == Severity("apocalyptic")
    assert hash(stranger) == hash("apocalyptic")
    assert not stranger.known
    assert isinstance(stranger, Severity)
    assert stranger not in list(Severity)
    assert pickle.loads(pickle.dumps(stranger)) == copy.deepcopy(stranger) == stranger
    assert Severity("fault") is Severity.FAULT
    assert Severity.FAULT.known
    assert f"{Severity.FAULT:>6}" == " fault"
    assert str(Severity.FAULT) == "fault"
    assert json.dumps([stranger, Severity.FAULT]) == '["apocalyptic", "fault"]'
    with pytest.raises(ValueError, match="5"):
        Severity(5)


def test_a_route_planner_tells_what_its_class_has() -> None:
    wire = {
        "class": "NanoIpRoutePlanner",
        "details": {
            "ipBlock": {"type": "Inet6Address", "size": "18446744073709551616"},
            "failingAddresses": [
                {"failingAddress": "/1.0.0.0", "failingTimestamp": 1573520707545, "failingTime": "Mon Nov 11 2019"}
            ],
            "currentAddressIndex": "36792023813",
        },
    }
    status = models.RoutePlannerStatus.from_dict(wire)
    assert status.class_ is models.RoutePlannerClass.NANO_IP
    assert status.details.block_index is None
    assert status.to_dict() == wire


def test_every_public_class_is_documented_with_each_of_its_fields() -> None:
    for name in models.__all__:
        thing = getattr(models, name)
        if not callable(thing):
            continue
        assert thing.__doc__, name
        if isinstance(thing, type) and dataclasses.is_dataclass(thing):
            words = " ".join(base.__doc__ or "" for base in thing.__mro__ if issubclass(base, Model))
            missing = [field.name for field in dataclasses.fields(thing) if f"`{field.name}`" not in words]
            assert not missing, name
