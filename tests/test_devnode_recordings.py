"""How true the development node is: every recorded REST exchange and every socket of a real 4.2.2, without voice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import websocket

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import Raw, closed_with, file_server, fill_music, next_message
from .support.masks import left_out, may_differ, unequal
from .support.recordings import lines
from .support.session_replay import Replay

EXCHANGES, SCENARIOS, FRAMES = 184, 21, 142


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
    headers = {name.lower(): value for name, value in line["response_headers"].items()}
    yield from wrong_headers("rest", headers, told)
    yield from unequal("rest", replay.adapt(line["response_body"]), body)


def wrong_headers(where: str, recorded: dict[str, str], told: dict[str, str]) -> Iterator[str]:
    for header in sorted(recorded.keys() | told.keys()):
        one, other = recorded.get(header), told.get(header)
        both = one is not None and other is not None
        if one != other and not (both and may_differ(where, f"header: {header}", one, other)):
            yield f"header {header}: {one!r} became {other!r}"


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


def test_all_of_them_are_held_to() -> None:
    assert len(scenarios()) == SCENARIOS
    assert sum(line["kind"] == "frame" for line in lines("websocket")) == FRAMES
    compared = {"frame", "close", "lost", "handshake", "handshake_refused", "handshake_failed"}
    assert {line["kind"] for line in lines("websocket")} == compared | left_out("websocket")


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
            return [*found, closed_with(socket)]
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
    yield from wrong_headers("websocket", wanted, told)
    refusal = recorded["data"].get("status"), recorded["data"].get("body")
    if recorded["kind"] == "handshake_refused" and refusal != (heard.get("status"), repr(heard.get("body"))):
        yield f"{refusal} became {heard}"


def wrong_frames(replay: Replay, recorded: list[dict[str, Any]], heard: list[Any]) -> Iterator[str]:
    """Frames of a guild in their order, and the others in theirs, but where the recorded orders differ."""
    found = [each for each in heard[1:] if isinstance(each, dict)]
    for guild in sorted({each.get("guildId", "") for each in (*recorded, *found)}):
        wanted, ours = in_one_order(recorded, guild), in_one_order(found, guild)
        if len(wanted) != len(ours):
            yield f"{guild}: {[short(each) for each in wanted]} became {[short(each) for each in ours]}"
        for number, (one, other) in enumerate(zip(wanted, ours, strict=False), 1):
            problems = unequal("websocket", replay.adapt(one), other)
            yield from (f"{guild} no. {number} {short(one)}{problem}" for problem in problems)


def in_one_order(frames: list[dict[str, Any]], guild: str) -> list[dict[str, Any]]:
    """A guild's frames, where two race in the one order: `ready` before `stats`, a start before an update."""
    found = [each for each in frames if each.get("guildId", "") == guild]
    for index in range(len(found) - 1):
        first, second = found[index : index + 2]
        starts = second.get("type") == "TrackStartEvent"
        if (first["op"], second["op"]) == ("stats", "ready") or (first["op"] == "playerUpdate" and starts):
            found[index : index + 2] = [second, first]
    return found


def short(message: dict[str, Any]) -> Any:
    return message.get("type", message.get("state", {}).get("position", message["op"]))


def wrong_end(recorded: list[dict[str, Any]], heard: list[Any]) -> Iterator[str]:
    end = recorded[-1]
    told = heard[-1] if not isinstance(heard[-1], dict) else "lost"
    wanted = (end["data"]["code"], end["data"]["reason"]) if end["kind"] == "close" else "lost"
    if end["kind"] in ("close", "lost") and told != wanted:
        yield f"the end: {wanted} became {told}"
