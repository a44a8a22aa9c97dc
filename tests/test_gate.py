"""Whose turn it is at a guild's gate: order, deadlines, stepping aside, closing. Real threads, time moved by hand."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from lavalink_sync.errors import ClientClosedError, RequestTimeoutError, WouldDeadlockError
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.gate import GuildGate

from .support.callers import Table
from .support.clock import ManualClock
from .support.waiting import wait_until


@pytest.fixture
def table() -> Iterator[Table]:
    table = Table()
    yield table
    table.leave()


def test_first_come_first_served(table: Table) -> None:
    first = table.come("first", waits=False)
    others = [table.come(f"user {n}") for n in range(4)]
    for caller in [first, *others]:
        assert caller.inside.wait(10)
        caller.finish()
    assert table.log == ["first", "user 0", "user 1", "user 2", "user 3"]


def test_keepers_go_before_users_who_came_earlier(table: Table) -> None:
    first = table.come("first", waits=False)
    callers = [table.come("user"), table.come("keeper 1", keeper=True), table.come("keeper 2", keeper=True)]
    first.finish()
    for caller in (callers[1], callers[2], callers[0]):
        assert caller.inside.wait(10)
        caller.finish()
    assert table.log == ["first", "keeper 1", "keeper 2", "user"]


def test_a_free_gate_is_taken_at_once_and_then_idle(table: Table) -> None:
    idle = [table.gate.idle]
    with table.gate.turn(Deadline(table.clock, 0.001)):
        idle.append(table.gate.idle)
    assert [*idle, table.gate.idle] == [True, False, True]


def test_at_the_deadline_the_error_names_who_is_in_front(table: Table) -> None:
    table.come("a rebuild", waits=False, keeper=True)
    late = table.come("seek", seconds=5)
    table.clock.advance(5)
    late.thread.join(10)
    assert isinstance(late.error, RequestTimeoutError)
    assert str(late.error) == (
        "seek did not get its turn in time: a rebuild (thread thread of a rebuild) was not done yet"
    )
    assert late.error.retryable


def test_at_the_deadline_the_error_names_who_is_aside_in_front(table: Table) -> None:
    waiting = table.come("play", waits=False, aside=True)
    assert waiting.is_aside.wait(10)
    late = table.come("seek", seconds=5)
    table.clock.advance(5)
    late.thread.join(10)
    assert str(late.error).endswith("play (thread thread of play) waits in front of it")


def test_a_late_waiter_is_passed_over_even_before_its_thread_has_noticed(table: Table) -> None:
    first = table.come("first", waits=False)
    late = table.come("late", seconds=5)
    patient = table.come("patient", seconds=50)
    # The time comes without anybody waking, as it does between a deadline and the moment that its thread runs.
    table.clock._now += 6
    first.finish()
    assert patient.inside.wait(10)
    table.clock.advance(0)
    late.thread.join(10)
    assert isinstance(late.error, RequestTimeoutError)
    assert "late" not in table.log


def test_late_keepers_do_not_hold_up_users(table: Table) -> None:
    first = table.come("first", waits=False)
    table.come("late keeper", seconds=5, keeper=True)
    patient = table.come("patient", seconds=50)
    table.clock._now += 6
    first.finish()
    assert patient.inside.wait(10)
    table.clock.advance(0)


def test_a_deadline_that_has_passed_gets_nobody_in(table: Table) -> None:
    with pytest.raises(RequestTimeoutError, match="its deadline had passed before"):
        table.gate.turn(Deadline(table.clock, 0)).__enter__()
    assert table.gate.idle


def test_who_gives_up_in_the_middle_of_the_queue_leaves_the_order_as_it_is(table: Table) -> None:
    first = table.come("first", waits=False)
    callers = [table.come("a"), table.come("b", seconds=5), table.come("c")]
    table.clock.advance(5)
    callers[1].thread.join(10)
    for caller in (first, callers[0], callers[2]):
        assert caller.inside.wait(10)
        caller.finish()
    assert table.log == ["first", "b failed", "a", "c"]


def test_aside_lets_keepers_in_but_no_later_users_and_then_goes_on_first(table: Table) -> None:
    waiting = table.come("waiting", waits=False, aside=True)
    assert waiting.is_aside.wait(10)
    user = table.come("later user")
    keeper = table.come("keeper", waits=False, keeper=True)
    waiting.come_back()
    table.clock.waiting(2)  # it wants in again, and waits for the keeper
    keeper.finish()
    wait_until(lambda: "waiting again" in table.log, "the one who was aside is inside again")
    assert not user.inside.is_set()
    waiting.finish()
    assert user.inside.wait(10)
    assert table.log == ["waiting", "keeper", "waiting again", "later user"]


def test_stepping_aside_lets_a_keeper_in_who_waits_already(table: Table) -> None:
    waiting = table.come("waiting", waits=False, aside=True, ready=False)
    keeper = table.come("keeper", keeper=True)
    waiting.ready.set()
    assert keeper.inside.wait(10)
    assert waiting.is_aside.is_set()


def test_keepers_go_before_one_who_comes_back_from_aside(table: Table) -> None:
    waiting = table.come("waiting", waits=False, aside=True)
    assert waiting.is_aside.wait(10)
    first = table.come("keeper 1", waits=False, keeper=True)
    waiting.come_back()
    table.clock.waiting(1)
    second = table.come("keeper 2", keeper=True)
    first.finish()
    assert second.inside.wait(10)
    second.finish()
    wait_until(lambda: "waiting again" in table.log, "the one who was aside is inside again")
    assert table.log == ["waiting", "keeper 1", "keeper 2", "waiting again"]


def test_a_keeper_who_is_aside_keeps_users_out_and_lets_keepers_in(table: Table) -> None:
    rebuild = table.come("rebuild", waits=False, keeper=True, aside=True)
    assert rebuild.is_aside.wait(10)
    user = table.come("user")
    voice = table.come("voice", waits=False, keeper=True)
    voice.finish()
    assert not user.inside.is_set()
    rebuild.come_back()
    wait_until(lambda: "rebuild again" in table.log, "the rebuild goes on")
    rebuild.finish()
    assert user.inside.wait(10)


def test_two_who_step_aside_come_back_in_their_first_order(table: Table) -> None:
    one = table.come("one", waits=False, aside=True)
    assert one.is_aside.wait(10)
    two = table.come("two", aside=True)
    one.come_back()
    wait_until(lambda: "one again" in table.log, "one is back")
    one.finish()
    assert two.is_aside.wait(10)
    two.come_back()
    wait_until(lambda: "two again" in table.log, "two is back")
    assert table.log == ["one", "one again", "two", "two again"]


def test_whose_deadline_passes_aside_is_not_let_in_again(table: Table) -> None:
    waiting = table.come("waiting", seconds=5, waits=False, aside=True)
    assert waiting.is_aside.wait(10)
    user = table.come("user", seconds=50)
    table.clock.advance(6)
    waiting.come_back()
    waiting.thread.join(10)
    assert isinstance(waiting.error, RequestTimeoutError)
    assert user.inside.wait(10)


def test_an_error_in_the_aside_block_passes_through_and_frees_the_place(table: Table) -> None:
    with (
        pytest.raises(KeyError),
        table.gate.turn(Deadline(table.clock, 5)) as turn,
        turn.aside(),
    ):
        raise KeyError
    assert table.gate.idle


def test_who_may_not_wait_gets_in_only_where_nobody_is(table: Table) -> None:
    inside = table.come("inside", waits=False)
    with table.gate.if_free("a look") as free:
        assert not free
    assert table.gate.busy, "who was there first still is"
    inside.finish()
    with table.gate.if_free("a look") as free:
        assert free
        later = table.come("later")
    assert later.inside.wait(10)
    later.finish()
    aside = table.come("aside", waits=False, aside=True)
    assert aside.is_aside.wait(10)
    with table.gate.if_free("a look") as free:
        assert free, "who is aside is not inside"
    table.gate.close(lambda: ClientClosedError("closed"))
    with table.gate.if_free("a look") as free:
        assert not free


def test_a_thread_that_would_wait_for_itself_is_told_so(table: Table) -> None:
    def take(*, keeper: bool) -> None:
        with table.gate.turn(Deadline(table.clock, 5), keeper=keeper, what="inner"):
            pass

    with table.gate.turn(Deadline(table.clock, 5), what="outer") as turn:
        for keeper in (False, True):
            with pytest.raises(WouldDeadlockError, match="inner can't wait for outer"):
                take(keeper=keeper)
        with turn.aside():
            with pytest.raises(WouldDeadlockError):
                take(keeper=False)
            take(keeper=True)
    assert table.gate.idle


def test_closing_ends_everybody_who_waits_is_aside_or_comes_later(table: Table) -> None:
    aside = table.come("aside", waits=False, aside=True)
    assert aside.is_aside.wait(10)
    inside = table.come("inside", waits=False, keeper=True)
    waiting = [table.come("user"), table.come("keeper", keeper=True)]
    table.gate.close(lambda: ClientClosedError("closed"))
    for caller in waiting:
        caller.thread.join(10)
        assert isinstance(caller.error, ClientClosedError)
    aside.come_back()
    aside.thread.join(10)
    assert isinstance(aside.error, ClientClosedError)
    with pytest.raises(ClientClosedError), table.gate.turn(Deadline(table.clock, 5)):
        raise AssertionError("unreachable")
    assert inside.thread.is_alive()  # who is inside may finish
    inside.finish()
    assert inside.error is None
    with pytest.raises(ClientClosedError), table.gate.turn(Deadline(table.clock, 5)):
        raise AssertionError("unreachable")


class InterruptedClock(ManualClock):
    """A clock whose waits are ended by Ctrl-C."""

    def wait(self, condition: threading.Condition, deadline: float | None) -> None:
        raise KeyboardInterrupt


def test_who_is_interrupted_while_waiting_is_out_of_the_queue(table: Table) -> None:
    first = table.come("first", waits=False)
    table.gate._clock = InterruptedClock()
    with pytest.raises(KeyboardInterrupt), table.gate.turn(Deadline(table.clock, 5)):
        raise AssertionError("unreachable")
    table.gate._clock = table.clock
    first.finish()
    assert table.gate.idle


class InterruptedLock:
    """A lock at whose first release Ctrl-C comes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pressed = False

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if not self._pressed:
            self._pressed = True
            raise KeyboardInterrupt


