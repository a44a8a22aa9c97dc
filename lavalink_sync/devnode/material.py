"""What the playing of a file meets that its tags don't tell: how many frames an MP3 really has, where a seek in it
lands, and where it is torn off. Only headers are read, nothing is decoded.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["INSPECTED", "NO_MATERIAL", "Material", "estimated_length", "inspect"]

INSPECTED = ("mp3", "ogg")  # the other kinds are as their tags say
_PAGE = 512
_BITRATES = {
    1: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_RATES = (44_100, 48_000, 32_000)
_DIVISOR = {3: 1, 2: 2, 0: 4}  # by the version's two bits: MPEG 1, 2, 2.5
_TAG_AT = 36
_ALL = 7  # a tag has frames, bytes and places
_SCAN = 2048
_ID3 = 10


@dataclass(frozen=True)
class Material:
    """See the module. `length`: milliseconds of sound, `None`: as tagged. `torn`: its last frame is not whole.

    `seek_factor`: where a seek lands, as a part of where it should. `hundredths`: it can be sought by a table of a
    hundred places only, so a seek beyond its end breaks it. `opus`: what is in an Ogg file, if it is one.
    """

    length: int | None = None
    seek_factor: float = 1.0
    torn: bool = False
    hundredths: bool = False
    opus: bool = True


NO_MATERIAL = Material()


@dataclass(frozen=True)
class _Frame:
    size: int
    bytes_a_frame: float
    milliseconds: float
    hertz: float


def inspect(data: bytes, kind: str, *, whole: bool) -> Material:
    """Look into a file of a kind as the server names it. What can't be told is as the tags say.

    `whole`: this is all of it; else it is a beginning that does not tell where it ends.
    """
    if kind == "ogg":
        return Material(opus=b"OpusHead" in data[:_PAGE])
    if kind != "mp3":
        return NO_MATERIAL
    at = _first_frame(data)
    frame = None if at is None else _frame(data, at)
    if at is None or frame is None:
        return NO_MATERIAL
    tag = data[at + _TAG_AT : at + _TAG_AT + 4]
    first, begin, frames = frame, at, 0
    while frame is not None and at + frame.size <= len(data):
        frames += 1
        at += frame.size
        frame = _frame(data, at)
    if frames < 2:
        return NO_MATERIAL
    silent = 2 if tag in (b"Info", b"LAME", b"Xing") else 1  # the first frame gives nothing, and that of a tag neither
    mean = (at - begin) / frames
    flags = data[begin + _TAG_AT + 7 : begin + _TAG_AT + 8]
    hundredths = tag == b"Xing" and bool(flags) and flags[0] & _ALL == _ALL
    factor = 1.0 if hundredths else first.bytes_a_frame / mean
    if not whole:
        return Material(seek_factor=factor, hundredths=hundredths)
    length = int(max(0, frames - silent) * first.milliseconds)
    return Material(length, factor, torn=frame is not None, hundredths=hundredths)


def estimated_length(head: bytes, size: int) -> int | None:
    """Milliseconds that the server tells of an MP3 of `size` bytes: counted by its tag, or guessed from a frame's size.

    It takes each frame for one of MPEG 1, so that the others are told twice as long. `None` where it can't be told.
    """
    at = _first_frame(head)
    frame = None if at is None else _frame(head, at)
    if at is None or frame is None:
        return None
    tag = at + _TAG_AT
    flags = int.from_bytes(head[tag + 4 : tag + 8], "big")
    if head[tag : tag + 4] == b"Xing" and flags & _ALL == _ALL:
        frames = int.from_bytes(head[tag + 8 : tag + 12], "big")
    else:
        if head[tag : tag + 4] in (b"Info", b"LAME"):
            frame = _frame(head, at + frame.size) or frame
        frames = int((size - at + 8) / frame.bytes_a_frame)
    return int(frames * 1152 * 1000 / frame.hertz)


def _first_frame(data: bytes) -> int | None:
    """Where the first frame begins, behind the tags."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) > at + _ID3:
        size = 0
        for digit in data[at + 6 : at + _ID3]:
            size = size << 7 | digit & 0x7F
        at += _ID3 + size
    return next((place for place in range(at, min(at + _SCAN, len(data))) if _frame(data, place) is not None), None)


def _frame(data: bytes, at: int) -> _Frame | None:
    """The frame that begins at a place, if one does: layer 3 with a known size."""
    head = data[at : at + 4]
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE6 != 0xE2:
        return None
    divisor = _DIVISOR.get(head[1] >> 3 & 3)
    bitrate, rate, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if divisor is None or rate == 3 or bitrate in (0, 15):
        return None
    version = 1 if divisor == 1 else 2
    hertz = _RATES[rate] / divisor
    samples = 1152 // version
    exact = samples / 8 * _BITRATES[version][bitrate] * 1000 / hertz
    return _Frame(int(exact) + padding, exact, samples * 1000 / hertz, hertz)
