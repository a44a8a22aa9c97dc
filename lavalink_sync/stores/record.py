"""What a store keeps, one record each: `StoredSession`, `StoredPlayer`, and how they are written as JSON.

A record has a version. One of a newer version is not understood and raises `NewerRecordError`; keys that this version
does not know are kept in `extra` and written back. A record is checked when it is made, so what is saved can be loaded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidArgumentError, ProtocolError
from ..models import Filters, Track, VoiceState
from ..models.jsontext import dumps, loads
from ..secret import Secret

VERSION = 1


class NewerRecordError(Exception):
    """A record that a newer version of this package wrote."""


@dataclass(frozen=True)
class StoredSession:
    """A session that can be resumed.

    `node`: the node's name. `user_id`: the bot's. `session_id`: never printed. `saved_at`: unix seconds.
    `resume_timeout`: seconds for which the server keeps the session once its connection is lost. `extra`: JSON keys
    that this version does not know. Raises `InvalidArgumentError` where a value is of another kind.
    """

    node: str
    user_id: int
    session_id: Secret
    saved_at: float
    resume_timeout: int
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False, kw_only=True)

    def __post_init__(self) -> None:
        _check("node", self.node, _is_name, "a text that is not empty")
        _check("user_id", self.user_id, _is_count, "a whole number from 0 on")
        _check("session_id", self.session_id, _is_header, "a text of printable ASCII without spaces")
        _check("saved_at", self.saved_at, _is_moment, "a finite number of seconds")
        _check("resume_timeout", self.resume_timeout, _is_count, "a whole number of seconds from 0 on")
        _check("extra", self.extra, _is_object, "a JSON object")
        object.__setattr__(self, "session_id", Secret(self.session_id))


@dataclass(frozen=True)
class StoredPlayer:
    """A player as it was at one moment.

    `guild_id`: whose it is. `node`: the name of the node it is on, `None` for an orphan. `channel_id`: the voice
    channel. `track`: Lavalink's JSON of what plays or is paused, user data included. `position`: milliseconds into the
    track at the unix time `at` (seconds). `end_time`: milliseconds. `volume`: percent. `paused`: whether. `filters`:
    Lavalink's JSON. `plugin_state`: any JSON object. `voice`: Discord's voice data, kept only by a store with
    `keep_voice`. `extra`: JSON keys that this version does not know.
    Raises `InvalidArgumentError` where a value is of another kind, or Lavalink's JSON is not what it sends.
    """

    guild_id: int
    node: str | None = None
    channel_id: int | None = None
    track: Mapping[str, Any] | None = field(default=None, repr=False, hash=False)
    position: int = 0
    at: float = 0.0
    end_time: int | None = None
    volume: int = 100
    paused: bool = False
    filters: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    plugin_state: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False)
    voice: VoiceState | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, hash=False, kw_only=True)

    def __post_init__(self) -> None:
        _check("guild_id", self.guild_id, _is_count, "a whole number from 0 on")
        _check("node", self.node, _or_none(_is_name), "None or a text that is not empty")
        _check("channel_id", self.channel_id, _or_none(_is_count), "None or a whole number from 0 on")
        _check("track", self.track, _or_none(_is_object), "None or a JSON object")
        _check("position", self.position, _is_count, "a whole number of milliseconds from 0 on")
        _check("at", self.at, _is_moment, "a finite number of seconds")
        _check("end_time", self.end_time, _or_none(_is_count), "None or a whole number of milliseconds from 0 on")
        _check("volume", self.volume, _is_count, "a whole number of percent from 0 on")
        _check("paused", self.paused, lambda value: isinstance(value, bool), "true or false")
        for name in ("filters", "plugin_state", "extra"):
            _check(name, getattr(self, name), _is_object, "a JSON object")
        _check("voice", self.voice, lambda value: value is None or isinstance(value, VoiceState), "a VoiceState")
        if self.track is not None:
            _check_wire("track", Track.from_dict, self.track)
        _check_wire("filters", Filters.from_dict, self.filters)


def write_session(session: StoredSession) -> bytes:
    """Return a session's record. Raises `InvalidArgumentError` on an `extra` that JSON can't carry."""
    known = {
        "version": VERSION,
        "userId": str(session.user_id),
        "sessionId": session.session_id.reveal(),
        "savedAt": session.saved_at,
        "resumeTimeout": session.resume_timeout,
    }
    return _write(f"node {session.node!r}", session.extra, known)


def read_session(node: str, text: Any) -> StoredSession:
    """Read a session's record. Raises `ProtocolError` on a damaged one, `NewerRecordError` on a newer one."""
    data = _Fields(text)
    session = _made(
        StoredSession,
        node=node,
        user_id=_id("userId", data.take("userId")),
        session_id=data.take("sessionId"),
        saved_at=data.take("savedAt"),
        resume_timeout=data.take("resumeTimeout"),
        extra=data.rest,
    )
    assert isinstance(session, StoredSession)
    return session


