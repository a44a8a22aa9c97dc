"""`SQLiteStore`: one SQLite database, for more players than a file should hold, and for several processes on a machine.

One connection behind a lock, because calls go one at a time anyhow. SQLite's rollback journal, not WAL: a save takes a
millisecond more, but at rest there is one file to copy or to set aside, and no shared memory that a directory lacks.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from ..config import check_seconds
from ..errors import StoreError
from .base import Origin, Store
from .damage import set_aside, unusable

log = logging.getLogger(__name__)

VERSION = 1
_SCHEMA = (
    "CREATE TABLE lavalink_records (kind TEXT, key TEXT, value BLOB, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    "CREATE TABLE lavalink_leases (node TEXT PRIMARY KEY, owner TEXT, expires REAL) WITHOUT ROWID",
    f"PRAGMA user_version = {VERSION}",
)
_CLAIM = """
    INSERT INTO lavalink_leases VALUES (:node, :owner, :expires)
    ON CONFLICT (node) DO UPDATE SET owner = :owner, expires = :expires WHERE owner = :owner OR expires <= :now
"""
_RENEW = "UPDATE lavalink_leases SET expires = :expires WHERE node = :node AND owner = :owner AND expires > :now"

T = TypeVar("T")


class SQLiteStore(Store):
    """A store in the SQLite database `path`, which only its owner can read (mode 0600). Its directory must exist.

    The database is for this alone: one with other tables is refused with `StoreError`. On a disk of this machine: file
    locks of a network are not to be trusted. `keep_voice`: see `Store`.

    Several processes can use it. Each call is one transaction, and waits up to `timeout` seconds for those of others,
    then raises `StoreError`; what is saved last is kept. A lease is free for others `lease_seconds` after its last
    `claim` or `renew` (by the machine's clock), so after a kill the next process waits as long; ask again until then.

    A damaged database is set aside as `<path>.damaged-<n>`, with a warning, and a new one is begun. One of a newer
    version is left alone: every call but `load`, which finds nothing, raises `StoreError`.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        keep_voice: bool = False,
        lease_seconds: float = 10.0,
        timeout: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        check_seconds("lease_seconds", lease_seconds)
        check_seconds("timeout", timeout)
        self.keep_voice = keep_voice
        self.lease_seconds: float = lease_seconds
        self._path = Path(os.path.realpath(path))
        self._timeout = timeout
        self._now = now
        self._owner = secrets.token_hex(16)
        self._origin = Origin()
        # Guards all below, during I/O: calls go one at a time.
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._is_newer = False

    def read(self, table: str) -> Mapping[str, Any]:
        """See `Store.read`."""
        query = "SELECT key, value FROM lavalink_records WHERE kind = ?"
        return self._run("read", lambda db: dict(db.execute(query, (table,))), empty={})

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """See `Store.put`."""
        rows = [(table, key, text) for key, text in records.items()]
        self._run("written", lambda db: _each(db, "INSERT OR REPLACE INTO lavalink_records VALUES (?, ?, ?)", rows))

    def drop(self, table: str, keys: Collection[str]) -> None:
        """See `Store.drop`."""
        rows = [(table, key) for key in keys]
        self._run("written", lambda db: _each(db, "DELETE FROM lavalink_records WHERE kind = ? AND key = ?", rows))

    def claim(self, node: str) -> bool:
        """See `Store.claim`."""
        return self._run("written", lambda db: db.execute(_CLAIM, self._lease(node)).rowcount == 1)

    def renew(self, node: str) -> bool:
        """See `Store.renew`. False also where it had run out, though nobody else took it."""
        return self._run("written", lambda db: db.execute(_RENEW, self._lease(node)).rowcount == 1)

    def release(self, node: str) -> None:
        """See `Store.release`."""
        rows = [(node, self._owner)]
        self._run("written", lambda db: _each(db, "DELETE FROM lavalink_leases WHERE node = ? AND owner = ?", rows))

    def close(self) -> None:
        """Release the leases and close the database. A later call opens it again."""
        with self._lock:
            if not self._origin.is_here or self._connection is None:
                return
            try:
                if not self._is_newer:
                    _each(self._connection, "DELETE FROM lavalink_leases WHERE owner = ?", [(self._owner,)])
            except sqlite3.Error as error:
                log.warning("%r: leases are not released, but run out by themselves: %s", self, error)
            finally:
                self._disconnect()

    def __repr__(self) -> str:
        return f"SQLiteStore({str(self._path)!r})"

    def _lease(self, node: str) -> dict[str, Any]:
        now = self._now()
        return {"node": node, "owner": self._owner, "now": now, "expires": now + (self.lease_seconds or 0)}

    def _run(self, doing: str, job: Callable[[sqlite3.Connection], T], empty: T | None = None) -> T:
        """Do `job`, once more with a new database where this one is damaged. `empty`: what a newer one answers."""
        with self._lock:
            self._origin.check(self)
            try:
                try:
                    return self._attempt(job, empty)
                except sqlite3.DatabaseError as error:
                    if not _is_damage(error):
                        raise
                    self._set_aside(error)
                    return self._attempt(job, empty)
            except StoreError:
                raise
            except (sqlite3.Error, OSError) as error:
                self._disconnect()
                raise unusable(self._path, doing, error) from error

    def _attempt(self, job: Callable[[sqlite3.Connection], T], empty: T | None) -> T:
        connection = self._connect()
        if not self._is_newer:
            return job(connection)
        if empty is not None:
            return empty
        raise StoreError(
            f"{self._path} is of a newer version of lavalink_sync and is left alone: update, or name another file"
        )

    def _connect(self) -> sqlite3.Connection:
        if self._connection is not None and self._identity == _identity(self._path):
            return self._connection
        # Another process has set it aside, or somebody has removed it: what is written there would be lost.
        self._disconnect()
        with contextlib.suppress(FileExistsError):
            # Only ever made, never opened beside SQLite: closing a database's file lets go of SQLite's own locks on it.
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._identity = _identity(self._path)
        self._connection = sqlite3.connect(
            self._path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(self._connection)
        except BaseException:
            self._disconnect(forget=False)
            raise
        return self._connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        # Whatever was written there by hand: a text that is none is a damaged record, not a damaged database.
        connection.text_factory = lambda text: text.decode("utf-8", "backslashreplace")
        connection.execute("PRAGMA synchronous = FULL")
        with _transaction(connection):
            if (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(found)
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if version == 0 and not tables:
                for statement in _SCHEMA:
                    connection.execute(statement)
                version = VERSION
            elif version < 1 or "lavalink_records" not in tables:
                raise StoreError(f"{self._path} is a database of something else: name another file")
        self._is_newer = version > VERSION
        if self._is_newer:
            log.warning("%s is of a newer version: it is left alone, and nothing is loaded from it", self._path)

    def _set_aside(self, error: sqlite3.DatabaseError) -> None:
        """Set the database aside, unless another process has done so since we opened it."""
        opened = self._identity
        self._disconnect()
        if opened == _identity(self._path):
            set_aside(self._path, str(error), companions=("-journal", "-wal", "-shm"))

    def _disconnect(self, forget: bool = True) -> None:
        connection, self._connection = self._connection, None
        if forget:
            self._identity = None
        if connection is not None:
            connection.close()


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _each(connection: sqlite3.Connection, statement: str, rows: list[Any]) -> None:
    with _transaction(connection):
        connection.executemany(statement, rows)


def _is_damage(error: sqlite3.Error) -> bool:
    """Whether it is SQLITE_CORRUPT or SQLITE_NOTADB: they alone have no class of their own."""
    return type(error) is sqlite3.DatabaseError


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells one file from another of the same name."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
