"""Waiting for a condition with a deadline: what tests do instead of sleeping."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TIMEOUT = 10.0
"""Real seconds after which a test gives up waiting; far more than anything should need."""


def wait_until(condition: Callable[[], object], what: str, timeout: float = TIMEOUT) -> None:
    """Return once `condition()` is true; fail with `what` was waited for after `timeout` real seconds."""
    until = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        assert time.monotonic() < until, f"waited {timeout:g} s in vain: {what}"
        pause.wait(0.002)
