"""What something costs, counted: functions of Python, and calls of the system."""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any

# The modules whose functions in C, and whose objects' methods in C, ask something of the system.
_SYSTEM = {"posix", "nt", "select", "_socket", "socket"}


class Cost:
    """What ran on one thread while a call was made: functions of Python, by module and name, and calls of the system.

    Asking for the process's number is left out: it does not leave the core, and tells that there was no fork.
    """

    def __init__(self) -> None:
        self.functions: Counter[str] = Counter()
        self.system: Counter[str] = Counter()

    def of(self, call: Callable[[], Any]) -> Any:
        """Make the call and count."""
        before = sys.getprofile()
        sys.setprofile(self._note)
        try:
            return call()
        finally:
            sys.setprofile(before)

    def between(self, first: str, last: str, call: Callable[[], Any]) -> Any:
        """Make the call and count on the thread that it starts, from the function `first` to the function `last`."""
        thread = 0

        def note(frame: FrameType, event: str, what: Any) -> None:
            nonlocal thread
            if event == "call" and _name_of(frame) == first:
                thread = threading.get_ident()
            if thread == threading.get_ident() and not self.functions[last]:
                self._note(frame, event, what)

        threading.setprofile(note)
        try:
            return call()
        finally:
            threading.setprofile(None)

    @property
    def modules(self) -> set[str]:
        """The modules whose code ran."""
        return {name.rpartition(":")[0] for name in self.functions}

    @property
    def of_ours(self) -> int:
        """How many functions of Python ran, without those of the tests."""
        return sum(count for name, count in self.functions.items() if not name.startswith("tests."))

    def _note(self, frame: FrameType, event: str, what: Any) -> None:
        if event == "call":
            self.functions[_name_of(frame)] += 1
        elif event == "c_call" and what.__name__ != "getpid":
            owner = what.__self__
            if (owner.__name__ if isinstance(owner, ModuleType) else type(owner).__module__) in _SYSTEM:
                self.system[what.__name__] += 1


def _name_of(frame: FrameType) -> str:
    return f"{frame.f_globals.get('__name__')}:{frame.f_code.co_name}"
