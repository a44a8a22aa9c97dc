"""Everything that comes over the WebSocket, and `decode_message`, which makes it of a frame.

That function runs for every frame of every guild: one look into a table, one compiled decoder. Ops and events that are
not in the tables are kept with their JSON, for plugins and newer servers have more of them.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from ..errors import ProtocolError
from ..secret import Secret
from . import codec
from .base import GUILD_ID, Model, OpenEnum, read_id, secret, wire
from .jsontext import quick_loads
from .player import PlayerState
from .server import ExceptionInfo, Stats
from .shapes import WRONG, plain
from .track import Track

E = TypeVar("E", bound="Event")
_ID = re.compile(r"-?[0-9]{1,20}")


class TrackEndReason(OpenEnum):
    """Why a track ended. Protocol: `TrackEndReason`."""

    FINISHED = "finished"
    """It came to its end (or its `end_time`), or broke in the middle."""
    LOAD_FAILED = "loadFailed"
    """It broke before it gave any audio."""
    STOPPED = "stopped"
    """Somebody stopped it."""
    REPLACED = "replaced"
    """Another track was played instead."""
    CLEANUP = "cleanup"
    """The server gave up on the player: nothing had asked for its audio for about a minute."""

    @property
    def may_start_next(self) -> bool:
        """Whether a queue should go on with its next track; not if somebody chose to end this one."""
        return self in (TrackEndReason.FINISHED, TrackEndReason.LOAD_FAILED)


@dataclass(frozen=True)
class Message(Model):
    """The root of all messages. `op` is the protocol's."""

    op: str = field(default="", init=False, repr=False)


@dataclass(frozen=True)
class Ready(Message):
    """The session is open. Protocol: op `ready`.

    `resumed`: whether it is one from before, with its players. `session_id`: for REST calls, and to resume it.
    """

    op: str = field(default="ready", init=False, repr=False)
    resumed: bool
    session_id: Secret = field(metadata=secret("sessionId"))


