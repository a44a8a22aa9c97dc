"""`TrackedLock`: the lock that the package's modules get in tests, which tells when a thread takes two at once."""

from __future__ import annotations

import threading

violations: list[str] = []
"""What went wrong since the list was emptied; `conftest` fails the test that filled it, whichever thread it was in."""

_held = threading.local()


class TrackedLock:
    """A `threading.Lock` that raises in a thread which holds another one of its kind already."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner: int | None = None

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take the lock as `threading.Lock` does."""
        if getattr(_held, "lock", None) is not None:
            violations.append(f"{threading.current_thread().name} takes a second lock while it holds one")
            raise RuntimeError(violations[-1])
        taken = self._lock.acquire(blocking, timeout)
        if taken:
            self._owner = threading.get_ident()
            _held.lock = self
        return taken

    def release(self) -> None:
        """Let go of the lock; only the thread that holds it may."""
        if self._owner != threading.get_ident():
            violations.append(f"{threading.current_thread().name} lets go of a lock that it does not hold")
            raise RuntimeError(violations[-1])
        self._owner = None
        _held.lock = None
        self._lock.release()

    def locked(self) -> bool:
        """Say whether some thread holds it."""
        return self._lock.locked()

    def _is_owned(self) -> bool:
        # `threading.Condition` asks this; without it, it would find out by taking the lock a second time.
        return self._owner == threading.get_ident()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()
