"""The files that the recorded server played, as far as it matters where nothing is decoded: headers, tags, lengths."""

from __future__ import annotations

import struct
from pathlib import Path

__all__ = ["AUTHOR", "fill", "flac", "mp3", "opus"]

AUTHOR = "Fake Artist"
_RATE = 48_000
_FRAME_MS = 24
_KBPS_32, _KBPS_64 = (bytes((0xFF, 0xFB, bits, 0)) for bits in (0x14, 0x54))  # MPEG 1, layer 3, 48 kHz, stereo
_SIZE_32, _SIZE_64 = 96, 192


def fill(folder: Path) -> None:
    """Make all of them."""
    # A first frame of half the size of the others: that is why seeks in the recorded one land half-way.
    tone = mp3("Six Second Tone", 6024, exact_seeks=False)
    for name in ("tone", "gone", "stall"):
        (folder / f"{name}.mp3").write_bytes(tone)
    (folder / "long.mp3").write_bytes(mp3("Long Noise", 30_048, exact_seeks=True))
    (folder / "tone.flac").write_bytes(flac("Flac Tone", 6000))
    (folder / "long.flac").write_bytes(flac("Long Noise", 30_000))
    (folder / "tone.ogg").write_bytes(opus("Opus Tone", 6006))
    (folder / "long.ogg").write_bytes(opus("Long Noise", 30_006))


def mp3(title: str, length: int, *, exact_seeks: bool) -> bytes:
    """An MP3 of `length` ms, a multiple of 24, the frame that counts the others included."""
    frames = length // _FRAME_MS
    if exact_seeks:
        tag = struct.pack(">4sIII", b"Xing", 7, frames, frames * _SIZE_64) + bytes(range(100))
        first = (_KBPS_64 + bytes(32) + tag).ljust(_SIZE_64, b"\0")
    else:
        tag = struct.pack(">4sII", b"Info", 1, frames)
        first = (_KBPS_32 + bytes(32) + tag).ljust(_SIZE_32, b"\0")
    sound = _KBPS_64.ljust(_SIZE_64, b"\0") * (frames - 1)
    # What lies behind the sound counts too where the length is guessed: here, an old kind of tag.
    return _id3(title) + first + sound + (b"" if exact_seeks else b"TAG".ljust(128, b"\0"))


def flac(title: str, length: int) -> bytes:
    """A FLAC file that ends behind its tags."""
    samples = length * _RATE // 1000
    packed = _RATE << 44 | 1 << 41 | 15 << 36 | samples
    info = struct.pack(">HH", 4096, 4096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    tags = _vorbis_tags(title)
    blocks = b"\x00" + len(info).to_bytes(3, "big") + info + b"\x84" + len(tags).to_bytes(3, "big") + tags
    return b"fLaC" + blocks


def opus(title: str, length: int) -> bytes:
    """An Ogg file of Opus: two headers, and a page that says where the last sample is."""
    skipped = 312
    head = b"OpusHead" + struct.pack("<BBHIHB", 1, 2, skipped, _RATE, 0, 0)
    last = length * _RATE // 1000 + 1
    pages = [(2, 0, head), (0, 0, b"OpusTags" + _vorbis_tags(title)), (4, last, b"\xfc\xff\xfe")]
    return b"".join(_page(kind, granule, number, data) for number, (kind, granule, data) in enumerate(pages))


def _page(kind: int, granule: int, number: int, data: bytes) -> bytes:
    return b"OggS" + struct.pack("<BBqIIIBB", 0, kind, granule, 1, number, 0, 1, len(data)) + data


def _vorbis_tags(title: str) -> bytes:
    tags = [f"TITLE={title}".encode(), f"ARTIST={AUTHOR}".encode()]
    return struct.pack("<II", 0, len(tags)) + b"".join(struct.pack("<I", len(tag)) + tag for tag in tags)


def _id3(title: str) -> bytes:
    frames = b""
    for name, text in ((b"TIT2", title), (b"TPE1", AUTHOR)):
        data = b"\x03" + text.encode()
        frames += name + len(data).to_bytes(4, "big") + b"\0\0" + data
    return b"ID3\x04\0\0" + len(frames).to_bytes(4, "big") + frames
