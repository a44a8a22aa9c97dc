"""`AnswerReader`: an HTTP/1.1 answer out of the bytes as they come. It does no I/O.

Ours, because of what http.client costs: it makes an e-mail message of every head, and a call of every line, which was
half of a track load. It is strict where an answer's end is decided, since the next answer begins there, and lenient in
the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from .http_head import Head, NoHttpError, read_head

_START = b"HTTP/1."
_LARGEST_HEAD = 64 * 1024
# Line feeds alone are no HTTP, but some servers write them.
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?", re.DOTALL)
_LAST_CHUNK = b"\r\n0\r\n\r\n"


class TooLargeError(Exception):
    """The answer's body is over the limit."""


def whole_answer(data: bytes, max_body: int) -> tuple[Head, bytes] | None:
    """Return head and body of an answer that came in one piece, with a length or in one chunk, as most do.

    `None` for all others, and for one over `max_body` bytes: those are an `AnswerReader`'s, which would do the same
    with this one in ten steps. Raises `NoHttpError`.
    """
    at = data.find(b"\r\n\r\n")
    if at < 0:
        return None
    head, start, end = read_head(data[:at]), at + 4, len(data)
    if head.chunked:
        line, start, end = start, data.find(b"\r\n", start) + 2, end - len(_LAST_CHUNK)
        if not line < start < end or data[line:start] != b"%x\r\n" % (end - start) or data[end:] != _LAST_CHUNK:
            return None
    elif end - start != head.length or head.is_interim:
        return None
    return (head, data[start:end]) if end - start <= max_body else None


class AnswerReader:
    """Takes the bytes of one answer. `whole` once all of it came; then `status`, `headers` and `body` are there.

    `max_body`: bytes that the body may have. `bodiless`: the answer to a HEAD, which tells of a body and has none.
    `begun`: whether a byte came.
    """

    def __init__(self, max_body: int, *, bodiless: bool = False) -> None:
        self._bodiless = bodiless
        # The head, once it is whole and that of the real answer.
        self.head: Head | None = None
        self.begun = False
        self.whole = False
        # Whether anything spoke against another call over the connection.
        self._spoilt = False
        # What came and is part of no whole head or line yet.
        self._rest = b""
        self._pieces: list[bytes] = []
        # Bytes that the body may still have.
        self._room = max_body
        # Bytes that the body, or its present chunk, still lacks. `None`: it goes on to the end of the connection.
        self._left: int | None = 0
        # In a chunked body: a chunk is over, its line end is due; the last one is over, headers may follow.
        self._line_after = False
        self._trailing = False

    @property
    def status(self) -> int:
        """The answer's status; 0 before its head is there."""
        return self.head.status if self.head else 0

    @property
    def headers(self) -> Mapping[str, str]:
        """The answer's headers, as in `Head`."""
        return self.head.headers if self.head else {}

    @property
    def idle_limit(self) -> float:
        """For how many seconds the server keeps the connection, as in `Head`."""
        return self.head.idle_limit if self.head else 0.0

    @property
    def body(self) -> bytes:
        """The body, without the framing."""
        return b"".join(self._pieces)

    @property
    def can_follow(self) -> bool:
        """Whether another call may use the connection: the server keeps it, and sent nothing beyond this answer."""
        return self.whole and self.head is not None and self.head.kept and not self._spoilt

    def feed(self, data: bytes) -> None:
        """Take what came. Raises `NoHttpError`, `TooLargeError`."""
        self.begun = True
        if self.whole:
            self._spoilt = True
            return
        if self.head is None:
            data, self._rest = self._take_head(self._rest + data), b""
            if self.head is None:
                self._rest = data
                return
        if self.head.chunked:
            self._take_chunks(data)
        else:
            self._take_body(data)

    def end(self) -> bool:
        """Take the end of the connection; return whether the answer is whole with it."""
        self._spoilt = True
        if self.head is not None and self._left is None:
            self.whole = True
        return self.whole

    def _take_head(self, data: bytes) -> bytes:
        """Take the head, if all of it is there; return what is not taken."""
        while self.head is None:
            if not data.startswith(_START) and not _START.startswith(data[: len(_START)]):
                raise NoHttpError
            at = data.find(b"\r\n\r\n")
            after = at + 4
            if at < 0:
                found = _HEAD_END.search(data)
                if found is None:
                    if len(data) > _LARGEST_HEAD:
                        raise NoHttpError
                    return data
                at, after = found.span()
            head, data = read_head(data[:at]), data[after:]
            if not head.is_interim:
                self._begin_body(head)
        return data

    def _begin_body(self, head: Head) -> None:
        self.head = head
        if self._bodiless:
            self.head = replace(head, chunked=False, length=0)
        elif not head.chunked:
            self._left = head.length
            self._use_room(head.length or 0)

    def _use_room(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise TooLargeError

    def _take_body(self, data: bytes) -> None:
        left = self._left
        if left is None:
            self._use_room(len(data))
            self._pieces.append(data)
            return
        if len(data) > left:
            data = data[:left]
            self._spoilt = True
        self._pieces.append(data)
        self._left = left = left - len(data)
        self.whole = not left

    def _take_chunks(self, data: bytes) -> None:
        data, self._rest = self._rest + data, b""
        at, end = 0, len(data)
        while at < end:
            if self._left:
                piece = data[at : at + self._left]
                self._pieces.append(piece)
                at += len(piece)
                self._left -= len(piece)
                self._line_after = bool(self._left) or data[at : at + 2] != b"\r\n"
                at += 0 if self._line_after else 2
                continue
            line_end = data.find(b"\n", at)
            if line_end < 0:
                if end - at > _LARGEST_HEAD:
                    raise NoHttpError
                self._rest = data[at:]
                return
            line, at = data[at:line_end], line_end + 1
            self._take_line(line)
            if self.whole:
                self._spoilt = self._spoilt or at < end
                return

    def _take_line(self, line: bytes) -> None:
        """Take a line between chunks: the end of the one before, the size of the next, or what follows the last."""
        if self._trailing:
            self.whole = line in (b"\r", b"")
        elif self._line_after:
            # A bare line feed is not taken: behind a size that is one too large it would cut off the last byte.
            if line != b"\r":
                raise NoHttpError
            self._line_after = False
        else:
            found = _CHUNK_SIZE.fullmatch(line)
            if found is None:
                raise NoHttpError
            self._left = size = int(found[1], 16)
            self._use_room(size)
            self._trailing = not size
