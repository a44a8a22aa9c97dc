"""What a test says can be loaded: tracks, playlists, searches, failures, by the identifier that asks for them.

A development node has one as `tracks`. Its methods may be called from any thread, and count from their return on. What
it does not know is looked for among the files and over HTTP as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..models import Track, TrackInfo, encode_track
from . import tracks

__all__ = ["Catalogue"]

_SEVERITIES = ("common", "suspicious", "fault")


@dataclass
class _Entry:
    """A load result, `left` times, or always; after that what was there before."""

    result: dict[str, Any]
    left: int | None = None
    before: _Entry | None = None


class Catalogue:
    """See the module. `add` returns Lavalink's JSON of the track, to be handed to `playlist` and `search`."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._broken: dict[str, str] = {}
        self._sources: set[str] = set()

    def add(
        self,
        identifier: str,
        *,
        title: str = "A track",
        author: str = "An artist",
        length: int = 180_000,
        source: str = "youtube",
        uri: str | None = None,
        artwork_url: str | None = None,
        isrc: str | None = None,
        is_stream: bool = False,
        plugin_info: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Let `identifier` be one track of `length` milliseconds. Returns it; it can be played and decoded as well."""
        info = TrackInfo(
            identifier=identifier,
            is_seekable=not is_stream,
            author=author,
            length=tracks.STREAM_LENGTH if is_stream else length,
            is_stream=is_stream,
            position=0,
            title=title,
            source_name=source,
            uri=identifier if uri is None else uri,
            artwork_url=artwork_url,
            isrc=isrc,
        )
        kind = {"probeInfo": "mp3"} if source in ("http", "local") else {}
        track = Track("", info, {**kind, **(plugin_info or {})}, {})
        told = tracks.told(replace(track, encoded=encode_track(track)))
        self._sources.add(source)
        self._entries[identifier] = _Entry({"loadType": "track", "data": told})
        return told

    def playlist(
        self,
        identifier: str,
        name: str,
        tracks: Iterable[Mapping[str, Any]],
        *,
        selected: int = -1,
        plugin_info: Mapping[str, Any] | None = None,
    ) -> None:
        """Let `identifier` be a playlist of what `add` returned. `selected`: the index of the one that was meant."""
        info = {"name": name, "selectedTrack": selected}
        data = {"info": info, "pluginInfo": dict(plugin_info or {}), "tracks": [dict(track) for track in tracks]}
        self._entries[identifier] = _Entry({"loadType": "playlist", "data": data})

    def search(self, identifier: str, tracks: Iterable[Mapping[str, Any]]) -> None:
        """Let `identifier`, such as `ytsearch:...`, find these tracks."""
        self._entries[identifier] = _Entry({"loadType": "search", "data": [dict(track) for track in tracks]})

    def empty(self, identifier: str) -> None:
        """Let `identifier` find nothing."""
        self._entries[identifier] = _Entry({"loadType": "empty", "data": None})

    def fail(
        self,
        identifier: str,
        *,
        message: str = "Something went wrong while looking up the track.",
        severity: str = "common",
        cause: str = "com.sedmelluq.discord.lavaplayer.tools.FriendlyException: scripted",
        times: int | None = None,
    ) -> None:
        """Let loading `identifier` fail, the next `times` or always. `severity`: `common`, `suspicious` or `fault`."""
        if severity not in _SEVERITIES:
            raise ValueError(f"severity is one of {', '.join(_SEVERITIES)}, not {severity!r}")
        data = {"message": message, "severity": severity, "cause": cause, "causeStackTrace": f"{cause}\n"}
        before = self._entries.get(identifier)
        self._entries[identifier] = _Entry({"loadType": "error", "data": data}, times, before)

    def break_track(self, identifier: str, cause: str = "java.io.IOException: scripted") -> None:
        """Let a track that loads well fail to play: `TrackExceptionEvent`, then `TrackEndEvent` `loadFailed`."""
        self._broken[identifier] = cause

    def forget(self, identifier: str | None = None) -> None:
        """Know nothing of `identifier` any more, or of anything."""
        if identifier is None:
            self._entries.clear()
            self._broken.clear()
        else:
            self._entries.pop(identifier, None)
            self._broken.pop(identifier, None)

    # --- on the node's thread

    def find(self, identifier: str) -> dict[str, Any] | None:
        """The load result that was scripted; counts it."""
        entry = self._entries.get(identifier)
        if entry is None:
            return None
        if entry.left is not None:
            entry.left -= 1
            if entry.left <= 0 and entry.before is not None:
                self._entries[identifier] = entry.before
            elif entry.left <= 0:
                del self._entries[identifier]
        return entry.result

    def has(self, identifier: str) -> bool:
        """Whether it was said what this identifier is."""
        return identifier in self._entries

    def trouble(self, identifier: str) -> str | None:
        """Why a track can't be played, if a test said so."""
        return self._broken.get(identifier)

    def knows(self, source: str) -> bool:
        """Whether tracks of a source were added: then they can be decoded."""
        return source in self._sources
