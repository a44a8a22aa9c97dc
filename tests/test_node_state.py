"""A node's fields: one table of moves, one writer, and what an older generation still writes is dropped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from lavalink_sync.config import NodeConfig
from lavalink_sync.core.status import Status
from lavalink_sync.node_state import NodeState, NodeView, Run
from lavalink_sync.secret import Secret
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.waker import Waker

from .support.clock import ManualClock


class Runs:
    """Makes runs whose threads never start, and closes their wakers."""

    def __init__(self) -> None:
        self.made: list[tuple[int, Run]] = []

    def __call__(self, generation: int) -> Run:
        run = Run(generation, threading.Thread(target=lambda: None), Waker())
        self.made.append((generation, run))
        return run


@pytest.fixture
def runs() -> Iterator[Runs]:
    runs = Runs()
    yield runs
    for _, run in runs.made:
        run.waker.close()


def new_state(**config: object) -> NodeState:
    return NodeState(NodeConfig("main", "localhost:2333", "password", **config), SystemClock())  # type: ignore[arg-type]  # any of them


def test_opening_begins_a_generation_and_opening_again_does_not(runs: Runs) -> None:
    state = new_state()
    assert state.begin(runs) is runs.made[0][1]
    assert state.begin(runs) is None
    assert [generation for generation, _ in runs.made] == [1]
    assert state.view.status is Status.CONNECTING


def test_what_an_older_generation_writes_is_dropped(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    assert state.write(1, attempt=3)
    state.end()
    assert not state.write(1, status=Status.CONNECTED)
    assert state.view.status is Status.DISCONNECTED
    state.begin(runs)
    assert not state.write(1, attempt=9)
    assert state.view.attempt == 0


def test_a_move_that_is_not_in_the_table_changes_nothing(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    before = state.view
    with pytest.raises(ValueError, match="RECONNECTING"):
        state.write(1, status=Status.RECONNECTING, attempt=7)
    assert state.view == before


def test_a_field_that_there_is_not_is_refused(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    with pytest.raises(TypeError, match="atempt"):
        state.write(1, atempt=1)


def test_a_generation_is_overtaken_by_the_next_opening_and_not_by_its_own_end(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    state.end()
    state.end()
    assert not state.is_overtaken(1)
    state.begin(runs)
    assert state.is_overtaken(1)


def test_ending_one_generation_leaves_a_newer_one_alone(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    state.end()
    state.begin(runs)
    generation = state.view.generation
    assert state.end(generation - 2) is None
    assert state.view.status is Status.CONNECTING
    assert state.end(generation) is not None


def test_the_session_of_the_config_is_the_first_to_resume() -> None:
    state = new_state(session_id="abcdef", resume_timeout=60)
    assert state.view.session_id == "abcdef"
    assert state.view.resuming is not None
    assert (state.view.resuming.resuming, state.view.resuming.timeout) == (True, 60)


def test_a_wait_ends_when_the_state_is_as_wanted(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    seen: list[NodeView] = []
    deadline = Deadline(SystemClock(), 10)
    waiter = threading.Thread(
        target=lambda: seen.append(state.wait(lambda view: view.status is Status.CONNECTED, deadline))
    )
    waiter.start()
    state.write(1, attempt=1)
    state.write(1, status=Status.CONNECTED)
    waiter.join(10)
    assert [view.status for view in seen] == [Status.CONNECTED]


def test_a_wait_gives_the_view_as_it_is_at_the_deadline(clock: ManualClock) -> None:
    state = NodeState(NodeConfig("main", "localhost:2333", "password"), clock)
    seen: list[NodeView] = []
    waiter = threading.Thread(target=lambda: seen.append(state.wait(lambda view: False, Deadline(clock, 5))))
    waiter.start()
    clock.waiting(1)
    clock.advance(5)
    waiter.join(10)
    assert seen == [state.view]


def test_a_lost_session_is_noted_once_and_wakes_the_thread(runs: Runs) -> None:
    state = new_state()
    state.begin(runs)
    state.write(1, session_id=Secret("one"))
    state.session_is_lost(Secret("one"))
    assert state.view.lost_session is None, "while it is not connected there is nothing to lose"
    state.write(1, status=Status.CONNECTED)
    state.session_is_lost(Secret("older"))
    state.session_is_lost(None)
    assert state.view.lost_session is None
    state.session_is_lost(Secret("one"))
    assert state.view.lost_session == "one"


def test_nothing_secret_is_in_its_repr(runs: Runs) -> None:
    state = new_state(session_id="very-secret-session")
    state.begin(runs)
    assert "very-secret-session" not in repr(state.view)
