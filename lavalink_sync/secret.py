"""Values that must not be shown, and the one scrubber that every text from outside passes.

A password, a voice token or a session id lives in a `Secret`: it works as the text it is where the wire needs it, and
shows as `***` wherever it would be printed. `scrub` does the same for texts of others, such as a server's error.
"""

from __future__ import annotations

import re

MASK = "***"
# A session id stands in the path of most endpoints, and servers repeat the path in their errors.
_SESSION_IN_PATH = re.compile(r"(/sessions/)[^/\s?#\"']+")


class Secret(str):
    """A text that prints as `***`.

    It is a `str`, so a JSON encoder, a header and `+` see the real text; `repr`, `str`, `format` and `%s` see the mask.
    Build a URL or a file's content from `reveal()`, never from an f-string.
    """

    __slots__ = ()

    def __new__(cls, value: str) -> Secret:
        # str(value) of another Secret would be the mask.
        return str.__new__(cls, value if type(value) is str else str.__str__(value))

    def __repr__(self) -> str:
        return f"'{MASK}'"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def reveal(self) -> str:
        """Return the plain text; the caller takes over keeping it out of sight."""
        return str.__str__(self)


class SecretBytes(bytes):
    """Bytes that do not show themselves: a request, the password in its head. A part of them is plain bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"

    __str__ = __repr__


def scrub(text: str, *secrets: str | None) -> str:
    """Return `text` with each of `secrets` and each session id inside a path replaced by `***`."""
    for secret in secrets:
        if secret:
            text = text.replace(str.__str__(secret), MASK)
    return _SESSION_IN_PATH.sub(rf"\g<1>{MASK}", text)
