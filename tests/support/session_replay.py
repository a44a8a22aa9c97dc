"""The recorded session without voice, sent again to a development node: its REST exchanges, its sockets, its times.

A clock is moved by hand as the recorded one went. What every socket heard is kept for the comparison.
"""

from __future__ import annotations

import functools
import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import websocket

from lavalink_sync.devnode import DevNode, ManualClock, RoutePlanner
from lavalink_sync.models import decode_track, encode_track

from .devnode_raw import Raw
from .recordings import lines

RECORDED_PORT = "127.0.0.1:8811"
# Seconds from one exchange to the next where no answer told the time.
PACE = 0.008
# The only one of these scenarios in which nothing told the time of day: begun so long after the one it lives beside.
SECOND = "second_socket_same_session"
SECOND_BEGAN, SECOND_ENDED = 1100, 3000


@functools.cache
def begun(scenario: str) -> int:
    """When a scenario of the sockets began, unix milliseconds: told by its player updates."""
    for line in lines("websocket"):
        if line["scenario"] == scenario and isinstance(line["data"], dict) and "state" in line["data"]:
            return int(line["data"]["state"]["time"] - line["t_ms"])
    raise AssertionError(f"nothing tells when {scenario} began")


def ended(scenario: str) -> int:
    """When its socket ended."""
    last = [line for line in lines("websocket") if line["scenario"] == scenario][-1]
    return begun(scenario) + int(last["t_ms"])


class Replay:
    """Sends everything again; `answers` (by line number) and `heard` (by scenario) are what came.

    `heard` has messages, and at the end the code and reason of the close, or `lost`.
    """

    def __init__(self, make_devnode: Callable[..., DevNode], music: Path, port: int) -> None:
        self._make = make_devnode
        self._music = music
        self.port = port
        self.heard: dict[str, list[Any]] = defaultdict(list)
        self.answers: dict[int, tuple[int, dict[str, str], Any] | None] = {}
        self.ids: dict[str, str] = {}
        self._sockets: dict[str, Any] = {}
        self._now: float | None = None
        self._marks = 0
        self._serve()

    def run(self) -> None:
        """From the first line to the last."""
        try:
            for number, line in enumerate(lines("rest"), 1):
                if line["name"] in STEPS:
                    STEPS[line["name"]](self)
                self._wait_until(time_of(line))
                self.answers[number] = self._send(line)
            finish(self)
        finally:
            self.raw.close()

    def adapt(self, value: Any) -> Any:
        """A recorded value as it would read today."""
        if isinstance(value, str):
            for recorded, session in self.ids.items():
                value = value.replace(recorded, session)
            return self._encoded(value.replace(RECORDED_PORT, f"127.0.0.1:{self.port}"))
        if isinstance(value, dict):
            return {key: self.adapt(each) for key, each in value.items()}
        return [self.adapt(each) for each in value] if isinstance(value, list) else value

    def _encoded(self, text: str) -> str:
        """An encoded track with today's port in it; any other text as it is."""
        try:
            track = decode_track(text)
        except ValueError:
            return text
        info, here = track.info, f"127.0.0.1:{self.port}"
        uri = None if info.uri is None else info.uri.replace(RECORDED_PORT, here)
        info = replace(info, identifier=info.identifier.replace(RECORDED_PORT, here), uri=uri)
        return text if info == track.info else encode_track(replace(track, info=info))

    def _send(self, line: dict[str, Any]) -> tuple[int, dict[str, str], Any] | None:
        headers = {n: v.replace("<password>", self.devnode.password) for n, v in line["request_headers"].items()}
        call = (line["method"], self.adapt(line["path"]), self.adapt(line["request_body"]))
        if "failed" not in line:
            return self.raw.ask(*call, query=self.adapt(line["query"]), headers=headers)
        impatient = Raw(self.devnode, timeout=0.5)
        try:
            return impatient.ask(*call, headers=headers)
        except TimeoutError:
            return None
        finally:
            impatient.close()

    # --- what happened besides

    def _serve(self, **options: Any) -> None:
        self._clock = ManualClock()
        self.devnode = self._make(music=self._music, player_update_interval=1.0, clock=self._clock, **options)
        self.raw = Raw(self.devnode)

    def serve_anew(self, **options: Any) -> None:
        """Another server, as in the recording."""
        self.raw.close()
        self._serve(**options)

    def _wait_until(self, moment: int | None) -> None:
        known = moment is not None and self._now is not None
        passed = max(0.0, moment - self._now) if known else PACE * 1000  # type: ignore[operator]  # both are, then
        if self._now is not None:
            self._now += passed
        elif moment is not None:
            self._now = moment
        self._clock.advance(passed / 1000)

    def vanish(self) -> None:
        """A file goes away between its loading and its playing."""
        (self._music / "vanishing.flac").unlink()

    def open(self, scenario: str, at: int | None = None, resume: str | None = None) -> None:
        """Open a scenario's socket. `resume`: the recorded session whose id is sent."""
        self._wait_until(at)
        address = self.devnode.address
        headers = {} if resume is None else {"Session_Id": self.ids[resume]}
        socket = self.raw.connect(Origin=f"http://{address}", **headers)
        self._sockets[scenario] = socket
        self.heard[scenario].append({**socket.getheaders(), ":address": address})
        self._listen(scenario)
        ready = next(each for each in self.heard[scenario][1:] if each["op"] == "ready")
        recorded = next(
            line["data"]["sessionId"]
            for line in lines("websocket")
            if line["scenario"] == scenario and isinstance(line["data"], dict) and line["data"].get("op") == "ready"
        )
        self.ids[recorded] = ready["sessionId"]

    def close(self, scenario: str, at: int) -> None:
        """The client closes, and reads the answer."""
        self._wait_until(at)
        self._listen(scenario)
        self._sockets[scenario].send_close()
        self._listen(scenario, to_the_end=True)
        self._gone(scenario)

    def cut(self, scenario: str, at: int) -> None:
        """The client's end is gone without a word."""
        self._wait_until(at)
        self._listen(scenario)
        self._sockets[scenario].shutdown()
        self._gone(scenario)

    def shut_down(self, scenario: str) -> None:
        """The server ends as it should."""
        self.devnode.close()
        self._listen(scenario, to_the_end=True)

    def kill(self, scenario: str) -> None:
        """The server is no more."""
        self.devnode.cut_sockets(reset=False)
        self._listen(scenario, to_the_end=True)

    def _gone(self, scenario: str) -> None:
        """Wait until the node knows."""
        session = next(each for each in self.heard[scenario] if each.get("op") == "ready")["sessionId"]
        for _ in range(1000):
            if self.raw.ask("GET", f"/v4/sessions/{session}/players")[0] == 404:
                return
        raise AssertionError("the node does not notice")

    def _listen(self, scenario: str, to_the_end: bool = False) -> None:
        """Take what has come, or with `to_the_end` all that comes until the socket is no more."""
        self._marks += 1
        if not to_the_end:
            self.devnode.send_raw(json.dumps({"op": "mark", "number": self._marks}))
        while True:
            try:
                opcode, data = self._sockets[scenario].recv_data(control_frame=True)
            except (websocket.WebSocketConnectionClosedException, ConnectionError):
                self.heard[scenario].append("lost")
                return
            if opcode == websocket.ABNF.OPCODE_CLOSE:
                self.heard[scenario].append((int.from_bytes(data[:2], "big"), data[2:].decode()))
                return
            message = json.loads(data)
            if message.get("number") == self._marks:
                return
            if message["op"] != "mark":
                self.heard[scenario].append(message)


