"""Records: whatever can be made can be written and read again, and what makes no sense is refused when it is made."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lavalink_sync import InvalidArgumentError, ProtocolError, Secret, VoiceState
from lavalink_sync.models.jsontext import dumps, loads
from lavalink_sync.stores import StoredPlayer, StoredSession
from lavalink_sync.stores.record import NewerRecordError, read_player, read_session, write_player, write_session

from .support.stores import SESSION_ID, TOKEN, player, session, track, voice

ids = st.integers(0, 2**64 - 1)
counts = st.integers(0, 2**63 - 1)
moments = st.floats(allow_nan=False, allow_infinity=False) | st.integers(0, 2**40)
names = st.text(min_size=1)
header_values = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)  # orjson reads larger ones as floats
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
json_objects = st.dictionaries(st.text(), json_values, max_size=4)
# Keys that are ours are not unknown ones.
extras = st.dictionaries(st.text().map(lambda key: f"x{key}"), json_values, max_size=3)
tracks = st.builds(lambda title, data: {**track(title), "userData": data}, st.text(), json_objects)
filters = st.builds(
    lambda volume, plugin: {"volume": volume, "pluginFilters": plugin}, st.floats(0, 5, width=32), json_objects
)
voices = st.builds(VoiceState, header_values.map(Secret), st.text(), header_values.map(Secret), st.none() | st.text())
sessions = st.builds(StoredSession, names, ids, header_values.map(Secret), moments, st.integers(0, 10**6), extra=extras)
players = st.builds(
    StoredPlayer,
    ids,
    node=st.none() | names,
    channel_id=st.none() | ids,
    track=st.none() | tracks,
    position=counts,
    at=moments,
    end_time=st.none() | counts,
    volume=st.integers(0, 1000),
    paused=st.booleans(),
    filters=st.just({}) | filters,
    plugin_state=json_objects,
    voice=st.none() | voices,
    extra=extras,
)


@settings(deadline=None)
@given(sessions)
def test_a_session_is_read_as_it_was_written(stored: StoredSession) -> None:
    again = read_session(stored.node, write_session(stored))
    assert again == stored
    assert again.session_id.reveal() == stored.session_id.reveal()
    assert isinstance(again.session_id, Secret)


@settings(deadline=None)
@given(players)
def test_a_player_is_read_as_it_was_written(stored: StoredPlayer) -> None:
    again = read_player(str(stored.guild_id), write_player(stored, True), True)
    assert again == stored


@settings(deadline=None, max_examples=200)
@given(st.binary() | json_values.map(dumps) | st.none() | st.integers(), st.text(max_size=5) | st.just("1"))
def test_anything_else_is_a_damaged_record_and_no_crash(text: Any, key: str) -> None:
    for read in (lambda: read_session(key, text), lambda: read_player(key, text, True)):
        with pytest.raises((ProtocolError, NewerRecordError)):
            read()


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_player_with_any_one_value_changed_is_read_or_damaged(data: st.DataObject) -> None:
    record = loads(write_player(player(voice=voice()), True))
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(json_values)
    told = ""
    try:
        again = read_player("1", dumps(record), True)
    except (ProtocolError, NewerRecordError) as error:
        told = str(error)
    else:
        assert read_player("1", write_player(again, True), True) == again
    assert TOKEN not in told


def test_the_record_of_a_session_has_its_published_form() -> None:
    assert loads(write_session(session())) == {
        "version": 1,
        "userId": "170939974227591168",
        "sessionId": SESSION_ID,
        "savedAt": 1700000000.25,
        "resumeTimeout": 60,
    }


def test_the_record_of_a_player_has_its_published_form() -> None:
    assert loads(write_player(player(voice=voice()), True)) == {
        "version": 1,
        "node": "main",
        "channelId": "81384788765712387",
        "track": track(),
        "position": 60123,
        "at": 1700000000.5,
        "endTime": 200000,
        "volume": 80,
        "paused": True,
        "filters": {"volume": 0.5, "timescale": {"speed": 1.5, "pitch": 1.0, "rate": 1.0}, "pluginFilters": {}},
        "pluginState": {"sponsorblock": {"categories": ["sponsor"]}},
        "voice": voice().to_dict(),
    }


def test_unknown_keys_never_replace_known_ones() -> None:
    again = read_player("1", write_player(player(1, volume=80, extra={"volume": 5, "new": 1}), False), False)
    assert again.volume == 80
    assert again.extra == {"new": 1}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("guild_id", "81384788765712384"),
        ("guild_id", True),
        ("node", ""),
        ("channel_id", -1),
        ("track", "QAAA"),
        ("track", {"encoded": "QAAA"}),
        ("position", 1.5),
        ("at", math.nan),
        ("at", None),
        ("end_time", "1"),
        ("volume", None),
        ("paused", 0),
        ("filters", None),
        ("filters", {"timescale": 3}),
        ("plugin_state", []),
        ("extra", None),
        ("voice", {"token": TOKEN}),
    ],
)
def test_a_player_of_wrong_values_is_refused_when_it_is_made(field: str, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=field) as caught:
        player(**{"guild_id": 1, field: value})
    assert caught.value.field == field
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("node", ""), ("user_id", None), ("session_id", ""), ("session_id", "a b"), ("saved_at", math.inf), ("extra", 1)],
)
def test_a_session_of_wrong_values_is_refused_when_it_is_made(field: str, value: Any) -> None:
    fields = {"node": "main", "user_id": 1, "session_id": "abc", "saved_at": 1.0, "resume_timeout": 60, field: value}
    with pytest.raises(InvalidArgumentError, match=field):
        StoredSession(**fields)


def test_a_plain_session_id_becomes_a_secret() -> None:
    stored = StoredSession("main", 1, SESSION_ID, 1.0, 60)  # type: ignore[arg-type]  # as untyped code would
    assert SESSION_ID not in repr(stored)
    assert stored.session_id == SESSION_ID
