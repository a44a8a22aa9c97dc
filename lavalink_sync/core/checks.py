"""What is looked at before a call is sent: what the server would answer with an unhelpful 400 or 500, or take silently.

Each check raises `InvalidArgumentError` with the protocol's name of the field, or returns the value put right.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import InvalidArgumentError, TrackFormatError
from ..models import Filters, PlayerUpdate, SessionUpdate, TrackUpdate, Unset, VoiceState, normalise_encoded

LARGEST_INTEGER = 2**63 - 1
LARGEST_VOLUME = 1000
_MANY_SECONDS = 10**9
_ID = re.compile(r"[0-9]{1,19}")


def guild_id(value: Any) -> int:
    """A guild's id; the server answers what is none with 400."""
    return _whole(value, "guildId", 0, LARGEST_INTEGER)


def channel_id(value: Any) -> int:
    """A voice channel's id, as a number."""
    return _whole(value, "channelId", 0, LARGEST_INTEGER)


def whole(value: Any, field: str) -> int:
    """A number of things, of which there must be one at least."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(field, "must be a whole number from 1 on", value)
    return value


def identifier(value: Any, field: str = "identifier") -> str:
    """What to load: any text that can be sent."""
    if not isinstance(value, str):
        raise _wrong(field, "must be a text: a URL, a search such as ytsearch:..., a path", value)
    sendable(value, field)
    return value


def encoded(value: Any, field: str = "encodedTrack") -> str:
    """An encoded track in the form the server takes; it answers the url-safe alphabet and white space with 500."""
    try:
        return normalise_encoded(value)
    except TrackFormatError as error:
        what = error.message
    raise InvalidArgumentError(f"{field}: {what}", field=field)


def encoded_list(values: Any) -> list[str]:
    """Encoded tracks to decode at once; the server answers an empty list with 400."""
    if isinstance(values, str) or not isinstance(values, Sequence):
        raise _wrong("encodedTracks", "must be a list of encoded tracks", values)
    if not values:
        raise InvalidArgumentError("encodedTracks must not be empty", field="encodedTracks")
    return [encoded(value, f"encodedTracks[{index}]") for index, value in enumerate(values)]


def player_update(update: Any) -> PlayerUpdate:
    """The body of a player's PATCH, with an encoded track put right."""
    if not isinstance(update, PlayerUpdate):
        raise _wrong("update", "must be a PlayerUpdate", update)
    if not isinstance(update.position, Unset):
        _whole(update.position, "position", 0, LARGEST_INTEGER)
    if not isinstance(update.end_time, Unset) and update.end_time is not None:
        _whole(update.end_time, "endTime", 1, LARGEST_INTEGER)
    if not isinstance(update.volume, Unset):
        # The server clamps silently, so a slip (80.0 * 100) would be the loudest there is.
        _whole(update.volume, "volume", 0, LARGEST_VOLUME)
    if not isinstance(update.paused, (bool, Unset)):
        raise _wrong("paused", "must be True or False", update.paused)
    if not isinstance(update.filters, Unset):
        _check_filters(update.filters)
    if not isinstance(update.voice, Unset):
        _check_voice(update.voice)
    if isinstance(update.track, Unset):
        return update
    return replace(update, track=_track_update(update.track))


def session_update(update: Any) -> SessionUpdate:
    """The body of a session's PATCH. The server takes negative times too, which can't be meant."""
    if not isinstance(update, SessionUpdate):
        raise _wrong("update", "must be a SessionUpdate", update)
    if _given(update.resuming) and not isinstance(update.resuming, bool):
        raise _wrong("resuming", "must be True or False", update.resuming)
    if _given(update.timeout):
        _whole(update.timeout, "timeout", 0, LARGEST_INTEGER)
    return update


