"""`RedisStore` on a real server: leases between processes, a server lost and back again, and nothing secret told."""

from __future__ import annotations

import logging
import shutil
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from lavalink_sync import ConfigError, StoreError
from lavalink_sync.stores import RedisStore
from lavalink_sync.stores import redis as redis_module
from lavalink_sync.stores.base import PLAYERS

from .support import redis_server as servers
from .support.redis_server import running
from .support.stores import SESSION_ID, player, session
from .support.waiting import wait_until

PASSWORD = "a-password-of-redis"


@pytest.fixture
def prefix() -> str:
    return f"test-{uuid.uuid4().hex}"


@pytest.fixture
def store(redis_server: str, prefix: str) -> Iterator[RedisStore]:
    with RedisStore(redis_server, prefix=prefix) as made:
        yield made


def test_bots_with_prefixes_of_their_own_do_not_see_each_other(redis_server: str, prefix: str) -> None:
    with RedisStore(redis_server, prefix=f"{prefix}-a") as one, RedisStore(redis_server, prefix=f"{prefix}-b") as other:
        one.save_session(session())
        one.save_players([player(1)])
        assert one.claim("main")
        assert other.claim("main")
        assert not other.load().sessions
        assert not other.load().players


def test_more_players_than_fit_one_command_are_all_saved_and_forgotten(store: RedisStore) -> None:
    store.save_players(player(guild, filters={}, plugin_state={}) for guild in range(2500))
    assert len(store.load().players) == 2500
    store.forget_players(range(1, 2500))
    assert set(store.load().players) == {0}


def test_the_keys_are_those_that_are_documented(store: RedisStore, prefix: str) -> None:
    store.save_session(session())
    store.save_players([player(1)])
    assert store.claim("main")
    keys = set(store._redis.scan_iter(match=f"{prefix}:*"))
    assert keys == {f"{prefix}:{name}".encode() for name in ("sessions", "players", "lease:main")}
    assert 0 < store._redis.pttl(f"{prefix}:lease:main") <= 10000
    store.close()
    assert not store._redis.exists(f"{prefix}:lease:main")
    store.close()


def test_a_lease_that_is_not_renewed_runs_out(redis_server: str, prefix: str) -> None:
    with (
        RedisStore(redis_server, prefix=prefix, lease_seconds=0.05) as first,
        RedisStore(redis_server, prefix=prefix, lease_seconds=60) as second,
    ):
        assert first.claim("main")
        wait_until(lambda: second.claim("main"), "the lease runs out")
        assert not first.renew("main")
        assert not first.claim("main")
        first.release("main")
        assert second.renew("main"), "a release that comes late must not end another's lease"


def test_renewing_keeps_a_lease_for_longer_than_it_lasts(redis_server: str, prefix: str) -> None:
    with (
        RedisStore(redis_server, prefix=prefix, lease_seconds=60) as first,
        RedisStore(redis_server, prefix=prefix) as second,
    ):
        assert first.claim("main")
        first._redis.pexpire(f"{prefix}:lease:main", 5000)
        assert first.renew("main")
        assert first._redis.pttl(f"{prefix}:lease:main") > 50_000
        first._redis.pexpire(f"{prefix}:lease:main", 5000)
        assert first.claim("main")
        assert first._redis.pttl(f"{prefix}:lease:main") > 50_000
        assert not second.claim("main")


RIVAL = """
import sys
from lavalink_sync.stores import RedisStore
store = RedisStore(sys.argv[1], prefix=sys.argv[2], lease_seconds=60)
print("ready", flush=True)
for line in sys.stdin:
    print(store.claim("main"), flush=True)
"""


def test_of_processes_that_ask_at_once_one_gets_the_node_and_after_its_end_another(
    redis_server: str, prefix: str
) -> None:
    command = [sys.executable, "-c", RIVAL, redis_server, prefix]
    rivals = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    try:
        assert [_line(rival) for rival in rivals] == ["ready"] * 2
        with RedisStore(redis_server, prefix=prefix) as watch:
            got = _ask(rivals)
            assert sorted(got) == ["False", "True"]
            winner, other = sorted(rivals, key=lambda rival: got[rivals.index(rival)], reverse=True)
            winner.kill()
            winner.wait(10)
            assert _ask([other]) == ["False"], "nobody knows yet that it is dead"
            watch._redis.pexpire(f"{prefix}:lease:main", 1)
            wait_until(lambda: not watch._redis.exists(f"{prefix}:lease:main"), "the lease of the dead one runs out")
            assert _ask([other]) == ["True"]
    finally:
        for rival in rivals:
            rival.kill()
            rival.communicate(timeout=10)


