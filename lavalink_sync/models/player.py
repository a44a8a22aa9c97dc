"""A player as the server has it."""

from dataclasses import dataclass, field

from ..secret import Secret
from .base import GUILD_ID, Model, frozen_slots, secret
from .filters import Filters
from .track import Track


@frozen_slots
@dataclass(frozen=True, slots=True)
class PlayerState(Model):
    """Where a player is. Protocol: `PlayerState`.

    `time`: when that was, unix milliseconds of the server's clock. `position`: in the track, milliseconds.
    `connected`: to the voice server. `ping`: to the voice server, milliseconds, -1 when not connected.
    """

    time: int = 0
    position: int = 0
    connected: bool = False
    ping: int = -1


@frozen_slots
@dataclass(frozen=True, slots=True)
class VoiceState(Model):
    """What a server needs to join a voice channel, all of it from Discord. Protocol: `VoiceState`.

    `token` and `endpoint` come with Discord's voice server update, `session_id` and `channel_id` with its voice state
    update. A server answers empty texts and no channel for a player without a voice connection.
    """

    token: Secret = field(metadata=secret("token"))
    endpoint: str
    session_id: Secret = field(metadata=secret("sessionId"))
    channel_id: str | None = None


@frozen_slots
@dataclass(frozen=True, slots=True)
class ServerPlayer(Model):
    """A player as the server answers it. Protocol: `Player`.

    `guild_id`: whose it is. `track`: what plays or is paused, its `info.position` being where; `None` when nothing.
    `volume`: percent, 0 to 1000. `paused`: whether. `state`: see there. `voice`: see there. `filters`: those in force.
    """

    guild_id: int = field(metadata=GUILD_ID)
    track: Track | None
    volume: int
    paused: bool
    state: PlayerState
    voice: VoiceState
    filters: Filters = field(default_factory=Filters)

    @classmethod
    def absent(cls, guild_id: int) -> "ServerPlayer":
        """Return what a server answers for a player that never got anything."""
        return cls(guild_id, None, 100, False, PlayerState(), VoiceState(Secret(""), "", Secret("")))
