"""`FileStore`: one file, whole at any moment, for one process; damage is set aside, and what is newer left alone."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lavalink_sync import StoreError
from lavalink_sync.models.jsontext import loads
from lavalink_sync.stores import FileStore, StoredState
from lavalink_sync.stores.base import PLAYERS

from .support.stores import SESSION_ID, player, session


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


def fill(path: Path) -> None:
    with FileStore(path) as store:
        store.save_session(session())
        store.save_players([player(1), player(2)])


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.parent.iterdir()}


def test_nothing_is_touched_before_the_first_call(path: Path) -> None:
    FileStore(path).close()
    assert not names(path)


def test_only_the_owner_can_read_it_and_nothing_else_is_left(path: Path) -> None:
    before = os.umask(0)
    try:
        fill(path)
    finally:
        os.umask(before)
    assert names(path) == {"state.json", "state.json.lock"}
    for name in names(path):
        assert stat.S_IMODE((path.parent / name).stat().st_mode) == 0o600


def test_it_is_json_that_people_can_read(path: Path) -> None:
    fill(path)
    data = loads(path.read_bytes())
    assert data["version"] == 1
    assert data["sessions"]["main"]["sessionId"] == SESSION_ID
    assert set(data["players"]) == {"1", "2"}
    assert len(path.read_text("utf-8").splitlines()) == 8


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\0" * 4096,
        b'{"version":1,"sessions":{"main":{"sessionId":"' + SESSION_ID.encode(),
        b"[]",
        b'{"sessions":{},"players":{}}',
        b'{"version":1,"sessions":{}}',
        b'{"version":1,"sessions":{},"players":[]}',
        b'{"version":true,"sessions":{},"players":{}}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_damaged_file_is_set_aside_and_told_once(path: Path, text: bytes, caplog: pytest.LogCaptureFixture) -> None:
    path.write_bytes(text)
    with FileStore(path) as store:
        assert store.load() == StoredState()
        store.save_players([player(1)])
        assert set(store.load().players) == {1}
    (record,) = caplog.records
    assert "state.json.damaged-1" in record.getMessage()
    assert SESSION_ID not in caplog.text
    assert path.with_name("state.json.damaged-1").read_bytes() == text


def test_every_half_of_a_file_is_whole_or_set_aside(path: Path) -> None:
    fill(path)
    whole = path.read_bytes()
    for length in range(0, len(whole) - 2, 97):
        path.write_bytes(whole[:length])
        with FileStore(path) as store:
            assert store.load() == StoredState()
    aside = [name for name in names(path) if "damaged" in name]
    assert len(aside) == len(range(0, len(whole) - 2, 97)), "none of them is overwritten"


def test_a_file_of_a_newer_version_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = b'{"version":2,"shelves":[1,2]}'
    path.write_bytes(text)
    with FileStore(path) as store:
        assert store.load() == StoredState()
        with pytest.raises(StoreError, match="newer version"):
            store.save_players([player(1)])
        with pytest.raises(StoreError, match="newer version"):
            store.forget_session("main")
    assert len(caplog.records) == 1
    assert path.read_bytes() == text


def test_keys_of_the_file_that_are_not_known_survive(path: Path) -> None:
    fill(path)
    data = path.read_bytes().rstrip().removesuffix(b"}") + b',"queues":{"1":["a","b"]}}'
    path.write_bytes(data)
    with FileStore(path) as store:
        store.save_players([player(3)])
    assert loads(path.read_bytes())["queues"] == {"1": ["a", "b"]}


def test_the_leftover_of_a_killed_writer_is_cleaned_up(path: Path) -> None:
    fill(path)
    path.with_name("state.json.new").write_bytes(b'{"version":1,"pla')
    with FileStore(path) as store:
        assert set(store.load().players) == {1, 2}
        assert "state.json.new" not in names(path)


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    path.symlink_to(tmp_path / "elsewhere" / "real.json")
    fill(path)
    assert path.is_symlink()
    with FileStore(path) as store:
        assert set(store.load().players) == {1, 2}


def test_a_write_that_fails_leaves_the_old_content_and_is_made_up_for(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with FileStore(path) as store:
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", full)
            with pytest.raises(StoreError, match="No space left") as caught:
                store.save_players([player(3)])
            assert isinstance(caught.value.__cause__, OSError)
            assert set(store.load().players) == {1, 2}
            assert set(loads(path.read_bytes())["players"]) == {"1", "2"}
        store.save_players([player(3)])
        assert set(store.load().players) == {1, 2, 3}
    assert set(loads(path.read_bytes())["players"]) == {"1", "2", "3"}


def test_what_changes_nothing_is_not_written(path: Path) -> None:
    with FileStore(path) as store:
        store.save_players([player(1)])
        before = path.stat().st_ino
        store.save_players([player(1)])
        store.forget_players([2])
        store.forget_session("main")
        assert path.stat().st_ino == before


def test_a_file_that_somebody_removed_is_written_again(path: Path) -> None:
    with FileStore(path) as store:
        store.save_players([player(1)])
        path.unlink()
        store.save_players([player(1)])
        assert set(loads(path.read_bytes())["players"]) == {"1"}


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "nowhere" / "state.json")
    with pytest.raises(StoreError, match=r"nowhere.*No such file or directory: make its directory first"):
        store.load()
    with pytest.raises(StoreError, match=r"nowhere.*No such file or directory"):
        store.save_session(session())
    store.close()


def test_a_directory_in_its_place_is_told_and_the_lock_let_go(path: Path) -> None:
    path.mkdir()
    store = FileStore(path)
    with pytest.raises(StoreError, match="it is a directory: give it a file's path"):
        store.load()
    path.rmdir()
    with FileStore(path) as other:
        assert other.claim("main")


def test_where_files_cannot_be_locked_it_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(StoreError, match="No locks available"):
        FileStore(path).claim("main")


def test_a_second_store_reads_and_can_neither_claim_nor_save(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = FileStore(path), FileStore(path)
    first.save_players([player(1)])
    assert not second.claim("main")
    assert set(second.load().players) == {1}
    with pytest.raises(StoreError, match="in use by another"):
        second.save_players([player(2)])
    with pytest.raises(StoreError, match="in use by another"):
        second.forget_players([1])
    with pytest.raises(StoreError, match="in use by another"):
        second.save_session(session())
    first.save_players([player(3)])
    assert set(second.load().players) == {1, 3}
    first.close()
    assert second.claim("main")
    second.save_players([player(2)])
    assert set(second.load().players) == {1, 2, 3}, "it takes up what the first one saved last"
    # Damage that another process's file got from somewhere is not ours to set aside.
    path.write_bytes(b"{")
    assert first.load() == StoredState()
    assert "damaged" in caplog.text
    assert path.exists()
    second.close()


HOLDER = """
import sys
from lavalink_sync.stores import FileStore
store = FileStore(sys.argv[1])
print(store.claim("main"), len(store.load().players), flush=True)
sys.stdin.read()
"""


def test_another_process_that_has_it_keeps_us_out_until_it_is_killed(path: Path) -> None:
    fill(path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True 2\n"
        with FileStore(path) as store:
            assert not store.claim("main")
            process.kill()
            process.wait(10)
            assert store.claim("main"), "the system lets go of a dead process's lock"


def test_the_raw_records_are_those_of_the_file(path: Path) -> None:
    fill(path)
    with FileStore(path) as store:
        assert loads(store.read(PLAYERS)["1"]) == loads(path.read_bytes())["players"]["1"]
