"""Reading what a request says the way the server does: numbers as text are taken, what is of another kind is 400.

Python's own readers take what Java's and Kotlin's refuse, and the other way round, so each kind is read here.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Mapping
from typing import Any

from .http import RestError

__all__ = [
    "Decimal",
    "as_bool",
    "as_double",
    "as_float",
    "as_int",
    "as_object",
    "as_text",
    "java_long",
    "parse_json",
    "path_id",
    "query_flag",
]

_LONG = re.compile(r"[+-]?\d{1,999}", re.ASCII)
_LITERAL = re.compile(r"(-?\d{1,999})(?:[eE]([+-]?\d{1,9}))?", re.ASCII)
_REAL = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fFdD]?", re.ASCII)
_HEX = re.compile(r"(-?)(?:0x|0X|#)([0-9a-fA-F]+)", re.ASCII)
_SPACE = re.compile(r"\s+")
_FLAGS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}
_FLOAT = struct.Struct("<f")
_DIGITS = 9  # tell every number of 32 bits from its neighbours


class Decimal(float):
    """A number that was not written as a whole one. `text`: how it was written, `1e3` is whole and `1000.0` is not."""

    text: str

    @classmethod
    def of(cls, text: str) -> Decimal:
        """Read it."""
        found = cls(text)
        found.text = text
        return found


def parse_json(text: str) -> Any:
    """Read a body as the server's parser does. Raises `RestError` 400."""
    try:
        return json.loads(text, strict=False, parse_float=Decimal.of, parse_constant=Decimal.of)
    except (ValueError, RecursionError):
        raise RestError(400) from None


def as_int(value: Any, bits: int = 64) -> int:
    """A whole number, also as text, also with an exponent."""
    text = value.text if isinstance(value, Decimal) else value
    if isinstance(text, str):
        value = _whole(text)
    if not isinstance(value, int) or isinstance(value, bool) or not _fits(value, bits):
        raise RestError(400)
    return value


def as_double(value: Any) -> float:
    """A number of 64 bits, also as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RestError(400)
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, str) and _REAL.fullmatch(text) is None:
        raise RestError(400)
    try:
        number = float(text.rstrip("fFdD") if text else value)
    except OverflowError:
        raise RestError(400) from None
    if not math.isfinite(number):
        raise RestError(400)
    return number


def as_float(value: Any) -> float:
    """A number of 32 bits, also as text. What is told of it afterwards has no more digits than it needs."""
    try:
        number = _single(as_double(value))
    except OverflowError:
        raise RestError(400) from None
    shorter = (float(f"{number:.{digits}g}") for digits in range(1, _DIGITS))
    return next((each for each in shorter if _single(each) == number), number)


def as_bool(value: Any) -> bool:
    """True or false, also as text."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if not isinstance(value, bool):
        raise RestError(400)
    return value


def as_text(value: Any) -> str:
    """Text."""
    if not isinstance(value, str):
        raise RestError(400)
    return value


def as_object(value: Any) -> Mapping[str, Any]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise RestError(400)
    return value


def java_long(text: str) -> int | None:
    """A number of 64 bits as Java's `Long.parseLong` reads it, `None` where that throws."""
    if _LONG.fullmatch(text) is None:
        return None
    number = int(text)
    return number if _fits(number, 64) else None


def path_id(text: str) -> int:
    """A guild id of a path: any number of 64 bits, hexadecimal too, with spaces anywhere."""
    bare = _SPACE.sub("", text)
    match = _HEX.fullmatch(bare)
    number = java_long(bare) if match is None else int(match[1] + match[2], 16)
    if number is None or not _fits(number, 64):
        raise RestError(400)
    return number


def query_flag(text: str | None) -> bool:
    """A flag of a query: false when it is not there or empty. Of several the first counts."""
    bare = (text or "").partition(",")[0].strip().lower()
    if not bare:
        return False
    try:
        return _FLAGS[bare]
    except KeyError:
        raise RestError(400) from None


def _whole(text: str) -> int | None:
    match = _LITERAL.fullmatch(text)
    if match is None:
        return None
    if match[2] is None:
        return int(match[1])
    try:
        number = int(match[1]) * 10.0 ** int(match[2])
    except OverflowError:
        return None
    return int(number) if number.is_integer() else None


def _fits(number: int, bits: int) -> bool:
    limit: int = 2 ** (bits - 1)
    return -limit <= number < limit


def _single(number: float) -> float:
    found: float = _FLOAT.unpack(_FLOAT.pack(number))[0]
    return found
