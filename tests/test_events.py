"""Frames of the WebSocket become messages; whatever is in them, the answer is a message or a clear error."""

import copy
import json
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lavalink_sync.errors import ProtocolError
from lavalink_sync.models import (
    Event,
    Message,
    PlayerState,
    PlayerUpdateEvent,
    Ready,
    StatsMessage,
    Track,
    TrackEndEvent,
    TrackEndReason,
    TrackExceptionEvent,
    TrackStartEvent,
    TrackStuckEvent,
    UnknownEvent,
    UnknownMessage,
    WebSocketClosedEvent,
    decode_message,
    dumps,
)
from lavalink_sync.secret import Secret

from .support import recordings
from .support.wire import JSON

TRACK = recordings.tracks()[0]
READY = {"op": "ready", "resumed": False, "sessionId": "xtaug914v9k5032f"}
STARTED = {"op": "event", "type": "TrackStartEvent", "guildId": "817327181659111454", "track": TRACK}
CLOSED = {
    "op": "event",
    "type": "WebSocketClosedEvent",
    "guildId": "1",
    "code": 4006,
    "reason": "Session is no longer valid.",
    "byRemote": True,
}


def decode(frame: Any) -> Message:
    return decode_message(dumps(frame))


def test_ready() -> None:
    assert decode(READY) == Ready(resumed=False, session_id=Secret("xtaug914v9k5032f"))


def test_the_session_id_shows_nowhere_but_in_json() -> None:
    ready = decode(READY)
    assert isinstance(ready, Ready)
    assert "xtaug914v9k5032f" not in f"{ready!r} {ready} {ready.session_id}"
    assert ready.to_dict() == READY
    assert json.loads(ready.to_json()) == READY
    assert type(ready.to_dict()["sessionId"]) is str


def test_player_update() -> None:
    frame = {
        "op": "playerUpdate",
        "guildId": "817327181659111454",
        "state": {"time": 1, "position": 2, "connected": True, "ping": 3},
    }
    assert decode(frame) == PlayerUpdateEvent(817327181659111454, PlayerState(1, 2, True, 3))
    assert decode(frame).to_dict() == frame


def test_stats_are_flat_on_the_wire() -> None:
    frame = next(frame for frame in recordings.frames() if frame["op"] == "stats")
    message = decode(frame)
    assert isinstance(message, StatsMessage)
    assert message.stats.memory.reservable == frame["memory"]["reservable"]
    assert message.to_dict() == frame


def test_events() -> None:
    assert decode(STARTED) == TrackStartEvent(817327181659111454, Track.from_dict(TRACK))
    assert decode(CLOSED) == WebSocketClosedEvent(1, 4006, "Session is no longer valid.", True)
    stuck = decode({**STARTED, "type": "TrackStuckEvent", "thresholdMs": 10_000})
    assert isinstance(stuck, TrackStuckEvent)
    assert stuck.threshold_ms == 10_000
    broken = decode(
        {
            **STARTED,
            "type": "TrackExceptionEvent",
            "exception": {"message": None, "severity": "fault", "cause": "c", "causeStackTrace": "s"},
        }
    )
    assert isinstance(broken, TrackExceptionEvent)
    assert (broken.exception.message, broken.exception.cause_stack_trace) == (None, "s")


@pytest.mark.parametrize(
    ("reason", "may_start_next"),
    [
        ("finished", True),
        ("loadFailed", True),
        ("stopped", False),
        ("replaced", False),
        ("cleanup", False),
        ("x", False),
    ],
)
def test_only_an_end_that_nobody_chose_may_start_the_next_track(reason: str, may_start_next: bool) -> None:
    event = decode({**STARTED, "type": "TrackEndEvent", "reason": reason})
    assert isinstance(event, TrackEndEvent)
    assert event.reason == reason
    assert event.reason.may_start_next is may_start_next
    assert event.reason.known is (reason in list(TrackEndReason))


def test_an_unknown_op_keeps_its_json() -> None:
    frame = {"op": "brandNew", "deep": [{"a": 1}]}
    message = decode(frame)
    assert message == UnknownMessage("brandNew", frame)
    assert message.to_dict() == frame


