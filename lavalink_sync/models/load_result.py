"""What loading an identifier gives: one class a load type, so that `match` can tell them apart.

The load type decides what the data is, which no dataclass field can say; the table here does.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

from ..errors import LavalinkError, LoadFailedError, ProtocolError
from . import codec
from .base import Model, OpenEnum
from .server import ExceptionInfo
from .shapes import WRONG, plain
from .track import Playlist, Track

R = TypeVar("R", bound="LoadResult")


class LoadType(OpenEnum):
    """What kind of result a load has. Protocol: `loadType`."""

    TRACK = "track"
    PLAYLIST = "playlist"
    SEARCH = "search"
    EMPTY = "empty"
    ERROR = "error"


@dataclass(frozen=True)
class LoadResult(Model):
    """The root of the results. Protocol: `GET /v4/loadtracks`. True where it has tracks.

    `load_type`: which result it is. `tracks`: what was found, none, one or many. `to_dict` gives the wire's object.
    """

    _load_type: ClassVar[LoadType]

    @property
    def load_type(self) -> LoadType:
        """The protocol's `loadType`."""
        return self._load_type

    # Not a property, which would stand in the way of the field that a `SearchResult` has in its place.
    @cached_property
    def tracks(self) -> list[Track]:
        """The tracks that were found; empty where there are none."""
        return []

    def __bool__(self) -> bool:
        return bool(self.tracks)

    @classmethod
    def _from_wire(cls: type[R], data: Any, path: str = "") -> R:
        result = decode_load_result(data, path)
        if not isinstance(result, cls):
            where = f"{path}.loadType" if path else "loadType"
            raise ProtocolError(f"{where}: {result.load_type} is no {cls.__name__}", path=where)
        return result

    def _data(self) -> Any:
        return None

    def _to_wire(self) -> dict[str, Any]:
        return {"loadType": self.load_type.value, "data": self._data()}


@dataclass(frozen=True)
class TrackLoaded(LoadResult):
    """One `track` was found."""

    _load_type = LoadType.TRACK
    track: Track

    @cached_property
    def tracks(self) -> list[Track]:
        """The one track."""
        return [self.track]

    def _data(self) -> Any:
        return self.track.to_dict()


@dataclass(frozen=True)
class PlaylistLoaded(LoadResult):
    """A `playlist` was found."""

    _load_type = LoadType.PLAYLIST
    playlist: Playlist

    @cached_property
    def tracks(self) -> list[Track]:
        """The playlist's tracks."""
        return self.playlist.tracks

    def _data(self) -> Any:
        return self.playlist.to_dict()


@dataclass(frozen=True)
class SearchResult(LoadResult):
    """A search found `tracks`, possibly none."""

    _load_type = LoadType.SEARCH
    tracks: list[Track] = field(hash=False)

    def _data(self) -> Any:
        return [track.to_dict() for track in self.tracks]


@dataclass(frozen=True)
class NoMatches(LoadResult):
    """Nothing was found."""

    _load_type = LoadType.EMPTY


@dataclass(frozen=True)
class LoadFailed(LoadResult):
    """It could not be loaded.

    `exception`: the server's, `None` where the server could not be asked. `error`: the same as a `LavalinkError`, or
    what went wrong with asking.
    """

    _load_type = LoadType.ERROR
    exception: ExceptionInfo | None
    error: LavalinkError | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if self.error is None and self.exception is not None:
            text = self.exception.message or self.exception.cause
            error = LoadFailedError(f"the server could not load it: {text}", exception=self.exception)
            object.__setattr__(self, "error", error)

    def _data(self) -> Any:
        return None if self.exception is None else self.exception.to_dict()


@dataclass(frozen=True)
class UnknownLoadResult(LoadResult):
    """A result of a load type that this version doesn't know: `type`, and its `data` as JSON."""

    type: LoadType
    data: Any = field(hash=False)

    @property
    def load_type(self) -> LoadType:
        """The protocol's `loadType`, not one of those listed."""
        return self.type

    def _data(self) -> Any:
        return plain(self.data)


def decode_load_result(obj: Any, path: str = "", *, own: bool = False) -> LoadResult:
    """Make the fitting result of `{"loadType": ..., "data": ...}`. Raises `ProtocolError` with the path.

    `own`: the JSON is nobody else's, and may be used up.
    """
    prefix = f"{path}." if path else ""
    try:
        load_type, data = obj["loadType"], obj.get("data")
        if not isinstance(load_type, str):
            raise TypeError
    except WRONG:
        where = f"{prefix}loadType"
        raise ProtocolError(f"{where}: expected a load result with its type", path=where) from None
    where = f"{prefix}data"
    if load_type == LoadType.TRACK:
        return TrackLoaded(codec.decode(Track, data, where))
    if load_type == LoadType.PLAYLIST:
        return PlaylistLoaded(_decode_playlist(data, where, own))
    if load_type == LoadType.SEARCH:
        return SearchResult(codec.decode_list(Track, data, where, own=own))
    if load_type == LoadType.EMPTY:
        return NoMatches()
    if load_type == LoadType.ERROR:
        return LoadFailed(codec.decode(ExceptionInfo, data, where))
    return UnknownLoadResult(LoadType(load_type), data)


def _decode_playlist(data: Any, path: str, own: bool) -> Playlist:
    tracks = data.get("tracks") if type(data) is dict else None
    if type(tracks) is not list:
        return codec.decode(Playlist, data, path)
    playlist = codec.decode(Playlist, {**data, "tracks": []}, path)
    return replace(playlist, tracks=codec.decode_list(Track, tracks, f"{path}.tracks", own=own))
