"""`Table`: a guild's gate with callers who come one after the other, each in a thread, with time moved by hand."""

from __future__ import annotations

import threading

from lavalink_sync.transport.clock import Deadline
from lavalink_sync.transport.gate import GuildGate, Turn

from .clock import ManualClock
from .waiting import wait_until


class Table:
    """A gate, a clock, and callers who come one after the other."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.gate = GuildGate(self.clock)
        self.log: list[str] = []
        self.callers: list[Caller] = []

    def come(
        self,
        name: str,
        *,
        seconds: float | None = 100,
        keeper: bool = False,
        aside: bool = False,
        waits: bool = True,
        ready: bool = True,
    ) -> Caller:
        """Send a caller, and return once it waits for its turn (`waits`) or has it; it steps aside when it is ready."""
        caller = Caller(self, name, seconds, keeper, aside)
        if ready:
            caller.ready.set()
        self.callers.append(caller)
        queued = len(self.gate._keepers) + len(self.gate._users)
        caller.thread.start()
        wait_until(lambda: len(self.gate._keepers) + len(self.gate._users) > queued, f"{name} is at the gate")
        if waits:
            wait_until(lambda: caller.waits() or caller.inside.is_set(), f"{name} waits")
            assert not caller.inside.is_set()
        else:
            assert caller.inside.wait(10)
        return caller

    def leave(self) -> None:
        """Let everybody go, and see that nothing is left."""
        for caller in self.callers:
            caller.ready.set()
            caller.step.set()
            caller.go.set()
        for caller in self.callers:
            caller.thread.join(10)
            assert not caller.thread.is_alive()
        assert self.gate.idle


class Caller:
    """A thread that takes one turn, steps aside if asked to, and tells what happened to it."""

    def __init__(self, table: Table, name: str, seconds: float | None, keeper: bool, aside: bool) -> None:
        self.table = table
        self.name = name
        self.inside = threading.Event()
        self.ready = threading.Event()
        self.is_aside = threading.Event()
        self.step = threading.Event()
        self.go = threading.Event()
        self.error: BaseException | None = None
        self._aside = aside
        self.turn = table.gate.turn(Deadline(table.clock, seconds), keeper=keeper, what=name)
        self.thread = threading.Thread(target=self._run, name=f"thread of {name}")

    def waits(self) -> bool:
        """Whether it is in the queue, and its thread in the clock's hands."""
        queue = (*self.table.gate._keepers, *self.table.gate._users)
        return self.turn in queue and len(self.table.clock._waiters) >= sum(
            1 for turn in queue if turn is not self.table.gate._inside and not turn._aside
        )

    def finish(self) -> None:
        """Let it end its turn and wait until it has."""
        self.go.set()
        self.thread.join(10)
        assert not self.thread.is_alive()

    def come_back(self) -> None:
        """Let it come back from aside."""
        self.step.set()

    def _run(self) -> None:
        try:
            with self.turn as turn:
                self._be_inside(turn)
        except Exception as error:  # noqa: BLE001 - looked at by the test
            self.error = error
            self.table.log.append(f"{self.name} failed")

    def _be_inside(self, turn: Turn) -> None:
        self.table.log.append(self.name)
        self.inside.set()
        if self._aside:
            assert self.ready.wait(10)
            with turn.aside():
                self.is_aside.set()
                assert self.step.wait(10)
            self.table.log.append(f"{self.name} again")
        assert self.go.wait(10)
