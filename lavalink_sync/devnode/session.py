"""Sessions: one client each, with its players, on a socket or away from it for a while."""

from __future__ import annotations

import json
import secrets
import string
from collections.abc import Callable
from typing import Any, Protocol

from .loop import Timer
from .player import Player
from .world import World

__all__ = ["Session", "Speaker", "new_session_id"]

_LETTERS = string.ascii_lowercase + string.digits
_STATS_INTERVAL = 60.0
_FRAMES = 3000  # of 20 ms in a minute
_FOREVER = 2**31
_SMALLEST = 16  # places in the table of players


class Speaker(Protocol):
    """The socket's side of a session."""

    def say(self, text: str) -> None: ...


class Session:
    """See the module. `session_id`, `resuming`, `timeout` (seconds) and `players` (by guild id) may be read."""

    def __init__(
        self, world: World, user_id: int, stats: Callable[[dict[str, int] | None], dict[str, Any] | None]
    ) -> None:
        self.session_id = new_session_id()
        self.user_id = user_id
        self.resuming = False
        self.timeout = 60
        self.players: dict[int, Player] = {}
        self._world = world
        self._loop = world.loop
        self._stats = stats
        self._table = _SMALLEST
        self._speaker: Speaker | None = None
        self._kept: list[str] = []
        self._strays: list[Player] = []
        self._stats_timer: Timer | None = None
        self._away_timer: Timer | None = None

    @property
    def connected(self) -> bool:
        """Whether it has a socket; without one it does not exist for REST."""
        return self._speaker is not None

    def attach(self, speaker: Speaker, resumed: bool) -> None:
        """Begin, or go on after it was away: first `ready`, then what was kept, then where the players are."""
        if self._away_timer is not None:
            self._away_timer.cancel()
        self._speaker = speaker
        overtaken = not resumed and self._world.dice.stats_first()
        if overtaken:
            self._send_stats()
        speaker.say(_json({"op": "ready", "resumed": resumed, "sessionId": self.session_id}))
        kept, self._kept = self._kept, []
        for text in kept:
            speaker.say(text)
        if resumed:
            for player in self.in_order():
                player.send_update()
        if self._stats_timer is None:  # else its clock went on while it was away
            self._send_stats()

    def detach(self, forget: Callable[[Session], None]) -> None:
        """The socket is gone. Unless the session may be resumed in time, `forget` it."""
        self._speaker = None
        if not self.resuming:
            forget(self)
            return
        self._away_timer = self._loop.later(min(self.timeout, _FOREVER), lambda: forget(self))

    def send(self, message: dict[str, Any]) -> None:
        """Say it, or keep it for the resume; where players are is only worth telling at once."""
        if self._speaker is not None:
            self._speaker.say(_json(message))
        elif message["op"] != "playerUpdate":
            self._kept.append(_json(message))

    def player(self, guild_id: int) -> Player:
        """The player of a guild, made when there is none."""
        if guild_id not in self.players:
            self.players[guild_id] = Player(guild_id, self._world, self.send)
            if len(self.players) >= self._table * 3 // 4:
                self._table *= 2
        return self.players[guild_id]

    def mind(self, player: Player) -> None:
        """Drop this one with the others at the end, also if it is none of them any more."""
        if self.players.get(player.guild_id) is not player:
            self._strays.append(player)

    def in_order(self) -> list[Player]:
        """The players as the server lists them: by their place in a hash table that grows and never shrinks."""
        return sorted(self.players.values(), key=lambda player: _hashed(player.guild_id) & (self._table - 1))

    def end(self) -> None:
        """Drop all of it without a word."""
        for timer in (self._stats_timer, self._away_timer):
            if timer is not None:
                timer.cancel()
        for player in (*self.players.values(), *self._strays):
            player.discard()
        self._strays.clear()
        self.players.clear()

    def _frames(self) -> dict[str, int] | None:
        """How many frames went out in the last minute for each player that played all of it, `None` without one."""
        # Without voice nobody takes them.
        counted = [player.link is not None for player in self.players.values() if player.played_last_minute]
        if not counted:
            return None
        mean = _FRAMES * sum(counted) // len(counted)
        return {"sent": mean, "nulled": 0, "deficit": _FRAMES - mean}

    def _send_stats(self) -> None:
        told = self._stats(self._frames())
        if told is not None:
            self.send({"op": "stats", **told})
        self._stats_timer = self._loop.later(_STATS_INTERVAL, self._send_stats)


def _hashed(guild_id: int) -> int:
    """Java's hash of a 64-bit number, spread as its hash tables do."""
    folded = (guild_id ^ ((guild_id & (2**64 - 1)) >> 32)) & (2**32 - 1)
    return (folded ^ (folded >> 16)) & 0x7FFFFFFF


def new_session_id() -> str:
    """16 letters and digits."""
    return "".join(secrets.choice(_LETTERS) for _ in range(16))


def _json(message: dict[str, Any]) -> str:
    return json.dumps(message, separators=(",", ":"), ensure_ascii=False)
