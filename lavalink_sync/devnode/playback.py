"""Trouble for what plays, on demand: tracks that get stuck, and files that turn out to be torn.

A development node has it as `playback`; its methods may be called from any thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from .player import Player

__all__ = ["Playback"]

_TORN = "Something went wrong when decoding the track."


class Playback:
    """See the module. `run`: calls a job on the node's thread with all players, and returns what it returns."""

    def __init__(self, run: Callable[[Callable[[Iterable[Player]], int]], Any]) -> None:
        self._run = run

    def stall(self, guild_id: int, on: bool = True) -> int:
        """Let no more of a guild's current track come, or, with `on` False, let it go on.

        After 10 s of it on the node's clock `TrackStuckEvent` comes, once. Returns how many players play in that guild.
        """
        return self._each(guild_id, lambda player: player.stall(on))

    def damage(self, guild_id: int, at: int, message: str = _TORN, cause: str = "java.io.EOFException") -> int:
        """Let a guild's current track be unreadable from `at` milliseconds on.

        `TrackExceptionEvent` comes when it is decoded up to there, five seconds ahead, and `TrackEndEvent` `finished`
        when it is played up to there. Returns how many players play in that guild.
        """
        return self._each(guild_id, lambda player: player.damage(at, message, cause))

    def _each(self, guild_id: int, job: Callable[[Player], None]) -> int:
        def run(players: Iterable[Player]) -> int:
            found = [player for player in players if player.guild_id == guild_id and player.track is not None]
            for player in found:
                job(player)
            return len(found)

        count: int = self._run(run)
        return count
