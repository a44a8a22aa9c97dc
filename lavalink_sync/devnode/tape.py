"""A track while it plays: which frame is the last one taken, and when the next thing happens to it. Numbers only.

Frames of 20 ms are taken from a buffer that is decoded five seconds ahead. So what counts is not where the music is but
which frames are left: a seek or a filter counts for what is not yet decoded, and not at all once everything is.
All times are milliseconds; `now` is the node's clock.
"""

from __future__ import annotations

import math

__all__ = ["BUFFER", "FRAME", "LEAD", "Tape"]

FRAME = 20
LEAD = 400  # what the sender takes ahead of time
BUFFER = 5000
_WARM_UP = 10  # before that there is no frame to take
_EPSILON = 1e-6  # a tick of a float must not cost a frame


class Tape:
    """See the module. `length`: of the track, `None` for a stream. `restarts`: its frames count from 0 after a seek.

    `mark`: where the track is to end before its end.
    """

    def __init__(self, length: int | None, speed: float, restarts: bool = False) -> None:
        self.mark: int | None = None
        self.queued: int | None = None
        self._length = length
        self._speed = speed
        self._restarts = restarts
        self._factor = 1.0  # where a seek lands, as a part of where it should
        self._shown = 0
        self._base = 0
        self._eaten = 0.0
        self._content = 0.0
        self._left = self._left_from(0.0)
        self._since: float | None = None
        self._began = 0.0

    @property
    def running(self) -> bool:
        """Whether frames are taken."""
        return self._since is not None

    def position(self, now: float) -> int:
        """What is told: the target of a seek that is not done yet, else the last frame that was taken."""
        return self.queued if self.queued is not None else self._frame(now)

    def run(self, now: float, sent_until: float) -> None:
        """Frames are taken from now on; up to `sent_until` the sender still has some of before."""
        if self._since is None:
            self._since = max(now, sent_until) - LEAD
            self._began = now + _WARM_UP

    def halt(self, now: float) -> float:
        """No more frames are taken. Returns up to when the sender still has some."""
        if self._since is None:
            return 0.0
        until = max(now, self._since) + LEAD
        self._shown = self._frame(now)
        self._eaten, self._since = self._taken(now), None
        return until

    def decoded(self, now: float) -> bool:
        """Whether the rest is in the buffer: then a seek is only queued, and filters change nothing more."""
        return self._left - self._taken(now) <= BUFFER + _EPSILON

    def seek(self, target: int, now: float, first: bool = False) -> None:
        """Do a seek. What is told stays until the first new frame is taken. `first`: before any frame was."""
        self._shown = 0 if first else self._frame(now)
        self.queued = None
        self._base = 0 if self._restarts else target
        self._eaten = 0.0
        self._content = target * self._factor
        self._left = self._left_from(self._content)
        # Of what has only just begun to run nothing was sent yet, so the sender still takes its frames ahead of time.
        if self._since is not None and not first and now > self._began + _WARM_UP:
            self._since = max(now, self._since)

    def rewind(self, now: float) -> None:
        """No frame was ever there."""
        self.halt(now)
        self.queued, self._shown, self._base, self._eaten = None, 0, 0, 0.0

    def set_speed(self, speed: float, now: float) -> None:
        """What is not yet decoded will be that fast."""
        taken = self._taken(now)
        waiting = max(0.0, self._left - taken - BUFFER)
        self._left += waiting * (self._speed / speed - 1) if waiting < math.inf else 0.0
        self._speed = speed

    def refit(self, length: int, seek_factor: float, now: float) -> None:
        """It is longer or shorter than was thought, from what was taken on."""
        self._length, self._factor = length, seek_factor
        self._left = max(self._taken(now), self._left_from(self._content))

    def ends_in(self, now: float) -> float | None:
        """How long until the last frame was taken, `None` for never."""
        if self._since is None or self._left == math.inf:
            return None
        return self._reached_in(self._left, now)

    def marked_in(self, now: float) -> float | None:
        """How long until the frame of the mark is taken, `None` for never."""
        if self._since is None or self.mark is None:
            return None
        frames = max(0, math.ceil((self.mark - self._base) / FRAME))
        # In the middle of the frame: the one before is the last that counts as taken.
        return self._reached_in(frames * FRAME + FRAME / 2, now)

    def decoded_in(self, now: float) -> float | None:
        """How long until the rest is in the buffer, `None` for never."""
        ends = self.ends_in(now)
        if self.decoded(now):
            return 0.0
        return None if ends is None else max(0.0, ends - BUFFER)

    def _reached_in(self, taken: float, now: float) -> float:
        assert self._since is not None
        return max(0.0, self._since + taken - self._eaten - now)

    def _left_from(self, content: float) -> float:
        if self._length is None:
            return math.inf
        return max(0.0, self._length - content) // FRAME * FRAME / self._speed

    def _taken(self, now: float) -> float:
        passed = 0.0 if self._since is None or now < self._began else max(0.0, now - self._since)
        return min(self._eaten + passed, self._left)

    def _frame(self, now: float) -> int:
        frames = int((self._taken(now) + _EPSILON) // FRAME)
        return self._shown if frames == 0 else self._base + (frames - 1) * FRAME
