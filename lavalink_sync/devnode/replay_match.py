"""Whether a request is the recorded one: placeholders stand for any text, but for the same one each time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import unquote

from .http import Request
from .placeholders import PLACEHOLDER
from .replay_script import Exchange

__all__ = ["Bound", "fits", "fits_opening", "is_password", "restored"]

Bound = dict[str, str]
_PASSWORD = "<password>"


def fits(exchange: Exchange, request: Request, bound: Bound, ignore: Collection[str]) -> Bound | None:
    """Return `bound` with what the placeholders of `exchange` stand for in `request`, `None` if it is another one.

    `ignore`: keys of bodies whose values need not be equal.
    """
    recorded = exchange.request
    if recorded.method != request.method or recorded.path.count("/") != request.path.count("/"):
        return None
    found = dict(bound)
    if not _equal(unquote(recorded.path), unquote(request.path), found, ()):
        return None
    if not _equal(dict(recorded.query), dict(request.query), found, ()) or not _authorized(exchange, request, found):
        return None
    omitted = exchange.line.get("request_omitted")
    if omitted is not None:
        return found if omitted["size"] == len(request.raw) else None
    wanted = _parsed(exchange.line.get("request"))
    given = _parsed(request.raw.decode("utf-8", "replace"))
    return found if _equal(wanted, given, found, ignore) else None


def fits_opening(exchange: Exchange, request: Request, bound: Bound) -> Bound | None:
    """The same for a handshake: path, password and `Session-Id` count."""
    found = dict(bound)
    if not _equal(unquote(exchange.request.path), unquote(request.path), found, ()):
        return None
    if not _authorized(exchange, request, found):
        return None
    if exchange.headers is not None:
        wanted, given = exchange.headers.get("session-id"), request.headers.get("session-id")
        if not _equal(wanted, given, found, ()):
            return None
    return found


def is_password(given: str | None, password: str) -> bool:
    """Whether a header, which is read as Latin-1, has the password, in whichever of the two ways it was encoded."""
    return given is not None and (given == password or given.encode("latin-1", "replace") == password.encode())


def restored(value: Any, bound: Bound, make: Callable[[str], str]) -> Any:
    """Return `value` with what the placeholders stand for. `make` says it for one that nothing was bound to yet."""

    def put(match: re.Match[str]) -> str:
        name = match.group()
        if name not in bound:
            bound[name] = make(name)
        return bound[name]

    if isinstance(value, str):
        return PLACEHOLDER.sub(put, value)
    if isinstance(value, dict):
        return {PLACEHOLDER.sub(put, key): restored(item, bound, make) for key, item in value.items()}
    if isinstance(value, list):
        return [restored(item, bound, make) for item in value]
    return value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value or None


def _authorized(exchange: Exchange, request: Request, bound: Bound) -> bool:
    """Whether the password is as right, wrong or missing as it was."""
    given = request.headers.get("authorization")
    right = is_password(given, bound[_PASSWORD])
    if exchange.headers is None:
        return right or exchange.status in (401, 403)
    wanted = exchange.headers.get("authorization")
    if wanted is None or given is None:
        return wanted == given
    if wanted == _PASSWORD:
        return right
    return not right and (PLACEHOLDER.search(wanted) is None or _equal(wanted, given, bound, ()))


def _equal(wanted: Any, given: Any, bound: Bound, ignore: Collection[str]) -> bool:
    if isinstance(wanted, str):
        if isinstance(given, (int, float)) and PLACEHOLDER.fullmatch(wanted):
            given = str(given)
        return isinstance(given, str) and (wanted == given or _equal_texts(wanted, given, bound))
    if isinstance(wanted, Mapping):
        if not isinstance(given, Mapping) or wanted.keys() != given.keys():
            return False
        return all(key in ignore or _equal(item, given[key], bound, ignore) for key, item in wanted.items())
    if isinstance(wanted, list):
        if not isinstance(given, list) or len(wanted) != len(given):
            return False
        return all(_equal(*pair, bound, ignore) for pair in zip(wanted, given, strict=True))
    if isinstance(wanted, bool) or isinstance(given, bool):
        return wanted is given
    return bool(wanted == given)


def _equal_texts(wanted: str, given: str, bound: Bound) -> bool:
    names = PLACEHOLDER.findall(wanted)
    if not names:
        return False
    pattern = ""
    groups: dict[str, str] = {}
    for i, literal in enumerate(PLACEHOLDER.split(wanted)):
        pattern += re.escape(literal)
        if i == len(names):
            break
        name = names[i]
        if name in bound:
            pattern += re.escape(bound[name])
        elif name in groups:
            pattern += f"(?P={groups[name]})"
        else:
            groups[name] = f"g{len(groups)}"
            pattern += f"(?P<{groups[name]}>.+?)"
    found = re.fullmatch(pattern, given, re.DOTALL)
    if found is None:
        return False
    for name, group in groups.items():
        # Two sessions were two, so one value can't be both.
        if any(found.group(group) == value and _kind(other) == _kind(name) for other, value in bound.items()):
            return False
        bound[name] = found.group(group)
    return True


def _kind(name: str) -> str:
    return name.rstrip("0123456789>")
