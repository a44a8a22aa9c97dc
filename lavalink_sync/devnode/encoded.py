"""Encoded tracks as the server reads them: strictly, with the exceptions that Java throws at each thing that is wrong.

What is right is decoded by the models; this only finds out first how the server would fail.
"""

from __future__ import annotations

import base64
import string
import struct

from .http import RestError

__all__ = ["check"]

_LETTERS = frozenset((string.ascii_letters + string.digits + "+/").encode())
_PAD = ord("=")
_VERSIONED = 1
_ILLEGAL = "java.lang.IllegalArgumentException"
_NO_MESSAGE = (
    'java.lang.NullPointerException: Cannot read field "decodedTrack" because the return value of '
    '"com.sedmelluq.discord.lavaplayer.player.AudioPlayerManager.decodeTrack('
    'com.sedmelluq.discord.lavaplayer.tools.io.MessageInput)" is null'
)


def check(encoded: str) -> None:
    """Raise the `RestError` 500 of an encoded track that the server can't read as far as its source."""
    raw = _java_base64(encoded.encode("latin-1", "replace"))
    if len(raw) < 4:
        raise RestError.io()
    header: int = struct.unpack(">I", raw[:4])[0]
    flags, size = header >> 30, header & 0x3FFFFFFF
    if size == 0:
        raise RestError.thrown(_NO_MESSAGE)
    data = _Data(raw[4 : 4 + size])
    version = data.take(1)[0] if flags & _VERSIONED else 1
    for field in "ttltb":
        data.skip(field)
    for since in (2, 3, 3):
        if version >= since and data.take(1) != b"\0":
            data.skip("t")
    data.skip("t")


class _Data:
    """Java's `DataInputStream`, as far as it can fail."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0

    def take(self, size: int) -> bytes:
        """Read so many bytes. Raises `RestError` at the end."""
        self._at += size
        if self._at > len(self._raw):
            raise RestError.io()
        return self._raw[self._at - size : self._at]

    def skip(self, kind: str) -> None:
        """Read over a text, a long number or a boolean."""
        if kind == "t":
            self._text(self.take(int.from_bytes(self.take(2), "big")))
        else:
            self.take(8 if kind == "l" else 1)

    @staticmethod
    def _text(data: bytes) -> None:
        """Java's modified UTF-8: one, two or three bytes a character."""
        at = 0
        while at < len(data):
            first = data[at]
            size = 1 if first < 0x80 else 2 if first >> 5 == 0b110 else 3 if first >> 4 == 0b1110 else 0
            if size == 0:
                raise RestError.io(f"malformed input around byte {at}")
            at += size
            if at > len(data):
                raise RestError.io("malformed input: partial character at end")
            for back in range(size - 1, 0, -1):
                if data[at - back] >> 6 != 0b10:
                    raise RestError.io(f"malformed input around byte {at - 1}")


def _java_base64(text: bytes) -> bytes:
    """Decode as `java.util.Base64` does: the usual alphabet only, padding may be missing, but not be half there."""
    if len(text) == 1:
        raise RestError.thrown(f"{_ILLEGAL}: Input byte[] should at least have 2 bytes for base64 bytes")
    end = next((at for at, letter in enumerate(text) if letter not in _LETTERS), len(text))
    over, behind = end % 4, text[end:]
    if behind and behind[0] != _PAD:
        code = behind[0] if behind[0] < 128 else behind[0] - 256
        raise RestError.thrown(f"{_ILLEGAL}: Illegal base64 character {code:x}")
    if behind and (over == 0 or (over == 2 and behind[:2] != b"==")):
        raise RestError.thrown(f"{_ILLEGAL}: Input byte array has wrong 4-byte ending unit")
    if over == 1:
        raise RestError.thrown(f"{_ILLEGAL}: Last unit does not have enough valid bits")
    pads = 0 if not behind else 2 if over == 2 else 1
    if len(behind) > pads:
        raise RestError.thrown(f"{_ILLEGAL}: Input byte array has incorrect ending byte at {end + pads}")
    return base64.b64decode(text[:end] + b"=" * (-over % 4))
