"""What every store promises, each held to the same tests: memory, file, SQLite, Redis, and one that a user writes."""

from __future__ import annotations

import logging
import os
import pickle
import threading
import time
from collections.abc import Collection, Mapping
from typing import Any

import pytest

from lavalink_sync import ForkError, InvalidArgumentError, LavalinkError, StoreError
from lavalink_sync.models.jsontext import dumps, loads
from lavalink_sync.stores import MemoryStore, Store, StoredState
from lavalink_sync.stores.base import PLAYERS, SESSIONS

from .support.stores import KINDS, SESSION_ID, TOKEN, VOICE_SESSION, Maker, make_store, player, session, voice

__all__ = ["make_store"]

each_kind = pytest.mark.parametrize("kind", KINDS)


class OwnStore(Store):
    """What a user has to write."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[str, bytes]] = {SESSIONS: {}, PLAYERS: {}}

    def read(self, table: str) -> Mapping[str, bytes]:
        return self.tables[table]

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        self.tables[table].update(records)

    def drop(self, table: str, keys: Collection[str]) -> None:
        for key in keys:
            self.tables[table].pop(key, None)


@each_kind
def test_a_new_store_is_empty(make_store: Maker, kind: str) -> None:
    assert make_store(kind).load() == StoredState()


@each_kind
def test_what_was_saved_is_there_after_a_restart(make_store: Maker, kind: str) -> None:
    first = make_store(kind)
    sessions = [session("main"), session("other", "abc", resume_timeout=10)]
    players = [player(1), player(2, track=None, node=None, channel_id=None, end_time=None, paused=False, filters={})]
    for one in sessions:
        first.save_session(one)
    first.save_players(players)
    first.close()
    assert make_store(kind).load() == StoredState({s.node: s for s in sessions}, {p.guild_id: p for p in players})


@each_kind
def test_the_last_save_is_kept(make_store: Maker, kind: str) -> None:
    with make_store(kind) as store:
        store.save_session(session(session_id="old"))
        store.save_session(session(session_id="new"))
        store.save_players([player(1, volume=1), player(2), player(1, volume=2)])
        store.save_players(iter([player(2, volume=3)]))
        store.save_players([])
    state = make_store(kind).load()
    assert state.sessions["main"].session_id.reveal() == "new"
    assert {guild: each.volume for guild, each in state.players.items()} == {1: 2, 2: 3}


@each_kind
def test_what_was_forgotten_is_gone_and_the_rest_stays(make_store: Maker, kind: str) -> None:
    with make_store(kind) as store:
        store.save_session(session("main"))
        store.save_session(session("other"))
        store.save_players(player(guild) for guild in (1, 2, 3, 4))
        store.forget_session("main")
        store.forget_session("never there")
        store.forget_players([1, 3, 99])
        store.forget_players([])
    state = make_store(kind).load()
    assert set(state.sessions) == {"other"}
    assert set(state.players) == {2, 4}


@each_kind
def test_a_closed_store_opens_again_when_it_is_used(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    store.save_session(session())
    store.close()
    store.close()
    store.save_players([player(1)])
    state = store.load()
    assert set(state.sessions) == {"main"}
    assert set(state.players) == {1}


@each_kind
def test_keys_of_a_later_release_survive_a_save(make_store: Maker, kind: str) -> None:
    with make_store(kind) as store:
        store.save_session(session(extra={"region": "eu"}))
        store.save_players([player(1, extra={"lyrics": {"line": 3}})])
        state = store.load()
        store.save_session(state.sessions["main"])
        store.save_players(state.players.values())
    state = make_store(kind).load()
    assert state.sessions["main"].extra == {"region": "eu"}
    assert state.players[1].extra == {"lyrics": {"line": 3}}


@each_kind
def test_voice_tokens_are_kept_only_where_the_user_says_so(make_store: Maker, kind: str) -> None:
    without = make_store(kind)
    without.save_players([player(1, voice=voice())])
    assert TOKEN not in repr(without.read(PLAYERS))
    assert without.load().players[1].voice is None
    without.close()
    with_voice = make_store(kind, keep_voice=True)
    with_voice.save_players([player(1, voice=voice())])
    kept = with_voice.load().players[1].voice
    assert kept == voice()
    with_voice.close()


@each_kind
def test_voice_that_was_kept_earlier_is_not_loaded_without_being_asked_for(make_store: Maker, kind: str) -> None:
    store = make_store(kind, keep_voice=True)
    store.save_players([player(1, voice=voice())])
    store.keep_voice = False
    loaded = store.load().players[1]
    assert loaded.voice is None
    store.save_players([loaded])
    assert TOKEN not in repr(store.read(PLAYERS))


def damage(text: Any, changes: dict[str, Any]) -> bytes:
    data = {**loads(text), **changes}
    return dumps({key: value for key, value in data.items() if value is not ...})


DAMAGED: dict[str, dict[str, Any]] = {
    "version absent": {"version": ...},
    "version of no kind": {"version": "one"},
    "version before the first": {"version": 0},
    "track absent": {"track": ...},
    "track without encoded": {"track": {"info": {}}},
    "track no object": {"track": [TOKEN]},
    "position no number": {"position": TOKEN},
    "position true": {"position": True},
    "position before the start": {"position": -1},
    "at no number": {"at": None},
    "volume a fraction": {"volume": 0.5},
    "paused no boolean": {"paused": 1},
    "filters null": {"filters": None},
    "filters of no kind": {"filters": {"equalizer": {"band": TOKEN}}},
    "plugin state no object": {"pluginState": TOKEN},
    "node empty": {"node": ""},
    "channel no id": {"channelId": TOKEN},
    "voice without token": {"voice": {"endpoint": TOKEN}},
}


@each_kind
@pytest.mark.parametrize("changes", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_player_loses_only_itself_and_is_named_once(
    make_store: Maker, kind: str, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(kind, keep_voice=True)
    store.save_session(session())
    store.save_players([player(1, voice=voice()), player(7777)])
    text = damage(store.read(PLAYERS)["7777"], changes)
    store.put(PLAYERS, {"7777": text})
    store.close()
    state = store.load()
    assert set(state.players) == {1}
    assert set(state.sessions) == {"main"}
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "guild '7777'" in record.getMessage()
    for secret in (TOKEN, SESSION_ID, VOICE_SESSION):
        assert secret not in record.getMessage()
    # It is left where it is, until the guild is saved again.
    assert store.read(PLAYERS)["7777"] == text
    store.save_players([player(7777)])
    assert set(store.load().players) == {1, 7777}


@each_kind
@pytest.mark.parametrize(
    "changes",
    [
        {"sessionId": ...},
        {"sessionId": "with a\r\nline break"},
        {"sessionId": 5},
        {"userId": "0x12"},
        {"userId": 12},
        {"savedAt": "soon"},
        {"resumeTimeout": -1},
    ],
    ids=repr,
)
def test_a_damaged_session_loses_only_itself(
    make_store: Maker, kind: str, changes: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(kind)
    store.save_session(session("main"))
    store.save_session(session("other"))
    store.put(SESSIONS, {"main": damage(store.read(SESSIONS)["main"], changes)})
    assert set(store.load().sessions) == {"other"}
    assert "node 'main'" in caplog.text
    assert SESSION_ID not in caplog.text
    assert "line break" not in caplog.text


@pytest.mark.parametrize("kind", ["memory", "sqlite", "redis"])
@pytest.mark.parametrize("text", [b"", b"{", b'{"version": 1', b"\xff\xfe", b"[]", b"null", b"7", b"[" * 100_000])
def test_a_record_that_is_no_json_loses_only_itself(
    make_store: Maker, kind: str, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    store = make_store(kind)
    store.save_players([player(1)])
    store.put(PLAYERS, {"2": text, "not a guild": text})
    assert set(store.load().players) == {1}
    assert "guild '2'" in caplog.text
    assert "guild 'not a guild'" in caplog.text


@each_kind
def test_records_of_a_newer_version_are_left_alone(
    make_store: Maker, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    newer = b'{"version":2,"track":{"somewhere":"else"}}'
    store = make_store(kind)
    store.save_players([player(1)])
    store.put(PLAYERS, {"2": newer, "3": newer})
    store.put(SESSIONS, {"main": newer})
    state = store.load()
    assert set(state.players) == {1}
    assert not state.sessions
    assert [record.getMessage().count("newer version") for record in caplog.records] == [1, 1]
    assert "guild '2', guild '3'" in caplog.text
    assert "node 'main'" in caplog.text
    store.save_players([player(4)])
    store.close()
    assert make_store(kind).read(PLAYERS)["2"] == newer


def test_a_thousand_damaged_players_are_one_short_warning(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.put(PLAYERS, {str(guild): b"{}" for guild in range(1000)})
    assert not store.load().players
    (record,) = caplog.records
    assert "and 990 more" in record.getMessage()
    assert len(record.getMessage()) < 1000


@each_kind
def test_a_player_that_json_cannot_carry_is_refused_with_all_that_came_with_it(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    with pytest.raises(InvalidArgumentError, match="guild 2"):
        store.save_players([player(1), player(2, plugin_state={"bad": object()})])
    assert not store.load().players


@each_kind
def test_the_lease_on_a_node_is_renewed_and_released(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    assert store.claim("main")
    assert store.claim("main"), "a second claim renews"
    assert store.renew("main")
    store.release("main")
    store.release("main")
    assert store.claim("main")


@pytest.mark.parametrize("kind", ["file", "sqlite", "redis"])
def test_two_stores_never_have_the_same_node(make_store: Maker, kind: str) -> None:
    first, second = make_store(kind), make_store(kind)
    assert first.claim("main")
    assert not second.claim("main")
    assert not second.renew("main")
    second.release("main")
    assert first.renew("main"), "another's release must not end it"
    first.close()
    assert second.claim("main")
    assert not first.claim("main")


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_each_node_has_a_lease_of_its_own(make_store: Maker, kind: str) -> None:
    first, second = make_store(kind), make_store(kind)
    assert first.claim("main")
    assert second.claim("other")
    assert not first.claim("other")
    first.release("main")
    assert not first.renew("main")
    assert second.claim("main")


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
def test_two_processes_save_side_by_side_and_nothing_is_lost(make_store: Maker, kind: str) -> None:
    stores = [make_store(kind), make_store(kind)]
    threads = [
        threading.Thread(target=lambda store=store, first=first: _save_one_by_one(store, first))
        for first, store in enumerate(stores)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(make_store(kind).load().players) == set(range(100))


def _save_one_by_one(store: Store, first: int) -> None:
    for guild in range(first, 100, 2):
        store.save_players([player(guild)])


@each_kind
def test_many_threads_may_use_one_store(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    failed: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(5):
                store.save_players([player(number, volume=turn), player(100 + number)])
                store.forget_players([100 + number])
                store.load()
                assert store.claim("main")
        except BaseException as error:
            failed.append(error)
            raise

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failed
    assert {guild: each.volume for guild, each in store.load().players.items()} == dict.fromkeys(range(8), 4)


@each_kind
def test_nothing_secret_is_in_a_repr_or_an_error(make_store: Maker, kind: str) -> None:
    store = make_store(kind, keep_voice=True)
    one, other = session(), player(voice=voice(), extra={"hidden": TOKEN})
    store.save_session(one)
    store.save_players([other])
    state = store.load()
    for shown in (repr(store), repr(one), str(one), repr(other), repr(state), f"{state}"):
        for secret in (SESSION_ID, TOKEN, VOICE_SESSION):
            assert secret not in shown


@each_kind
def test_a_thousand_players_are_saved_at_once_quickly(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    players = [player(guild) for guild in range(1000)]
    started = time.perf_counter()
    store.save_players(players)
    took = time.perf_counter() - started
    assert len(store.load().players) == 1000
    # Some tens of milliseconds; the limit is for a machine that is busy with other things.
    assert took < 5, f"{took:.3f} s"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of fork beside threads, from Python 3.12 on
@pytest.mark.parametrize("kind", ["file", "sqlite", "redis"])
def test_a_forked_process_is_told_to_make_a_store_of_its_own(make_store: Maker, kind: str) -> None:
    store = make_store(kind)
    assert store.claim("main")
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        told = b"nothing"
        try:
            store.load()
        except ForkError:
            told = b"ForkError"
        finally:
            store.close()
            os.write(writing, told)
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        assert pipe.read() == b"ForkError"
    os.waitpid(child, 0)
    assert store.renew("main"), "the child's close must leave the parent's lease alone"


def test_a_store_of_a_users_own_needs_three_methods() -> None:
    with OwnStore() as store:
        assert store.claim("main")
        assert store.renew("main")
        store.save_session(session())
        store.save_players([player(1), player(2, voice=voice())])
        store.forget_players([1])
        state = store.load()
        assert state.sessions["main"] == session()
        assert state.players == {2: player(2)}
        store.forget_session("main")
        store.release("main")
        assert not store.load().sessions
    bare = Store()
    for call in (bare.load, lambda: bare.save_session(session()), lambda: bare.forget_session("main")):
        with pytest.raises(NotImplementedError):
            call()


def test_a_memory_store_hands_its_state_from_one_client_to_the_next() -> None:
    store = MemoryStore()
    store.save_players([player(1)])
    store.close()
    assert set(store.load().players) == {1}
    assert repr(store) == "MemoryStore()"


def test_a_store_error_is_an_os_error_that_may_be_tried_again() -> None:
    error = StoreError("the disk is full")
    assert isinstance(error, OSError)
    assert isinstance(error, LavalinkError)
    assert error.retryable
    assert str(pickle.loads(pickle.dumps(error))) == "the disk is full"
