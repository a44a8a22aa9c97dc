"""The recorded playback, sent again to a development node at the recorded times of a clock that is moved by hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode.clock import ManualClock, Ticking
from lavalink_sync.devnode.races import Races

from .devnode_raw import Raw, next_message
from .recordings import lines

__all__ = ["Frame", "Replay", "SteppingClock", "scenario_of"]

SESSION = "05tkjyf6f53315v8"
SOURCE_PORT = "127.0.0.1:7446"
# The recorded stand-in for a voice server did not tell when its source was slow: taken from the positions.
STALLS = [(104_830, True), (117_420, False)]
STALLED_GUILD = 1004
# How many milliseconds an end may be late.
PATIENCE = 150


@dataclass
class Frame:
    """A message and when it came. `line`: where it was recorded."""

    at: int
    body: dict[str, Any]
    line: int = 0


class SteppingClock(ManualClock):
    """A clock that tells when its node does something next."""

    def __init__(self) -> None:
        super().__init__()
        self._watched: Ticking | None = None

    def attach(self, ticking: Ticking) -> None:
        super().attach(ticking)
        self._watched = ticking

    def step(self, limit: float) -> bool:
        """Advance to the next timer, or to `limit`. False once the limit is reached."""
        at = None if self._watched is None else self._watched.next_timer()
        target = limit if at is None else min(max(at, self.monotonic()), limit)
        self.advance(max(0.0, target - self.monotonic()))
        return target < limit


@dataclass
class Replay:
    """Sends everything; `frames` and `answers` (by line) are what came."""

    devnode: DevNode
    clock: SteppingClock
    music: Path
    port: int
    frames: list[Frame] = field(default_factory=list)
    answers: dict[int, tuple[int | None, Any]] = field(default_factory=dict)
    controls: dict[int, Any] = field(default_factory=dict)

    def run(self) -> None:
        """From the first line to the last."""
        self._raw = Raw(self.devnode, timeout=10)
        self._socket, self.session = self._raw.connect(), ""
        self._listen()
        try:
            for at, _, line, each in sorted(self._actions(), key=lambda action: action[:3]):
                while self.clock.step(at / 1000):
                    self._listen()
                self._listen()
                self._await_end(line, each, at)
                self._do(line, each)
                self._listen()
        finally:
            self._raw.close()

    def adapt(self, value: Any) -> Any:
        """A recorded value as it reads today."""
        if isinstance(value, str):
            return value.replace(SESSION, self.session).replace(SOURCE_PORT, f"127.0.0.1:{self.port}")
        if isinstance(value, dict):
            return {key: self.adapt(each) for key, each in value.items()}
        return [self.adapt(each) for each in value] if isinstance(value, list) else value

    def _actions(self) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
        # Of what is recorded for the same millisecond a control comes first: the call was sent after it.
        for number, each in enumerate(lines("playback"), 1):
            kind = each["kind"]
            if kind in ("rest", "voice_control", "ws_end", "ws_close") or (kind == "ws_open" and number > 1):
                yield each["t_ms"], kind != "voice_control", number, each
        for at, on in STALLS:
            yield at, 0, 0, {"kind": "stall", "on": on}

    def _do(self, number: int, each: dict[str, Any]) -> None:
        if each["kind"] == "rest":
            self.devnode.races = _races(number, each)
            self.answers[number] = self._ask(each)
            if "gone.mp3" in each["path"]:
                (self.music / "gone.mp3").unlink()
        elif each["kind"] == "voice_control":
            self.controls[number] = self._control(each)
        elif each["kind"] == "stall":
            self.devnode.playback.stall(STALLED_GUILD, each["on"])
        elif each["kind"] == "ws_end":
            self._socket.close()
            self._socket = None
        elif each["kind"] == "ws_open":
            self._socket = self._raw.connect(session_id=self.session)

    def _await_end(self, number: int, each: dict[str, Any], at: int) -> None:
        """Where a call was sent because a track had ended, let it end here, too: it may be a few frames late."""
        guild = each.get("path", "").partition("?")[0].rpartition("/")[2]
        wanted = [line["body"] for line in lines("playback")[:number] if line["kind"] == "ws" and line["t_ms"] <= at]
        while _ends(wanted, guild) > _ends([each.body for each in self.frames], guild):
            if not self.clock.step((at + PATIENCE) / 1000):
                return
            self._listen()

    def _ask(self, each: dict[str, Any]) -> tuple[int | None, Any]:
        parts = urlsplit(self.adapt(each["path"]))
        query = dict(parse_qsl(parts.query))
        if "identifier" in query:  # it was recorded before its folder was renamed
            query["identifier"] = f"/music/{Path(query['identifier']).name}"
        body = self.adapt(each["request"])
        if "status" in each:
            status, _, answer = self._raw.ask(each["method"], parts.path, body, query=query)
            return status, answer
        raw = Raw(self.devnode, timeout=0.3)
        try:
            status, _, answer = raw.ask(each["method"], parts.path, body, query=query)
            return status, answer
        except TimeoutError:
            return None, None
        finally:
            raw.close()

    def _control(self, each: dict[str, Any]) -> dict[str, Any]:
        parts = urlsplit(each["path"])
        given = dict(parse_qsl(parts.query))
        voice = self.devnode.voice
        if parts.path == "/close":
            return {"closed": voice.close(int(given["guild"]), int(given["code"]))}
        if parts.path == "/drop":
            return {"dropped": voice.drop(int(given["guild"]))}
        voice.heal()
        voice.dead("localhost:7999")
        voice.no_tls("127.0.0.1:7445")
        if parts.path == "/withhold":
            if given["on"] == "1":
                voice.dead("localhost:7443")
            return {"silent_handshake": given["on"] == "1"}
        code = int(given["code"]) if "code" in given else None
        if code is not None:
            voice.refuse(code)
        return {"refuse_identify": code}

    def _listen(self) -> None:
        if self._socket is None:
            return
        self.devnode.send_raw('{"op":"mark"}')
        while (message := next_message(self._socket))["op"] != "mark":
            self.frames.append(Frame(round(self.clock.monotonic() * 1000), message))
            self.session = message.get("sessionId", self.session)


def scenario_of(number: int) -> str:
    """The step that a line belongs to."""
    before = itertools.takewhile(lambda pair: pair[0] <= number, enumerate(lines("playback"), 1))
    return next((each["text"] for _, each in reversed(list(before)) if each["kind"] == "step"), "connect")


def _ends(frames: list[dict[str, Any]], guild: str) -> int:
    return sum(each.get("type") == "TrackEndEvent" and each["guildId"] == guild for each in frames)


def _races(number: int, each: dict[str, Any]) -> Races:
    """The races as this call was seen to end: whether a seek's update and answer told the new or the old position."""
    target = (each.get("request") or {}).get("position")
    if target is None or each.get("status") != 200 or "track" in each["request"]:
        return Races()
    guild = each["path"].rpartition("/")[2]
    near = [
        line["body"]["state"]["position"]
        for line in lines("playback")[max(0, number - 4) : number + 3]
        if line["kind"] == "ws"
        and line["body"].get("op") == "playerUpdate"
        and line["body"]["guildId"] == guild
        and 0 <= line["t_ms"] - each["t_ms"] <= each["took_ms"] + 15
    ]
    seen = max(target, 0)
    told = each["response"]["state"]["position"]
    return Races(seek_update="new" if seen in near else "old", seek_reply="new" if told == seen else "old")
