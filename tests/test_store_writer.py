"""The thread that writes into a store: what happens when that can't be written, or another process takes the lease."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator, Mapping

import pytest

from lavalink_sync import Secret
from lavalink_sync.errors import StoreError
from lavalink_sync.store_writer import GATHER, RETRY, StoreWriter
from lavalink_sync.stores import MemoryStore, StoredPlayer, StoredSession
from lavalink_sync.transport.clock import Deadline

from .support.clock import ManualClock
from .support.waiting import wait_until

SESSION = StoredSession("main", 1, Secret("a-session"), 0.0, 60)


class Shaky(MemoryStore):
    """A store that fails when it is told to, and whose lease can be taken."""

    lease_seconds = 30.0

    def __init__(self) -> None:
        super().__init__()
        self.fails: Exception | None = None
        self.is_ours = True
        self.can_be_had = True
        self.renewed = 0

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        if self.fails is not None:
            raise self.fails
        super().put(table, records)

    def claim(self, node: str) -> bool:
        self.is_ours = self.is_ours or self.can_be_had
        return self.is_ours

    def renew(self, node: str) -> bool:
        self.renewed += 1
        return self.is_ours


class Bench:
    """A writer, its store, and players to look at."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = Shaky()
        self.players: dict[int, StoredPlayer] = {}
        self.lost: list[str] = []
        self.writer = StoreWriter(self.store, self.clock, self.players.get, self.lost.append)
        self.writer.hold("main")

    def play(self, guild_id: int, node: str | None = "main", **changes: object) -> None:
        self.players[guild_id] = StoredPlayer(guild_id, node, **changes)  # type: ignore[arg-type]  # any field
        self.writer.touch(guild_id)

    def written(self) -> list[int]:
        return sorted(self.store.load().players)

    def pass_time(self, seconds: float, threads: int = 1) -> None:
        self.clock.waiting(threads, due_in=seconds)
        self.clock.advance(seconds)


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.store.fails = None
    assert bench.writer.close([], Deadline(bench.clock, None), keep=True)


def test_a_forgotten_writer_ends_its_thread(clock: ManualClock) -> None:
    before = set(threading.enumerate())
    writer = StoreWriter(MemoryStore(), clock, lambda guild_id: None, lambda node: None)
    writer.hold("main")
    [thread] = set(threading.enumerate()) - before
    clock.waiting()
    gone = weakref.ref(writer)
    del writer
    wait_until(lambda: gc.collect() >= 0 and gone() is None, "the writer to be forgotten")
    thread.join(10)
    assert not thread.is_alive()


@pytest.mark.parametrize("error", [StoreError("the disk is full"), ZeroDivisionError("a store of a user's own")])
def test_what_could_not_be_written_is_written_later(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench.store.fails = error
    bench.writer.save_session(SESSION)
    bench.play(1)
    wait_until(lambda: "the store failed" in caplog.text, "the failure")
    bench.store.fails = None
    bench.pass_time(RETRY)
    wait_until(lambda: bench.written() == [1], "the player")
    wait_until(lambda: bench.store.load().sessions == {"main": SESSION}, "the session")


def test_a_player_that_can_not_be_stored_costs_the_others_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.play(1)
    bench.play(2, plugin_state={"sponsorblock": object()})
    bench.play(3)
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [1, 3], "the others")
    wait_until(lambda: "guild 2: its player can't be stored" in caplog.text, "the warning")


def test_a_player_that_left_for_a_node_of_another_process_is_forgotten(bench: Bench) -> None:
    bench.play(1)
    bench.play(2, node="a node without a lease")
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [1], "the first")
    bench.play(1, node="a node without a lease")
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [], "nothing of it left")


def test_a_player_without_a_node_is_kept_where_it_was_ours(bench: Bench) -> None:
    bench.play(1)
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [1], "the player")
    bench.play(1, node=None, volume=7)
    bench.play(2, node=None)
    bench.pass_time(GATHER)
    wait_until(lambda: bench.store.load().players[1].volume == 7, "its change")
    assert bench.written() == [1]


def test_what_another_process_stored_is_not_ours_to_forget(bench: Bench) -> None:
    bench.store.save_players([StoredPlayer(1, "main"), StoredPlayer(2, "main")])
    bench.writer.own({1: "main"})
    bench.writer.touch(1)
    bench.writer.touch(2)
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [2], "ours to be forgotten")


def test_a_lease_that_had_run_out_and_nobody_took_is_taken_again(bench: Bench) -> None:
    bench.store.is_ours = False
    bench.pass_time(10)
    wait_until(lambda: bench.store.is_ours, "the lease")
    assert bench.lost == []
    assert bench.writer.holds("main")


def test_a_lease_that_another_process_has_is_told_and_nothing_is_written_any_more(bench: Bench) -> None:
    bench.play(1)
    bench.pass_time(GATHER)
    wait_until(lambda: bench.written() == [1], "the player")
    bench.store.is_ours = bench.store.can_be_had = False
    bench.pass_time(9)
    wait_until(lambda: bench.lost == ["main"], "the report")
    del bench.players[1]
    bench.writer.touch(1)
    bench.writer.save_session(SESSION)
    bench.play(2)
    bench.pass_time(GATHER)
    bench.clock.waiting(due_in=9)  # for the next renewal: it has seen to all of that
    assert bench.written() == [1]
    assert bench.store.load().sessions == {}


def test_leases_are_renewed_while_nothing_can_be_written(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.store.fails = StoreError("read-only")
    bench.writer.save_session(SESSION)
    wait_until(lambda: "the store failed" in caplog.text, "the failure")
    for renewed in (1, 2):
        bench.pass_time(RETRY)
        bench.pass_time(RETRY)
        wait_until(lambda: bench.store.renewed == renewed, "the lease to be renewed")  # noqa: B023 - called at once