def test_who_is_interrupted_when_inside_already_is_out_again() -> None:
    clock = ManualClock()
    gate = GuildGate(clock)
    gate._lock = InterruptedLock()  # type: ignore[assignment]  # as much of a lock as is needed here
    with pytest.raises(KeyboardInterrupt), gate.turn(Deadline(clock, 5)):
        raise AssertionError("unreachable")
    assert gate.idle
    assert not gate.busy


def test_many_threads_with_all_kinds_of_turns_never_meet_inside() -> None:
    """Chance decides what each does; nobody may be inside together, be lost, or be left."""
    clock = SystemClock()
    gate = GuildGate(clock)
    inside: list[str] = []
    done: list[str] = []
    problems: list[str] = []

    @contextmanager
    def alone(name: str) -> Iterator[None]:
        inside.append(name)
        if inside != [name]:
            problems.append(f"{inside} are inside together")
        yield
        inside.remove(name)

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for number in range(40):
            name = f"{seed}.{number}"
            try:
                with gate.turn(Deadline(clock, chance.choice([0.0005, 10, 10])), keeper=chance.random() < 0.3) as turn:
                    with alone(name):
                        pass
                    if chance.random() < 0.3:
                        with turn.aside():
                            pass
                        with alone(name):
                            pass
            except RequestTimeoutError:
                pass
            done.append(name)

    run_all([lambda seed=seed: work(seed) for seed in range(8)])  # type: ignore[misc]
    assert problems == []
    assert len(done) == 320
    assert gate.idle


def run_all(jobs: list[Callable[[], None]]) -> None:
    threads = [threading.Thread(target=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
