"""What every test gets without asking: locks that are watched, and a look at what it leaves behind."""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from lavalink_sync.transport import locks

from .support import locks as support_locks
from .support.clock import clock
from .support.connections import bench
from .support.http_server import make_calls
from .support.locks import TrackedLock
from .support.moves import other, slow_target, source, target, target_clock
from .support.nodes import client, devnode, make_client, make_devnode, node
from .support.redis_server import redis_server
from .support.tls import authority, bundle

# Fixtures for every test.
__all__ = ["client", "devnode", "make_client", "make_devnode", "node", "redis_server"]
__all__ += ["authority", "bench", "bundle", "clock", "make_calls"]
__all__ += ["other", "slow_target", "source", "target", "target_clock"]

_DESCRIPTORS = Path("/proc/self/fd")
# Real seconds that threads and connections which are ending already get to do so.
_GRACE = 10.0


@pytest.fixture(autouse=True)
def _nothing_left_behind() -> Iterator[None]:
    """Fail a test that leaves a thread, or (on Linux) a socket or another wait object, that was not there before."""
    threads = set(threading.enumerate())
    files = _open_files()
    yield
    until = time.monotonic() + _GRACE
    pause = threading.Event()
    while left := _left_over(threads, files):
        assert time.monotonic() < until, f"left behind by the test: {', '.join(left)}"
        pause.wait(0.002)


@pytest.fixture(autouse=True)
def _one_lock_at_a_time(monkeypatch: pytest.MonkeyPatch, _nothing_left_behind: None) -> Iterator[None]:
    """Fail a test in which some thread took a lock of the package while it held another one."""
    monkeypatch.setattr(locks, "factory", TrackedLock)
    support_locks.violations.clear()
    yield
    assert not support_locks.violations, "; ".join(support_locks.violations)


def _left_over(threads: set[threading.Thread], files: Counter[str]) -> list[str]:
    late = [f"thread {thread.name}" for thread in threading.enumerate() if thread not in threads]
    return late + sorted((_open_files() - files).elements())


def _open_files() -> Counter[str]:
    """Return the sockets (each by its own name), event and poll descriptors of this process, where /proc tells."""
    found: Counter[str] = Counter()
    if not _DESCRIPTORS.is_dir():
        return found
    for number in os.listdir(_DESCRIPTORS):
        try:
            target = os.readlink(_DESCRIPTORS / number)
        except FileNotFoundError:
            continue  # closed meanwhile, as the descriptor of this very listing is
        if target.startswith(("socket:", "anon_inode:[event")):
            found[target] += 1
    return found
