"""Putting together what Discord says about a voice connection: values in, a value out.

A server needs four things of which two come with the bot's voice state and two with the voice server, in either order.
What a Lavalink server answers of them is never taken: it may be older than what is known here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..models import VoiceState
from ..secret import Secret


@dataclass(frozen=True)
class VoiceMerge:
    """What is known of one guild's voice connection. `state` is all of it, or `None` while a part is missing."""

    channel_id: int | None = None
    session_id: Secret | None = None
    token: Secret | None = None
    endpoint: str | None = None

    def with_server(self, token: str, endpoint: str | None) -> VoiceMerge:
        """Take a VOICE_SERVER_UPDATE. Without an endpoint Discord's server is away, and the old data of no use."""
        if not endpoint:
            return replace(self, token=None, endpoint=None)
        return replace(self, token=Secret(token), endpoint=endpoint)

    def with_state(self, channel_id: int | None, session_id: str) -> VoiceMerge:
        """Take the bot's own VOICE_STATE_UPDATE. Without a channel the bot has left, and nothing of before is valid.

        A new session leaves the voice server in place: its update comes in either order, so it may be the new one's.
        """
        if channel_id is None:
            return VoiceMerge()
        return replace(self, channel_id=channel_id, session_id=Secret(session_id))

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
        """Say in one sentence what is known and what is missing, without any secret."""
        missing = self.missing
        if not missing:
            return f"all voice data for channel {self.channel_id} is known, at {self.endpoint}"
        if len(missing) == 2:
            return "no voice data came: neither the bot's voice state (session and channel) nor the voice server"
        if missing[0] == "VOICE_SERVER_UPDATE":
            return f"the bot is in channel {self.channel_id}, but no VOICE_SERVER_UPDATE with token and endpoint came"
        return f"the voice server {self.endpoint} is known, but no VOICE_STATE_UPDATE with session and channel came"