def write_player(player: StoredPlayer, keep_voice: bool) -> bytes:
    """Return a player's record, with its voice data if `keep_voice`. Raises `InvalidArgumentError` on what is no JSON.

    The guild's id is not in it: it is the record's key.
    """
    known = {
        "version": VERSION,
        "node": player.node,
        "channelId": None if player.channel_id is None else str(player.channel_id),
        "track": player.track,
        "position": player.position,
        "at": player.at,
        "endTime": player.end_time,
        "volume": player.volume,
        "paused": player.paused,
        "filters": player.filters,
        "pluginState": player.plugin_state,
        "voice": player.voice.to_dict() if player.voice is not None and keep_voice else None,
    }
    return _write(f"guild {player.guild_id}", player.extra, known)


def read_player(guild_id: str, text: Any, keep_voice: bool) -> StoredPlayer:
    """Read a player's record. Raises `ProtocolError` on a damaged one, `NewerRecordError` on a newer one."""
    data = _Fields(text)
    channel, voice = data.take("channelId"), data.take("voice", None)
    player = _made(
        StoredPlayer,
        guild_id=_id("the key", guild_id),
        node=data.take("node"),
        channel_id=None if channel is None else _id("channelId", channel),
        track=data.take("track"),
        position=data.take("position"),
        at=data.take("at"),
        end_time=data.take("endTime"),
        volume=data.take("volume"),
        paused=data.take("paused"),
        filters=data.take("filters"),
        plugin_state=data.take("pluginState"),
        voice=_voice(voice) if voice is not None and keep_voice else None,
        extra=data.rest,
    )
    assert isinstance(player, StoredPlayer)
    return player


class _Fields:
    """The keys of a record of our version; `rest` is what nobody took."""

    def __init__(self, text: Any) -> None:
        if not isinstance(text, (bytes, str)):
            raise ProtocolError("is no text")
        data = loads(text)
        if not isinstance(data, dict):
            raise ProtocolError("is no JSON object")
        self.rest: dict[str, Any] = data
        version = self.take("version")
        if not _is_count(version) or version < 1:
            raise ProtocolError("version must be a whole number from 1 on")
        if version > VERSION:
            raise NewerRecordError

    def take(self, key: str, *default: Any) -> Any:
        """Return a key's value, or `default`. Raises `ProtocolError` where there is neither."""
        if key not in self.rest and not default:
            raise ProtocolError(f"{key} is missing")
        return self.rest.pop(key, *default)


def _write(whose: str, extra: Mapping[str, Any], known: dict[str, Any]) -> bytes:
    try:
        return dumps({**extra, **known})
    except InvalidArgumentError as error:
        raise InvalidArgumentError(f"the record of {whose} can't be written: {error}") from None


def _made(kind: type[StoredSession | StoredPlayer], **fields: Any) -> StoredSession | StoredPlayer:
    """Make a record of what was read, whose mistakes are the record's and not the caller's."""
    try:
        return kind(**fields)
    except InvalidArgumentError as error:
        raise ProtocolError(str(error), path=error.field) from None


def _id(name: str, value: Any) -> int:
    """An id: text, like on the wire, because JavaScript can't count that far."""
    if not isinstance(value, str) or not value.isascii() or not value.isdigit() or len(value) > 20:
        raise ProtocolError(f"{name} is no id, a text of digits")
    return int(value)


def _voice(value: Any) -> VoiceState:
    try:
        return VoiceState.from_dict(value)
    except ProtocolError as error:
        raise ProtocolError(f"voice is not what Lavalink takes: {error}") from None


def _check(name: str, value: Any, holds: Callable[[Any], bool], expected: str) -> None:
    if not holds(value):
        raise InvalidArgumentError(f"{name} must be {expected}", field=name)


def _check_wire(name: str, decode: Callable[[Any], Any], value: Any) -> None:
    try:
        decode(value)
    except ProtocolError as error:
        raise InvalidArgumentError(f"{name} is not what Lavalink sends: {error}", field=name) from None


def _or_none(holds: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or holds(value)


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_header(value: Any) -> bool:
    """Whether it can go out as a header's value."""
    return isinstance(value, str) and bool(value) and all("!" <= letter <= "~" for letter in value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_moment(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_object(value: Any) -> bool:
    return isinstance(value, Mapping)
