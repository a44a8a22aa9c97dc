"""The PATCH of a player: which fields exclude each other, in which order they count, and what stays undone.

What is wrong in itself is refused before anything is changed; a track that can't be had comes after the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from . import filters, tracks
from .fields import as_bool, as_int, as_object, as_text
from .http import Answer, RestError, json_answer
from .material import Material
from .offer import NOTHING_SPECIAL, Offer
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
    offer: Offer = NOTHING_SPECIAL,
) -> None:
    """Apply a PATCH and call `respond` or `fail`, now, when the track is found, or never. Raises `RestError`, too."""
    update = _read(body, offer.disabled_filters)
    player = session.player(guild_id)
    old = player.position
    finish = _Finish(player, respond)
    with finish.frames():
        answered = _apply_settings(player, update)
    if not answered:
        finish.flush()
        return
    if not update.has_track or (no_replace and player.track is not None):
        sought = not update.has_track and update.position is not None and player.track is not None
        finish(old if sought and player.world.dice.old_seek_reply() else None)
        return

    def play(track: tracks.Track | None) -> None:
        with finish.frames():
            if track is None:
                player.stop()
            else:
                _play(sources, player, track, update)
        finish()

    player.pause(bool(update.paused))
    if update.identifier is None:
        with finish.frames():
            track = None if update.encoded is None else tracks.read(update.encoded, sources.catalogue.knows)
        play(track)
        return

    def found(result: Mapping[str, Any]) -> None:
        session.mind(player)  # it may have been destroyed in the meantime, and plays all the same
        try:
            play(_track_of(result))
        except RestError as error:
            fail(error)

    finish.flush()
    sources.load(update.identifier, found)


class _Finish:
    """Answers a PATCH before, between or after the frames that it caused."""

    def __init__(self, player: Player, respond: Respond) -> None:
        self._player = player
        self._respond = respond
        self._frames: list[dict[str, Any]] = []

    @contextmanager
    def frames(self) -> Iterator[None]:
        """Keep what the player says in here; if it fails, that is said all the same."""
        self._player.hold()
        try:
            yield
        except RestError:
            self._frames += self._player.release()
            self.flush()
            raise
        self._frames += self._player.release()

    def flush(self) -> None:
        """Say what is kept."""
        frames, self._frames = self._frames, []
        for frame in frames:
            self._player.say(frame)

    def __call__(self, position: int | None = None) -> None:
        """Answer, with the player as it was at `position` if one is given."""
        answer = json_answer(self._player.told(position))
        order = self._player.world.dice.reply() if self._frames else "after"
        ahead = {"before": 0, "between": 1, "after": len(self._frames)}[order]
        behind, self._frames = self._frames[ahead:], self._frames[:ahead]
        self.flush()
        self._respond(answer)
        self._frames = behind
        self.flush()


def _apply_settings(player: Player, update: _Update) -> bool:
    """Everything but the new track, in the server's order. False when the voice endpoint never answers."""
    if update.voice is not None and not player.connect(update.voice):
        return False
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
    return True


def _play(sources: Sources, player: Player, track: tracks.Track, update: _Update) -> None:
    if update.user_data is not None:
        track = replace(track, user_data=dict(update.user_data))
    player.play(track, update.position, update.end_time)
    started = player.started

    def broken(cause: str) -> None:
        # Whoever plays it finds out behind the back of whoever asked for it.
        player.world.loop.post(lambda: player.fail(cause) if player.started == started else None)

    def met(material: Material) -> None:
        if player.started == started:
            player.meet(material)

    sources.check(track, broken, met)


def _track_of(result: Mapping[str, Any]) -> tracks.Track:
    kind, data = result["loadType"], result["data"]
    if kind == "empty":
        raise RestError(400, "No matches found for identifier")
    if kind == "error":
        raise RestError(400, data["message"])
    if kind != "track":
        raise RestError(400, "Cannot play a playlist or search result")
    return tracks.read(data["encoded"], lambda source: True)


def _read(body: Mapping[str, Any], disabled: Collection[str]) -> _Update:
    """Check the body: first that each field is of its kind, then what does not go together, in the server's order."""
    track = as_object(body["track"]) if "track" in body else {}
    if "track" not in body:
        old = {"encodedTrack": "encoded", "identifier": "identifier"}
        track = {new: body[name] for name, new in old.items() if name in body}
    encoded = None if track.get("encoded") is None else as_text(track["encoded"])
    identifier = as_text(track["identifier"]) if "identifier" in track else None
    update = _Update(
        has_track="encoded" in track or identifier is not None,
        encoded=encoded,
        identifier=identifier,
        user_data=as_object(track["userData"]) if "userData" in track else None,
        position=as_int(body["position"]) if "position" in body else None,
        end_time=None if body.get("endTime") is None else as_int(body["endTime"]),
        volume=as_int(body["volume"], _INT) if "volume" in body else None,
        paused=as_bool(body["paused"]) if "paused" in body else None,
        filters=as_object(body["filters"]) if "filters" in body else None,
        voice=_voice(as_object(body["voice"])) if "voice" in body else None,
    )
    if update.filters is not None:
        _check_filters(update.filters)
    if "track" in body:
        for name in ("encodedTrack", "identifier"):
            if name in body:
                _check_text(body[name], nullable=name == "encodedTrack")
                raise RestError(400, "Cannot specify both track and encodedTrack/identifier")
    if "encoded" in track and identifier is not None:
        raise RestError(400, "Cannot specify both encodedTrack and identifier")
    refused = filters.disabled(update.filters or {}, disabled)
    if refused:
        raise RestError(400, f"Following filters are disabled in the config: {', '.join(refused)}")
    if update.voice is not None and not all(value.strip() for value in update.voice.values()):
        raise RestError(400, "token, endpoint, sessionId and channelId must be provided in voice state")
    if update.end_time is not None and update.end_time <= 0:
        raise RestError(400, "End time must be greater than 0")
    return update


def _check_text(value: Any, *, nullable: bool) -> None:
    if value is not None or not nullable:
        as_text(value)


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
    # Only the channel may be null, which is as good as blank.
    return {name: "" if name == "channelId" and given[name] is None else as_text(given[name]) for name in _VOICE}
