"""Reading the fields of a request's JSON the way the server does: numbers as text are taken, the rest is 400."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from .http import RestError

__all__ = ["as_bool", "as_float", "as_int", "as_object", "as_text", "path_id"]

_LONG = 2**63


def as_int(value: Any, bits: int = 64) -> int:
    """A whole number, also as text."""
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            raise RestError(400) from None
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
    if value in ("true", "false"):
        return bool(value == "true")
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
    """A guild id of a path: any number of 64 bits."""
    return as_int(text)
