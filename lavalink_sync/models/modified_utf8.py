"""Java's modified UTF-8: the way its `writeUTF` stores text.

It differs from UTF-8 in two places: U+0000 is the two bytes C0 80, and a character above U+FFFF is its two surrogates
at three bytes each. A lone surrogate, which Java's strings may hold, comes and goes as such.
"""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")
_ABOVE = re.compile("[\U00010000-\U0010ffff]")


def decode_text(raw: bytes) -> str:
    """Read modified UTF-8. Raises `ValueError` on what `writeUTF` never writes."""
    if b"\0" in raw:
        raise ValueError("a zero byte")
    text = raw.replace(b"\xc0\x80", b"\0").decode("utf-8", "surrogatepass")
    if text.isascii():
        return text
    if _ABOVE.search(text):
        raise ValueError("a sequence of four bytes")
    if _SURROGATE.search(text):
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return text


def encode_text(text: str) -> bytes:
    """Write modified UTF-8."""
    if _ABOVE.search(text):
        text = _ABOVE.sub(_split, text)
    return text.encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")


def _split(match: re.Match[str]) -> str:
    code = ord(match[0]) - 0x10000
    return chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))
