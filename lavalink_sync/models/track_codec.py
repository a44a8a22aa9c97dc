"""Encoded tracks: lavaplayer's binary format inside base64, versions 1 to 3, read and written byte for byte.

The position is always the last eight bytes, so what a source adds before it can be kept without being understood.
Nothing is read past what is there, and nothing is made in the size that a damaged header claims.
"""

import base64
import binascii
import struct
from dataclasses import dataclass
from typing import Any

from ..errors import InvalidArgumentError, TrackFormatError
from .modified_utf8 import decode_text, encode_text
from .track import Track, TrackInfo

__all__ = ["PackedTrack", "decode_track", "encode_track", "normalise_encoded", "pack", "unpack"]

# Every text of the format at its longest is not half as long.
MAX_ENCODED = 4 * 2**20
NEWEST_VERSION = 3
_HAS_VERSION = 1
_SIZE_BITS = 30

_INT = struct.Struct(">I")
_SHORT = struct.Struct(">H")
_LONG = struct.Struct(">q")

# What LavaSrc adds, in order; five texts that may be absent, then a boolean.
_LAVASRC_TEXTS = ("albumName", "albumUrl", "artistUrl", "artistArtworkUrl", "previewUrl")
_LAVASRC_FLAG = "isPreview"
_PROBING_SOURCES = ("http", "local")


@dataclass(frozen=True)
class PackedTrack:
    """An encoded track taken apart, so that `pack(unpack(text))` is the same text again.

    `flags`: the header's upper two bits. `version`: 1 to 3. `extras`: the bytes the source added. `trailing`: bytes
    after the end that the header tells.
    """

    info: TrackInfo
    version: int = NEWEST_VERSION
    flags: int = _HAS_VERSION
    extras: bytes = b""
    trailing: bytes = b""


def normalise_encoded(encoded: str) -> str:
    """Return an encoded track in the form the server takes: the usual alphabet, padded, without white space.

    Only the base64 is looked at. Raises `TrackFormatError` where that can't be put right.
    """
    return base64.b64encode(_raw(encoded)).decode("ascii")


def decode_track(encoded: str) -> Track:
    """Read an encoded track, as the server's `decodetrack` would answer it. Raises `TrackFormatError`.

    `encoded` may lack padding, have white space in it and use the url-safe alphabet; the track's own `encoded` is put
    right. `plugin_info` has what `http`, `local` and LavaSrc's sources add. Other additions are kept in `encoded`.
    """
    raw = _raw(encoded)
    packed = _unpack(raw)
    return Track(base64.b64encode(raw).decode("ascii"), packed.info, _plugin_info(packed), {})


def encode_track(track: Track) -> str:
    """Write a track in lavaplayer's format, from its `info` and `plugin_info`.

    Where `track.encoded` can be read, its version and what its source added are kept, so a track that was decoded
    becomes the same text again, also with bytes that nobody here understands. Without it (an empty text, for a track
    made by hand) the newest version is written. Raises `InvalidArgumentError` for what the format can't hold.
    """
    try:
        before = unpack(track.encoded)
    except TrackFormatError:
        before = PackedTrack(track.info)
    version = max(before.version, _version_needed(track.info))
    return pack(
        PackedTrack(
            info=track.info,
            version=version,
            flags=before.flags | (_HAS_VERSION if version > 1 else 0),
            extras=_extras(track, before),
            trailing=before.trailing,
        )
    )


def _version_needed(info: TrackInfo) -> int:
    if info.artwork_url is not None or info.isrc is not None:
        return 3
    return 1 if info.uri is None else 2


def unpack(encoded: str) -> PackedTrack:
    """Take an encoded track apart. Raises `TrackFormatError`."""
    return _unpack(_raw(encoded))


def pack(packed: PackedTrack) -> str:
    """Put an encoded track together. Raises `InvalidArgumentError`, with the field, for what the format can't hold."""
    info = packed.info
    parts = [bytes([packed.version])] if packed.flags & _HAS_VERSION else []
    parts += [_text(info.title, "title"), _text(info.author, "author"), _long(info.length, "length")]
    parts += [_text(info.identifier, "identifier"), bytes([info.is_stream])]
    if packed.version >= 2:
        parts.append(_nullable(info.uri, "uri"))
    if packed.version >= 3:
        parts += [_nullable(info.artwork_url, "artworkUrl"), _nullable(info.isrc, "isrc")]
    parts += [_text(info.source_name, "sourceName"), packed.extras, _long(info.position, "position")]
    body = b"".join(parts)
    header = _INT.pack(packed.flags << _SIZE_BITS | len(body))
    return base64.b64encode(header + body + packed.trailing).decode("ascii")


_TO_USUAL_ALPHABET = str.maketrans("-_", "+/", " \t\r\n")


def _raw(encoded: str) -> bytes:
    """The bytes of the base64, whatever its dialect."""
    if not isinstance(encoded, str):
        raise TrackFormatError(f"an encoded track is text, not {type(encoded).__name__}")
    if len(encoded) > MAX_ENCODED:
        raise TrackFormatError(f"an encoded track has at most {MAX_ENCODED} characters, not {len(encoded)}")
    bare = encoded.translate(_TO_USUAL_ALPHABET).rstrip("=")
    if not bare:
        raise TrackFormatError("an encoded track can't be empty")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (binascii.Error, ValueError):
        # `from None`: the library's error is of no use, and the cause is plain.
        raise TrackFormatError("an encoded track is base64, and this is not") from None


