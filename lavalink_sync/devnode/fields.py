"""Reading what a request says the way the server does: numbers as text are taken, what is of another kind is 400."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from .http import RestError

__all__ = ["as_bool", "as_float", "as_int", "as_object", "as_text", "path_id", "query_flag"]

_NUMBER = re.compile(r"-?\d+", re.ASCII)
_PATH_NUMBER = re.compile(r"([+-]?)(0x|0X|#)?([0-9a-fA-F]+)", re.ASCII)
_FLAGS = {"true": True, "on": True, "yes": True, "1": True, "false": False, "off": False, "no": False, "0": False}


def as_int(value: Any, bits: int = 64) -> int:
    """A whole number, also as text."""
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise RestError(400)
    return value


def as_float(value: Any) -> float:
    """A number, also as text."""
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        raise RestError(400)
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise RestError(400) from None
    if not math.isfinite(number):
        raise RestError(400)
    return number


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


def path_id(text: str) -> int:
    """A guild id of a path: any number of 64 bits, hexadecimal too."""
    match = _PATH_NUMBER.fullmatch(text.strip())
    if match is None:
        raise RestError(400)
    sign, base, digits = match.groups()
    try:
        return as_int(int(sign + digits, 16 if base else 10))
    except ValueError:
        raise RestError(400) from None


def query_flag(text: str | None) -> bool:
    """A flag of a query: false when it is not there or empty."""
    if not text:
        return False
    try:
        return _FLAGS[text.lower()]
    except KeyError:
        raise RestError(400) from None
