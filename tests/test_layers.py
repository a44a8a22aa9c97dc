"""The house's arrows: which room may import which. Read from the source, imports under TYPE_CHECKING included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import lavalink_sync

PACKAGE = Path(lavalink_sync.__file__).parent

# From the ground up. A module may import from rooms below its own, and from its own room.
FLOORS: list[set[str]] = [
    {"secret", "errors", "_version"},
    {"config"},
    {"models"},
    {"core"},
    {"transport", "stores"},
    {"node_state", "waiting", "plugin", "store_writer"},
    {"listeners"},
    {"rest", "loading"},
    {"node_server"},
    {"node_loop"},
    {"node_hooks", "node_session"},
    {"node_opening"},
    {"node"},
    {"node_events", "player_voice", "placing", "coalescing"},
    {"player_fields"},
    {"player_calls"},
    {"player"},
    {"keeper_jobs"},
    {"remaking"},
    {"voice_link", "syncing"},
    {"recovery"},
    {"moving"},
    {"failover", "keeping"},
    {"dispatch", "closing", "client_options"},
    {"node_life", "listening", "voice_intake", "roster"},
    {"client"},
    {"devnode", "gateway", "queue", "plugins", "cli"},
    {"testing"},
    {"__init__", "__main__"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}

# Who alone may touch these libraries.
BORROWED = {
    "requests": {"transport", "client", "client_options", "roster"},
    "websocket": {"transport"},
    "socket": {"transport", "devnode"},
    "selectors": {"transport", "devnode"},
    "ssl": {"transport", "devnode"},
    "urllib3": {"transport"},
    "orjson": {"models"},
    "dataclasses_json": {"models"},
    "sqlite3": {"stores"},
    "redis": {"stores"},
}
NOT_IN_CORE_OR_MODELS = {
    "threading",
    "socket",
    "time",
    "requests",
    "websocket",
    "selectors",
    "ssl",
    "queue",
    "concurrent",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imports(path: Path) -> Iterator[tuple[int, str, bool]]:
    """Line, name (a room of ours, or a library) and whether it is ours."""
    depth = len(path.relative_to(PACKAGE).parts) - 1
    inside = path.relative_to(PACKAGE).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                ours = parts[0] == "lavalink_sync"
                yield node.lineno, parts[1] if ours and len(parts) > 1 else parts[0], ours
        elif isinstance(node, ast.ImportFrom) and node.level:
            base = [*inside[: depth - node.level + 1], *(node.module.split(".") if node.module else [])]
            for room in [base[0]] if base else [alias.name for alias in node.names]:
                yield node.lineno, room, True
        elif isinstance(node, ast.ImportFrom) and node.module:
            parts = node.module.split(".")
            ours = parts[0] == "lavalink_sync"
            yield node.lineno, parts[1] if ours and len(parts) > 1 else parts[0], ours


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_arrows_point_down_only(path: Path) -> None:
    room = room_of(path)
    assert room in FLOOR, f"{room} has no floor: give it one here"
    wrong = [
        f"line {line}: {room} imports {other}"
        for line, other, ours in imports(path)
        if ours and other != room and FLOOR.get(other, 99) >= FLOOR[room]
    ]
    assert not wrong


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_borrowed_libraries_stay_in_their_rooms(path: Path) -> None:
    room = room_of(path)
    wrong = [
        f"line {line}: {room} imports {name}"
        for line, name, ours in imports(path)
        if not ours
        and (
            room not in BORROWED.get(name, {room})
            or (room in {"core", "models"} and name in NOT_IN_CORE_OR_MODELS)
            or name == "asyncio"
        )
    ]
    assert not wrong


def test_the_development_node_uses_nothing_of_the_client_but_models() -> None:
    allowed = {"devnode", "models", "secret", "errors", "config", "_version"}
    for path in (PACKAGE / "devnode").rglob("*.py"):
        used = {name for _, name, ours in imports(path) if ours}
        assert used <= allowed, f"{path.name} imports {used - allowed}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_are_small_synchronous_and_do_not_sleep(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.count("\n") < 350, "is it two rooms?"
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, (ast.AsyncFunctionDef, ast.Await)), f"line {node.lineno}: async"
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) != "time.sleep", f"line {node.lineno}: a sleep that close() can't end"


def test_every_public_name_exists_and_is_listed_once() -> None:
    names = lavalink_sync.__all__
    assert len(names) == len(set(names))
    missing = [name for name in names if not hasattr(lavalink_sync, name)]
    assert not missing
