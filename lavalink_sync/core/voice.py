"""Putting together what Discord says about a voice connection, and what its voice server's close codes ask for.

A server needs four things of which two come with the bot's voice state and two with the voice server, in either order.
What a Lavalink server answers of them is never taken: it may be older than what is known here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum

from ..models import VoiceState
from ..secret import Secret


class Remedy(Enum):
    """What is to be done after a voice server has closed the connection."""

    SEND_AGAIN = "the same data is sent again"
    NEW_DATA = "new voice data from Discord is waited for"
    MOVE_OR_KICK = "a move to another channel is waited for"
    GIVE_UP = "trying again would not help"


@dataclass(frozen=True)
class VoiceClose:
    """One of Discord's voice close codes: what it means, and the remedy."""

    remedy: Remedy
    meaning: str


# Those that the server repairs by itself (4000, 4009, 4015 and more) are told only where that failed.
CLOSE_CODES: Mapping[int, VoiceClose] = {
    1000: VoiceClose(Remedy.SEND_AGAIN, "it was closed normally"),
    1001: VoiceClose(Remedy.SEND_AGAIN, "the voice server went away"),
    1006: VoiceClose(Remedy.SEND_AGAIN, "it ended without a close frame"),
    4000: VoiceClose(Remedy.SEND_AGAIN, "the voice server met an error that it does not name"),
    4001: VoiceClose(Remedy.SEND_AGAIN, "the voice server did not know what it was sent"),
    4002: VoiceClose(Remedy.SEND_AGAIN, "the voice server could not read what it was sent"),
    4003: VoiceClose(Remedy.SEND_AGAIN, "the node was not identified yet"),
    4004: VoiceClose(Remedy.NEW_DATA, "the voice token is not valid any more"),
    4005: VoiceClose(Remedy.SEND_AGAIN, "the node was identified already"),
    4006: VoiceClose(Remedy.SEND_AGAIN, "the voice session was not valid any more"),
    4009: VoiceClose(Remedy.SEND_AGAIN, "the voice session timed out"),
    4011: VoiceClose(Remedy.NEW_DATA, "the voice server was not found"),
    4012: VoiceClose(Remedy.GIVE_UP, "the Lavalink server speaks a voice protocol that Discord does not; update it"),
    4014: VoiceClose(Remedy.MOVE_OR_KICK, "the bot was moved or kicked, or the channel is gone"),
    4015: VoiceClose(Remedy.SEND_AGAIN, "the voice server crashed"),
    4016: VoiceClose(Remedy.GIVE_UP, "the Lavalink server's encryption is not Discord's; update it"),
    4017: VoiceClose(Remedy.GIVE_UP, "Discord wants end-to-end encryption (DAVE); it needs Lavalink 4.2 or newer"),
    4020: VoiceClose(Remedy.SEND_AGAIN, "the voice server took a request for a bad one"),
    4021: VoiceClose(Remedy.GIVE_UP, "the bot is rate limited"),
    4022: VoiceClose(Remedy.GIVE_UP, "the call was ended"),
}
_UNKNOWN = VoiceClose(Remedy.SEND_AGAIN, "no meaning of that code is known")


def after_close(code: int, by_remote: bool) -> VoiceClose | None:
    """What to do after a `WebSocketClosedEvent`; `None` where the node itself has left, as it was told to."""
    if code == 1000 and not by_remote:
        return None
    return CLOSE_CODES.get(code, _UNKNOWN)


class VoiceStage(Enum):
    """How far the present voice data has come. Only NEW data is sent."""

    NEW = "it was not sent yet"
    SENDING = "it was sent, and the server has not answered yet"
    TAKEN = "the server has taken it"
    FAILED = "it has failed, and is tried again soon"
    HELD = "it is not used until it is known where the bot is"
    GIVEN_UP = "it is not tried any more"
    LEAVING = "the bot was told to leave its channel"


@dataclass(frozen=True)
class VoiceMerge:
    """What is known of one guild's voice connection. `state` is all of it, or `None` while a part is missing.

    `stage`: how far that has come. `trouble`: what went wrong with it last, as a sentence. Equal data makes two equal.
    """

    channel_id: int | None = None
    session_id: Secret | None = None
    token: Secret | None = None
    endpoint: str | None = None
    stage: VoiceStage = field(default=VoiceStage.NEW, compare=False)
    trouble: str | None = field(default=None, compare=False)

    def with_server(self, token: str, endpoint: str | None) -> VoiceMerge:
        """Take a VOICE_SERVER_UPDATE. Without an endpoint Discord's server is away, and the old data of no use.

        Discord says it where a connection is to be made: also the same again ends a giving up, or a wait.
        """
        new = self._with(token=Secret(token) if endpoint else None, endpoint=endpoint or None)
        if self.stage is VoiceStage.LEAVING:
            return new.at(VoiceStage.LEAVING, self.trouble)
        idle = self.stage in (VoiceStage.HELD, VoiceStage.GIVEN_UP)
        return self if new == self and not idle else new

    def with_state(self, channel_id: int | None, session_id: str) -> VoiceMerge:
        """Take the bot's own VOICE_STATE_UPDATE. Without a channel the bot has left, and nothing of before is valid.

        A new session leaves the voice server in place: its update comes in either order, so it may be the new one's.
        The same again says nothing new (the bot was muted, say), unless it was to leave: then it has come back.
        """
        if channel_id is None:
            return VoiceMerge(trouble="Discord says that the bot is in no voice channel")
        new = self._with(channel_id=channel_id, session_id=Secret(session_id))
        return self if new == self and self.stage is not VoiceStage.LEAVING else new

    def without_server(self, trouble: str) -> VoiceMerge:
        """The voice server refused its token: that data is of no use any more, and new data is waited for."""
        return self._with(token=None, endpoint=None, trouble=trouble)

    def at(self, stage: VoiceStage, trouble: str | None = None) -> VoiceMerge:
        """The same data, at another stage."""
        return replace(self, stage=stage, trouble=trouble)

    def _with(self, **changes: object) -> VoiceMerge:
        return replace(self, **{"stage": VoiceStage.NEW, "trouble": None, **changes})  # type: ignore[arg-type]  # by name

    @property
    def state(self) -> VoiceState | None:
        """All four parts, ready to be sent; `None` while one is missing."""
        if self.channel_id is None or not self.session_id or not self.token or not self.endpoint:
            return None
        return VoiceState(self.token, self.endpoint, self.session_id, str(self.channel_id))

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of Discord's messages never came."""
        parts = []
        if self.channel_id is None or not self.session_id:
            parts.append("VOICE_STATE_UPDATE")
        if not self.token or not self.endpoint:
            parts.append("VOICE_SERVER_UPDATE")
        return tuple(parts)

    def explain(self) -> str:
        """Say in one sentence what is known, what is missing and what went wrong, without any secret."""
        if self.trouble is not None:
            return self.trouble
        missing = self.missing
        if not missing:
            return f"all voice data for channel {self.channel_id} is known, at {self.endpoint}: {self.stage.value}"
        if len(missing) == 2:
            return "no voice data came: neither the bot's voice state (session and channel) nor the voice server"
        if missing[0] == "VOICE_SERVER_UPDATE":
            return f"the bot is in channel {self.channel_id}, but no VOICE_SERVER_UPDATE with token and endpoint came"
        return f"the voice server {self.endpoint} is known, but no VOICE_STATE_UPDATE with session and channel came"
