"""`read_head`: what the head of an HTTP/1.1 answer says, and where its body ends by that.

The heads of a server differ in their date at most, and that is the same for a second. So what was read is kept for the
next head that is the same to the byte: to read one takes 3 us of a track load, to find it again 0.1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

_STATUS_LINE = re.compile(r"HTTP/1\.(\d) +([1-9]\d{2})(?: .*)?")
# More digits are no length of anything, and beyond 4,300 Python refuses to read them.
_LENGTH = re.compile(r"[0-9]{1,18}")
_KEEP_ALIVE = re.compile(r"\btimeout\s*=\s*(\d{1,6})", re.IGNORECASE)
_WITHOUT_BODY = (101, 204, 304)


class NoHttpError(Exception):
    """What came is no HTTP/1."""


@dataclass(frozen=True, slots=True)
class Head:
    """The head of an answer. `headers`: names in lower case, values of a name that came twice joined by a comma.

    The body is `chunked`, or has `length` bytes; where that is `None` it goes on to the end of the connection.
    `kept`: whether the server keeps the connection, and for how many idle seconds it said (`idle_limit`), 0 if it did
    not.
    """

    status: int
    headers: Mapping[str, str]
    chunked: bool
    length: int | None
    kept: bool
    idle_limit: float

    @property
    def is_interim(self) -> bool:
        """Whether the real answer follows."""
        return 100 <= self.status < 200 and self.status != 101


@lru_cache(maxsize=64)
def read_head(head: bytes) -> Head:
    """Read a head, which is all before the empty line. Raises `NoHttpError`."""
    first, *lines = head.decode("latin-1").split("\n")
    started = _STATUS_LINE.fullmatch(first.rstrip("\r"))
    if started is None:
        raise NoHttpError
    status, headers = int(started[2]), _read_headers(lines)
    connection = headers.get("connection", "").lower()
    kept = "close" not in connection and (started[1] != "0" or "keep-alive" in connection)
    coding, length = headers.get("transfer-encoding"), headers.get("content-length")
    chunked, size = False, None
    if 100 <= status < 200 or status in _WITHOUT_BODY:
        size, kept = 0, kept and status != 101
    elif coding is not None:
        chunked = coding.lower() == "chunked"
    elif length is not None:
        size = read_length(length)
        if size is None:
            raise NoHttpError
    said = _KEEP_ALIVE.search(headers.get("keep-alive", ""))
    return Head(status, headers, chunked, size, kept, float(said[1]) if said else 0.0)


def read_length(said: str) -> int | None:
    """Return the bytes that a `Content-Length` tells of; `None` where what it says is no length."""
    return int(said) if _LENGTH.fullmatch(said) else None


def _read_headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    name = ""
    for line in lines:
        if line[:1] in " \t":  # an old way to go on with the header before
            headers[name] = f"{headers.get(name, '')} {line.strip()}"
            continue
        name, _, value = line.partition(":")
        name, value = name.strip().lower(), value.strip()
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
