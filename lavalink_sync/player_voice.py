"""A player's voice data: what Discord said, what the server has of it, and what went wrong, behind the player's lock.

Only bookkeeping: what is sent when, and what is done about failures, is in `voice_link.py`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from .core.voice import VoiceMerge
from .models import VoiceState
from .transport.clock import Clock, Deadline


class PlayerVoice:
    """See the module. `lock` is the player's; no method does more under it than look and swap."""

    def __init__(self, lock: threading.Lock, clock: Clock) -> None:
        self._lock = lock
        self._changed = threading.Condition(lock)
        self._clock = clock
        self._merge = VoiceMerge()
        # What the server has, and what it is not to be sent again until something new is heard.
        self._sent: VoiceState | None = None
        self._held: VoiceState | None = None
        # How often the present data has failed since it last worked.
        self._tries = 0
        # How often anything has failed: an answer that came after a failure says nothing any more.
        self._failures = 0
        self._down_since: float | None = None
        self._ended = False

    @property
    def merge(self) -> VoiceMerge:
        """What is known. Frozen; reading it needs no lock."""
        return self._merge

    def take(self, change: Callable[[VoiceMerge], VoiceMerge]) -> bool:
        """Voice data came from Discord. Returns whether there is something to send now."""
        with self._lock:
            before, self._merge = self._merge, change(self._merge)
            state = self._merge.state
            if state is None:
                # What the server was told before is of no use any more: the same data later counts as new.
                self._sent = self._held = None
                return False
            if state == self._sent:
                return False
            if state != before.state or state == self._held:
                self._held, self._tries, self._down_since = None, 0, None
            return True

    def take_stored(self, channel_id: int | None, voice: VoiceState | None, *, has_server: bool) -> None:
        """What an earlier process knew, unless something newer has come. `has_server`: the server has it still."""
        with self._lock:
            if self._merge != VoiceMerge():
                return
            self._merge = VoiceMerge(channel_id)
            if voice is not None:
                self._merge = VoiceMerge(channel_id, voice.session_id, voice.token, voice.endpoint)
                self._sent = self._merge.state if has_server else None

    def unsent(self) -> VoiceState | None:
        """The complete data that the server has not got; `None` when there is nothing to send."""
        with self._lock:
            state = self._merge.state
            return None if self._ended or state in (self._sent, self._held) else state

    @property
    def failures(self) -> int:
        """A count to be noted before data is sent, and handed to `was_sent`."""
        return self._failures

    def was_sent(self, state: VoiceState, failures: int) -> None:
        """The server has `state` now. Of no meaning when newer data or news of a failure has come since it was sent."""
        with self._lock:
            if state == self._merge.state and failures == self._failures:
                self._sent, self._held, self._down_since = state, None, None
                self._merge = replace(self._merge, trouble=None)
                self._changed.notify_all()

    def has_failed(self, state: VoiceState, trouble: str) -> int | None:
        """`state` did not lead to a connection. How often that was so by now; `None` when newer data has come."""
        with self._lock:
            if state != self._merge.state or self._ended:
                return None
            self._sent = None
            self._failures += 1
            self._tries += 1
            self._merge = replace(self._merge, trouble=trouble)
            return self._tries

    def hold(self, state: VoiceState, trouble: str) -> bool:
        """Send `state` no more until something new is heard. False when newer data has come meanwhile."""
        with self._lock:
            if state != self._merge.state or self._ended:
                return False
            self._sent, self._held = None, state
            self._failures += 1
            self._merge = replace(self._merge, trouble=trouble)
            self._changed.notify_all()
            return True

    def is_held(self, state: VoiceState) -> bool:
        """Whether nothing new has come since `state` was held."""
        with self._lock:
            return self._held == state and self._merge.state == state and not self._ended

    def void(self, trouble: str) -> VoiceMerge | None:
        """The voice server refuses what is known of it: wait for new data. Returns what is left, to compare later."""
        with self._lock:
            if self._ended or self._merge.state is None:
                return None
            self._merge = self._merge.without_server(trouble)
            self._failures += 1
            self._sent = self._held = None
            self._changed.notify_all()
            return self._merge

    def minds(self, connected: bool) -> bool:
        """Whether a `playerUpdate` that told this of the connection is anything to `seen`. Takes no lock."""
        return self._down_since is not None or self._tries > 0 or not (connected or self._sent is None)

    def seen(self, connected: bool, patience: float) -> VoiceState | None:
        """A `playerUpdate` told of the connection. Returns the data that has been without one for `patience` seconds.

        A server that repairs a connection by itself fails at it now and then, and tells nothing but this.
        """
        with self._lock:
            if connected:
                self._tries, self._down_since = 0, None
                return None
            if self._sent is None or self._sent != self._merge.state:
                self._down_since = None
                return None
            now = self._clock.monotonic()
            if self._down_since is None:
                self._down_since = now
            if now - self._down_since < patience:
                return None
            self._down_since = None
            return self._sent

    def forget_sent(self) -> None:
        """What the server knows, or what went wrong with it, is no longer so: what is complete is sent again."""
        with self._lock:
            self._sent = self._held = self._down_since = None
            self._tries = 0
            self._merge = replace(self._merge, trouble=None)

    def forgive(self) -> None:
        """What went wrong before does not count any more."""
        with self._lock:
            self._held, self._tries = None, 0
            self._merge = replace(self._merge, trouble=None)

    def end(self) -> None:
        """The player is destroyed: nothing is sent any more, and waits end."""
        with self._lock:
            self._ended = True
            self._changed.notify_all()

    def wait(self, channel_id: int, deadline: Deadline) -> bool:
        """Block until the server has that channel's data (True), all tries have failed, or the deadline."""
        with self._lock:
            while not (self._has_locked(channel_id) or self._held or self._ended or deadline.expired):
                self._clock.wait(self._changed, deadline.at)
            return self._has_locked(channel_id)

    def _has_locked(self, channel_id: int) -> bool:
        state = self._merge.state
        return state is not None and state == self._sent and state.channel_id == str(channel_id)
