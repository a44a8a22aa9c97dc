"""`SQLiteStore`: several processes, leases that run out, damage set aside, other people's databases left alone."""

from __future__ import annotations

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync import ConfigError, StoreError
from lavalink_sync.stores import SQLiteStore, StoredState
from lavalink_sync.stores.base import PLAYERS
from lavalink_sync.stores.damage import set_aside

from .support.stores import SESSION_ID, player, session


class Seconds:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


def fill(path: Path, many: int = 2) -> None:
    with SQLiteStore(path) as store:
        store.save_session(session())
        store.save_players(player(guild) for guild in range(many))


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()}


def test_only_the_owner_can_read_it_and_it_is_one_file(path: Path) -> None:
    before = os.umask(0)
    try:
        fill(path)
    finally:
        os.umask(before)
    assert names(path) == {"state.db"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_lease_that_is_not_renewed_runs_out(path: Path) -> None:
    clock = Seconds()
    first = SQLiteStore(path, lease_seconds=10, now=clock)
    second = SQLiteStore(path, lease_seconds=10, now=clock)
    assert first.claim("main")
    clock.now += 9
    assert first.renew("main")
    clock.now += 9
    assert not second.claim("main")
    assert first.claim("main"), "a second claim renews as well"
    clock.now += 10
    assert not first.renew("main"), "it has run out"
    assert second.claim("main")
    assert not first.claim("main")
    clock.now += 10
    assert first.claim("main")
    first.close()
    second.close()


def test_closing_releases_only_its_own_leases(path: Path) -> None:
    first, second, third = (SQLiteStore(path, now=Seconds()) for _ in range(3))
    assert first.claim("a")
    assert first.claim("b")
    assert second.claim("c")
    first.close()
    assert third.claim("a")
    assert third.claim("b")
    assert not third.claim("c")
    second.close()
    third.close()


@pytest.mark.parametrize("text", [b"no database at all", b"SQLite format 3\0" + b"\xff" * 4096], ids=["text", "header"])
def test_a_damaged_database_is_set_aside_and_told_once(
    path: Path, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(text)
    with SQLiteStore(path) as store:
        assert store.load() == StoredState()
        store.save_players([player(1)])
        assert set(store.load().players) == {1}
    assert path.with_name("state.db.damaged-1").read_bytes() == text
    assert len(caplog.records) == 1
    assert "state.db.damaged-1" in caplog.text
    path.write_bytes(text)
    with SQLiteStore(path) as store:
        assert store.load() == StoredState()
    assert path.with_name("state.db.damaged-2").read_bytes() == text


def test_what_belongs_to_a_damaged_database_goes_aside_with_it(path: Path) -> None:
    for ending in ("", "-journal", ".damaged-1"):
        path.with_name(path.name + ending).write_text(ending)
    aside = set_aside(path, "on purpose", companions=("-journal", "-wal"))
    assert aside.name == "state.db.damaged-2"
    assert names(path) == {"state.db.damaged-1", "state.db.damaged-2", "state.db.damaged-2-journal"}
    assert path.with_name("state.db.damaged-2-journal").read_text() == "-journal"


def test_damage_inside_is_found_when_it_is_opened(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path, 200)
    size = path.stat().st_size
    with open(path, "r+b") as file:
        for page in range(2, size // 4096, 2):
            file.seek(page * 4096)
            file.write(b"\xa5" * 4096)
    with SQLiteStore(path) as store:
        assert store.load() == StoredState()
    assert path.with_name("state.db.damaged-1").stat().st_size == size
    assert SESSION_ID not in caplog.text


def test_damage_that_a_load_does_not_touch_is_found_before_anything_is_written(path: Path) -> None:
    fill(path)
    database = sqlite3.connect(path)
    ((page, size),) = database.execute(
        "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'lavalink_leases'"
    )
    database.close()
    with open(path, "r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    with SQLiteStore(path) as store:
        assert store.load() == StoredState()
    assert path.with_name("state.db.damaged-1").exists()


def test_damage_while_it_is_open_costs_what_was_there_and_not_the_save(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.save_players(player(guild) for guild in range(200))
        path.write_bytes(b"\0" * path.stat().st_size)
        store.save_players([player(1)])
        assert set(store.load().players) == {1}
    assert path.with_name("state.db.damaged-1").exists()


def test_a_database_that_another_process_replaced_is_opened_anew(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.save_players([player(1)])
        path.rename(path.with_name("away.db"))
        fill(path)
        store.save_players([player(5)])
        assert set(store.load().players) == {0, 1, 5}
        path.unlink()
        store.save_players([player(6)])
        assert set(store.load().players) == {6}


def test_a_database_of_a_newer_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 2")
    database.close()
    before = path.read_bytes()
    with SQLiteStore(path) as store:
        assert store.load() == StoredState()
        for call in (lambda: store.save_players([player(9)]), lambda: store.claim("main")):
            with pytest.raises(StoreError, match="newer version"):
                call()
    assert len(caplog.records) == 1
    assert path.read_bytes() == before


@pytest.mark.parametrize("version", [0, 1, 7])
def test_a_database_of_something_else_is_refused_and_left_alone(path: Path, version: int) -> None:
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE accounts (name TEXT)")
        database.execute(f"PRAGMA user_version = {version}")
    database.close()
    before = path.read_bytes()
    with SQLiteStore(path) as store, pytest.raises(StoreError, match="something else"):
        store.load()
    assert path.read_bytes() == before


def test_a_database_that_is_locked_for_too_long_is_told_and_works_later(path: Path) -> None:
    fill(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    with SQLiteStore(path, timeout=0.05) as store:
        with pytest.raises(StoreError, match="locked"):
            store.save_players([player(9)])
        other.execute("ROLLBACK")
        other.close()
        store.save_players([player(9)])
        assert set(store.load().players) == {0, 1, 9}


def test_a_save_that_breaks_off_changes_nothing(path: Path) -> None:
    with SQLiteStore(path) as store:
        store.save_players([player(1)])
        with pytest.raises(StoreError):
            store.put(PLAYERS, {"1": b"{}", "2": object()})  # type: ignore[dict-item]  # SQLite refuses it
        assert set(store.load().players) == {1}


def test_rows_that_were_written_by_hand_lose_only_themselves(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    with sqlite3.connect(path) as database:
        rows = "INSERT INTO lavalink_records VALUES ('players', ?, ?)"
        database.executemany(rows, [("7", 5), ("8", None), ("9", 1.5), ("10", "{}"), (b"\xff", b"{}")])
        database.execute("INSERT INTO lavalink_records VALUES ('players', CAST(x'ff' AS TEXT), '{}')")
    database.close()
    with SQLiteStore(path) as store:
        assert set(store.load().players) == {0, 1}
    assert "guild '7' (is no text)" in caplog.text


def test_leases_that_cannot_be_released_are_told_and_the_database_closed(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = SQLiteStore(path, timeout=0.05)
    assert store.claim("main")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    store.close()
    assert "not released" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    with SQLiteStore(path) as next_one:
        assert not next_one.claim("main")


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    with (
        SQLiteStore(tmp_path / "nowhere" / "state.db") as store,
        pytest.raises(StoreError, match=r"nowhere.*make its directory first"),
    ):
        store.load()


def test_a_directory_in_its_place_is_told(tmp_path: Path) -> None:
    with (
        SQLiteStore(tmp_path) as store,
        pytest.raises(StoreError, match="it is a directory: give it a file's path"),
    ):
        store.load()


@pytest.mark.parametrize("setting", ["lease_seconds", "timeout"])
def test_times_must_be_seconds(path: Path, setting: str) -> None:
    bad: dict[str, Any] = {setting: 0}
    with pytest.raises(ConfigError, match=setting):
        SQLiteStore(path, **bad)
