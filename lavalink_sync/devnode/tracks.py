"""Tracks as the node holds and tells them. The format itself is the models'; the JSON is written here once more."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ..models import Track, TrackInfo, decode_track, encode_track
from .encoded import check
from .http import RestError
from .probe import UNKNOWN_AUTHOR, UNKNOWN_TITLE, Probe

__all__ = ["SOURCES", "STREAM_LENGTH", "Track", "made", "made_stream", "moved", "read", "rewritten", "told"]

STREAM_LENGTH = 2**63 - 1
SOURCES = ("local", "http")
# What the files of these can be, as a track says it before a bar.
_CONTAINERS = frozenset(
    ("wav", "matroska/webm", "mp4", "flac", "ogg", "m3u", "pls", "plain", "mp3", "adts", "mpegts-adts")
)


def made(probe: Probe, identifier: str, source: str) -> Track:
    """The track of a file that was looked into."""
    info = TrackInfo(
        identifier=identifier,
        is_seekable=probe.length is not None,
        author=probe.author,
        length=STREAM_LENGTH if probe.length is None else probe.length,
        is_stream=probe.length is None,
        position=0,
        title=probe.title,
        source_name=source,
        uri=identifier,
        isrc=probe.isrc,
    )
    return _encoded(info, probe.kind)


def made_stream(identifier: str, source: str, kind: str) -> Track:
    """The track of a playlist file: a stream that nobody knows the end of."""
    info = TrackInfo(
        identifier=identifier,
        is_seekable=False,
        author=UNKNOWN_AUTHOR,
        length=STREAM_LENGTH,
        is_stream=True,
        position=0,
        title=UNKNOWN_TITLE,
        source_name=source,
        uri=identifier,
    )
    return _encoded(info, kind)


def read(encoded: str, has_source: Callable[[str], bool]) -> Track:
    """Decode what a client sent, as strictly as the server. Raises `RestError` 500.

    `has_source`: whether there is a source of that name beside those that every node has.
    """
    check(encoded)
    try:
        track = decode_track(encoded)
    except ValueError:
        raise RestError.io() from None
    source = track.info.source_name
    probed = str(track.plugin_info.get("probeInfo", "")).partition("|")[0] in _CONTAINERS
    if not (probed if source in SOURCES else has_source(source)):
        cause = "Failed to decode track due to a mismatching version or missing source manager"
        raise RestError.thrown(f"java.lang.IllegalStateException: {cause}")
    return replace(track, encoded=encoded)


def rewritten(track: Track) -> Track:
    """The same track as the server writes it, whichever version of the format and padding it came in."""
    if track.info.source_name not in SOURCES:
        return track  # nobody knows what else its source would write
    return replace(track, encoded=encode_track(replace(track, encoded="")))


def moved(track: Track, position: int) -> Track:
    """The same track at `position` milliseconds. The position is the last thing in it, so nothing else is encoded."""
    if track.info.position == position:
        return track
    try:
        raw = base64.b64decode(track.encoded)
        encoded = base64.b64encode(raw[:-8] + position.to_bytes(8, "big", signed=True)).decode()
    except (binascii.Error, OverflowError):
        encoded = track.encoded
    return replace(track, encoded=encoded, info=replace(track.info, position=position))


def told(track: Track) -> dict[str, Any]:
    """Lavalink's JSON of a track."""
    info = track.info
    return {
        "encoded": track.encoded,
        "info": {
            "identifier": info.identifier,
            "isSeekable": info.is_seekable,
            "author": info.author,
            "length": info.length,
            "isStream": info.is_stream,
            "position": info.position,
            "title": info.title,
            "uri": info.uri,
            "sourceName": info.source_name,
            "artworkUrl": info.artwork_url,
            "isrc": info.isrc,
        },
        "pluginInfo": track.plugin_info,
        "userData": track.user_data,
    }


def _encoded(info: TrackInfo, kind: str) -> Track:
    track = Track("", info, {"probeInfo": kind}, {})
    return replace(track, encoded=encode_track(track))