def _ask(rivals: list[subprocess.Popen[str]]) -> list[str]:
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("claim\n")
        rival.stdin.flush()
    return [_line(rival) for rival in rivals]


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_a_server_that_goes_away_is_told_and_used_again_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path) as port:
        store = RedisStore(f"redis://127.0.0.1:{port}")
        assert store.claim("main")
        store.save_players([player(1)])
    for _ in range(2):
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}") as caught:
            store.save_players([player(1)])
        assert caught.value.retryable
    with running(tmp_path, port=port):
        store.save_players([player(2)])
        assert set(store.load().players) == {2}, "this server keeps nothing itself"
        assert not store.renew("main")
        assert store.claim("main")
    store.close()
    assert "not released" in caplog.text
    assert len(caplog.records) == 1


def test_a_connection_that_the_server_ended_is_made_again(store: RedisStore, redis_server: str) -> None:
    store.save_players([player(1)])
    with RedisStore(redis_server) as other:
        other._redis.client_kill_filter(_type="normal", skipme=True)
    told = 0
    try:
        store.save_players([player(2)])
    except StoreError:
        told = 1
        store.save_players([player(2)])
    assert told in (0, 1)
    assert set(store.load().players) == {1, 2}


def test_a_server_that_says_nothing_is_given_up_after_the_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        store = RedisStore(f"redis://127.0.0.1:{deaf.getsockname()[1]}", timeout=0.1)
        started = time.monotonic()
        with pytest.raises(StoreError, match="Timeout"):
            store.claim("main")
        assert time.monotonic() - started < 5
        store.close()


def test_the_password_is_used_and_never_shown(tmp_path: Path) -> None:
    with running(tmp_path, "--requirepass", PASSWORD) as port:
        with RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{port}/0") as store:
            store.save_players([player(1)])
            assert PASSWORD not in repr(store)
        with RedisStore(f"redis://:{PASSWORD}-wrong@127.0.0.1:{port}/0") as wrong:
            with pytest.raises(StoreError) as caught:
                wrong.load()
            error: BaseException | None = caught.value
            while error is not None:
                assert PASSWORD not in f"{error!r} {error}"
                error = error.__cause__ or error.__context__
    with pytest.raises(StoreError) as caught:
        RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{port}/0").load()
    assert PASSWORD not in str(caught.value)


def test_an_error_that_quotes_the_command_is_told_without_the_records(tmp_path: Path) -> None:
    with running(tmp_path, "--rename-command", "HSET", "") as port, RedisStore(f"redis://127.0.0.1:{port}") as store:
        with pytest.raises(StoreError, match="unknown command 'HSET'") as caught:
            store.save_session(session())
        error: BaseException | None = caught.value
        while error is not None:
            assert SESSION_ID not in f"{error!r} {error}"
            assert "userId" not in f"{error!r} {error}"
            error = error.__cause__ or error.__context__


def test_options_in_the_url_may_ask_for_text(redis_server: str, prefix: str) -> None:
    with RedisStore(f"{redis_server}?decode_responses=true", prefix=prefix) as store:
        store.save_players([player(1)])
        assert set(store.load().players) == {1}
        assert store.claim("main")
        assert store.renew("main")


def test_a_key_of_another_kind_is_told(store: RedisStore, prefix: str) -> None:
    store._redis.set(f"{prefix}:players", "a text")
    with pytest.raises(StoreError, match="WRONGTYPE"):
        store.load()


def test_keys_that_are_no_text_are_damaged_records(
    store: RedisStore, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    store.save_players([player(1)])
    store._redis.hset(f"{prefix}:{PLAYERS}", b"\xff\xfe", b"\xff")
    with caplog.at_level(logging.WARNING):
        assert set(store.load().players) == {1}
    assert "is left out" in caplog.text or "are left out" in caplog.text


@pytest.mark.parametrize(
    "url", ["", "localhost:6379", "http://localhost", f"redis://:{PASSWORD}/x@localhost:6379", "redis://localhost:port"]
)
def test_a_url_that_is_none_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigError, match="url") as caught:
        RedisStore(url)
    assert caught.value.__suppress_context__
    assert PASSWORD not in str(caught.value)


def test_where_a_server_listens_on_a_path_the_path_is_shown() -> None:
    store = RedisStore("unix:///run/redis.sock", prefix="bot")
    assert repr(store) == "RedisStore(/run/redis.sock, prefix='bot')"


def test_times_must_be_seconds(redis_server: str) -> None:
    with pytest.raises(ConfigError, match="lease_seconds"):
        RedisStore(redis_server, lease_seconds=0)
    with pytest.raises(ConfigError, match="timeout"):
        RedisStore(redis_server, timeout=-1)


def test_without_a_server_the_tests_skip_and_under_ci_they_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="redis-server is not installed"):
        servers.program()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="redis-server is not installed"):
        servers.program()


def test_errors_are_short() -> None:
    quoted = "ERR unknown command 'HSET', with args beginning with: 'secret'"
    assert redis_module._without_arguments(quoted) == "ERR unknown command 'HSET'"
    assert len(redis_module._without_arguments("x" * 1000)) == 200
