"""What every player of a node shares: its loop, how often it tells positions, its voice servers and its races."""

from __future__ import annotations

from dataclasses import dataclass

from .loop import Loop
from .races import Dice
from .voice import VoiceServers

__all__ = ["World"]


@dataclass(frozen=True)
class World:
    """See the module. `interval`: seconds between two updates of a player."""

    loop: Loop
    interval: float
    voice: VoiceServers
    dice: Dice
