"""JSON text and JSON values: orjson where it is installed (five times as fast), else the standard library.

What orjson refuses and the standard library takes (lone surrogates; in writing, integers beyond 64 bits and keys that
are no text) gets a second try there. One difference is left: NaN is written as null by orjson, and refused without it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ..errors import InvalidArgumentError, ProtocolError


def _loads_slowly(text: bytes | bytearray | memoryview | str) -> Any:
    try:
        return json.loads(bytes(text) if isinstance(text, memoryview) else text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        # The library's error has the whole text in it, hence `from None`.
        where = f" at character {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise ProtocolError(f"not JSON{where}") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _dumps_slowly(value: Any) -> bytes:
    try:
        return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgumentError(f"JSON can't carry this: {error}") from None


quick_loads: Callable[[Any], Any] = _loads_slowly
"""`loads` without its second try: for who makes that on a `ValueError`."""
_quick_dumps: Callable[[Any], bytes] = _dumps_slowly
try:
    import orjson
except ImportError:  # PyPy, for one, has none
    pass
else:
    quick_loads, _quick_dumps = orjson.loads, orjson.dumps


def loads(text: bytes | bytearray | memoryview | str) -> Any:
    """Parse JSON. Raises `ProtocolError` on what is none; its message does not repeat the text, which may be secret."""
    try:
        return quick_loads(text)
    except ValueError:
        return _loads_slowly(text)


def dumps(value: Any) -> bytes:
    """Write JSON values (models through `to_dict` first). Raises `InvalidArgumentError` on what JSON can't carry."""
    try:
        return _quick_dumps(value)
    except TypeError:
        return _dumps_slowly(value)


def copied(value: Any) -> Any:
    """Return JSON with objects and lists of its own. What is none of these, a model for example, stays as it is."""
    if type(value) is dict:
        return {key: copied(item) for key, item in value.items()}
    if type(value) is list:
        return [copied(item) for item in value]
    return value
