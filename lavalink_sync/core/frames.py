"""Reads the WebSocket frames of a server (RFC 6455), without I/O: bytes in, messages out.

Whole text frames, which is nearly all that Lavalink sends, take a short path. Text is not decoded here: JSON decoding
finds bad UTF-8 anyhow, and then only that message is lost.
"""

from __future__ import annotations

from typing import NamedTuple

_FIN_TEXT = 0x81
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_LARGEST_CONTROL = 125

PROTOCOL_ERROR = 1002
"""The close code for a peer that breaks the rules."""

NO_CODE = 1005
"""What stands for the code of a close frame that has none; never on the wire."""

TOO_BIG = 1009
"""The close code for a message over the limit."""

# Codes that may stand in a close frame; 3000 to 4999 may too.
_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})


class Ping(NamedTuple):
    """A ping, to be answered with the same payload."""

    payload: bytes


class Pong(NamedTuple):
    """The answer to a ping."""

    payload: bytes


class Close(NamedTuple):
    """The peer's close frame; nothing follows it."""

    code: int
    reason: str


class Violation(NamedTuple):
    """The peer broke the protocol; nothing after that can be read. `code` is what to close with."""

    code: int
    problem: str


Control = Ping | Pong | Close | Violation


class FrameReader:
    """Takes what was received, in pieces of any size, and gives the messages in it.

    `max_size` is the largest message in bytes; what is larger ends the reading before it is held in memory.
    """

    def __init__(self, max_size: int = 16 * 1024 * 1024) -> None:
        self._max_size = max(max_size, _LARGEST_CONTROL)
        # Pieces of a frame that is not whole, their size, and the size at which looking again makes sense.
        self._held: list[bytes] = []
        self._held_size = 0
        self._needed = 0
        self._fragments: bytearray | None = None
        self._controls: list[Control] = []
        self._over = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take bytes; return the payloads of the messages that are whole now. Afterwards look at `controls()`."""
        if self._over:
            return []
        if self._held:
            self._held.append(data)
            self._held_size += len(data)
            if self._held_size < self._needed:
                return []
            data = b"".join(self._held)
            self._held = []
        messages: list[bytes] = []
        at, end, largest = 0, len(data), self._max_size
        while end - at >= 2:
            first, length = data[at], data[at + 1]
            start = at + 2
            if length >= 126:
                start += 2 if length == 126 else 8
                if length > 127:
                    self._fail(PROTOCOL_ERROR, "a masked frame")
                    return messages
                if start > end:
                    return self._hold(data, at, start - at, messages)
                if length == 126:
                    length = data[at + 2] << 8 | data[at + 3]
                else:
                    length = int.from_bytes(data[at + 2 : start], "big")
                if length > largest:
                    self._fail(TOO_BIG, f"a message of {length} bytes, over the limit of {largest}")
                    return messages
            stop = start + length
            if first == _FIN_TEXT and stop <= end and self._fragments is None:
                messages.append(data[start:stop])
                at = stop
                continue
            if (first != _FIN_TEXT or self._fragments is not None) and not self._header_is_good(first, length):
                return messages
            if stop > end:
                return self._hold(data, at, stop - at, messages)
            if not self._take(first, data[start:stop], messages):
                return messages
            at = stop
        return self._hold(data, at, 2, messages)

    def controls(self) -> list[Control]:
        """Return what came beside the messages since the last call; a `Close` or `Violation` is the last for good."""
        if not self._controls:
            return []
        controls, self._controls = self._controls, []
        return controls

    def _hold(self, data: bytes, at: int, needed: int, messages: list[bytes]) -> list[bytes]:
        """Keep what is left of `data` until there are `needed` bytes of it."""
        if at < len(data):
            self._held = [data[at:]]
            self._held_size = len(data) - at
            self._needed = needed
        return messages

    def _fail(self, code: int, problem: str) -> None:
        self._over = True
        self._controls.append(Violation(code, problem))

    def _header_is_good(self, first: int, length: int) -> bool:
        """Check the header of a frame that is no plain text, before its payload is waited for."""
        opcode = first & 0x0F
        problem = ""
        if first & 0x70:
            problem = "a frame with an extension that was not agreed on"
        elif opcode in (_CLOSE, _PING, _PONG):
            if not first & 0x80 or length > _LARGEST_CONTROL:
                problem = "a control frame that is fragmented or too long"
        elif opcode not in (_CONTINUATION, _TEXT, _BINARY):
            problem = f"a frame of the unknown kind {opcode}"
        elif (opcode == _CONTINUATION) != (self._fragments is not None):
            problem = "a fragment out of order"
        elif self._fragments is not None and len(self._fragments) + length > self._max_size:
            self._fail(TOO_BIG, f"a message of more than the limit of {self._max_size} bytes")
            return False
        if problem:
            self._fail(PROTOCOL_ERROR, problem)
        return not problem

    def _take(self, first: int, payload: bytes, messages: list[bytes]) -> bool:
        """Take a whole frame whose header is good and that is no plain text; return whether there can be more."""
        opcode = first & 0x0F
        if opcode == _PING:
            self._controls.append(Ping(payload))
        elif opcode == _PONG:
            self._controls.append(Pong(payload))
        elif opcode == _CLOSE:
            self._take_close(payload)
        elif self._fragments is not None:
            self._fragments += payload
            if first & 0x80:
                messages.append(bytes(self._fragments))
                self._fragments = None
        elif first & 0x80:
            messages.append(payload)  # binary; Lavalink sends none, and if it did, it would be JSON too
        else:
            self._fragments = bytearray(payload)
        return not self._over

    def _take_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
        if len(payload) == 1 or (payload and code not in _CODES and not 3000 <= code <= 4999):
            self._fail(PROTOCOL_ERROR, "a close frame without a proper code")
            return
        self._over = True
        self._controls.append(Close(code, payload[2:].decode("utf-8", "replace")))
