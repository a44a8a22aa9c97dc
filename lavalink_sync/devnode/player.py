"""A player: what it plays, where that is by the node's clock, and the messages that come of it.

Nothing is decoded. The position goes on while there is a voice connection and no pause; a timer marks the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import filters, tracks
from .loop import Loop, Timer
from .tracks import Track

__all__ = ["NO_VOICE", "Player"]

NO_VOICE: Mapping[str, Any] = {"token": "", "endpoint": "", "sessionId": "", "channelId": None}
# Nobody fetches frames from a track without voice, so the server clears it away.
_CLEANUP = 60.0
_MAX_VOLUME = 1000
_BROKEN = "Something broke when playing the track."


class Player:
    """See the module. `send` gets every message for the client. On the node's thread only.

    `playing_since`: when its track was started, by the node's clock. `started`: how many tracks were.
    """

    def __init__(self, guild_id: int, loop: Loop, interval: float, send: Callable[[dict[str, Any]], None]) -> None:
        self.guild_id = guild_id
        self.track: Track | None = None
        self.volume = 100
        self.paused = False
        self.filters: dict[str, Any] = {}
        self.voice: Mapping[str, Any] = NO_VOICE
        self.playing_since: float | None = None
        self.started = 0
        self._loop = loop
        self._interval = interval
        self._send = send
        self._base = 0.0
        self._since: float | None = None
        self._end_time: int | None = None
        self._broken = False
        self._update_timer: Timer | None = None
        self._end_timer: Timer | None = None
        self._cleanup_timer: Timer | None = None

    @property
    def connected(self) -> bool:
        """Whether there is a voice connection."""
        return self.voice is not NO_VOICE

    @property
    def position(self) -> int:
        """Milliseconds, 0 without a track."""
        if self.track is None:
            return 0
        passed = 0.0 if self._since is None else self._loop.clock.monotonic() - self._since
        return int(self._base + passed * 1000 + 1e-6)  # a tick of a float must not cost a millisecond

    def state(self) -> dict[str, Any]:
        """Lavalink's PlayerState."""
        ping = 0 if self.connected else -1
        time_ms = int(self._loop.clock.time() * 1000)
        return {"time": time_ms, "position": self.position, "connected": self.connected, "ping": ping}

    def told(self) -> dict[str, Any]:
        """Lavalink's Player."""
        return {
            "guildId": str(self.guild_id),
            "track": None if self.track is None else tracks.told(tracks.moved(self.track, self.position)),
            "volume": self.volume,
            "paused": self.paused,
            "state": self.state(),
            "voice": dict(self.voice),
            "filters": self.filters,
        }

    # --- what a PATCH does

    def connect(self, voice: Mapping[str, Any]) -> None:
        """Connect to a voice server. The same again does nothing; another one first leaves the old one."""
        if self.voice == voice:
            return
        if self.connected:
            self._leave()
        self.voice = dict(voice)
        if self._broken:
            self._end("loadFailed")
        self._settle()
        self.send_update()

    def pause(self, paused: bool) -> None:
        """Stop or go on."""
        self.paused = paused
        self._settle()

    def set_volume(self, volume: int) -> None:
        """What is out of range becomes the nearest that is not."""
        self.volume = min(max(volume, 0), _MAX_VOLUME)

    def set_user_data(self, user_data: Mapping[str, Any]) -> None:
        """Change the current track's, if there is one."""
        if self.track is not None:
            self.track = replace(self.track, user_data=dict(user_data))

    def set_filters(self, told: dict[str, Any]) -> None:
        """Replace all of them."""
        self.filters = told
        self._settle()
        self.send_update()

    def set_end_time(self, end_time: int) -> None:
        """Mark where the current track ends; a mark that is already behind never fires."""
        if self.track is not None:
            self._end_time = end_time if end_time > self.position else None
            self._settle()

    def seek(self, position: int) -> None:
        """Go to a position, also one behind the end; nothing if nothing plays."""
        if self.track is None or not self.track.info.is_seekable:
            return
        self._base, self._since = float(max(position, 0)), None
        if self._end_time is not None and self._end_time <= self._base:
            self._end_time = None
        self._settle()
        self.send_update()

    def play(self, track: Track, position: int | None, end_time: int | None) -> None:
        """Replace what plays."""
        if self.track is not None:
            self._end("replaced")
        start = max(track.info.position if position is None else position, 0)
        self.track = tracks.moved(track, start)
        self._base, self._since, self._broken = float(start), None, False
        self._end_time = end_time if end_time is not None and end_time > start else None
        self.playing_since = self._loop.clock.monotonic()
        self.started += 1
        self._event("TrackStartEvent", self.track)
        self.send_update()
        self._update_timer = self._loop.later(self._interval, self._tick)
        self._settle()

    def stop(self) -> None:
        """End what plays, if anything."""
        if self.track is not None:
            self._end("stopped")

    def fail(self, cause: str) -> None:
        """The current track turns out to be broken. Without voice nobody notices its end until there is one."""
        if self.track is None:
            return
        exception = {"message": _BROKEN, "severity": "fault", "cause": cause, "causeStackTrace": f"{cause}\n"}
        self._broken = True
        self._settle()
        self._event("TrackExceptionEvent", self._here(), exception=exception)
        if self.connected:
            self._end("loadFailed")

    def destroy(self) -> None:
        """What a DELETE does: stop, and leave the voice channel."""
        self.stop()
        if self.connected:
            self._leave()

    def discard(self) -> None:
        """Vanish without a word."""
        self.track = None
        self._cancel()

    # --- inside

    def send_update(self) -> None:
        """Tell the state."""
        self._send({"op": "playerUpdate", "state": self.state(), "guildId": str(self.guild_id)})

    def _tick(self) -> None:
        self.send_update()
        self._update_timer = self._loop.later(self._interval, self._tick)

    def _here(self) -> Track:
        assert self.track is not None
        return tracks.moved(self.track, self.position)

    def _leave(self) -> None:
        told = {"op": "event", "type": "WebSocketClosedEvent", "guildId": str(self.guild_id)}
        self.voice = NO_VOICE
        self._settle()
        self._send({**told, "code": 1000, "reason": "", "byRemote": False})
        self.send_update()

    def _event(self, kind: str, track: Track, **more: Any) -> None:
        event = {"op": "event", "type": kind, "guildId": str(self.guild_id), "track": tracks.told(track)}
        self._send({**event, **more})

    def _settle(self) -> None:
        """Keep the position, and set the timers anew for what is true now."""
        now = self._loop.clock.monotonic()
        if self._since is not None:
            self._base += (now - self._since) * 1000
        advancing = self.track is not None and self.connected and not self.paused and not self._broken
        self._since = now if advancing else None
        if self._end_timer is not None:
            self._end_timer.cancel()
        if advancing:
            self._await_end()
        if self.track is None or self.connected:
            if self._cleanup_timer is not None:
                self._cleanup_timer.cancel()
                self._cleanup_timer = None
        elif self._cleanup_timer is None:
            self._cleanup_timer = self._loop.later(_CLEANUP, lambda: self._end("cleanup"))

    def _await_end(self) -> None:
        assert self.track is not None
        left = [] if self._end_time is None else [self._end_time - self._base]
        if not self.track.info.is_stream:
            left.append((self.track.info.length - self._base) / filters.speed(self.filters))
        if left:
            self._end_timer = self._loop.later(min(left) / 1000, lambda: self._end("finished"))

    def _end(self, reason: str) -> None:
        ended = self._here()
        self.track = None
        self.playing_since = None
        self._cancel()
        self._base, self._since, self._end_time, self._broken = 0.0, None, None, False
        self._event("TrackEndEvent", ended, reason=reason)

    def _cancel(self) -> None:
        for timer in (self._update_timer, self._end_timer, self._cleanup_timer):
            if timer is not None:
                timer.cancel()
        self._update_timer = self._end_timer = self._cleanup_timer = None
