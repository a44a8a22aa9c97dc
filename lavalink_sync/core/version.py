"""Which servers this client can talk to: those of Lavalink's major version 4."""

from __future__ import annotations

import re

from ..errors import UnsupportedServerError

_OURS = 4
# What a server that was not built from a release says it is.
_UNTOLD = 0
_MAJOR = re.compile(r"v?(\d{1,9})\.\d")
_LONGEST = 40


def major_of(version: str) -> int:
    """Return the major version in the text of `/version`; 0 where it tells none, as a commit's hash does not."""
    match = _MAJOR.match(version)
    return _UNTOLD if match is None else int(match[1])


def check_major(node: str, address: str, major: int, version: str) -> None:
    """Raise `UnsupportedServerError` for another major version than 4; 0 tells nothing. `version`: its text."""
    if major not in (_OURS, _UNTOLD):
        version = version[:_LONGEST]
        raise UnsupportedServerError(
            f"node {node}: the server at {address} says it is version {version!r}; this client speaks Lavalink "
            f"v{_OURS}: use a server of that version",
            version=version,
        )
