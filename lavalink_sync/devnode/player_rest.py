"""The PATCH of a player: in which order its fields count, what stays undone, and when it is answered.

What is wrong in itself was refused before; a track that can't be had is found out after the rest is done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from . import filters, tracks
from .http import Answer, RestError, json_answer
from .material import Material
from .player import Player
from .player_update import PlayerUpdate
from .session import Session
from .sources import Sources

__all__ = ["Respond", "patch_player"]

Respond = Callable[[Answer | RestError], None]


def patch_player(
    sources: Sources,
    session: Session,
    guild_id: int,
    update: PlayerUpdate,
    no_replace: bool,
    respond: Respond,
) -> None:
    """Apply a PATCH and call `respond`, now, when the track is found, or never. Raises `RestError`, too."""
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
            known = sources.catalogue.knows
            track = None if update.encoded is None else tracks.rewritten(tracks.read(update.encoded, known))
        play(track)
        return

    def found(result: Mapping[str, Any]) -> None:
        session.mind(player)  # it may have been destroyed in the meantime, and plays all the same
        try:
            play(_track_of(result))
        except RestError as error:
            respond(error)

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


def _apply_settings(player: Player, update: PlayerUpdate) -> bool:
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
        filters.check_bands(update.filters)
        player.set_filters(update.filters)
    return True


def _play(sources: Sources, player: Player, track: tracks.Track, update: PlayerUpdate) -> None:
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
