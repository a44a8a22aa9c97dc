"""`Lane`: the jobs of one key that did not start yet, first in, first out.

The worker pool's lock guards it, with one exception that saves a lock for each event: the one thread that runs the lane
takes entries out at the front without it. So whoever changes it under the lock must be ready to find it emptier than a
moment ago.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from typing import Any

# A job, its arguments, the token by which the next entry may replace it, and what is called if it is dropped. A plain
# tuple, because every event makes one.
Entry = tuple[Callable[..., object], tuple[Any, ...], "object | None", "Callable[[], Any] | None"]


class Lane:
    """The queue of one key, the thread that runs it, and whether its overflow was told."""

    __slots__ = ("entries", "key", "overflowing", "thread")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.entries: deque[Entry] = deque()
        self.overflowing = False
        self.thread: threading.Thread | None = None

    def replace_last(self, entry: Entry) -> bool:
        """Put `entry` in the place of the last one if that has the same token; return whether it was so."""
        entries = self.entries
        try:
            if entries[-1][2] == entry[2]:
                entries[-1] = entry
                return True
        except IndexError:
            pass  # there is none, or its thread has just taken it
        return False

    def take(self) -> Entry | None:
        """Take the first entry out, if there is one."""
        try:
            return self.entries.popleft()
        except IndexError:
            return None

    def emptied(self) -> list[Entry]:
        """Take all entries out."""
        return list(iter(self.take, None))


def drop(entries: Iterable[Entry]) -> None:
    """Tell whoever waits for these that they are dropped."""
    for entry in entries:
        if entry[3] is not None:
            entry[3]()
