"""`AnswerReader`: an HTTP/1.1 answer out of the bytes as they come. It does no I/O.

Ours, because of what http.client costs: it makes an e-mail message of every head, and a call of every line, which was
half of a track load. It is strict where an answer's end is decided, since the next answer begins there, and lenient in
the rest.
"""

from __future__ import annotations

import re

_START = b"HTTP/1."
_LARGEST_HEAD = 64 * 1024
# Line feeds alone are no HTTP, but some servers write them.
_HEAD_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.(\d) +([1-9]\d{2})(?: .*)?")
_LAST_CHUNK = b"\r\n0\r\n\r\n"
# More digits are no length of anything, and beyond 4,300 Python refuses to read them.
_LENGTH = re.compile(r"[0-9]{1,18}")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?\r?", re.DOTALL)


class NoHttpError(Exception):
    """What came is no HTTP/1."""


class TooLargeError(Exception):
    """The answer's body is over the limit."""


def read_length(said: str) -> int | None:
    """Return the bytes that a `Content-Length` tells of; `None` where what it says is no length."""
    return int(said) if _LENGTH.fullmatch(said) else None


class AnswerReader:
    """Takes the bytes of one answer. `whole` once all of it came; then `status`, `headers` and `body` are there.

    `max_body`: bytes that the body may have. `bodiless`: the answer to a HEAD, which tells of a body and has none.
    `headers`: names in lower case, values of a name that came twice joined by a comma. `begun`: whether a byte came.
    """

    def __init__(self, max_body: int, *, bodiless: bool = False) -> None:
        self._bodiless = bodiless
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = False
        self.whole = False
        self._usable = True
        # What came and is part of no whole head or line yet.
        self._rest = b""
        self._pieces: list[bytes] = []
        # Bytes that the body may still have.
        self._room = max_body
        # Bytes that the body, or its present chunk, still lacks. `None`: it goes on to the end of the connection.
        self._left: int | None = 0
        self._chunked = False
        # In a chunked body: a chunk is over, its line end is due; the last one is over, headers may follow.
        self._line_after = False
        self._trailing = False

    @property
    def body(self) -> bytes:
        """The body, without the framing."""
        return b"".join(self._pieces)

    @property
    def can_follow(self) -> bool:
        """Whether another call may use the connection: the server keeps it, and sent nothing beyond this answer."""
        return self.whole and self._usable

    def feed(self, data: bytes) -> None:
        """Take what came. Raises `NoHttpError`, `TooLargeError`."""
        self.begun = True
        if self.whole:
            self._usable = False
            return
        if not self.status:
            data, self._rest = self._take_head(self._rest + data), b""
            if not self.status:
                self._rest = data
                return
        if self._chunked:
            self._take_chunks(data)
        else:
            self._take_body(data)

    def end(self) -> bool:
        """Take the end of the connection; return whether the answer is whole with it."""
        self._usable = False
        if self.status and self._left is None:
            self.whole = True
        return self.whole

    def _take_head(self, data: bytes) -> bytes:
        """Take the head, if all of it is there; return what is not taken."""
        while not self.status:
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
            self._read_head(data[:at].decode("latin-1"))
            data = data[after:]
        return data

    def _read_head(self, head: str) -> None:
        lines = head.split("\n")
        started = _STATUS_LINE.fullmatch(lines[0].rstrip("\r"))
        if started is None:
            raise NoHttpError
        status = int(started[2])
        if 100 <= status < 200 and status != 101:
            return  # an interim answer: the real one follows
        headers = self.headers
        name = ""
        for line in lines[1:]:
            if line[:1] in " \t":  # an old way to go on with the header before
                headers[name] = f"{headers.get(name, '')} {line.strip()}"
                continue
            name, _, value = line.partition(":")
            name, value = name.strip().lower(), value.strip()
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        self.status = status
        self._find_end(status, kept=started[1] != "0")

    def _find_end(self, status: int, *, kept: bool) -> None:
        """Find out where the body ends, and whether the connection is kept after it."""
        headers = self.headers
        connection = headers.get("connection", "").lower()
        self._usable = "close" not in connection and (kept or "keep-alive" in connection)
        coding, length = headers.get("transfer-encoding"), headers.get("content-length")
        if self._bodiless or status in (101, 204, 304):
            self._usable &= status != 101
        elif coding is not None:
            self._chunked = coding.lower() == "chunked"
            self._left = 0 if self._chunked else None
        elif length is not None:
            self._left = size = read_length(length)
            if size is None:
                raise NoHttpError
            self._use_room(size)
        else:
            self._left = None

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
            self._usable = False
        self._pieces.append(data)
        self._left = left = left - len(data)
        self.whole = not left

    def _take_chunks(self, data: bytes) -> None:
        begun = self._left or self._pieces or self._rest or self._trailing
        if not begun and data.endswith(_LAST_CHUNK) and self._take_only_chunk(data):
            return
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
                self._usable = self._usable and at == end
                return

    def _take_only_chunk(self, data: bytes) -> bool:
        """Take a body that is one chunk and came in one piece, as most do; return whether it is that."""
        line, _, rest = data.partition(b"\r\n")
        found = _CHUNK_SIZE.fullmatch(line)
        size = len(rest) - len(_LAST_CHUNK)
        if found is None or size <= 0 or int(found[1], 16) != size:
            return False
        self._use_room(size)
        self._pieces.append(rest[:size])
        self.whole = True
        return True

    def _take_line(self, line: bytes) -> None:
        """Take a line between chunks: the end of the one before, the size of the next, or what follows the last."""
        if self._trailing:
            self.whole = line in (b"\r", b"")
        elif self._line_after:
            if line not in (b"\r", b""):
                raise NoHttpError
            self._line_after = False
        else:
            found = _CHUNK_SIZE.fullmatch(line)
            if found is None:
                raise NoHttpError
            self._left = size = int(found[1], 16)
            self._use_room(size)
            self._trailing = not size
