"""A player's voice data: what Discord said, how far the server has got with it, what went wrong, behind its lock.

Only bookkeeping: what is sent when, and what is done about failures, is in `voice_link.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from .core.voice import VoiceMerge, VoiceStage
from .models import VoiceState
from .transport.clock import Clock, Deadline


class VoiceTry(NamedTuple):
    """One sending of `voice`; `number` tells it from the others."""

    voice: VoiceState
    number: int


_NOTHING_KNOWN = VoiceMerge()


class PlayerVoice:
    """See the module. `lock` is the player's; no method does more under it than look and swap.

    Data that something is reported about may be older than what is known by then: such a report changes nothing.
    """

    __slots__ = (
        "_changed",
        "_clock",
        "_down_since",
        "_ended",
        "_failed_at",
        "_failures",
        "_lock",
        "_merge",
        "_sendings",
    )

    def __init__(self, lock: threading.Lock, clock: Clock) -> None:
        self._lock = lock
        # Made for who waits, because a condition takes more memory than all else of a player.
        self._changed: threading.Condition | None = None
        self._clock = clock
        self._merge = _NOTHING_KNOWN
        # How often the present data has failed since it last worked, when that was, and how often anything was sent.
        self._failures = 0
        self._failed_at = 0.0
        self._sendings = 0
        self._down_since: float | None = None
        self._ended = False

    @property
    def merge(self) -> VoiceMerge:
        """What is known. Frozen; reading it needs no lock."""
        return self._merge

    # What Discord and the user say.

    def take(self, change: Callable[[VoiceMerge], VoiceMerge]) -> bool:
        """Voice data came from Discord. Returns whether there is something to send now."""
        with self._lock:
            merge = change(self._merge)
            if merge is not self._merge:
                self._merge = merge
                self._failures, self._down_since = 0, None
            return self._is_new_locked()

    def take_left(self) -> VoiceMerge | None:
        """Discord says that the bot is in no channel. Returns what was known, unless it was to leave, or in none."""
        with self._lock:
            before, self._merge = self._merge, self._merge.with_state(None, "")
            return None if before.channel_id is None or before.stage is VoiceStage.LEAVING or self._ended else before

    def take_stored(self, channel_id: int | None, voice: VoiceState | None, *, has_server: bool) -> None:
        """What an earlier process knew, unless something newer has come. `has_server`: the server has it still."""
        with self._lock:
            if self._merge != _NOTHING_KNOWN:
                return
            self._merge = VoiceMerge(channel_id)
            if voice is not None:
                stage = VoiceStage.TAKEN if has_server else VoiceStage.NEW
                self._merge = VoiceMerge(channel_id, voice.session_id, voice.token, voice.endpoint, stage)

    def leave(self) -> VoiceMerge:
        """The bot is to leave its channel: nothing is sent until Discord says where it is. Returns what was known."""
        with self._lock:
            before = self._merge
            if before.channel_id is not None:
                trouble = "the bot was told to leave its channel, and Discord has not said yet that it did"
                self._merge = before.at(VoiceStage.LEAVING, trouble)
            return before

    def stay(self, before: VoiceMerge) -> None:
        """It could not be told to leave, after all."""
        with self._lock:
            if self._merge.stage is VoiceStage.LEAVING:
                self._merge = before

    def forgive(self) -> None:
        """What went wrong before does not count any more."""
        with self._lock:
            self._failures = 0
            if self._merge.stage is VoiceStage.GIVEN_UP:
                self._merge = self._merge.at(VoiceStage.NEW)

    # Sending.

    @property
    def is_new(self) -> bool:
        """Whether there is something to send."""
        with self._lock:
            return self._is_new_locked()

    def begin(self) -> VoiceTry | None:
        """The data that is to be sent now; `None` when there is nothing to send. To be called in the guild's turn."""
        with self._lock:
            state = self._merge.state
            if state is None or not self._is_new_locked():
                return None
            self._merge = self._merge.at(VoiceStage.SENDING)
            self._sendings += 1
            return VoiceTry(state, self._sendings)

    def is_trying(self, sent: VoiceTry) -> bool:
        """Whether nothing has come of `sent` yet, and nothing newer is known."""
        with self._lock:
            return self._is_trying_locked(sent)

    def was_taken(self, sent: VoiceTry) -> None:
        """The server has it."""
        with self._lock:
            if self._is_trying_locked(sent):
                self._merge, self._down_since = self._merge.at(VoiceStage.TAKEN), None
                self._tell_locked()

    def was_not_sent(self, sent: VoiceTry) -> None:
        """An outage came between: it is to be sent with the next `ready`."""
        with self._lock:
            if self._is_trying_locked(sent):
                self._merge = self._merge.at(VoiceStage.NEW)

    def forget_sent(self) -> None:
        """What the server knows, or what went wrong with it, is no longer so: what is complete is sent again."""
        with self._lock:
            self._failures, self._down_since = 0, None
            if self._merge.stage is not VoiceStage.LEAVING and self._merge.state is not None:
                self._merge = self._merge.at(VoiceStage.NEW)

    # What becomes of it.

    def has_failed(self, voice: VoiceState, trouble: str) -> int | None:
        """It did not lead to a connection, or that broke. How often by now; `None` if that is known already."""
        with self._lock:
            if not self._is_there_locked(voice):
                return None
            self._failures += 1
            self._failed_at = self._clock.monotonic()
            self._merge = self._merge.at(VoiceStage.FAILED, trouble)
            return self._failures

    def retry(self, voice: VoiceState) -> bool:
        """The pause after a failure is over. False when there is nothing to be tried again."""
        with self._lock:
            if not self._is_at_locked(VoiceStage.FAILED, voice):
                return False
            self._merge = self._merge.at(VoiceStage.NEW, self._merge.trouble)
            return True

    def hold(self, voice: VoiceState, trouble: str) -> bool:
        """Wait with it until it is known where the bot is. False when the server does not have it, or has newer."""
        with self._lock:
            if not self._is_there_locked(voice):
                return False
            self._merge = self._merge.at(VoiceStage.HELD, trouble)
            return True

    def is_held(self, voice: VoiceState) -> bool:
        """Whether nothing new has come since it was held."""
        with self._lock:
            return self._is_at_locked(VoiceStage.HELD, voice)

    def release(self, voice: VoiceState) -> None:
        """The server has a connection with what was held."""
        with self._lock:
            if self._is_at_locked(VoiceStage.HELD, voice):
                self._merge = self._merge.at(VoiceStage.TAKEN)
                self._tell_locked()

    def give_up(self, voice: VoiceState, trouble: str) -> bool:
        """Send it no more until something new is heard. False when newer data has come, or the bot is to leave."""
        with self._lock:
            if self._merge.state != voice or self._merge.stage in (VoiceStage.NEW, VoiceStage.LEAVING) or self._ended:
                return False
            self._merge = self._merge.at(VoiceStage.GIVEN_UP, trouble)
            self._tell_locked()
            return True

    def void(self, voice: VoiceState, trouble: str) -> VoiceMerge | None:
        """The voice server refuses it: wait for new data. Returns what is left, to compare later."""
        with self._lock:
            if not self._is_there_locked(voice):
                return None
            self._merge = self._merge.without_server(trouble)
            return self._merge

    def minds(self, connected: bool) -> bool:
        """Whether a `playerUpdate` that told this of the connection is anything to `seen`. Takes no lock."""
        lost = not connected and self._merge.stage is VoiceStage.TAKEN
        return lost or self._down_since is not None or self._failures > 0

    def seen(self, connected: bool, patience: float) -> VoiceState | None:
        """A `playerUpdate` told of the connection. Returns the data that has been without one for `patience` seconds.

        A server that repairs a connection by itself fails at it now and then, and tells nothing but this.
        """
        with self._lock:
            now = self._clock.monotonic()
            if connected:
                self._down_since = None
                if now - self._failed_at >= patience:
                    # Not before: one that breaks again and again is not to be mended for ever.
                    self._failures = 0
                return None
            if self._merge.stage is not VoiceStage.TAKEN:
                self._down_since = None
                return None
            if self._down_since is None:
                self._down_since = now
            if now - self._down_since < patience:
                return None
            self._down_since = None
            return self._merge.state

    def end(self) -> None:
        """The player is destroyed: nothing is sent any more, and waits end."""
        with self._lock:
            self._ended = True
            self._tell_locked()

    def wait(self, channel_id: int, deadline: Deadline) -> bool:
        """Block until the server has that channel's data (True), it was given up, or the deadline."""
        with self._lock:
            if self._changed is None:
                self._changed = threading.Condition(self._lock)
            while not (self._has_locked(channel_id) or self._is_over_locked() or deadline.expired):
                self._clock.wait(self._changed, deadline.at)
            return self._has_locked(channel_id)

    def _tell_locked(self) -> None:
        if self._changed is not None:
            self._changed.notify_all()

    def _has_locked(self, channel_id: int) -> bool:
        return self._merge.stage is VoiceStage.TAKEN and self._merge.channel_id == channel_id

    def _is_over_locked(self) -> bool:
        return self._ended or self._merge.stage is VoiceStage.GIVEN_UP

    def _is_new_locked(self) -> bool:
        return self._merge.stage is VoiceStage.NEW and self._merge.state is not None and not self._ended

    def _is_at_locked(self, stage: VoiceStage, voice: VoiceState) -> bool:
        return self._merge.stage is stage and self._merge.state == voice

    def _is_trying_locked(self, sent: VoiceTry) -> bool:
        return self._sendings == sent.number and self._is_at_locked(VoiceStage.SENDING, sent.voice)

    def _is_there_locked(self, voice: VoiceState) -> bool:
        """Whether the server has that, or may have it."""
        there = self._is_at_locked(VoiceStage.SENDING, voice) or self._is_at_locked(VoiceStage.TAKEN, voice)
        return there and not self._ended
