"""The body of a player's PATCH. What is `UNSET` is left out, `None` is sent as `null`; to the server these differ."""

from dataclasses import dataclass, field
from typing import Any

from .base import UNSET, Model, Unset, given, read_object
from .filters import Filters
from .player import VoiceState


@dataclass(frozen=True)
class TrackUpdate(Model):
    """Which track to play. Protocol: `UpdatePlayerTrack`.

    `encoded`: a track's encoded text, `None` to stop. `identifier`: for the server to resolve instead; never both.
    `user_data`: JSON object that goes with the track; alone it changes that of the track that plays.
    """

    encoded: str | Unset | None = field(default=UNSET, metadata=given("encoded"))
    identifier: str | Unset = field(default=UNSET, metadata=given("identifier"))
    user_data: dict[str, Any] | Unset = field(default=UNSET, hash=False, metadata=given("userData", read_object))


@dataclass(frozen=True)
class PlayerUpdate(Model):
    """What to change in a player. Protocol: `UpdatePlayer`, `PATCH /v4/sessions/{s}/players/{g}`.

    `track`: see there. `position`: milliseconds; with a new track where it starts, else a seek. `end_time`:
    milliseconds, above 0; `None` for the track's end. `volume`: percent, 0 to 1000. `paused`: a new track un-pauses
    unless this is given. `filters`: replace all there are. `voice`: all four of its fields.
    """

    track: TrackUpdate | Unset = field(default=UNSET, metadata=given("track"))
    position: int | Unset = field(default=UNSET, metadata=given("position"))
    end_time: int | Unset | None = field(default=UNSET, metadata=given("endTime"))
    volume: int | Unset = field(default=UNSET, metadata=given("volume"))
    paused: bool | Unset = field(default=UNSET, metadata=given("paused"))
    filters: Filters | Unset = field(default=UNSET, metadata=given("filters"))
    voice: VoiceState | Unset = field(default=UNSET, metadata=given("voice"))