def address(value: Any) -> str:
    """An address of the route planner, also as its status lists it: `/127.0.0.1`."""
    if not isinstance(value, str) or not value.strip().rpartition("/")[2]:
        raise _wrong("address", "must be the text of an IP address", value)
    sendable(value, "address")
    return value.strip().rpartition("/")[2]


def seconds(value: Any, field: str = "timeout") -> float:
    """How long a call may take."""
    if type(value) in (float, int) and 0 <= value <= _MANY_SECONDS:
        return float(value)  # as nearly always
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not value >= 0:  # so that a NaN is none either
        raise _wrong(field, "must be a number of seconds of at least 0", value)
    return float(min(value, sys.float_info.max))


def json_value(value: Any, field: str) -> Any:
    """A value for a JSON body: orjson would make a null of a NaN without a word."""
    if isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(f"{field} must be a finite number, not {value}: JSON has no other", field=field)
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise _wrong(field, "must have texts for keys", key)
            json_value(item, f"{field}.{key}")
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            json_value(item, f"{field}[{index}]")
    return value


def _track_update(track: Any) -> TrackUpdate:
    if not isinstance(track, TrackUpdate):
        raise _wrong("track", "must be a TrackUpdate", track)
    if _given(track.encoded) and _given(track.identifier):
        raise InvalidArgumentError(
            "track.identifier can't be given together with track.encoded, not even to stop", field="track.identifier"
        )
    if _given(track.identifier):
        identifier(track.identifier, "track.identifier")
    if _given(track.user_data):
        if not isinstance(track.user_data, Mapping):
            raise _wrong("track.userData", "must be a JSON object (a dict)", track.user_data)
        json_value(track.user_data, "track.userData")
    if isinstance(track.encoded, Unset) or track.encoded is None:
        return track
    return replace(track, encoded=encoded(track.encoded, "track.encoded"))


def _check_filters(filters: Any) -> None:
    if not isinstance(filters, Filters):
        raise _wrong("filters", "must be Filters; Filters() takes all away", filters)
    try:
        filters.validate()
        return
    except InvalidArgumentError:
        raise
    except (TypeError, AttributeError) as error:
        what = str(error)
    raise InvalidArgumentError(f"filters has a value of the wrong type: {what}", field="filters")


def _check_voice(voice: Any) -> None:
    """The server answers a blank field with 400, and a channel that is no number with 500."""
    if not isinstance(voice, VoiceState):
        raise _wrong("voice", "must be a VoiceState", voice)
    parts = {
        "token": voice.token,
        "endpoint": voice.endpoint,
        "sessionId": voice.session_id,
        "channelId": voice.channel_id,
    }
    for name, value in parts.items():
        if not isinstance(value, str) or not value.strip():
            # Without the value: two of them are secret.
            field = f"voice.{name}"
            raise InvalidArgumentError(f"{field} must be a text that is not blank: voice needs all four", field=field)
        sendable(value, f"voice.{name}")
    channel = voice.channel_id or ""
    if not _ID.fullmatch(channel) or int(channel) > LARGEST_INTEGER:
        raise InvalidArgumentError(
            f"voice.channelId must be a channel's id in digits, not {channel!r}", field="voice.channelId"
        )


def _given(value: object) -> bool:
    return not isinstance(value, Unset)


def _whole(value: Any, field: str, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _wrong(field, f"must be a whole number from {least} to {most}", value)
    return value


def sendable(value: str, field: str) -> None:
    """A text that can be written in UTF-8, as everything is that is sent."""
    try:
        value.encode("utf-8")
        return
    except UnicodeEncodeError as error:
        at = error.start
    raise InvalidArgumentError(
        f"{field} can't be sent: character {at} is half of a surrogate pair; decode the text properly", field=field
    )


def _wrong(field: str, rule: str, value: object) -> InvalidArgumentError:
    shown = repr(value)
    return InvalidArgumentError(
        f"{field} {rule}, not {shown if len(shown) <= 80 else type(value).__name__}", field=field
    )
