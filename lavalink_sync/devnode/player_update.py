"""The body of a player's PATCH: each field of its kind, and then which of them do not go together.

The kinds are looked at before there is a session; what is refused later is told in the server's words and order.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from . import filters
from .fields import as_bool, as_int, as_object, as_text
from .http import RestError

__all__ = ["PlayerUpdate", "check_update", "read_update"]

_VOICE = ("token", "endpoint", "sessionId", "channelId")
_INT = 32


@dataclass(frozen=True)
class PlayerUpdate:
    """The body, read. `None` for what is not given.

    `has_track`: something is to be played, or with `encoded` `None` what plays is stopped. `both_ways`: `track` and its
    deprecated forms are there, `both_tracks`: an encoded track and an identifier. `given_filters`: as they came,
    `filters`: as they are told.
    """

    has_track: bool
    both_ways: bool
    both_tracks: bool
    encoded: str | None
    identifier: str | None
    user_data: Mapping[str, Any] | None
    position: int | None
    end_time: int | None
    volume: int | None
    paused: bool | None
    given_filters: Mapping[str, Any]
    filters: dict[str, Any] | None
    voice: Mapping[str, str] | None


def read_update(value: Any) -> PlayerUpdate:
    """Read a body. Raises `RestError` 400 for whatever is not of its kind."""
    body = as_object(value)
    deprecated = _Track.read(body, "encodedTrack")
    nested = _Track.read(as_object(body["track"]), "encoded") if "track" in body else None
    track = deprecated if nested is None else nested
    given = as_object(body["filters"]) if "filters" in body else {}
    return PlayerUpdate(
        has_track=track.has_encoded or track.identifier is not None,
        both_ways=nested is not None and (deprecated.has_encoded or deprecated.identifier is not None),
        both_tracks=track.has_encoded and track.identifier is not None,
        encoded=track.encoded,
        identifier=track.identifier,
        user_data=as_object(body["track"]["userData"]) if "userData" in body.get("track", {}) else None,
        position=as_int(body["position"]) if "position" in body else None,
        end_time=None if body.get("endTime") is None else as_int(body["endTime"]),
        volume=as_int(body["volume"], _INT) if "volume" in body else None,
        paused=as_bool(body["paused"]) if "paused" in body else None,
        given_filters=given,
        filters=filters.read(given) if "filters" in body else None,
        voice=_voice(as_object(body["voice"])) if "voice" in body else None,
    )


def check_update(update: PlayerUpdate, disabled: Collection[str]) -> None:
    """Raise `RestError` 400 for what is wrong in itself; `disabled`: names of filters that are switched off."""
    if update.both_ways:
        raise RestError(400, "Cannot specify both track and encodedTrack/identifier")
    if update.both_tracks:
        raise RestError(400, "Cannot specify both encodedTrack and identifier")
    refused = filters.disabled(update.given_filters, disabled)
    if refused:
        raise RestError(400, f"Following filters are disabled in the config: {', '.join(refused)}")
    if update.voice is not None and not all(value.strip() for value in update.voice.values()):
        raise RestError(400, "token, endpoint, sessionId and channelId must be provided in voice state")
    if update.end_time is not None and update.end_time <= 0:
        raise RestError(400, "End time must be greater than 0")


@dataclass(frozen=True)
class _Track:
    """What is to be played, in one of the two forms."""

    has_encoded: bool
    encoded: str | None
    identifier: str | None

    @classmethod
    def read(cls, given: Mapping[str, Any], encoded: str) -> _Track:
        return cls(
            has_encoded=encoded in given,
            encoded=None if given.get(encoded) is None else as_text(given[encoded]),
            identifier=as_text(given["identifier"]) if "identifier" in given else None,
        )


def _voice(given: Mapping[str, Any]) -> dict[str, str]:
    if any(name not in given for name in _VOICE):
        raise RestError(400)
    # Only the channel may be null, which is as good as blank.
    return {name: "" if name == "channelId" and given[name] is None else as_text(given[name]) for name in _VOICE}
