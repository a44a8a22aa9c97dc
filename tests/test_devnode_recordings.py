"""How true the development node is: the recorded REST exchanges of a real 4.2.2, sent again in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import Raw, file_server, fill_music
from .support.recordings import lines

RECORDED_PORT = "127.0.0.1:8811"
SESSION = "zn1eea6db0cg7igi"

# What must differ: times, ids, machine figures, estimates, stack traces; `encoded` has lengths and ports in it.
FREE = {
    "timestamp",
    "trace",
    "causeStackTrace",
    "cause",
    "time",
    "uptime",
    "memory",
    "cpu",
    "encoded",
    "length",
}

# What is left out, or known to differ, each with its reason.
LEFT_OUT = {
    "patch:voice_dead_endpoint": "a voice update that is never answered: voice always connects here",
    "player_after_dead_voice": "follows from the one before",
    "players_all": "has the player of guild 43 that the update before would have made",
    "decode_track_disabled_source": "every source can be decoded here; a real server refuses those that are off",
}
NO_VOICE = "a start position is kept without voice; the real server goes back to 0 until it has voice"
KNOWN = {
    ("patch:no_replace", ".track.info.position"): NO_VOICE,
    ("patch:no_replace", ".state.position"): NO_VOICE,
    ("patch:user_data_only", ".track.info.position"): NO_VOICE,
    ("patch:user_data_only", ".state.position"): NO_VOICE,
}


def exchanges() -> list[dict[str, Any]]:
    """Those of the first session, in order; later ones belong to sessions that were cut, resumed and shut down."""
    found: list[dict[str, Any]] = []
    for line in lines("rest"):
        if line["name"] == "players_after_close":
            return found
        found.append(line)
    raise AssertionError("the recordings have changed")


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("music")


def adapt(value: Any, session: str, port: int) -> Any:
    """The recorded value as it would read today."""
    if isinstance(value, str):
        return value.replace(SESSION, session).replace(RECORDED_PORT, f"127.0.0.1:{port}")
    if isinstance(value, dict):
        return {key: adapt(each, session, port) for key, each in value.items()}
    if isinstance(value, list):
        return [adapt(each, session, port) for each in value]
    return value


def differences(recorded: Any, found: Any, path: str = "") -> Iterator[str]:
    """Where two bodies differ beyond what must."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(recorded) != list(found):
            yield f"{path}: keys {list(recorded)} became {list(found)}"
            return
        for key, value in recorded.items():
            yield from differences(value, found[key], f"{path}.{key}")
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for index, value in enumerate(recorded):
            yield from differences(value, found[index], f"{path}[{index}]")
    elif type(recorded) is not type(found) or (recorded != found and not FREE & set(path.split("."))):
        yield f"{path}: {recorded!r} became {found!r}"


def test_the_recorded_exchanges_are_answered_alike(make_devnode: Callable[..., DevNode], music: Path) -> None:
    wrong: list[str] = []
    equal = 0
    with file_server(music) as port:
        fill_music(music, port)
        devnode = make_devnode(music=music, player_update_interval=1.0)
        raw = Raw(devnode)
        try:
            _, session = raw.open_session()
            for line in exchanges():
                if line["name"] in LEFT_OUT:
                    continue
                problems = [p for p in replay(raw, line, session, port) if not is_known(line["name"], p)]
                equal += not problems
                wrong += [f"{line['name']}: {problem}" for problem in problems]
        finally:
            raw.close()
    assert not wrong, "\n".join(wrong)
    assert equal == len(exchanges()) - len([line for line in exchanges() if line["name"] in LEFT_OUT])


def is_known(name: str, problem: str) -> bool:
    return (name, problem.partition(":")[0]) in KNOWN


def replay(raw: Raw, line: dict[str, Any], session: str, port: int) -> Iterator[str]:
    headers = {
        name: value.replace("<password>", raw.devnode.password) for name, value in line["request_headers"].items()
    }
    status, told, body = raw.ask(
        line["method"],
        adapt(line["path"], session, port),
        adapt(line["request_body"], session, port),
        query=adapt(line["query"], session, port),
        headers=headers,
    )
    recorded = {name.lower(): value for name, value in line["response_headers"].items()}
    if status != line["status"]:
        yield f"status {line['status']} became {status}"
    if told.get("content-type") != recorded.get("content-type"):
        yield f"content type {recorded.get('content-type')} became {told.get('content-type')}"
    if told.get("lavalink-api-version") != recorded.get("lavalink-api-version"):
        yield f"api version {recorded.get('lavalink-api-version')} became {told.get('lavalink-api-version')}"
    yield from differences(adapt(line["response_body"], session, port), body)
