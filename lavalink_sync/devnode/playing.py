"""The playing of a player's track: a tape, who listens to it, and a timer for each thing that may happen next.

It tells nobody anything but its owner: that the track ended, broke, got stuck, or that it is time for an update.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from .loop import Loop, Timer
from .material import NO_MATERIAL, Material
from .tape import Tape
from .tracks import Track

__all__ = ["Playing"]

_SEEK = 0.02  # seconds until whoever decodes has done a seek
_FIRST_FRAME = 20  # milliseconds from the link to the first frame
_SILENCE = 80  # what is sent when there is no frame
_TURN = 10  # until the sender asks for the next frame
_STUCK_MS = 10_000
# Nobody takes frames from a track without voice, so the server clears it away: it looks every ten seconds.
_CLEANUP = 60.0
_ROUNDS = 10.0
_NULL = 'java.lang.NullPointerException: Cannot invoke "com.sedmelluq.discord.lavaplayer.'
_OPUS_SEEK = (
    f'{_NULL}container.common.OpusPacketRouter.seekPerformed(long, long)" because "this.opusPacketRouter" is null'
)
_OGG_SEEK = f'{_NULL}filter.AudioPipeline.seekPerformed(long, long)" because "this.downstream" is null'
_TORN = "Something went wrong when decoding the track."
_SEEK_FAILED = "Something went wrong when seeking to a position."


class Playing:
    """See the module. `running`: frames are taken. On the node's thread only."""

    def __init__(
        self,
        loop: Loop,
        ended: Callable[[str], None],
        went_wrong: Callable[[str, str], None],
        got_stuck: Callable[[int], None],
        tick: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._ended = ended
        self._went_wrong = went_wrong
        self._got_stuck = got_stuck
        self._tick = tick
        self._tape: Tape | None = None
        self._listened = False
        self._paused = False
        self._dry = False
        self._failed = False
        self._was_stuck = False
        self._material = NO_MATERIAL
        self._told_length = 0
        self._fault: tuple[str, str] | None = None
        self._sent_until = 0.0
        self._quiet_from = math.inf
        self._next_update = 0.0
        self._timers: dict[str, Timer] = {}

    @property
    def running(self) -> bool:
        return self._tape is not None and self._tape.running

    def position(self) -> int:
        """Milliseconds, as they are told."""
        return 0 if self._tape is None else self._tape.position(self._now())

    # --- what is done to it

    def start(self, track: Track, start: int, end_time: int | None, speed: float) -> None:
        """Begin with a track. A start position is a seek that is done when it is decoded for the first time."""
        kind = str(track.plugin_info.get("probeInfo", ""))
        length = None if track.info.is_stream else track.info.length
        self._told_length = track.info.length
        self._tape = Tape(length, speed, restarts=kind.startswith("ogg"))
        self._tape.mark = end_time if end_time is not None and end_time > start else None
        self._settle()
        if start != 0:
            self._tape.queued = max(start, 0)
            # Where nobody listens the position is back at 0 before anyone can ask.
            self._set("seek", _SEEK if self.running else 0, lambda: self._start_at(max(start, 0), kind))

    def tell_from_now(self, interval: float) -> None:
        """Tick once in `interval` seconds, counted from now."""
        self._next_update = self._loop.clock.monotonic()
        self._await_tick(interval)

    def stop(self, replaced: bool = False) -> None:
        """Forget the track; the next one follows at once if it is replaced."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._halt(math.inf if replaced else _TURN)
        self._tape, self._fault = None, None
        self._dry = self._failed = self._was_stuck = False
        self._material = NO_MATERIAL

    def listened_to(self) -> None:
        """Somebody takes frames from now on, who has none yet."""
        self._listened = True
        self._halt(math.inf)
        self._sent_until, self._quiet_from = self._now() + _FIRST_FRAME, math.inf
        self._settle()

    def left_alone(self) -> None:
        """Nobody does."""
        self._listened = False
        self._settle()

    def pause(self, paused: bool) -> None:
        """No frames are given away while it is paused."""
        self._paused = paused
        self._settle()

    def stall(self, on: bool) -> None:
        """Nothing more comes from the source, or again."""
        self._dry = on and self._tape is not None
        self._settle()

    def set_speed(self, speed: float) -> None:
        """Filters count for what is not yet decoded."""
        if self._tape is not None:
            self._tape.set_speed(speed, self._now())
            self._settle()

    def mark(self, end_time: int) -> None:
        """End there; replaces the mark before, also if it is too late for this one."""
        if self._tape is not None:
            self._tape.mark = end_time if end_time > self.position() else None
            self._settle()

    def seek(self, position: int) -> None:
        """Ask for a seek. One that comes before it is done takes its place."""
        if self._tape is not None:
            waits = self._tape.decoded(self._now()) and "seek" not in self._timers
            self._tape.queued = position
            if not waits:
                self._set("seek", _SEEK, lambda: self._seek(position))
            self._settle()

    def fail(self, message: str, cause: str) -> None:
        """It can't be played at all. That is told at once, its end only when somebody wants a frame."""
        if self._tape is not None and not self._failed:
            self._failed = True
            self._tape.rewind(self._now())
            self._went_wrong(message, cause)
            self._settle()

    def meet(self, material: Material) -> None:
        """This is what the file is like."""
        if self._tape is None:
            return
        if material.length is not None:
            self._tape.refit(material.length, material.seek_factor, self._now())
        self._material = material
        if material.torn:
            self._fault = (_TORN, "java.io.EOFException")
        self._settle()

    def damage(self, at: int, message: str, cause: str) -> None:
        """It can be read up to `at` only."""
        if self._tape is not None:
            self._tape.refit(at, 1.0, self._now())
            self._fault = (message, cause)
            self._settle()

    # --- what happens

    def _start_at(self, position: int, kind: str) -> None:
        assert self._tape is not None
        self._timers.pop("seek", None)
        if kind.startswith("ogg"):
            self.fail(_SEEK_FAILED, _OPUS_SEEK if self._material.opus else _OGG_SEEK)
        else:
            self._seek(position, first=True)

    def _seek(self, position: int, first: bool = False) -> None:
        assert self._tape is not None
        self._timers.pop("seek", None)
        if self._material.hundredths and position >= self._told_length > 0:
            place = position * 100 // self._told_length
            cause = f"java.lang.ArrayIndexOutOfBoundsException: Index {place} out of bounds for length 100"
            if first:
                self.fail(_SEEK_FAILED, cause)
                return
            self._tape.queued = None
            self._went_wrong(_SEEK_FAILED, cause)
        self._tape.seek(position, self._now(), first)
        if self._tape.mark is not None and position >= self._tape.mark:
            self._ended("finished")
        else:
            self._settle()

    def _ran_out(self) -> None:
        self._halt(0)
        self._ended("finished")

    def _told_fault(self) -> None:
        fault, self._fault = self._fault, None
        if fault is not None:
            self._went_wrong(*fault)

    def _stuck(self) -> None:
        if not self._was_stuck:
            self._was_stuck = True
            self._got_stuck(_STUCK_MS)

    def _await_tick(self, interval: float) -> None:
        def tick() -> None:
            self._await_tick(interval)
            self._tick()

        self._next_update += interval
        self._set("update", self._next_update - self._loop.clock.monotonic(), tick)

    def _halt(self, quiet_in: float) -> None:
        """Take no more frames. The sender notices in so many milliseconds, and then adds some silence."""
        if self._tape is not None and self._tape.running:
            self._sent_until = self._tape.halt(self._now())
            self._quiet_from = self._now() + quiet_in

    def _settle(self) -> None:
        """Take frames or don't, and set the timers anew for what is true now."""
        tape, now = self._tape, self._now()
        if tape is None:
            return
        wanted = self._listened and not self._paused
        if wanted and self._failed:
            self._ended("loadFailed")
            return
        if wanted and not self._dry and not self._failed:
            tape.run(now, self._sent_until + (_SILENCE if now >= self._quiet_from else 0))
        else:
            self._halt(_TURN)
        self._set_or_not("end", tape.ends_in(now), self._ran_out)
        marked = tape.marked_in(now) if tape.queued is None or "seek" in self._timers else None
        self._set_or_not("mark", marked, lambda: self._ended("finished"))
        self._set_or_not("fault", tape.decoded_in(now) if self._fault else None, self._told_fault)
        if not (wanted and self._dry):
            self._set_or_not("stuck", None, self._stuck)
        elif "stuck" not in self._timers:
            self._set("stuck", _STUCK_MS / 1000, self._stuck)
        if self._listened:
            self._set_or_not("cleanup", None, self._stuck)
        elif "cleanup" not in self._timers:
            self._set("cleanup", self._until_cleanup(), lambda: self._ended("cleanup"))

    def _until_cleanup(self) -> float:
        passed = self._loop.clock.monotonic() - self._loop.began
        return math.ceil((passed + _CLEANUP) / _ROUNDS) * _ROUNDS - passed

    def _set_or_not(self, name: str, milliseconds: float | None, job: Callable[[], None]) -> None:
        if milliseconds is not None:
            self._set(name, milliseconds / 1000, job)
        elif (timer := self._timers.pop(name, None)) is not None:
            timer.cancel()

    def _set(self, name: str, seconds: float, job: Callable[[], None]) -> None:
        timer = self._timers.get(name)
        if timer is not None:
            timer.cancel()
        self._timers[name] = self._loop.later(seconds, job)

    def _now(self) -> float:
        return self._loop.clock.monotonic() * 1000
