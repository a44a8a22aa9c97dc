"""`FileLock`: one process at a time, by an advisory lock on a file that the system lets go when the process ends."""

from __future__ import annotations

import os
import sys
import weakref
from pathlib import Path

if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

    # What a lock of somebody else looks like.
    _TAKEN: type[OSError] = PermissionError
else:
    import fcntl

    # flock, not lockf: it also keeps apart two stores of one process, and no other open file can make it let go.
    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)

    _TAKEN: type[OSError] = BlockingIOError

_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


class FileLock:
    """A lock on `path`, which is made and never removed: whoever removed it could remove another's. Not thread-safe."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take it; return whether it is ours. Never waits. Raises `OSError` where files can't be locked."""
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(descriptor)
        except _TAKEN:
            os.close(descriptor)
            return False
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor
        _open_locks.add(self)
        return True

    def let_go(self) -> None:
        """Let it go, if it is held."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            _open_locks.discard(self)
            try:
                _unlock(descriptor)
            finally:
                os.close(descriptor)


def _close_in_child() -> None:
    """In a forked child: a copy of the descriptor would hold the lock for as long as the child lives."""
    for lock in list(_open_locks):
        if lock._descriptor is not None:
            os.close(lock._descriptor)
            lock._descriptor = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
