"""The one place where this package makes its locks.

Tests put a lock of their own here (`factory`) that notices a thread which takes a second one while it holds a first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

# `Any`, because `threading.Lock` is a function on some Python versions and a class on others.
factory: Callable[[], Any] = threading.Lock


def new_lock() -> threading.Lock:
    """Return a new lock. A thread holds at most one of them at a time, without I/O or user code under it."""
    lock: threading.Lock = factory()
    return lock


def new_condition() -> threading.Condition:
    """Return a new condition over a lock of its own."""
    return threading.Condition(new_lock())
