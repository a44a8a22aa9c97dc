"""A recording as a script: exchanges to be asked, WebSockets to be opened, and what the server says on them and when.

A message that came when n requests had been asked, and some of them answered, is said when that is so again.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from .http import Request, parse_request
from .recording import Line

__all__ = ["Exchange", "Script", "Step", "Stream", "said", "script_of"]

_SESSION = re.compile(r"/sessions/([^/?#]+)")


@dataclass(eq=False, repr=False)
class Exchange:
    """A request and its answer. `number`: in the order of asking; `place`: its line, in the order of answers.

    `headers`: names in lower case, `None` where they were not recorded. `failed`: why there is no answer.
    """

    line: Line
    number: int
    place: int
    request: Request
    headers: Mapping[str, Any] | None
    status: int | None
    failed: str | None
    took_ms: int
    asked: bool = False
    answered: bool = False

    @property
    def t_ms(self) -> int:
        """When it was asked."""
        return int(self.line["t_ms"])

    @property
    def session(self) -> str | None:
        """The session in its path."""
        found = _SESSION.search(self.request.path)
        return None if found is None else unquote(found.group(1))

    def __str__(self) -> str:
        return f"{self.line.get('method', 'GET')} {self.line.get('path')}"


@dataclass(eq=False, repr=False)
class Step:
    """Something that the server does on a WebSocket: `say` a text, `close` it or `cut` it."""

    kind: str
    place: int
    t_ms: int
    after: int
    line: Line


@dataclass(eq=False, repr=False)
class Stream:
    """A WebSocket. `opening`: its handshake. `steps`: what is still to be done; those before have been.

    `by_number`, `by_place`: the exchanges that have to do with it, in either order. `now_ms`: how far it has come.
    """

    number: int
    opening: Exchange
    steps: list[Step] = field(default_factory=list)
    by_number: list[Exchange] = field(default_factory=list)
    by_place: list[Exchange] = field(default_factory=list)
    done: int = 0
    closed: bool = False
    now_ms: int = 0
    _asked: int = 0
    _answered: int = 0

    @property
    def next(self) -> Step | None:
        """What is to be done next."""
        return self.steps[self.done] if self.done < len(self.steps) else None

    def ready(self, step: Step) -> bool:
        """Whether all has been asked and answered that was before `step`."""
        while self._asked < len(self.by_number) and self.by_number[self._asked].asked:
            self._asked += 1
        while self._answered < len(self.by_place) and self.by_place[self._answered].answered:
            self._answered += 1
        asked, answered = self._before(step)
        return self._asked >= asked and self._answered >= answered

    def waited_ms(self, step: Step) -> int:
        """How long `step` came after the last of what it waits for."""
        asked, answered = self._before(step)
        times = [self.now_ms, *(each.t_ms for each in self.by_number[:asked][-1:])]
        times += [each.t_ms + each.took_ms for each in self.by_place[:answered][-1:]]
        return max(0, step.t_ms - max(times))

    def _before(self, step: Step) -> tuple[int, int]:
        """How many requests were asked, and how many answered."""
        return (
            bisect_right(self.by_number, step.after, key=_number),
            bisect_left(self.by_place, step.place, key=_place),
        )

    @property
    def session(self) -> str | None:
        """Which session it is of."""
        for step in self.steps:
            body = step.line.get("body")
            if isinstance(body, dict) and body.get("op") == "ready":
                return str(body.get("sessionId"))
        return None


@dataclass(eq=False, repr=False)
class Script:
    """All of a recording."""

    exchanges: list[Exchange]
    streams: list[Stream]

    def finished(self) -> bool:
        """Whether nothing is missing."""
        return all(each.asked for each in reversed(self.exchanges)) and all(
            stream.opening.asked and stream.next is None for stream in self.streams
        )

    def missing(self) -> list[str]:
        """What was not asked, opened or said."""
        found = [f"{each} was not asked" for each in self.exchanges if not each.asked]
        for stream in self.streams:
            left = len(stream.steps) - stream.done
            if not stream.opening.asked:
                found.append(f"WebSocket {stream.number} was not opened")
            elif left:
                found.append(f"{left} messages of WebSocket {stream.number} were not sent")
        return found


def script_of(lines: Iterable[Line]) -> Script:
    """Make the script of a recording in the recorder's form."""
    placed = list(enumerate(lines))
    numbered = _numbers(placed)
    exchanges = [_exchange(line, place, numbered[place]) for place, line in placed if line["kind"] == "rest"]
    exchanges.sort(key=_number)
    by_place = sorted(exchanges, key=_place)
    streams: dict[int, Stream] = {}
    for place, line in placed:
        number = line.get("connection", 0)
        if line["kind"] == "ws_open":
            opening = _exchange(line, place, 0)
            streams[number] = Stream(number, opening, now_ms=opening.t_ms + opening.took_ms)
        elif line["kind"].startswith("ws") and number in streams:
            after = line["after"] if "after" in line else _asked_before(line["t_ms"], place, exchanges)
            step = _step(line, place, after, streams[number])
            if step is not None:
                streams[number].steps.append(step)
    for stream in streams.values():
        session = stream.session
        stream.by_number = [each for each in exchanges if session is None or each.session in (None, session)]
        stream.by_place = [each for each in by_place if session is None or each.session in (None, session)]
    return Script(exchanges, list(streams.values()))


def _numbers(placed: list[tuple[int, Line]]) -> dict[int, int]:
    """In which order the requests were asked, by place: as the lines say, else by their times."""
    rest = [(place, line) for place, line in placed if line["kind"] == "rest"]
    if all("n" in line for _, line in rest):
        return {place: line["n"] for place, line in rest}
    ordered = sorted(rest, key=lambda each: (each[1]["t_ms"], each[0]))
    return {place: number for number, (place, _) in enumerate(ordered, 1)}


def _asked_before(t_ms: int, place: int, exchanges: list[Exchange]) -> int:
    """Within one millisecond the order of the lines decides."""
    return max(
        (each.number for each in exchanges if each.t_ms < t_ms or (each.t_ms == t_ms and each.place < place)), default=0
    )


def _exchange(line: Line, place: int, number: int) -> Exchange:
    headers = line.get("request_headers")
    named = None if headers is None else {name.lower(): value for name, value in headers.items()}
    target = line.get("path") or "/v4/websocket"
    return Exchange(
        line=line,
        number=number,
        place=place,
        request=parse_request(line.get("method", "GET"), target, {}, b""),
        headers=named,
        status=line.get("status"),
        failed=line.get("failed"),
        took_ms=int(line.get("took_ms", 0)),
    )


def _step(line: Line, place: int, after: int, stream: Stream) -> Step | None:
    """What the server does of its own accord; the rest follows from what the client does, or can't be said again."""
    by_client = line.get("from") == "client"
    if line["kind"] == "ws_close" and by_client:
        stream.closed = True  # what the server closes then is its answer
    if line["kind"] == "ws" and not by_client and ("body" in line or "text" in line):
        return Step("say", place, line["t_ms"], after, line)
    if line.get("from") == "server" and not stream.closed and line["kind"] in ("ws_close", "ws_end"):
        stream.closed = True
        return Step("close" if line["kind"] == "ws_close" else "cut", place, line["t_ms"], after, line)
    return None


def said(line: Line) -> str:
    """The text of a message."""
    return str(line["text"]) if "text" in line else json.dumps(line["body"], separators=(",", ":"))


def _number(exchange: Exchange) -> int:
    return exchange.number


def _place(exchange: Exchange) -> int:
    return exchange.place