def time_of(line: dict[str, Any]) -> int | None:
    """When an exchange was answered, unix milliseconds, if the answer says."""
    body = line.get("response_body")
    if isinstance(body, list) and body and isinstance(body[0], dict) and "state" in body[0]:
        body = body[0]
    if not isinstance(body, dict):
        return None
    told = body.get("state", {}).get("time", body.get("timestamp"))
    return None if told is None else int(told)


SESSION = "2l7zmetg3y1ewwdl"


def _two_sockets(replay: Replay) -> None:
    replay.cut("resume_second", ended("resume_second"))
    began = begun("resume_after_cut")
    replay.open("resume_after_cut", began, resume=SESSION)
    replay.open(SECOND, began + SECOND_BEGAN, resume=SESSION)
    replay.close(SECOND, began + SECOND_ENDED)


def _off_play(replay: Replay) -> None:
    replay.close("resume_third", ended("resume_third"))
    replay.open("resume_too_late", begun("close_without_resuming") - 1200, resume=SESSION)
    replay.close("resume_too_late", begun("close_without_resuming") - 100)
    replay.open("close_without_resuming", begun("close_without_resuming"))


def _route_planner(replay: Replay) -> None:
    replay.close("close_without_resuming", ended("close_without_resuming"))
    replay.open("resume_not_enabled", resume="em0neyu5gcn2y9mi")
    replay.close("resume_not_enabled", ended("close_without_resuming") + 2000)
    replay.serve_anew(route_planner=RoutePlanner())


def _shutdown(replay: Replay) -> None:
    replay.serve_anew()
    replay.open("server_shutdown")


def _resume_first(replay: Replay) -> None:
    replay.cut("track_exception", ended("track_exception"))
    replay.open("resume_first", begun("resume_first"))


def _played_vanished(replay: Replay) -> None:
    replay.vanish()
    replay.open("track_exception", begun("track_exception"))


# What had happened before an exchange was sent.
STEPS: dict[str, Callable[[Replay], None]] = {
    "session_empty_patch": lambda replay: replay.open("players"),
    "players_after_close": lambda replay: replay.close("players", ended("players")),
    "patch:play_vanished": _played_vanished,
    "resume:on": _resume_first,
    "resume:players_while_away": lambda replay: replay.close("resume_first", ended("resume_first")),
    "resume:players_after": lambda replay: replay.open("resume_second", begun("resume_second"), resume=SESSION),
    "resume:players_two_sockets": _two_sockets,
    "resume:on_short": lambda replay: replay.cut("resume_after_cut", ended("resume_after_cut")),
    "resume:short": lambda replay: replay.open("resume_third", begun("resume_third"), resume=SESSION),
    "resume:off_play": _off_play,
    "route_planner_on:status": _route_planner,
    "shutdown:resuming": _shutdown,
}


def finish(replay: Replay) -> None:
    """What was recorded after the last exchange: the server goes, comes back, and is killed."""
    replay.shut_down("server_shutdown")
    replay.raw.close()
    replay.devnode.start()
    replay.raw = Raw(replay.devnode)
    replay.open("after_server_restart", resume="kp8oo49jd8btnd50")
    replay.kill("after_server_restart")
