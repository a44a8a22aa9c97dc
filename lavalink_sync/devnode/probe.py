"""What is in an audio file: its kind as the server names it, title, author, length. Reads, plays nothing."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import Any, BinaryIO

import mutagen

from .material import estimated_length

__all__ = ["UNKNOWN_AUTHOR", "UNKNOWN_TITLE", "Probe", "first_entry", "linked_entry", "probe"]

UNKNOWN_TITLE = "Unknown title"
UNKNOWN_AUTHOR = "Unknown artist"

# mutagen's classes, and what the server calls the container.
_KINDS = {
    "EasyMP3": "mp3",
    "MP3": "mp3",
    "FLAC": "flac",
    "OggOpus": "ogg",
    "OggVorbis": "ogg",
    "OggFLAC": "ogg",
    "WAVE": "wav",
    "EasyMP4": "mp4",
    "MP4": "mp4",
}
# The kinds in which the server looks for it.
_WITH_ISRC = ("mp3", "ogg")
_EBML = b"\x1a\x45\xdf\xa3"
_HEAD = 65_536
_LONGEST = 2**63 - 2  # the number above is that of streams
_LONGEST_TAG = 4096  # far below what the track format can hold


@dataclass(frozen=True)
class Probe:
    """A file that can be played. `length` in milliseconds, `None` for a stream that has none."""

    kind: str
    title: str
    author: str
    length: int | None
    isrc: str | None = None


def probe(file: BinaryIO, size: int | None = None) -> Probe | None:
    """Read the head of a seekable file; `None` for what is no audio, or broken.

    `size`: of all of it, where `file` is only its beginning.
    """
    head = file.read(_HEAD)
    file.seek(0)
    if head.startswith(_EBML):
        return Probe("matroska/webm", UNKNOWN_TITLE, UNKNOWN_AUTHOR, _sane(_matroska_length(head)))
    if head[:1] == b"\xff" and head[1:2] and head[1] & 0xF6 == 0xF0:
        # Bare AAC: nobody counts its frames.
        return Probe("adts", UNKNOWN_TITLE, UNKNOWN_AUTHOR, None)
    try:
        found = mutagen.File(file, easy=True)
    except (mutagen.MutagenError, ValueError, IndexError, struct.error, EOFError, OverflowError):
        return None
    kind = _KINDS.get(type(found).__name__)
    if kind is None:
        return None
    title, author, isrc = (_tag(found.tags, name) for name in ("title", "artist", "isrc"))
    whole = file.seek(0, os.SEEK_END) if size is None else size
    length = _told_length(kind, head, whole, float(found.info.length))
    return Probe(
        kind, title or UNKNOWN_TITLE, author or UNKNOWN_AUTHOR, _sane(length), isrc if kind in _WITH_ISRC else None
    )


def _told_length(kind: str, head: bytes, size: int, seconds: float) -> int:
    """Milliseconds as the server tells them, which counts in its own ways, where the tags say `seconds`."""
    if kind == "mp3":
        told = estimated_length(head, size)
        if told is not None:
            return told
    at = head.find(b"OpusHead")
    if kind == "ogg" and 0 <= at <= len(head) - 16:
        skipped, rate = struct.unpack("<HI", head[at + 10 : at + 16])
        # The samples that a player leaves out at the beginning count, and all at the rate of what was encoded.
        samples = round(seconds * 48_000) + int(skipped)
        return samples * 1000 // (int(rate) or 48_000)
    return int(seconds * 1000)


def _sane(length: int) -> int:
    """A length that the track format can hold, whatever a damaged file says."""
    return min(max(length, 0), _LONGEST)


def first_entry(head: bytes) -> str | None:
    """The first entry of a playlist file (.m3u), `None` if it is none."""
    lines = [line.strip() for line in head.decode("utf-8", "replace").splitlines()]
    if not lines or not lines[0].lstrip("\ufeff").startswith("#EXTM3U"):
        return None
    return next((line for line in lines if line and not line.startswith(("#", "\ufeff"))), None)


def linked_entry(head: bytes) -> str | None:
    """The first address of a list that only points elsewhere (.pls), `None` if it is none."""
    if not head.lstrip().lower().startswith(b"[playlist]"):
        return None
    for line in head.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip().lower() == "file1" and value.strip().startswith(("http://", "https://")):
            return value.strip()
    return None


def _tag(tags: Any, name: str) -> str | None:
    # Only the easy ones know these names; a WAVE file's raw tags do not.
    values = tags.get(name) if tags is not None else None
    return str(values[0])[:_LONGEST_TAG] if isinstance(values, list) and values else None


def _matroska_length(head: bytes) -> int:
    """Milliseconds, from the two elements that tell it; 0 if they are not in the head."""
    scale = 1_000_000
    at = head.find(b"\x2a\xd7\xb1")
    if at >= 0 and at + 4 <= len(head):
        size = min(head[at + 3] & 0x7F, 8)
        scale = int.from_bytes(head[at + 4 : at + 4 + size], "big") or scale
    at = head.find(b"\x44\x89")
    if at < 0 or at + 11 > len(head):
        return 0
    size = head[at + 2] & 0x7F
    duration: float = struct.unpack(">d" if size == 8 else ">f", head[at + 3 : at + 3 + (8 if size == 8 else 4)])[0]
    return int(duration * scale / 1_000_000) if 0 <= duration < 2**53 else 0  # NaN is none of them
