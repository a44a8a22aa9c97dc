"""How true the development node is: every recorded REST exchange of a real 4.2.2, sent again in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from lavalink_sync.devnode import DevNode, ManualClock, RoutePlanner
from lavalink_sync.models import decode_track, encode_track

from .support.devnode_raw import Raw, file_server, fill_music
from .support.recordings import lines

RECORDED_PORT = "127.0.0.1:8811"

# What must differ in a value, each with its reason; keys and types are compared all the same.
FREE = {
    "timestamp": "the clocks differ",
    "time": "the clocks differ",
    "uptime": "of the machine",
    "memory": "of the machine",
    "cpu": "of the machine",
    "trace": "names Java's frames",
    "causeStackTrace": "names Java's frames",
    "cause": "names Java's classes and what its libraries say",
    "buildTime": "of the build",
    "commit": "of the build",
    "commitTime": "of the build",
    "jvm": "of the machine",
    "encoded": "holds a length and a port: decoded instead, and held to the info beside it",
}
# Headers that say nothing of Lavalink.
HEADERS_OF_THE_DAY = {"date"}
# The recorded MP3s are not those that are given here, whose frames are fewer; the server guesses from bytes.
GUESSED = {"sine5.mp3", "uni30.mp3", "trunc.mp3", "name with space & ünï#1.mp3"}
# Exchanges that are not held to the recording: none.
LEFT_OUT: dict[str, str] = {}
EXCHANGES = 184
# Seconds from one exchange to the next: as recorded where an answer told the time, but for the long waits.
PACE, LONGEST = 0.008, 1.0


class Replay:
    """Sends the exchanges, and does in between what the recording's sockets and files did."""

    def __init__(self, make_devnode: Callable[..., DevNode], music: Path, port: int) -> None:
        self._make = make_devnode
        self._music = music
        self.port = port
        self._serve()
        self.ids: dict[str, str] = {}
        self._time: int | None = None

    def _serve(self, **options: Any) -> None:
        self._clock = ManualClock()
        self.devnode = self._make(music=self._music, player_update_interval=1.0, clock=self._clock, **options)
        self.raw = Raw(self.devnode)

    def before(self, line: dict[str, Any]) -> None:
        """What had happened when this was sent."""
        now = time_of(line)
        passed = PACE if now is None or self._time is None else (now - self._time) / 1000
        self._time = now or self._time
        self._clock.advance(min(max(passed, 0), LONGEST))
        name = line["name"]
        if name in STEPS:
            STEPS[name](self, line)
        elif line["path"].startswith("/v4/sessions/") and "unknown" not in line["path"]:
            recorded = session_of(line)
            if recorded not in self.ids:
                self.open(recorded)

    def open(self, recorded: str, **headers: str) -> None:
        """Open a socket for a recorded session."""
        self.socket, self.ids[recorded] = self.raw.open_session(**headers)

    def hang_up(self) -> None:
        """Close the socket, and wait until the node knows."""
        self.socket.close()
        until_away(self.raw, self.ids[list(self.ids)[-1]])

    def resume(self, recorded: str) -> None:
        """Come back to a session."""
        session = self.ids[recorded]
        self.open(recorded, Session_Id=session)
        assert self.ids[recorded] == session

    def adapt(self, value: Any) -> Any:
        """The recorded value as it would read today."""
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
        here = f"127.0.0.1:{self.port}"
        info = track.info
        uri = None if info.uri is None else info.uri.replace(RECORDED_PORT, here)
        info = replace(info, identifier=info.identifier.replace(RECORDED_PORT, here), uri=uri)
        return text if info == track.info else encode_track(replace(track, info=info))

    def send(self, line: dict[str, Any]) -> Iterator[str]:
        """Send one exchange again; yields what differs."""
        self.before(line)
        headers = {n: v.replace("<password>", self.devnode.password) for n, v in line["request_headers"].items()}
        call = (line["method"], self.adapt(line["path"]), self.adapt(line["request_body"]))
        if "failed" in line:
            yield from self._silence(call, headers)
            return
        status, told, body = self.raw.ask(*call, query=self.adapt(line["query"]), headers=headers)
        recorded = {name.lower(): value for name, value in line["response_headers"].items()}
        if status != line["status"]:
            yield f"status {line['status']} became {status}"
        for header in (recorded.keys() | told.keys()) - HEADERS_OF_THE_DAY:
            if recorded.get(header) != told.get(header):
                yield f"header {header}: {recorded.get(header)!r} became {told.get(header)!r}"
        yield from differences(self.adapt(line["response_body"]), body)

    def _silence(self, call: tuple[str, str, Any], headers: dict[str, str]) -> Iterator[str]:
        other = Raw(self.devnode, timeout=0.5)
        try:
            status, _, _ = other.ask(*call, headers=headers)
            yield f"no answer became {status}"
        except TimeoutError:
            return
        finally:
            other.close()


