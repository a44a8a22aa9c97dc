"""A player: what it plays, its voice link, and the messages that come of both.

Nothing is decoded. Frames are taken while the link flows and nothing is paused; timers mark what happens on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from . import filters, tracks
from .fields import java_long
from .http import RestError
from .material import Material
from .playing import Playing
from .tracks import Track
from .voice import Link, RefusedError
from .world import World

__all__ = ["NO_VOICE", "Player"]

NO_VOICE: Mapping[str, Any] = {"token": "", "endpoint": "", "sessionId": "", "channelId": None}
_MAX_VOLUME = 1000
_GAP = 0.1  # seconds between two tracks that count as none

_Message = dict[str, Any]


class Player:
    """See the module. `send` gets every message for the client. On the node's thread only.

    `started`: how many tracks were.
    """

    def __init__(self, guild_id: int, world: World, send: Callable[[_Message], None]) -> None:
        self.guild_id = guild_id
        self.world = world
        self.track: Track | None = None
        self.volume = 100
        self.paused = False
        self.filters: dict[str, Any] = {}
        self.link: Link | None = None
        self.started = 0
        self._counted_since: float | None = None
        self._gap_since = 0.0
        self._send = send
        self._held: list[_Message] | None = None
        self._waits = False
        self._playing = Playing(world.loop, self._ended, self._went_wrong, self._got_stuck, self._tick)

    @property
    def connected(self) -> bool:
        """Whether there is a voice connection, as it is told."""
        return self.link is not None and self.link.open

    @property
    def playing(self) -> bool:
        """Whether it counts as playing."""
        return self.track is not None and not self.paused

    @property
    def played_last_minute(self) -> bool:
        """Whether it played without a gap through the whole of the last minute of the clock."""
        last_minute = (self.world.loop.clock.time() // 60 - 1) * 60
        return self.playing and self._counted_since is not None and self._counted_since < last_minute

    @property
    def voice(self) -> Mapping[str, Any]:
        """The voice data as it is told: of the last link, also after the voice server has closed it."""
        return NO_VOICE if self.link is None else self.link.data

    @property
    def position(self) -> int:
        """Milliseconds, 0 without a track."""
        return 0 if self.track is None else self._playing.position()

    def state(self, position: int | None = None) -> dict[str, Any]:
        """Lavalink's PlayerState."""
        time_ms = int(self.world.loop.clock.time() * 1000)
        where = self.position if position is None else position
        ping = -1 if self.link is None else 0
        return {"time": time_ms, "position": where, "connected": self.connected, "ping": ping}

    def told(self, position: int | None = None) -> dict[str, Any]:
        """Lavalink's Player; as it was at another position, if one is given."""
        where = self.position if position is None else position
        return {
            "guildId": str(self.guild_id),
            "track": None if self.track is None else tracks.told(tracks.moved(self.track, where)),
            "volume": self.volume,
            "paused": self.paused,
            "state": self.state(where),
            "voice": dict(self.voice),
            "filters": self.filters,
        }

    # --- what a PATCH does

    def connect(self, voice: Mapping[str, str]) -> bool:
        """Connect to a voice server; the same again does nothing, another one first leaves the old one.

        False if that will never be answered. Raises `RestError` 500.
        """
        if self._waits:
            return False
        link = self.link
        others = ("token", "endpoint", "sessionId")
        if link is None or not link.open or any(link.data[name] != voice[name] for name in others):
            self._leave()
        data = {**voice, "channelId": _channel(voice["channelId"])}
        if self.link is not None:
            if self.link.data == data:
                return True
            self._leave()
        try:
            link = self.world.voice.join(self.guild_id, data, self._closed)
        except RefusedError:
            raise RestError(500, "Failed to connect to voice server") from None
        if link is None:
            self._waits = True
            return False
        self.link = link
        if link.refused is not None:
            code, reason = link.refused
            self.world.loop.post(lambda: self._refused(link, code, reason))
            return True
        self.send_update()
        self._playing.listened_to()
        return True

    def pause(self, paused: bool) -> None:
        """Stop or go on."""
        if paused != self.paused:
            self._count(not paused)
        self.paused = paused
        self._playing.pause(paused)

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
        self._playing.set_speed(filters.speed(told))
        self.send_update()

    def set_end_time(self, end_time: int) -> None:
        """Mark where the current track ends; a mark that is already behind never fires."""
        if self.track is not None:
            self._playing.mark(end_time)

    def seek(self, position: int) -> None:
        """Go to a position, also one behind the end; nothing if nothing plays."""
        if self.track is None:
            return
        old = self.position
        if not self.track.info.is_stream:
            self._playing.seek(max(position, 0))
        self.send_update(old if self.world.dice.old_seek_update() else None)

    def play(self, track: Track, position: int | None, end_time: int | None) -> None:
        """Replace what plays."""
        start = track.info.position if position is None else position
        if self.track is not None:
            ended = self._here()
            self._count(False)
            self._playing.stop(replaced=True)
            self._event("TrackEndEvent", ended, reason="replaced")
        if track.info.is_stream:
            start = 0  # it can't be sought
        begin = max(start, 0)
        self.track = tracks.moved(track, begin)
        self.started += 1
        self._count(True)
        first = self.state(begin)
        self._playing.start(self.track, start, end_time, filters.speed(self.filters))
        # The timer's first update and the one of the start itself; where nobody listens, the second is back at 0.
        second = self.state(None if self._playing.running else 0)
        early = self.world.dice.update_before_start()
        if early:
            self._update(first)
        self._event("TrackStartEvent", self.track)
        if not early:
            self._update(first)
        self._update(second)
        self._playing.tell_from_now(self.world.interval)

    def stop(self) -> None:
        """End what plays, if anything."""
        if self.track is not None:
            self._end("stopped")

    def fail(self, cause: str) -> None:
        """The current track turns out to be broken. Without voice nobody notices its end until there is one."""
        if self.track is not None:
            self._playing.fail("Something broke when playing the track.", cause)

    def meet(self, material: Material) -> None:
        """The current track turns out to be like this."""
        if self.track is not None:
            self._playing.meet(material)

    def stall(self, on: bool) -> None:
        """No more frames come of the current track, or again. After 10 s of it the track is stuck."""
        self._playing.stall(on)

    def damage(self, at: int, message: str, cause: str) -> None:
        """Nothing of the current track can be read from `at` milliseconds on."""
        if self.track is not None:
            self._playing.damage(at, message, cause)

    def destroy(self) -> None:
        """What a DELETE does: stop, and leave the voice channel."""
        self.stop()
        self._leave()
        if self.world.dice.update_after_delete():
            self.send_update()

    def discard(self) -> None:
        """Vanish without a word."""
        self.track = None
        self._playing.stop()
        if self.link is not None:
            self.world.voice.leave(self.link)

    # --- messages

    def send_update(self, position: int | None = None) -> None:
        """Tell the state."""
        self._update(self.state(position))

    def hold(self) -> None:
        """Keep every message until it is released."""
        self._held = []

    def release(self) -> list[_Message]:
        """What was kept, for `say`."""
        held, self._held = self._held or [], None
        return held

    def say(self, message: _Message) -> None:
        """Send a message, or keep it."""
        if self._held is None:
            self._send(message)
        else:
            self._held.append(message)

    def _update(self, state: dict[str, Any]) -> None:
        self.say({"op": "playerUpdate", "state": state, "guildId": str(self.guild_id)})

    def _event(self, kind: str, track: Track, **more: Any) -> None:
        event = {"op": "event", "type": kind, "guildId": str(self.guild_id), "track": tracks.told(track)}
        self.say({**event, **more})

    # --- what happens

    def _tick(self) -> None:
        self.send_update()

    def _ended(self, reason: str) -> None:
        self._end(reason)

    def _went_wrong(self, message: str, cause: str) -> None:
        exception = {"message": message, "severity": "fault", "cause": cause, "causeStackTrace": f"{cause}\n"}
        self._event("TrackExceptionEvent", self._here(), exception=exception)

    def _got_stuck(self, threshold_ms: int) -> None:
        self._event("TrackStuckEvent", self._here(), thresholdMs=threshold_ms)
        self.send_update()

    def _end(self, reason: str) -> None:
        ended = self._here()
        self.track = None
        self._count(False)
        self._playing.stop()
        self._event("TrackEndEvent", ended, reason=reason)

    def _count(self, on: bool) -> None:
        now = self.world.loop.clock.time()
        if not on:
            self._gap_since = now
        elif self._counted_since is None or now - self._gap_since > _GAP:
            self._counted_since = now

    def _here(self) -> Track:
        assert self.track is not None
        return tracks.moved(self.track, self.position)

    def _refused(self, link: Link, code: int, reason: str) -> None:
        if link.open:
            link.open = False
            self._closed(code, reason)

    def _closed(self, code: int, reason: str) -> None:
        self._tell_closed(code, reason, by_remote=True)

    def _leave(self) -> None:
        link, self.link = self.link, None
        if link is None:
            return
        was_open = link.open
        self.world.voice.leave(link)
        self._playing.left_alone()
        if was_open and self.world.dice.closed_event():
            self._tell_closed(1000, "", by_remote=False)

    def _tell_closed(self, code: int, reason: str, by_remote: bool) -> None:
        told = {"op": "event", "type": "WebSocketClosedEvent", "guildId": str(self.guild_id)}
        self.say({**told, "code": code, "reason": reason, "byRemote": by_remote})
        self.send_update()


def _channel(text: str) -> str:
    """A channel's id, as the server tells it afterwards."""
    number = java_long(text)
    if number is None:
        raise RestError.thrown(f'java.lang.NumberFormatException: For input string: "{text}"')
    return str(number)
