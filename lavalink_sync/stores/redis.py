"""`RedisStore`: a Redis server, for bots on several machines. Needs the `redis` package (`lavalink_sync[redis]`).

Keys: `<prefix>:sessions` and `<prefix>:players` are hashes of JSON texts; `<prefix>:lease:<node>` holds the random
token of the one store that may drive the node, and goes away by itself. One command a call: each is done or not.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, TypeVar

from ..config import check_seconds
from ..errors import ConfigError, StoreError
from .base import Origin, Store

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as _error:
    if (_error.name or "").partition(".")[0] != "redis":
        raise
    raise ImportError(
        "RedisStore needs the redis package: pip install 'lavalink_sync[redis]'", name=__name__
    ) from _error

log = logging.getLogger(__name__)

# So many records go into one command: some megabytes.
_AT_ONCE = 1000
# Extend and delete only what is ours: between reading a lease and changing it, it could run out and be another's.
_RENEW = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('pexpire', KEYS[1], ARGV[2]) or 0"
_RELEASE = "return redis.call('get', KEYS[1]) == ARGV[1] and redis.call('del', KEYS[1]) or 0"

T = TypeVar("T")


class RedisStore(Store):
    """A store in the Redis server at `url`: `redis://[[user]:password@]host[:port][/db]`, or `rediss://` for TLS.

    `prefix` begins every key; each bot needs its own. `keep_voice`: see `Store`.

    Several processes can use it; what is saved last is kept. A lease is free for others `lease_seconds` after its last
    `claim` or `renew` (by the server's clock), so after a kill the next process waits as long; ask again until then.
    It keeps apart processes that ask for it; it does not stop a late save of one that has lost it.

    Connecting, and each answer, may take `timeout` seconds; then, and when the connection is lost, the call raises
    `StoreError`, nothing is tried twice, and the next call connects anew. 1,000 records go in one command, which is
    done or not. `ConfigError` for a URL that is none, `ImportError` without the `redis` package.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = "lavalink_sync",
        keep_voice: bool = False,
        lease_seconds: float = 10.0,
        timeout: float = 5.0,
    ) -> None:
        check_seconds("lease_seconds", lease_seconds)
        check_seconds("timeout", timeout)
        self.keep_voice = keep_voice
        self.lease_seconds: float = lease_seconds
        self._prefix = prefix
        self._token = secrets.token_hex(16)
        self._origin = Origin()
        # Calls go one at a time, I/O included.
        self._lock = threading.Lock()
        self._claimed: set[str] = set()
        # `Any`: the package's types are those of its asynchronous client as well.
        self._redis: Any = _client(url, timeout)
        place = self._redis.connection_pool.connection_kwargs
        self._place = place.get("path") or f"{place.get('host', 'localhost')}:{place.get('port', 6379)}"

    def read(self, table: str) -> Mapping[str, bytes]:
        """See `Store.read`. In pieces, so that no answer is too long for its time-out."""
        key = self._key(table)
        found = self._run(lambda: dict(self._redis.hscan_iter(key, count=_AT_ONCE)))
        return {_text(field): text for field, text in found.items()}

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """See `Store.put`. Past 1,000 records, those of the first commands may be kept where a later one fails."""
        for some in _pieces(list(records.items())):
            self._run(partial(self._redis.hset, self._key(table), mapping=dict(some)))

    def drop(self, table: str, keys: Collection[str]) -> None:
        """See `Store.drop`."""
        for some in _pieces(list(keys)):
            self._run(partial(self._redis.hdel, self._key(table), *some))

    def claim(self, node: str) -> bool:
        """See `Store.claim`."""
        key, length = self._key("lease", node), self._lease_ms()
        # Noted before: where the answer is lost, the lease may be ours, and is to be released.
        self._claimed.add(node)
        if self._run(lambda: self._redis.set(key, self._token, nx=True, px=length)) or self.renew(node):
            return True
        self._claimed.discard(node)
        return False

    def renew(self, node: str) -> bool:
        """See `Store.renew`. False also where it had run out, though nobody else took it."""
        key, length = self._key("lease", node), self._lease_ms()
        return bool(self._run(lambda: self._redis.eval(_RENEW, 1, key, self._token, length)))

    def release(self, node: str) -> None:
        """See `Store.release`."""
        self._run(lambda: self._redis.eval(_RELEASE, 1, self._key("lease", node), self._token))
        self._claimed.discard(node)

    def close(self) -> None:
        """Release the leases and close the connection. A later call connects again."""
        if not self._origin.is_here:
            return
        for node in sorted(self._claimed):
            try:
                self.release(node)
            except StoreError as error:
                log.warning("%r: leases are not released, but run out by themselves: %s", self, error)
                break
        self._claimed.clear()
        with self._lock:
            self._redis.close()
            self._redis.connection_pool.disconnect()

    def __repr__(self) -> str:
        return f"RedisStore({self._place}, prefix={self._prefix!r})"

    def _key(self, *parts: str) -> str:
        return ":".join((self._prefix, *parts))

    def _lease_ms(self) -> int:
        return max(1, round(self.lease_seconds * 1000)) if self.lease_seconds else 1

    def _run(self, call: Callable[[], T]) -> T:
        with self._lock:
            self._origin.check(self)
            try:
                return call()
            except (redis.RedisError, OSError) as error:
                kind, text = type(error).__name__, _without_arguments(str(error))
        # Raised out here, and from a copy: the server's errors can quote the command, with the records in it.
        raise StoreError(f"Redis at {self._place}: {kind}: {text}") from redis.RedisError(text)


def _client(url: str, timeout: float) -> Any:
    try:
        return redis.Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            decode_responses=False,
        )
    except (ValueError, TypeError):
        # The error may quote a part of the password.
        raise ConfigError("url is none of redis://host:port/db, rediss://host:port/db, unix://path") from None


def _text(field: bytes | str) -> str:
    """A hash's key. It is text already where the URL's options ask for that."""
    return field if isinstance(field, str) else field.decode("utf-8", "backslashreplace")


def _without_arguments(text: str) -> str:
    """A server's error without what it quotes of a command that it does not know."""
    return text.partition(", with args beginning")[0][:200]


def _pieces(entries: list[T]) -> list[list[T]]:
    return [entries[start : start + _AT_ONCE] for start in range(0, len(entries), _AT_ONCE)]
