"""How true the development node is: every recorded REST exchange and every socket of a real 4.2.2, without voice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import websocket

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import Raw, close_code, file_server, fill_music, next_message
from .support.recordings import lines
from .support.session_replay import Replay, unequal

EXCHANGES, SCENARIOS, FRAMES = 184, 21, 142

# What must differ in a value, each with its reason; keys, their order and types are compared all the same.
FREE = {
    "timestamp": "the clocks differ",
    "time": "the clocks differ",
    "sessionId": "drawn",
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
    "encoded": "holds a length, a position and a port: decoded instead, and held to the info beside it",
}
# Headers that differ from day to day.
HEADERS_OF_THE_DAY = {"date", "sec-websocket-accept"}
# The server guesses the length of an MP3 from its bytes, and the recorded files are not those that are given here.
GUESSED = {"sine5.mp3", "uni30.mp3", "trunc.mp3", "name with space & ünï#1.mp3"}
# What is not held to the recording, each with its reason.
LEFT_OUT: dict[str, str] = {
    "never_came": "says that the recorder waited in vain for an end that comes only with voice",
    "kill_9": "says what the recorder did",
}


def may_differ(path: str, identifier: str) -> bool:
    guessed = path.endswith(".length") and unquote(identifier).rpartition("/")[2] in GUESSED
    return guessed or bool(FREE.keys() & set(path.split(".")))


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    music = tmp_path_factory.mktemp("music")
    made: list[DevNode] = []

    def make(**options: Any) -> DevNode:
        made.append(DevNode(**options).start())
        return made[-1]

    with file_server(music) as port:
        fill_music(music, port)
        found = Replay(make, music, port)
        try:
            found.run()
            yield found
        finally:
            for devnode in made:
                devnode.close()


def test_every_recorded_exchange_is_answered_alike(replay: Replay) -> None:
    wrong: list[str] = []
    for number, line in enumerate(lines("rest"), 1):
        wrong += [f"{number} {line['name']}: {problem}" for problem in wrong_answer(replay, number, line)]
    equal = EXCHANGES - len({problem.split(":")[0] for problem in wrong})
    assert not wrong, f"{equal} of {EXCHANGES} exchanges are equal\n" + "\n".join(wrong)
    assert len(lines("rest")) == EXCHANGES


def wrong_answer(replay: Replay, number: int, line: dict[str, Any]) -> Iterator[str]:
    answer = replay.answers[number]
    if answer is None or "failed" in line:
        if answer is not None or "failed" not in line:
            yield f"{line.get('status', 'no answer')} became {answer}"
        return
    status, told, body = answer
    if status != line["status"]:
        yield f"status {line['status']} became {status}"
    yield from wrong_headers({name.lower(): value for name, value in line["response_headers"].items()}, told)
    yield from unequal(replay.adapt(line["response_body"]), body, may_differ)


def wrong_headers(recorded: dict[str, str], told: dict[str, str]) -> Iterator[str]:
    for header in sorted((recorded.keys() | told.keys()) - HEADERS_OF_THE_DAY):
        if recorded.get(header) != told.get(header):
            yield f"header {header}: {recorded.get(header)!r} became {told.get(header)!r}"


REFUSALS: dict[str, dict[str, str | None]] = {
    "wrong_password": {"authorization": "nope"},
    "no_password": {"authorization": None},
    "no_user_id": {"user_id": None},
    "zero_user_id": {"user_id": "0"},
    "bad_user_id": {"user_id": "me"},
    "no_client_name": {"client_name": None},
    "bad_client_name": {"client_name": "?"},
    "unknown_session_id": {"session_id": "0000000000000000"},
}


def scenarios() -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines("websocket"):
        found.setdefault(line["scenario"], []).append(line)
    return found


@pytest.mark.parametrize("scenario", scenarios())
def test_every_recorded_socket_is_met_alike(replay: Replay, scenario: str) -> None:
    recorded = scenarios()[scenario]
    if scenario == "server_down":
        with DevNode() as devnode:
            raw = Raw(devnode)
        with pytest.raises(ConnectionRefusedError):
            raw.connect()
        raw.close()
        return
    heard = short_visit(replay, scenario) if scenario in REFUSALS else replay.heard[scenario]
    frames = [line["data"] for line in recorded if line["kind"] == "frame"]
    wrong = [*wrong_handshake(replay, recorded[0], heard[0]), *wrong_frames(replay, frames, heard)]
    wrong += wrong_end(recorded, heard)
    assert not wrong, "\n".join(wrong)
    left = {line["kind"] for line in recorded} - {"frame", "close", "lost", "handshake", "handshake_refused"}
    assert left <= LEFT_OUT.keys()


def test_all_of_them_are_held_to() -> None:
    assert len(scenarios()) == SCENARIOS
    assert sum(line["kind"] == "frame" for line in lines("websocket")) == FRAMES


def short_visit(replay: Replay, scenario: str) -> list[Any]:
    """Dial with odd headers, and listen until both of the first messages are there, or it closes."""
    with DevNode() as devnode:
        raw = Raw(devnode)
        try:
            socket = raw.connect(origin=f"http://{devnode.address}", **REFUSALS[scenario])
            found: list[Any] = [{**socket.getheaders(), ":address": devnode.address}]
            if scenario != "bad_user_id":
                found += [next_message(socket), next_message(socket)]
            if scenario == "unknown_session_id":
                return found
            if scenario != "bad_user_id":
                socket.send_close()
            return [*found, close_code(socket)]
        except websocket.WebSocketBadStatusException as error:
            return [{**(error.resp_headers or {}), "status": error.status_code, "body": error.resp_body}]
        finally:
            raw.close()


def wrong_handshake(replay: Replay, recorded: dict[str, Any], heard: dict[str, Any]) -> Iterator[str]:
    told = {name: value for name, value in heard.items() if name not in (":address", "status", "body")}
    address = heard.get(":address", replay.devnode.address)
    wanted = {
        name: value.replace("127.0.0.1:2333", address).replace("127.0.0.1:2335", address)
        for name, value in recorded["data"]["headers"].items()
    }
    yield from wrong_headers(wanted, told)
    refusal = recorded["data"].get("status"), recorded["data"].get("body")
    if recorded["kind"] == "handshake_refused" and refusal != (heard.get("status"), repr(heard.get("body"))):
        yield f"{refusal} became {heard}"


def wrong_frames(replay: Replay, recorded: list[dict[str, Any]], heard: list[Any]) -> Iterator[str]:
    """Events of a guild in their order, its updates in theirs; the two race, as do `ready` and `stats`."""
    found = [each for each in heard[1:] if isinstance(each, dict)]
    lanes = sorted({lane_of(each) for each in (*recorded, *found)})
    for lane in lanes:
        wanted = [each for each in recorded if lane_of(each) == lane]
        ours = [each for each in found if lane_of(each) == lane]
        if len(wanted) != len(ours):
            yield f"{lane}: {len(wanted)} became {len(ours)}: {[short(each) for each in ours]}"
        for number, (one, other) in enumerate(zip(wanted, ours, strict=False), 1):
            yield from (f"{lane} no. {number}{problem}" for problem in unequal(replay.adapt(one), other, may_differ))
    kept = [each["op"] for each in found if each["op"] != "stats"]
    if kept[:1] != ["ready"] and found:
        yield f"{kept[0]} came before ready"


def lane_of(message: dict[str, Any]) -> str:
    return f"{message['op']} {message.get('guildId', '')}"


def short(message: dict[str, Any]) -> Any:
    return message.get("type", message.get("state", {}).get("position"))


def wrong_end(recorded: list[dict[str, Any]], heard: list[Any]) -> Iterator[str]:
    end = recorded[-1]
    told = heard[-1] if not isinstance(heard[-1], dict) else "lost"
    wanted = end["data"]["code"] if end["kind"] == "close" else "lost"
    if end["kind"] in ("close", "lost") and told != wanted:
        yield f"the end: {wanted} became {told}"
