"""`FileStore`: one JSON file, written anew and renamed into place at each change, for one process at a time.

A reader, and a process that was killed at any moment, thus finds the old content or the new one. The lock on
`<path>.lock` is the lease; whoever has it also cleans up after a killed writer. The file has a line for each record.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from ..errors import ProtocolError, StoreError
from ..models.jsontext import dumps, loads
from .base import PLAYERS, SESSIONS, Origin, Store
from .damage import set_aside, unusable
from .filelock import FileLock

log = logging.getLogger(__name__)

VERSION = 1

# Windows would write line ends of its own.
_BINARY = getattr(os, "O_BINARY", 0)

Tables = dict[str, dict[str, bytes]]


class FileStore(Store):
    """A store in the JSON file `path`, which only its owner can read (mode 0600). Its directory must exist.

    Every change writes the whole file and waits until the disk has it: right for up to some thousand players; for more,
    see `SQLiteStore`. No call waits for another process. `keep_voice`: see `Store`.

    The first process that claims, saves or loads has the file until `close`, or until it ends, however it ends. In any
    other one `claim` is false, `load` reads what is there, and saving and forgetting raise `StoreError`. The one lock
    is the lease on every node: `release` keeps it, `close` lets it go.

    A file that can't be read as JSON is set aside as `<path>.damaged-<n>`, with a warning, and the store is empty then.
    A file of a newer version is left alone: nothing is loaded, and saving raises `StoreError`.
    """

    def __init__(self, path: str | os.PathLike[str], *, keep_voice: bool = False) -> None:
        self.keep_voice = keep_voice
        # Through links, because renaming over a link would replace the link.
        self._path = Path(os.path.realpath(path))
        self._new = self._path.with_name(self._path.name + ".new")
        self._origin = Origin()
        # Guards all below, during I/O: calls go one at a time.
        self._lock = threading.Lock()
        self._file_lock = FileLock(self._path.with_name(self._path.name + ".lock"))
        self._tables: Tables = {}
        self._others: dict[str, bytes] = {}  # keys of the file that this version does not know
        self._is_newer = False

    def read(self, table: str) -> Mapping[str, bytes]:
        """See `Store.read`."""
        with self._guard("read"):
            if not self._own():
                self._read_file(ours=False)
            return dict(self._tables[table])

    def put(self, table: str, records: Mapping[str, bytes]) -> None:
        """See `Store.put`."""
        with self._guard("written"):
            self._own_or_raise()
            self._write_file({**self._tables, table: {**self._tables[table], **records}})

    def drop(self, table: str, keys: Collection[str]) -> None:
        """See `Store.drop`."""
        gone = set(keys)
        with self._guard("written"):
            self._own_or_raise()
            left = {key: text for key, text in self._tables[table].items() if key not in gone}
            self._write_file({**self._tables, table: left})

    def claim(self, node: str) -> bool:
        """Take the file for this process; return whether it is ours. See `Store.claim`."""
        with self._guard("locked"):
            return self._own()

    def renew(self, node: str) -> bool:
        """Return whether the file is still ours. See `Store.renew`."""
        with self._guard("locked"):
            return self._file_lock.held

    def close(self) -> None:
        """Let the file go for other processes. A later call takes it again."""
        with self._lock:
            if self._origin.is_here:
                self._file_lock.let_go()

    def __repr__(self) -> str:
        return f"FileStore({str(self._path)!r})"

    @contextlib.contextmanager
    def _guard(self, doing: str) -> Iterator[None]:
        with self._lock:
            self._origin.check(self)
            try:
                yield
            except StoreError:
                raise
            except OSError as error:
                raise unusable(self._path, doing, error.strerror or error) from error

    def _own(self) -> bool:
        """Take the file, if it is not taken yet: clean up, and read what is there."""
        if self._file_lock.held:
            return True
        if not self._file_lock.take():
            return False
        try:
            self._new.unlink(missing_ok=True)
            self._read_file(ours=True)
        except BaseException:
            self._file_lock.let_go()
            raise
        return True

    def _own_or_raise(self) -> None:
        if not self._own():
            raise StoreError(
                f"{self._path} is in use by another process, or another store: give each bot a file of its own"
            )
        if self._is_newer:
            raise StoreError(
                f"{self._path} is of a newer version of lavalink_sync and is left alone: update, or name another file"
            )

    def _read_file(self, ours: bool) -> None:
        self._tables, self._others, self._is_newer = {SESSIONS: {}, PLAYERS: {}}, {}, False
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return
        try:
            tables, others = _parse(text)
        except ProtocolError as error:
            if ours:
                set_aside(self._path, str(error))
            else:
                log.warning("%s is damaged (%s): nothing is loaded from it", self._path, error)
            return
        if tables is None:
            self._is_newer = True
            log.warning("%s is of a newer version: it is left alone, and nothing is loaded from it", self._path)
            return
        self._tables, self._others = tables, others

    def _write_file(self, tables: Tables) -> None:
        if tables == self._tables and self._path.exists():
            return
        # There may be one left of a write that failed. Made anew, so that it is ours and nobody else can read it.
        self._new.unlink(missing_ok=True)
        descriptor = os.open(self._new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600)
        with open(descriptor, "wb") as file:
            file.write(_render(tables, self._others))
            file.flush()
            os.fsync(file.fileno())
        os.replace(self._new, self._path)
        self._tables = tables
        _sync_directory(self._path.parent)


def _parse(text: bytes) -> tuple[Tables | None, dict[str, bytes]]:
    """Return the tables (`None`: of a newer version) and the other keys. Raises `ProtocolError`."""
    data = loads(text)
    version = data.pop("version", None) if isinstance(data, dict) else None
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ProtocolError("not a store's file")
    if version > VERSION:
        return None, {}
    tables: Tables = {}
    for table in (SESSIONS, PLAYERS):
        records = data.pop(table, None)
        if not isinstance(records, dict):
            raise ProtocolError(f"{table} is no JSON object")
        tables[table] = {key: dumps(record) for key, record in records.items()}
    return tables, {key: dumps(value) for key, value in data.items()}


def _render(tables: Tables, others: Mapping[str, bytes]) -> bytes:
    """Put the file together from texts that are JSON already."""
    parts = [b'"version":%d' % VERSION]
    for table, records in tables.items():
        lines = b",\n".join(dumps(key) + b":" + text for key, text in records.items())
        parts.append(dumps(table) + b":{\n" + lines + b"\n}")
    parts += [dumps(key) + b":" + text for key, text in others.items()]
    return b"{" + b",\n".join(parts) + b"}\n"


def _sync_directory(path: Path) -> None:
    """Make the rename last, too. Windows can't open a directory, and needs none of it."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