def test_the_name_of_an_event_is_no_op() -> None:
    assert isinstance(decode({**STARTED, "op": "TrackStartEvent"}), UnknownMessage)
    assert isinstance(decode({**STARTED, "type": "ready"}), UnknownEvent)


@pytest.mark.parametrize(
    ("guild_id", "expected"),
    [
        ("5", 5),
        (5, 5),
        ("-1", -1),
        (None, None),
        ("x", None),
        ("", None),
        ("-", None),
        ([], None),
        (1.5, None),
        ("--5", None),
        ("9" * 5000, None),
    ],
)
def test_an_unknown_event_keeps_its_json_and_its_guild(guild_id: Any, expected: int | None) -> None:
    frame = {"op": "event", "type": "SegmentsLoaded", "guildId": guild_id, "segments": [{"category": "intro"}]}
    event = decode(frame)
    assert event == UnknownEvent("SegmentsLoaded", expected, frame)
    assert event.to_dict() == frame


def test_an_unknown_event_may_be_of_no_guild() -> None:
    assert decode({"op": "event", "type": "New"}) == UnknownEvent("New", None, {"op": "event", "type": "New"})


@pytest.mark.parametrize(
    ("frame", "path"),
    [
        ({}, "op"),
        ({"op": None}, "op"),
        ({"op": ["ready"]}, "op"),
        ({"op": "event"}, "type"),
        ({"op": "event", "type": {}}, "type"),
        ({"op": "ready", "resumed": False}, "sessionId"),
        ({**READY, "resumed": "no"}, "resumed"),
        ({**STARTED, "guildId": "x"}, "guildId"),
        ({**STARTED, "track": None}, "track"),
        ({**STARTED, "track": {**TRACK, "info": {**TRACK["info"], "length": "long"}}}, "track.info.length"),
        ({"op": "playerUpdate", "guildId": "1", "state": []}, "state"),
        ({"op": "stats", "players": 1}, "playingPlayers"),
        ({**CLOSED, "byRemote": 1}, "byRemote"),
    ],
)
def test_a_fault_is_named_with_its_path(frame: dict[str, Any], path: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode(frame)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b"null", b"5", b'"ready"', b"\xff", '{"op":}'])
def test_what_is_no_message_at_all_is_refused(frame: bytes | str) -> None:
    with pytest.raises(ProtocolError):
        decode_message(frame)


@settings(derandomize=True, database=None, deadline=None, max_examples=200, suppress_health_check=list(HealthCheck))
@given(JSON, st.sampled_from([STARTED, CLOSED, READY]), st.data())
def test_any_json_is_a_message_or_a_protocol_error(junk: Any, frame: dict[str, Any], draw: st.DataObject) -> None:
    damaged = copy.deepcopy(frame)
    damaged[draw.draw(st.sampled_from([*frame, "track", "state"]))] = junk
    for value in (junk, damaged):
        try:
            message = decode_message(json.dumps(value))
        except ProtocolError:
            continue
        assert isinstance(message, Message)
        assert isinstance(message.to_dict(), dict)


def test_an_event_can_be_marked_as_replayed_which_is_not_on_the_wire() -> None:
    event = decode(CLOSED)
    assert isinstance(event, Event)
    assert not event.replayed
    late = event.with_replayed()
    assert isinstance(late, WebSocketClosedEvent)
    assert late.replayed
    assert late == replace(event, replayed=True)
    assert late.to_dict() == CLOSED
    unknown = decode({"op": "event", "type": "New"})
    assert isinstance(unknown, UnknownEvent)
    assert unknown.with_replayed().to_dict() == unknown.to_dict()


def test_events_are_frozen_and_survive_copying_and_pickling() -> None:
    for frame in (READY, STARTED, CLOSED, {"op": "event", "type": "New"}):
        message = decode(frame)
        assert copy.deepcopy(message) == message
        assert pickle.loads(pickle.dumps(message)) == message
        with pytest.raises(FrozenInstanceError):
            message.op = "other"  # type: ignore[misc]  # that is the test


def test_events_match_by_position() -> None:
    match decode(CLOSED):
        case WebSocketClosedEvent(guild_id, code, reason, by_remote):
            assert (guild_id, code, reason, by_remote) == (1, 4006, "Session is no longer valid.", True)
        case _:
            pytest.fail("no match")