@dataclass(frozen=True)
class PlayerUpdateEvent(Message):
    """Where a player is, every few seconds while a track plays. Protocol: op `playerUpdate`.

    `guild_id`: whose player. `state`: see there.
    """

    op: str = field(default="playerUpdate", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    state: PlayerState


@dataclass(frozen=True)
class StatsMessage(Message):
    """How busy the server is, once a minute. Protocol: op `stats`, whose fields are those of `stats`."""

    op: str = field(default="stats", init=False, repr=False)
    stats: Stats

    @classmethod
    def _from_wire(cls, data: Any, path: str = "") -> "StatsMessage":
        return cls(codec.decode(Stats, data, path))

    def _to_wire(self) -> dict[str, Any]:
        return {"op": self.op, **self.stats.to_dict()}


@dataclass(frozen=True)
class UnknownMessage(Message):
    """A message of an op that this version doesn't know; `data` is all of its JSON."""

    op: str = field()
    data: dict[str, Any] = field(hash=False)

    @classmethod
    def _from_wire(cls, data: Any, path: str = "") -> "UnknownMessage":
        return cls(_text_in(data, "op", path), data)

    def _to_wire(self) -> dict[str, Any]:
        return dict(plain(self.data))


@dataclass(frozen=True)
class Event(Message):
    """The root of the events, which are about one guild. Protocol: op `event`.

    `type`: the protocol's name. `guild_id`: whose; only an `UnknownEvent` may be without. `replayed`: whether it comes
    from before a resume, and is delivered late; not on the wire.
    """

    op: str = field(default="event", init=False, repr=False)
    type: str = field(default="", init=False, repr=False)
    guild_id: int | None = field(metadata=GUILD_ID)
    replayed: bool = field(default=False, kw_only=True, metadata=wire(exclude=lambda _: True))

    def with_replayed(self: E) -> E:
        """Return the same event marked as from before a resume."""
        return replace(self, replayed=True)


@dataclass(frozen=True)
class TrackStartEvent(Event):
    """A track began to play. `track`: which, with its user data."""

    type: str = field(default="TrackStartEvent", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    track: Track


@dataclass(frozen=True)
class TrackEndEvent(Event):
    """A track ended. `track`: which. `reason`: why; `reason.may_start_next` says whether a queue should go on."""

    type: str = field(default="TrackEndEvent", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    track: Track
    reason: TrackEndReason


@dataclass(frozen=True)
class TrackExceptionEvent(Event):
    """A track broke. `track`: which. `exception`: how. A `TrackEndEvent` follows, maybe only once audio is wanted."""

    type: str = field(default="TrackExceptionEvent", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    track: Track
    exception: ExceptionInfo


@dataclass(frozen=True)
class TrackStuckEvent(Event):
    """`track` gave no audio for `threshold_ms`. No `TrackEndEvent` follows; it may go on by itself."""

    type: str = field(default="TrackStuckEvent", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    track: Track
    threshold_ms: int


@dataclass(frozen=True)
class WebSocketClosedEvent(Event):
    """The server's connection to Discord's voice server closed.

    `code`: the close code, 4006 an invalid session, 4014 kicked or moved, ... `reason`: its text, may be empty.
    `by_remote`: whether Discord closed it.
    """

    type: str = field(default="WebSocketClosedEvent", init=False, repr=False)
    guild_id: int = field(metadata=GUILD_ID)
    code: int
    reason: str
    by_remote: bool


@dataclass(frozen=True)
class UnknownEvent(Event):
    """An event of a `type` that this version doesn't know, a plugin's say; `data` is all of its JSON."""

    type: str = field()
    guild_id: int | None
    data: dict[str, Any] = field(hash=False)

    @classmethod
    def _from_wire(cls, data: Any, path: str = "") -> "UnknownEvent":
        name = _text_in(data, "type", path)
        guild_id = str(data.get("guildId"))
        return cls(name, int(guild_id) if _ID.fullmatch(guild_id) else None, data)

    def _to_wire(self) -> dict[str, Any]:
        return dict(plain(self.data))


def _text_in(data: Any, key: str, path: str) -> str:
    where = f"{path}.{key}" if path else key
    value = data.get(key) if isinstance(data, dict) else None
    if not isinstance(value, str):
        raise ProtocolError(f"{where}: expected text", path=where)
    return value


_MESSAGE_CLASSES: dict[str, type[Message]] = {cls.op: cls for cls in (Ready, PlayerUpdateEvent, StatsMessage)}
_EVENT_CLASSES: dict[str, type[Message]] = {
    cls.type: cls
    for cls in (TrackStartEvent, TrackEndEvent, TrackExceptionEvent, TrackStuckEvent, WebSocketClosedEvent)
}
# The decoders of those that came already: to write all of them is not the business of an import.
_BY_OP: dict[str, Callable[[Any], Message]] = {}
_BY_TYPE: dict[str, Callable[[Any], Message]] = {}
_BY_CLASS: dict[type[Track], Callable[[Any], Track]] = {}
_read_player_state = codec.fast_decoder(PlayerState)


def decode_message(frame: bytes | str) -> Message:
    """Make the message of one text frame. Raises `ProtocolError`, with the path, on what is none.

    Unknown ops give an `UnknownMessage`, unknown events an `UnknownEvent`, both with all their JSON.
    """
    message = read_frame(frame)
    # With all heard, only that of a `playerUpdate` is not made.
    return PlayerUpdateEvent(*message) if isinstance(message, tuple) else message  # type: ignore[arg-type]


News = tuple[int, PlayerState | Track | None]
"""What is new of a guild's player: its state, the track that began, or `None`: one has ended."""


def read_frame(frame: bytes | str, unheard: frozenset[str] = frozenset()) -> News | Message:
    """Make the message of a frame, as `decode_message` does; but of some only the news in it.

    These are every `playerUpdate`, which nearly all messages are, and starts and ends of tracks if their type is among
    `unheard`: most often nobody listens. What is wrong with the rest of them is a fault all the same.
    """
    try:
        data = quick_loads(frame)
    except ValueError:
        data = codec.loads(frame)
    try:
        op = data["op"]
        if op == "playerUpdate":
            guild_id = data["guildId"]
            return int(guild_id) if type(guild_id) is str else read_id(guild_id), _read_player_state(data["state"])
        if op == "event":
            name = data["type"]
            if name in unheard and (name == "TrackStartEvent" or type(data["reason"]) is str):
                read_track = _BY_CLASS.get(Track) or _BY_CLASS.setdefault(Track, codec.fast_decoder(Track))
                guild_id, track = data["guildId"], read_track(data["track"])
                guild_id = int(guild_id) if type(guild_id) is str else read_id(guild_id)
                return guild_id, track if name == "TrackStartEvent" else None
            decode = _BY_TYPE.get(name) or _decoder_of_event(name)
        else:
            decode = _BY_OP.get(op) or _decoder_of_message(op)
        return decode(data)
    except WRONG as error:
        raise _fault(data, error) from None


def _decoder_of_event(name: str) -> Callable[[Any], Message]:
    if name not in _EVENT_CLASSES:
        return UnknownEvent._from_wire
    return _BY_TYPE.setdefault(name, codec.fast_decoder(_EVENT_CLASSES[name]))


def _decoder_of_message(op: str) -> Callable[[Any], Message]:
    if op not in _MESSAGE_CLASSES:
        return UnknownMessage._from_wire
    return _BY_OP.setdefault(op, codec.fast_decoder(_MESSAGE_CLASSES[op]))


def _fault(data: Any, error: Exception) -> ProtocolError:
    if not isinstance(data, dict):
        return ProtocolError("a message must be a JSON object")
    is_event = data.get("op") == "event"
    cls: type[Message] = UnknownEvent if is_event else UnknownMessage
    name = data.get("type" if is_event else "op")
    if isinstance(name, str):
        cls = (_EVENT_CLASSES if is_event else _MESSAGE_CLASSES).get(name, cls)
    return codec.fault(cls, data, "", error)
