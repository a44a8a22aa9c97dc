"""Where things are on the server: the paths of protocol 3.3, and the quoting of what users put into paths and queries.

A path made here can't lead anywhere else: a part never becomes two, nor a step up, nor a query.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import quote, unquote

from ..errors import InvalidArgumentError
from ..secret import Secret
from . import checks

VERSION = "/version"
LOAD_TRACKS = "/v4/loadtracks"
DECODE_TRACK = "/v4/decodetrack"
DECODE_TRACKS = "/v4/decodetracks"
INFO = "/v4/info"
STATS = "/v4/stats"
ROUTE_PLANNER = "/v4/routeplanner/status"
FREE_ADDRESS = "/v4/routeplanner/free/address"
FREE_ALL_ADDRESSES = "/v4/routeplanner/free/all"

# The query of a player's update, by whether a track that plays is left alone.
NO_REPLACE = {False: "?noReplace=false", True: "?noReplace=true"}

# What may stand in a path as it is, percent signs of what is quoted already included.
_IN_PATH = "/%:@!$&'()*+,;=~-._"
_ESCAPE_GONE_WRONG = re.compile(r"%(?![0-9A-Fa-f]{2})")
# Every ASCII character as `quote` writes it: with this a text takes 0.6 us, and `quote` 1.8.
_QUOTED = {code: quote(chr(code), safe="") for code in range(128)}
_METHOD = re.compile(r"[A-Z]{1,20}", re.ASCII)

QueryValue = str | int | float | bool | None


def session(session_id: str) -> Secret:
    """`/v4/sessions/{s}`. Secret, as the id in it is."""
    return Secret(f"/v4/sessions/{_part(session_id, 'sessionId')}")


@lru_cache(maxsize=64)  # every update asks for it
def players(session_id: str) -> Secret:
    """`/v4/sessions/{s}/players`."""
    return Secret(f"/v4/sessions/{_part(session_id, 'sessionId')}/players")


def player(session_id: str, guild_id: int) -> Secret:
    """`/v4/sessions/{s}/players/{g}`."""
    return Secret(players(session_id) + f"/{guild_id:d}")


def checked_method(method: str) -> str:
    """Return an HTTP method in upper case. Raises `InvalidArgumentError` for what is none."""
    upper = method.upper() if isinstance(method, str) else ""
    if not _METHOD.fullmatch(upper):
        raise InvalidArgumentError(f"method must be an HTTP method such as GET, not {method!r}", field="method")
    return upper


def checked_path(path: str) -> str:
    """Return a path of a user's (a plugin's, say), quoted where needed; what is quoted already stays as it is.

    Raises `InvalidArgumentError` for one that does not begin with a slash, that has a query, or that leads upwards.
    """
    if not isinstance(path, str) or not path.startswith("/"):
        raise InvalidArgumentError(f"path must be like /v4/info, with a slash first, not {_shown(path)}", field="path")
    if "?" in path or "#" in path:
        raise InvalidArgumentError("path must be without ? and #: give the query as query={...}", field="path")
    if any(unquote(part) in (".", "..") for part in path.split("/")) or "\\" in path:
        raise InvalidArgumentError("path must not have parts that are . or .., nor backslashes", field="path")
    if _ESCAPE_GONE_WRONG.search(path):
        raise InvalidArgumentError("path has a % that is not followed by two hexadecimal digits", field="path")
    plain = path.reveal() if isinstance(path, Secret) else path
    return _quoted(plain, "path", _IN_PATH)


def load_query(identifier: str) -> str:
    """`?identifier=...`, as `query_string` writes it."""
    return "?identifier=" + _quoted(identifier, "identifier", "")


def query_string(query: Mapping[str, QueryValue] | None) -> str:
    """Return `?name=value&...`, or nothing. `True` is sent as `true`, a `None` is left out.

    Raises `InvalidArgumentError`, with the parameter's name, for a text that can't be sent.
    """
    if not query:
        return ""
    pairs = [
        f"{_quoted(name, name, '')}={_quoted(_query_text(value), name, '')}"
        for name, value in query.items()
        if value is not None
    ]
    return "?" + "&".join(pairs) if pairs else ""


def _query_text(value: QueryValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.reveal() if isinstance(value, Secret) else str(value)


def _part(value: str, field: str) -> str:
    if not isinstance(value, str) or not value or value in (".", ".."):
        raise InvalidArgumentError(f"{field} must be a text that can stand in a path", field=field)
    return _quoted(value.reveal() if isinstance(value, Secret) else value, field, "")


def _quoted(text: str, field: str, safe: str) -> str:
    if text.isascii():
        if text.isalnum():
            return text  # a session's id, a name, a number: most of what comes here
        if not safe:
            return text.translate(_QUOTED)
    checks.sendable(text, field)
    return quote(text, safe=safe)


def _shown(path: object) -> str:
    return "something else" if isinstance(path, str) else type(path).__name__
