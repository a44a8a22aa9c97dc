"""Tracks and playlists, as Lavalink tells them."""

from dataclasses import dataclass, field, replace
from typing import Any

from .base import Model, frozen_slots


@frozen_slots
@dataclass(frozen=True, slots=True)
class TrackInfo(Model):
    """What is known of a track. Protocol: `TrackInfo`.

    `identifier`: the source's own id or path. `is_seekable`: whether its position can be changed. `author`, `title`:
    as the source has them. `length`: milliseconds; 9223372036854775807 for a stream. `is_stream`: without an end.
    `position`: where it starts, or inside a player where it is, in milliseconds. `source_name`: `youtube`, `http`, ...
    `uri`: where to find it; `artwork_url`: a picture; `isrc`: the recording's international code; each may be `None`.
    """

    identifier: str
    is_seekable: bool
    author: str
    length: int
    is_stream: bool
    position: int
    title: str
    source_name: str
    uri: str | None = None
    artwork_url: str | None = None
    isrc: str | None = None


@frozen_slots
@dataclass(frozen=True, slots=True)
class Track(Model):
    """A track that can be played. Protocol: `Track`.

    `encoded`: what the server plays it by, base64. `info`: what is known of it. `plugin_info`: what the source or a
    plugin adds, JSON. `user_data`: what was attached to it by whoever played it, JSON.
    """

    encoded: str
    info: TrackInfo
    plugin_info: dict[str, Any] = field(default_factory=dict, hash=False)
    user_data: dict[str, Any] = field(default_factory=dict, hash=False)

    def with_user_data(self, user_data: dict[str, Any]) -> "Track":
        """Return the same track with other user data; it travels with the track and comes back in its events."""
        return replace(self, user_data=user_data)


@dataclass(frozen=True)
class PlaylistInfo(Model):
    """A playlist's `name`, and in `selected_track` the index of the track its link pointed at, -1 if at none."""

    name: str
    selected_track: int = -1


@dataclass(frozen=True)
class Playlist(Model):
    """A playlist with all its tracks. Protocol: the data of load type `playlist`.

    `info`: name and selected track. `plugin_info`: what a plugin adds, JSON. `tracks`: in order, possibly none.
    """

    info: PlaylistInfo
    plugin_info: dict[str, Any] = field(default_factory=dict, hash=False)
    tracks: list[Track] = field(default_factory=list, hash=False)

    @property
    def selected_track(self) -> Track | None:
        """The track the playlist's link pointed at, `None` if at none."""
        index = self.info.selected_track
        return self.tracks[index] if 0 <= index < len(self.tracks) else None
