"""Where a real server races with itself: which way it goes here, told in advance or drawn as often as it was seen.

Nothing of it is an error. A client that counts on one order works for a while, and then does not.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["Dice", "Races"]

_Reply = Literal["before", "between", "after"]
_Update = Literal["before", "after"]
_Seek = Literal["new", "old"]

# How often each was recorded.
_STATS_FIRST = 49 / 200
_REPLIES = {"after": 72, "between": 36, "before": 42}
_UPDATE_BEFORE = 26 / 47
_OLD_POSITION = 4 / 13
_NO_CLOSED_EVENT = 0.1  # "mostly": it was not counted
_UPDATE_AFTER_DELETE = 0.05
_LAME = 3 / 15


@dataclass(frozen=True)
class Races:
    """The outcome of each race; `None` means that it is drawn anew every time. The default is always the same.

    `stats_first`: `stats` comes before `ready`. `reply`: the answer of an update comes before, between or after the
    frames that the update causes. `first_update`: the first `playerUpdate` of a track, by its `TrackStartEvent`.
    `seek_update`, `seek_reply`: what the `playerUpdate` and the answer of a seek tell, the new or the old position.
    `closed_event`: leaving a voice channel gives a `WebSocketClosedEvent`. `update_after_delete`: one more
    `playerUpdate` follows a DELETE. `voice_resumes`: a voice link that was cut comes back.
    `seed`: for what is drawn; `None` for another one in each run.
    """

    stats_first: bool | None = False
    reply: _Reply | None = "after"
    first_update: _Update | None = "after"
    seek_update: _Seek | None = "new"
    seek_reply: _Seek | None = "new"
    closed_event: bool | None = True
    update_after_delete: bool | None = False
    voice_resumes: bool | None = True
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, kind in (("reply", _Reply), ("first_update", _Update), ("seek_update", _Seek), ("seek_reply", _Seek)):
            given = getattr(self, name)
            if given is not None and given not in get_args(kind):
                raise ValueError(f"{name} must be None or one of {', '.join(get_args(kind))}, not {given!r}")

    @classmethod
    def drawn(cls, seed: int | None = None) -> Races:
        """Every race is drawn."""
        return cls(None, None, None, None, None, None, None, None, seed)


class Dice:
    """Asks the races one by one. On the node's thread only."""

    def __init__(self, races: Races) -> None:
        self.races = races
        self._random = random.Random(races.seed)

    def use(self, races: Races) -> None:
        """From now on these, from the beginning of their seed."""
        self.races = races
        self._random = random.Random(races.seed)

    def stats_first(self) -> bool:
        """Whether `stats` overtakes `ready`."""
        return self._either(self.races.stats_first, _STATS_FIRST)

    def reply(self) -> str:
        """Where the answer is among its frames."""
        if self.races.reply is not None:
            return self.races.reply
        return self._random.choices(list(_REPLIES), list(_REPLIES.values()))[0]

    def update_before_start(self) -> bool:
        """Whether a track's first update overtakes the event of its start."""
        given = self.races.first_update
        return self._either(None if given is None else given == "before", _UPDATE_BEFORE)

    def old_seek_update(self) -> bool:
        """Whether the update of a seek is older than the seek."""
        given = self.races.seek_update
        return self._either(None if given is None else given == "old", _OLD_POSITION)

    def old_seek_reply(self) -> bool:
        """Whether the answer of a seek is."""
        given = self.races.seek_reply
        return self._either(None if given is None else given == "old", _OLD_POSITION)

    def closed_event(self) -> bool:
        """Whether the leaving of a voice channel is told."""
        return self._either(self.races.closed_event, 1 - _NO_CLOSED_EVENT)

    def update_after_delete(self) -> bool:
        """Whether a deleted player says one more word."""
        return self._either(self.races.update_after_delete, _UPDATE_AFTER_DELETE)

    def voice_resumes(self) -> bool:
        """Whether a voice link that was cut comes back."""
        return self._either(self.races.voice_resumes, 1 - _LAME)

    def _either(self, given: bool | None, chance: float) -> bool:
        return self._random.random() < chance if given is None else given
