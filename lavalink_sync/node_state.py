"""What is known of a node, behind one `Condition`: status, session, stats, last error, attempt.

All of it is one frozen `NodeView` that is swapped whole, so reading needs no lock and is never half new. Each `open`
begins a generation; a write that names an older one is dropped, so a thread that outlived its `close` changes nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .config import NodeConfig
from .core.status import Status, check
from .errors import LavalinkError
from .models import Info, SessionUpdate, Stats
from .secret import Secret
from .transport.clock import Clock, Deadline
from .transport.locks import new_condition
from .transport.waker import Waker

# The server's own, in seconds, where a session's timeout was never set.
_SESSION_TIMEOUT = 60
# How many seconds after a passing fault a thing is tried again where nothing tells that its time has come.
RETRY_PAUSE = 1.0


@dataclass(frozen=True)
class Run:
    """One generation's thread and the waker that ends its waits."""

    generation: int
    thread: threading.Thread
    waker: Waker


@dataclass(frozen=True)
class NodeView:
    """A node at one moment.

    `attempt` counts the tries of the present outage, `readies` the times the node became CONNECTED in all.
    `info` is what the server of the present session said it can do. `lost_session` is a session that a REST answer said
    is gone while its socket was still open. `closing` is how long the one who closed it waits. `draining`: its players
    are leaving, and it gets no new ones.
    """

    status: Status = Status.DISCONNECTED
    generation: int = 0
    session_id: Secret | None = None
    resuming: SessionUpdate | None = None
    stats: Stats | None = None
    info: Info | None = None
    last_error: LavalinkError | None = None
    attempt: int = 0
    readies: int = 0
    lost_session: Secret | None = None
    draining: bool = False
    closing: Deadline | None = field(default=None, repr=False)
    run: Run | None = field(default=None, repr=False)

    @property
    def settled(self) -> bool:
        """Whether there is nothing to wait for: it is CONNECTED, or DISCONNECTED for good."""
        return self.status in (Status.CONNECTED, Status.DISCONNECTED)

    @property
    def takes_players(self) -> bool:
        """Whether players may be brought here, and those that are here may stay."""
        return self.status is Status.CONNECTED and not self.draining

    @property
    def can_resume(self) -> bool:
        """Whether the server keeps the session when its connection is lost."""
        return self.resuming is not None and self.resuming.resuming is True

    @property
    def resume_timeout(self) -> int:
        """For how many seconds it does that."""
        asked = None if self.resuming is None else self.resuming.timeout
        return max(asked, 0) if isinstance(asked, int) else _SESSION_TIMEOUT

    @property
    def gave_up(self) -> bool:
        """Whether it is DISCONNECTED because its tries ended, and not because somebody closed it."""
        return self.status is Status.DISCONNECTED and self.run is not None and self.run.generation == self.generation


class NodeState:
    """The one place where a node's fields change. Every method may be called by any thread."""

    def __init__(self, config: NodeConfig, clock: Clock) -> None:
        self._clock = clock
        timeout = config.resume_timeout
        # Guards the swap of `_view`, and tells of it.
        self._changed = new_condition()
        self._view = NodeView(
            session_id=None if config.session_id is None else Secret(config.session_id),
            resuming=None if timeout is None else SessionUpdate(resuming=True, timeout=timeout),
        )
        self._abandoned = False

    @property
    def view(self) -> NodeView:
        """The present state, whole. Takes no lock."""
        return self._view

    def is_over(self, generation: int) -> bool:
        """Whether the thread of `generation` is to end: the node was closed, or nobody holds it any more."""
        return self._view.generation != generation or self._abandoned

    def is_overtaken(self, generation: int) -> bool:
        """Whether the node was opened again since: the end of `generation` is no end of the node."""
        run = self._view.run
        return run is not None and run.generation != generation

    @property
    def is_abandoned(self) -> bool:
        """Whether the node was collected without a `close`."""
        return self._abandoned

    def abandon(self) -> None:
        """The node was collected: end its thread. Takes no lock of ours, because a collection may run under any."""
        self._abandoned = True
        run = self._view.run
        if run is not None:
            run.waker.wake()

    def begin(self, make_run: Callable[[int], Run]) -> Run | None:
        """Open: DISCONNECTED becomes CONNECTING in a new generation. `None` when the node is open already.

        `make_run` gets the generation and makes the thread, which the caller starts.
        """
        with self._changed:
            view = self._view
            if view.status is not Status.DISCONNECTED:
                return None
            run = make_run(view.generation + 1)
            self._swap_locked(
                status=Status.CONNECTING,
                generation=view.generation + 1,
                attempt=0,
                last_error=None,
                stats=None,
                draining=False,
                run=run,
            )
            return run

    def end(self, generation: int | None = None, *, closing: Deadline | None = None) -> Run | None:
        """Close: DISCONNECTED, and what the generation that ran still writes is dropped. Returns its run, if any.

        With `generation`, only that one is ended; nothing happens when it is no longer the present one.
        """
        with self._changed:
            view = self._view
            if generation is not None and generation != view.generation:
                return None
            self._swap_locked(status=Status.DISCONNECTED, generation=view.generation + 1, attempt=0, closing=closing)
            return view.run

    def write(self, generation: int, **changes: Any) -> bool:
        """Change fields on behalf of `generation`; False, and nothing changes, when that is not the present one."""
        with self._changed:
            if self._view.generation != generation:
                return False
            self._swap_locked(**changes)
            return True

    def keep_info(self, info: Info) -> None:
        """Keep what the server says of itself, for the choice of nodes."""
        with self._changed:
            self._swap_locked(info=info)

    def want_resuming(self, resuming: SessionUpdate) -> None:
        """Keep what a user asked of the session, so that the next session is asked the same."""
        with self._changed:
            self._swap_locked(resuming=resuming)

    def drain(self) -> None:
        """From now on it gets no new players, until it is opened anew."""
        with self._changed:
            self._swap_locked(draining=True)

    def session_is_lost(self, session_id: Secret | None) -> None:
        """A REST answer said that `session_id` is gone: if it is the present one, the node's thread makes a new one."""
        with self._changed:
            view = self._view
            if session_id is None or session_id != view.session_id or view.status is not Status.CONNECTED:
                return
            self._swap_locked(lost_session=session_id)
        if view.run is not None:
            view.run.waker.wake()

    def wait(self, ready: Callable[[NodeView], bool], deadline: Deadline) -> NodeView:
        """Block until `ready(view)` holds or the deadline has come; return the view either way."""
        with self._changed:
            while not ready(self._view) and not deadline.expired:
                self._clock.wait(self._changed, deadline.at)
            return self._view

    def wait_for_news(self, seen: NodeView, deadline: Deadline) -> None:
        """A call met an outage that `seen` had not noticed: wait until the node has, was made ready anew, or a moment.

        That moment is `RETRY_PAUSE`, or what is left until the deadline.
        """
        self.wait(
            lambda view: view.readies != seen.readies or view.status is not Status.CONNECTED,
            deadline.at_most(RETRY_PAUSE),
        )

    def _swap_locked(self, **changes: Any) -> None:
        if "status" in changes:
            check(self._view.status, changes["status"])
        # Not `dataclasses.replace`, which takes half as long again.
        self._view = NodeView(**{**vars(self._view), **changes})
        if "status" in changes:
            # What is waited for (`readies`, `generation`) changes with it. Others would be woken for nothing.
            self._changed.notify_all()
