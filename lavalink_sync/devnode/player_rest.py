"""The PATCH of a player: which fields exclude each other, in which order they count, and what stays undone.

What is wrong in itself is refused before anything is changed; a track that can't be had comes after the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from . import filters, tracks
from .fields import as_bool, as_int, as_object, as_text
from .http import Answer, RestError, json_answer
from .player import Player
from .session import Session
from .sources import Sources

__all__ = ["Respond", "patch_player"]

Respond = Callable[[Answer], None]
_VOICE = ("token", "endpoint", "sessionId", "channelId")
_INT = 32


@dataclass(frozen=True)
class _Update:
    """The body, read. `None` for what is not given."""

    has_track: bool
    encoded: str | None
    identifier: str | None
    user_data: Mapping[str, Any] | None
    position: int | None
    end_time: int | None
    volume: int | None
    paused: bool | None
    filters: Any
    voice: Mapping[str, str] | None


def patch_player(
    sources: Sources,
    session: Session,
    guild_id: int,
    body: Mapping[str, Any],
    no_replace: bool,
    respond: Respond,
    fail: Callable[[RestError], None],
) -> None:
    """Apply a PATCH and call `respond` or `fail`, now or when the track is found. Raises `RestError`, too."""
    update = _read(body)
    player = session.player(guild_id)
    _apply_settings(player, update)
    if not update.has_track or (no_replace and player.track is not None):
        respond(json_answer(player.told()))
        return

    def play(track: tracks.Track | None) -> None:
        player.pause(bool(update.paused))
        if track is None:
            player.stop()
        else:
            _play(sources, player, track, update)
        respond(json_answer(player.told()))

    if update.identifier is None:
        play(None if update.encoded is None else tracks.read(update.encoded))
        return

    def found(result: Mapping[str, Any]) -> None:
        if session.players.get(guild_id) is not player:
            fail(RestError(404, "Player not found"))  # it was destroyed in the meantime
            return
        try:
            play(_track_of(result))
        except RestError as error:
            fail(error)

    sources.load(update.identifier, found)


def _apply_settings(player: Player, update: _Update) -> None:
    """Everything but the new track, in the server's order."""
    if update.voice is not None:
        try:
            int(update.voice["channelId"])
        except ValueError:
            cause = f'java.lang.NumberFormatException: For input string: "{update.voice["channelId"]}"'
            raise RestError(500, f"Request processing failed: {cause}") from None
        player.connect(update.voice)
    if not update.has_track:
        if update.paused is not None:
            player.pause(update.paused)
        if update.user_data is not None:
            player.set_user_data(update.user_data)
    if update.volume is not None:
        player.set_volume(update.volume)
    if not update.has_track:
        if update.position is not None:
            player.seek(update.position)
        if update.end_time is not None:
            player.set_end_time(update.end_time)
    if update.filters is not None:
        player.set_filters(filters.apply(update.filters))


def _play(sources: Sources, player: Player, track: tracks.Track, update: _Update) -> None:
    if update.user_data is not None:
        track = replace(track, user_data=dict(update.user_data))
    player.play(track, update.position, update.end_time)
    started = player.started

    def broken(cause: str) -> None:
        if player.started == started:
            player.fail(cause)

    sources.check(track, broken)


def _track_of(result: Mapping[str, Any]) -> tracks.Track:
    kind, data = result["loadType"], result["data"]
    if kind == "empty":
        raise RestError(400, "No matches found for identifier")
    if kind == "error":
        raise RestError(400, data["message"])
    if kind != "track":
        raise RestError(400, "Cannot play a playlist or search result")
    return tracks.read(data["encoded"])


def _read(body: Mapping[str, Any]) -> _Update:
    track = as_object(body["track"]) if "track" in body else {}
    old = [name for name in ("encodedTrack", "identifier") if name in body]
    if old and "track" in body:
        raise RestError(400, "Cannot specify both track and encodedTrack/identifier")
    if "encodedTrack" in body:
        track = {**track, "encoded": body["encodedTrack"]}
    if "identifier" in body:
        track = {**track, "identifier": body["identifier"]}
    encoded = None if track.get("encoded") is None else as_text(track["encoded"])
    identifier = as_text(track["identifier"]) if "identifier" in track else None
    user_data = as_object(track["userData"]) if "userData" in track else None
    voice = _voice(as_object(body["voice"])) if "voice" in body else None
    update = _Update(
        has_track="encoded" in track or identifier is not None,
        encoded=encoded,
        identifier=identifier,
        user_data=user_data,
        position=as_int(body["position"]) if "position" in body else None,
        end_time=None if body.get("endTime") is None else as_int(body["endTime"]),
        volume=as_int(body["volume"], _INT) if "volume" in body else None,
        paused=as_bool(body["paused"]) if "paused" in body else None,
        filters=body.get("filters"),
        voice=voice,
    )
    if "encoded" in track and identifier is not None:
        raise RestError(400, "Cannot specify both encodedTrack and identifier")
    if "filters" in body:
        _check_filters(body["filters"])
    if voice is not None and not all(value.strip() for value in voice.values()):
        raise RestError(400, "token, endpoint, sessionId and channelId must be provided in voice state")
    if update.end_time is not None and update.end_time <= 0:
        raise RestError(400, "End time must be greater than 0")
    return update


def _check_filters(given: Any) -> None:
    """Only their types count here: a band that does not exist fails later, when the rest is done."""
    try:
        filters.apply(given)
    except RestError as error:
        if error.status == 400:
            raise


def _voice(given: Mapping[str, Any]) -> dict[str, str]:
    if any(name not in given for name in _VOICE):
        raise RestError(400)
    return {name: as_text(given[name]) for name in _VOICE}
