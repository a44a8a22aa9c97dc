"""What a node asks of its session beside its players: to be kept through an outage, and for how long."""

from __future__ import annotations

from contextlib import suppress

from .config import NodeConfig
from .core.status import Status
from .errors import LavalinkError, NodeNotReadyError, SessionNotFoundError
from .models import Session, SessionUpdate
from .node_state import NodeState
from .rest import RestClient
from .transport.clock import Deadline


def update_session(
    config: NodeConfig, state: NodeState, rest: RestClient, asked: SessionUpdate, deadline: Deadline
) -> Session:
    """Change the session once the node is CONNECTED; an outage is waited for. What is set is asked of the next, too."""
    error: SessionNotFoundError | None = None
    while True:
        view = state.wait(lambda view: view.settled, deadline)
        if view.status is not Status.CONNECTED or (error is not None and deadline.expired):
            raise NodeNotReadyError(
                f"node {config.name} is {view.status.value}: its session could not be changed "
                f"({view.last_error or error or 'no error so far'}); try again later"
            ) from error
        try:
            session = rest.update_session(asked, session_id=view.session_id, timeout=deadline.remaining())
        except SessionNotFoundError as caught:
            error = caught
            state.session_is_lost(view.session_id)
            state.wait_for_news(view, deadline)
            continue
        if asked != SessionUpdate():
            state.want_resuming(SessionUpdate(resuming=session.resuming, timeout=session.timeout))
        return session


def switch_resuming_off(config: NodeConfig, state: NodeState, rest: RestClient, deadline: Deadline) -> None:
    """Tell a connected server not to keep the session; a failure is no reason not to close."""
    view = state.view
    if view.status is not Status.CONNECTED or not view.can_resume:
        return
    remaining = deadline.remaining()
    patience = config.timeouts.read if remaining is None else max(remaining / 2, 0.001)
    with suppress(LavalinkError):  # out of reach: then the session ends by its own timeout
        rest.update_session(SessionUpdate(resuming=False), session_id=view.session_id, timeout=patience)
