"""What goes out: a request's bytes, made of a head that is checked and encoded once a node.

Only what a call adds to it (`headers`, a body's length) is made, and checked, for the call.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from requests.structures import CaseInsensitiveDict

from .._version import __version__
from ..config import NodeConfig
from ..errors import InvalidArgumentError
from ..secret import SecretBytes

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", re.ASCII)
_VERSION = " HTTP/1.1\r\n"
_CONTENT = b"Content-Type: application/json\r\nContent-Length: %d\r\n"
# A server waits for the body of these unless it is told that there is none.
_WITH_BODY = {"POST", "PUT", "PATCH"}
_HEADER_VALUE = re.compile(r"[\x20-\x7e\x80-\xff]*")


class RequestHeaders:
    """The headers of a node's calls."""

    def __init__(self, config: NodeConfig) -> None:
        self.url = config.rest_url
        """What is before a call's path in its URL."""
        self._folder = config.path
        self._password = config.password
        usual = 443 if config.secure else 80
        self._own = {"Host": config.address.removesuffix(f":{usual}"), "Authorization": self._password}
        _check(self._own)
        self._block = SecretBytes(_encoded(self._own) + _COMMON_BLOCK)

    def of(self, more: Mapping[str, str] | None, body: bytes | None) -> CaseInsensitiveDict[str]:
        """Return the headers of a call that adds `more`. Raises `InvalidArgumentError` for what can't be sent."""
        headers = CaseInsensitiveDict({**self._own, **_COMMON})
        if body is not None:
            headers["Content-Type"] = "application/json"
            # requests' own adapter sends in chunks what has no length, which not every server takes.
            headers["Content-Length"] = str(len(body))
        headers.update(more or {})
        # The password stays a `Secret`, so that no frame on the way shows it.
        headers["Authorization"] = self._password
        _check(headers)
        return headers

    def request(
        self, method: str, path: str, query: str, more: Mapping[str, str] | None, body: bytes | None
    ) -> SecretBytes:
        """Return the whole request. `path` and `query` are quoted. Raises as `of` does."""
        block, content = self._block, b""
        if body is None and method in _WITH_BODY:
            content = b"Content-Length: 0\r\n"
        if more:
            block = _encoded(self.of(more, body))
        elif body is not None:
            content = _CONTENT % len(body)
        # In one go: no frame has a part of it with something secret in a variable.
        return SecretBytes(
            b"".join(
                ((method + " " + self._folder + path + query + _VERSION).encode(), block, content, b"\r\n", body or b"")
            )
        )


def _check(headers: Mapping[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise InvalidArgumentError(
                f"the header {name!r} can't be sent: a value is Latin-1 text without line breaks", field=name
            )


def _encoded(headers: Mapping[str, str]) -> SecretBytes:
    return SecretBytes(b"".join([(name + ": " + value + "\r\n").encode("latin-1") for name, value in headers.items()]))


# What all nodes' calls have in common.
_COMMON = {
    "User-Agent": f"lavalink_sync/{__version__}",
    # A small compressed answer can become a huge one; what comes compressed all the same is refused.
    "Accept-Encoding": "identity",
    "Accept": "*/*",
    "Connection": "keep-alive",
}
_COMMON_BLOCK = _encoded(_COMMON)
