"""What is refused, or put right, before it is sent: always with the protocol's name of the field."""

from __future__ import annotations

import math
from typing import Any

import pytest

from lavalink_sync.core import checks
from lavalink_sync.errors import InvalidArgumentError
from lavalink_sync.models import (
    Equalizer,
    Filters,
    PlayerUpdate,
    SessionUpdate,
    Timescale,
    TrackUpdate,
    VoiceState,
)
from lavalink_sync.secret import Secret

TRACK = "QAAAWwMACFNpbmUgNDQwAApUb25lIE1ha2VyAAAAAAAAFo0AEC9tdXNpYy9zaW5lNS5tcDMAAQAQL211c2ljL3NpbmU1Lm1wMwAA"


def voice(**changes: Any) -> VoiceState:
    parts = {"token": Secret("t0k3n"), "endpoint": "eu.discord.gg:443", "session_id": Secret("s3ss"), "channel_id": "9"}
    return VoiceState(**{**parts, **changes})


REFUSED: list[tuple[PlayerUpdate, str]] = [
    (PlayerUpdate(position=-1), "position"),
    (PlayerUpdate(position=True), "position"),
    (PlayerUpdate(position=1.0), "position"),  # type: ignore[arg-type]  # what users do all the same; so below
    (PlayerUpdate(position=2**63), "position"),
    (PlayerUpdate(position=None), "position"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(end_time=0), "endTime"),
    (PlayerUpdate(end_time=-5), "endTime"),
    (PlayerUpdate(end_time=False), "endTime"),
    (PlayerUpdate(volume=-1), "volume"),
    (PlayerUpdate(volume=1001), "volume"),
    (PlayerUpdate(volume=50.0), "volume"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(volume=math.nan), "volume"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(volume=True), "volume"),
    (PlayerUpdate(paused=1), "paused"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(filters=Filters(equalizer=[Equalizer(16, 0.0)])), "filters.equalizer[0].band"),
    (PlayerUpdate(filters=Filters(equalizer=[Equalizer(0, 0.0), Equalizer(-1, 0.0)])), "filters.equalizer[1].band"),
    (PlayerUpdate(filters=Filters(timescale=Timescale(speed=math.nan))), "filters.timescale.speed"),
    (PlayerUpdate(filters={"volume": 1}), "filters"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(track="QAAA"), "track"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(track=TrackUpdate(encoded=TRACK, identifier="x")), "track.identifier"),
    (PlayerUpdate(track=TrackUpdate(encoded=None, identifier="x")), "track.identifier"),
    (PlayerUpdate(track=TrackUpdate(identifier="\ud800")), "track.identifier"),
    (PlayerUpdate(track=TrackUpdate(identifier=None)), "track.identifier"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(track=TrackUpdate(encoded="no base64!")), "track.encoded"),
    (PlayerUpdate(track=TrackUpdate(encoded="")), "track.encoded"),
    (PlayerUpdate(track=TrackUpdate(user_data=[1])), "track.userData"),  # type: ignore[arg-type]  # see above
    (PlayerUpdate(track=TrackUpdate(user_data={"a": [1, {"b": math.inf}]})), "track.userData.a[1].b"),
    (PlayerUpdate(track=TrackUpdate(user_data={1: 2})), "track.userData"),  # type: ignore[dict-item]  # see above
    (PlayerUpdate(voice=voice(token=Secret(""))), "voice.token"),
    (PlayerUpdate(voice=voice(endpoint=" ")), "voice.endpoint"),
    (PlayerUpdate(voice=voice(session_id=Secret("\t"))), "voice.sessionId"),
    (PlayerUpdate(voice=voice(channel_id=None)), "voice.channelId"),
    (PlayerUpdate(voice=voice(channel_id="general")), "voice.channelId"),
    (PlayerUpdate(voice=voice(channel_id="²")), "voice.channelId"),
    (PlayerUpdate(voice=voice(channel_id="9" * 5000)), "voice.channelId"),
    (PlayerUpdate(voice=voice(channel_id=9)), "voice.channelId"),
    (PlayerUpdate(voice={}), "voice"),  # type: ignore[arg-type]  # see above
]


@pytest.mark.parametrize(("update", "field"), REFUSED, ids=[f"{field}-{n}" for n, (_, field) in enumerate(REFUSED)])
def test_a_player_update_the_server_could_not_take_is_refused(update: PlayerUpdate, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.player_update(update)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)
    assert "t0k3n" not in str(caught.value)


@pytest.mark.parametrize(
    "update",
    [
        PlayerUpdate(),
        PlayerUpdate(position=0, end_time=1, volume=0, paused=False),
        PlayerUpdate(end_time=None, volume=1000),
        PlayerUpdate(filters=Filters()),
        PlayerUpdate(track=TrackUpdate(encoded=None)),
        PlayerUpdate(track=TrackUpdate(identifier="ytsearch:x", user_data={"a": [1.5, None, "x"]})),
        PlayerUpdate(voice=voice()),
    ],
)
def test_a_player_update_that_is_fine_stays_as_it_is(update: PlayerUpdate) -> None:
    assert checks.player_update(update) == update


@pytest.mark.parametrize("given", ["-_-_", " +/+/\n", "+/+/", "-/ +_"])
def test_an_encoded_track_is_put_right(given: str) -> None:
    update = checks.player_update(PlayerUpdate(track=TrackUpdate(encoded=given, user_data={"a": 1})))
    assert update.track == TrackUpdate(encoded="+/+/", user_data={"a": 1})
    assert checks.encoded("QUI") == "QUI="


@pytest.mark.parametrize("value", [-1, 2**63, "42", 1.0, True, None])
def test_a_guild_id_is_a_whole_number(value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.guild_id(value)
    assert caught.value.field == "guildId"
    assert checks.guild_id(0) == 0
    assert checks.guild_id(2**63 - 1) == 2**63 - 1


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ([], "encodedTracks"),
        (TRACK, "encodedTracks"),
        (None, "encodedTracks"),
        ([TRACK, "?"], "encodedTracks[1]"),
        ([5], "encodedTracks[0]"),
    ],
)
def test_a_list_of_tracks_to_decode(values: Any, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.encoded_list(values)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("update", "field"),
    [
        (SessionUpdate(resuming=1), "resuming"),  # type: ignore[arg-type]  # see above
        (SessionUpdate(timeout=-1), "timeout"),
        (SessionUpdate(timeout=1.5), "timeout"),  # type: ignore[arg-type]  # see above
        ({}, "update"),
    ],
)
def test_a_session_update(update: Any, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.session_update(update)
    assert caught.value.field == field
    assert checks.session_update(SessionUpdate()) == SessionUpdate()


def test_an_address_as_the_route_planner_lists_it() -> None:
    assert checks.address("/127.0.0.1") == "127.0.0.1"
    assert checks.address("host/::1") == "::1"
    for value in ("", " ", "/", None, 5):
        with pytest.raises(InvalidArgumentError) as caught:
            checks.address(value)
        assert caught.value.field == "address"


def test_a_time_may_be_any_number() -> None:
    assert [checks.seconds(value) for value in (0, 2.5)] == [0, 2.5]
    assert all(checks.seconds(value) > 1e300 for value in (math.inf, 10**400))


@pytest.mark.parametrize("value", [-1, math.nan, "5", True])
def test_a_time_that_is_none(value: Any) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        checks.seconds(value)
    assert caught.value.field == "timeout"