class _Reader:
    """Reads one field after the other and never past the end of the body."""

    __slots__ = ("at", "end", "raw")

    def __init__(self, raw: bytes, at: int, end: int) -> None:
        self.raw, self.at, self.end = raw, at, end

    def take(self, size: int, what: str) -> int:
        """Step over `size` bytes and return where they start."""
        start = self.at
        if start + size > self.end:
            raise TrackFormatError(f"{what}: the encoded track ends inside it", path=what)
        self.at = start + size
        return start

    def byte(self, what: str) -> int:
        return self.raw[self.take(1, what)]

    def boolean(self, what: str) -> bool:
        value = self.byte(what)
        if value > 1:
            raise TrackFormatError(f"{what}: {value} is no boolean", path=what)
        return value == 1

    def long(self, what: str) -> int:
        value: int = _LONG.unpack_from(self.raw, self.take(8, what))[0]
        return value

    def text(self, what: str) -> str:
        size: int = _SHORT.unpack_from(self.raw, self.take(2, what))[0]
        start = self.take(size, what)
        try:
            return decode_text(self.raw[start : start + size])
        except ValueError:
            raise TrackFormatError(f"{what}: not in Java's modified UTF-8", path=what) from None

    def nullable(self, what: str) -> str | None:
        return self.text(what) if self.boolean(what) else None


def _unpack(raw: bytes) -> PackedTrack:
    if len(raw) < 4:
        raise TrackFormatError("an encoded track has at least its header of 4 bytes")
    header: int = _INT.unpack_from(raw)[0]
    flags, end = header >> _SIZE_BITS, 4 + (header & ((1 << _SIZE_BITS) - 1))
    if end > len(raw):
        raise TrackFormatError(f"the header tells {end - 4} bytes, but {len(raw) - 4} follow")
    # The position is the last 8 bytes, whatever stands before it.
    body = _Reader(raw, 4, end - 8)
    version = body.byte("version") if flags & _HAS_VERSION else 1
    if not 1 <= version <= NEWEST_VERSION:
        raise TrackFormatError(f"version {version} is not known, only 1 to {NEWEST_VERSION}", path="version")
    title, author, length = body.text("title"), body.text("author"), body.long("length")
    identifier, is_stream = body.text("identifier"), body.boolean("isStream")
    uri = body.nullable("uri") if version >= 2 else None
    artwork_url = body.nullable("artworkUrl") if version >= 3 else None
    isrc = body.nullable("isrc") if version >= 3 else None
    source_name = body.text("sourceName")
    info = TrackInfo(
        identifier=identifier,
        is_seekable=not is_stream,
        author=author,
        length=length,
        is_stream=is_stream,
        position=_LONG.unpack_from(raw, end - 8)[0],
        title=title,
        source_name=source_name,
        uri=uri,
        artwork_url=artwork_url,
        isrc=isrc,
    )
    return PackedTrack(info, version, flags, raw[body.at : end - 8], raw[end:])


def _plugin_info(packed: PackedTrack) -> dict[str, Any]:
    """What the server answers as `pluginInfo`, read from the source's extras; nothing where they are not known."""
    body = _Reader(packed.extras, 0, len(packed.extras))
    found: dict[str, Any] = {}
    try:
        if packed.info.source_name in _PROBING_SOURCES:
            found["probeInfo"] = body.text("probeInfo")
        elif packed.extras:
            # LavaSrc is told by the bytes: its tracks carry the names of other people's sources, too.
            found.update({key: body.nullable(key) for key in _LAVASRC_TEXTS})
            found[_LAVASRC_FLAG] = body.boolean(_LAVASRC_FLAG)
    except TrackFormatError:
        return {}
    return found if body.at == body.end else {}


def _extras(track: Track, before: PackedTrack) -> bytes:
    """The source's extras: as they were, unless the track's `plugin_info` says something else that is known."""
    info = track.plugin_info
    if before.extras and _plugin_info(before).items() <= info.items():
        return before.extras
    if track.info.source_name in _PROBING_SOURCES:
        return _text(info["probeInfo"], "probeInfo") if "probeInfo" in info else before.extras
    # A server tells these keys as null for a track that has no extras at all; that one gets none here either.
    if any(info.get(key) or (before.extras and key in info) for key in (*_LAVASRC_TEXTS, _LAVASRC_FLAG)):
        texts = [_nullable(info.get(key), key) for key in _LAVASRC_TEXTS]
        return b"".join([*texts, bytes([bool(info.get(_LAVASRC_FLAG))])])
    return before.extras


def _text(value: str, field: str) -> bytes:
    try:
        raw = encode_text(value)
        return _SHORT.pack(len(raw)) + raw
    except (struct.error, AttributeError, TypeError):
        raise InvalidArgumentError(f"{field} must be text of at most 65535 bytes", field=field) from None


def _nullable(value: str | None, field: str) -> bytes:
    return b"\0" if value is None else b"\1" + _text(value, field)


def _long(value: int, field: str) -> bytes:
    try:
        return _LONG.pack(value)
    except struct.error:
        raise InvalidArgumentError(f"{field} must be a whole number of 64 bits", field=field) from None