def time_of(line: dict[str, Any]) -> int | None:
    """When it was answered, in unix milliseconds, if the answer says."""
    body = line.get("response_body")
    if not isinstance(body, dict):
        return None
    told = body.get("state", {}).get("time", body.get("timestamp"))
    return None if told is None else int(told)


def session_of(line: dict[str, Any]) -> str:
    return str(line["path"].split("/")[3])


def until_away(raw: Raw, session: str) -> None:
    """Wait until the node has noticed that the session's socket is gone."""
    for _ in range(1000):
        if raw.ask("GET", f"/v4/sessions/{session}/players")[0] == 404:
            return
    raise AssertionError("the node does not notice")


def vanish(replay: Replay, line: dict[str, Any]) -> None:
    (replay._music / "vanishing.flac").unlink()
    replay.open(session_of(line))


def with_route_planner(replay: Replay, line: dict[str, Any]) -> None:
    replay.raw.close()
    replay._serve(route_planner=RoutePlanner())


STEPS: dict[str, Callable[[Replay, dict[str, Any]], None]] = {
    "players_after_close": lambda replay, line: replay.hang_up(),
    "patch:play_vanished": vanish,
    "resume:players_while_away": lambda replay, line: replay.hang_up(),
    "resume:players_after": lambda replay, line: replay.resume(session_of(line)),
    "resume:on_short": lambda replay, line: replay.hang_up(),
    "resume:short": lambda replay, line: replay.resume(session_of(line)),
    "route_planner_on:status": with_route_planner,
}


def differences(recorded: Any, found: Any, path: str = "", inside: str = "") -> Iterator[str]:
    """Where two bodies differ beyond what must. `inside`: the identifier of the track that this is about."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(recorded) != list(found):
            yield f"{path}: keys {list(recorded)} became {list(found)}"
            return
        inside = recorded.get("identifier", inside) if isinstance(recorded.get("identifier", ""), str) else inside
        if "encoded" in recorded and "info" in recorded:
            yield from unfaithful(found, path)
        for key, value in recorded.items():
            yield from differences(value, found[key], f"{path}.{key}", inside)
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for index, value in enumerate(recorded):
            yield from differences(value, found[index], f"{path}[{index}]", inside)
    elif type(recorded) is not type(found) or (recorded != found and not may_differ(path, inside)):
        yield f"{path}: {recorded!r} became {found!r}"


def may_differ(path: str, identifier: str) -> bool:
    guessed = path.endswith(".length") and unquote(identifier).rpartition("/")[2] in GUESSED
    return guessed or bool(FREE.keys() & set(path.split(".")))


def unfaithful(track: dict[str, Any], path: str) -> Iterator[str]:
    """Whether a track's encoded text says something else than the info beside it."""
    info = decode_track(track["encoded"]).info.to_dict()
    if info != track["info"]:
        yield f"{path}.encoded: says {info}, and beside it stands {track['info']}"


def test_every_recorded_exchange_is_answered_alike(
    make_devnode: Callable[..., DevNode], tmp_path_factory: pytest.TempPathFactory
) -> None:
    music = tmp_path_factory.mktemp("music")
    wrong: list[str] = []
    equal = 0
    with file_server(music) as port:
        fill_music(music, port)
        replay = Replay(make_devnode, music, port)
        try:
            for number, line in enumerate(lines("rest"), 1):
                problems = [] if line["name"] in LEFT_OUT else list(replay.send(line))
                equal += not problems and line["name"] not in LEFT_OUT
                wrong += [f"{number} {line['name']}: {problem}" for problem in problems]
        finally:
            replay.raw.close()
    assert not wrong, f"{equal} of {EXCHANGES} exchanges are equal\n" + "\n".join(wrong)
    assert equal == len(lines("rest")) - len(LEFT_OUT) == EXCHANGES
