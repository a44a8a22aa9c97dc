"""The part of `Client` that Discord's voice messages are handed to. What they amount to is put together per player."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from .core import checks
from .errors import InvalidArgumentError
from .player import Player


class VoiceIntake(ABC):
    """Takes voice messages for the players of a client."""

    user_id: int

    @abstractmethod
    def player(self, guild_id: int) -> Player:
        """The guild's player, made if there is none."""

    @abstractmethod
    def existing_player(self, guild_id: int) -> Player | None:
        """The guild's player, if there is one."""

    def on_voice_server_update(self, guild_id: int, token: str, endpoint: str | None) -> None:
        """Take Discord's VOICE_SERVER_UPDATE. Makes the player if there is none. Does not block."""
        _check_text(token, "token")
        if endpoint is not None:
            _check_text(endpoint, "endpoint")
        self.player(guild_id).take_voice(lambda voice: voice.with_server(token, endpoint))

    def on_voice_state_update(self, guild_id: int, channel_id: int | None, session_id: str) -> None:
        """Take the bot's own VOICE_STATE_UPDATE. Makes the player unless the bot left. Does not block.

        `channel_id` is `None` where the bot is in no channel any more; if `player.disconnect` did not ask for that, a
        `VoiceFailed` tells of it. The player stays.
        """
        _check_text(session_id, "session_id")
        if channel_id is not None:
            checks.channel_id(channel_id)
            self.player(guild_id).take_voice(lambda voice: voice.with_state(channel_id, session_id))
            return
        player = self.existing_player(guild_id)
        if player is not None:
            player.take_voice_left()

    def on_gateway_event(self, payload: Mapping[str, Any]) -> None:
        """Take any of Discord's gateway messages as it is (`{"t": ..., "d": ...}`); what is not voice is left alone.

        Voice states of other users are left alone too. Raises `InvalidArgumentError` for what is no message at all,
        and for a voice message that lacks something.
        """
        if not isinstance(payload, Mapping):
            raise InvalidArgumentError(
                f"a gateway message is the object that its JSON decodes to, not {type(payload).__name__}",
                field="payload",
            )
        kind, data = payload.get("t"), payload.get("d")
        if kind not in ("VOICE_SERVER_UPDATE", "VOICE_STATE_UPDATE") or not isinstance(data, Mapping):
            return
        if data.get("guild_id") is None:
            return  # a call between users
        try:
            guild_id, server = int(data["guild_id"]), kind == "VOICE_SERVER_UPDATE"
            secret = data["token"] if server else data["session_id"]
            mine = server or int(data["user_id"]) == self.user_id
            channel_id = None if data.get("channel_id") is None else int(data["channel_id"])
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArgumentError(f"this {kind} lacks something, or has it wrong: {error!r}", field="d") from None
        if server:
            self.on_voice_server_update(guild_id, secret, data.get("endpoint"))
        elif mine:
            self.on_voice_state_update(guild_id, channel_id, secret)


def _check_text(value: object, name: str) -> None:
    # The value is left out of the message: most of these are secrets.
    if not isinstance(value, str):
        raise InvalidArgumentError(
            f"{name} must be text as it came from Discord, not {type(value).__name__}", field=name
        )
