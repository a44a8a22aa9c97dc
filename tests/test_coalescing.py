"""Several changes within a few milliseconds are one PATCH, and no caller can tell it from calls of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any

import pytest

from lavalink_sync import (
    BadRequestError,
    Client,
    ClientClosedError,
    ConfigError,
    ConnectError,
    Filters,
    InvalidArgumentError,
    LavalinkError,
    OutcomeUnknownError,
    Player,
    PlayerUpdate,
    RequestTimeoutError,
    SessionNotFoundError,
    Status,
    Timescale,
)
from lavalink_sync.coalescing import Coalescer
from lavalink_sync.devnode import DevNode
from lavalink_sync.transport.clock import Deadline
from lavalink_sync.transport.gate import GuildGate, Turn

from .support.clock import ManualClock
from .support.nodes import GUILD, PATIENT, config_for
from .support.waiting import wait_until

FLAC = "/music/flac12.flac"
WINDOW = 0.005


class Call:
    """A call in a thread of its own, and what came of it."""

    def __init__(self, function: Callable[..., Any], *args: Any, **options: Any) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._work = partial(function, *args, **options)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.result = self._work()
        except BaseException as error:  # noqa: BLE001 - looked at by the test
            self.error = error

    def end(self) -> Call:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self


class Stage:
    """A client that coalesces, with time that is moved by hand, and one player of it."""

    def __init__(self, client: Client, clock: ManualClock, devnode: DevNode) -> None:
        self.client = client
        self.clock = clock
        self.devnode = devnode
        self.node = client.add_node(config_for(devnode), timeout=10)
        self.player = client.player(GUILD)

    def join(self, function: Callable[..., Any], *args: Any, **options: Any) -> Call:
        """Start a call, and return once it has joined the others."""
        before = joined(self.player)
        call = Call(function, *args, **options)
        wait_until(lambda: joined(self.player) == before + 1, "the call to join")
        # The first of them waits for the window, the others for their turn.
        self.clock.waiting(1, due_in=WINDOW)
        if before:
            self.clock.waiting(before, due_in=options.get("timeout", PATIENT.call))
        return call

    def pass_window(self) -> None:
        self.clock.waiting(1, due_in=WINDOW)
        self.clock.advance(WINDOW)

    def bodies(self, guild_id: int = GUILD) -> list[Any]:
        return bodies(self.devnode, guild_id)


def bodies(devnode: DevNode, guild_id: int = GUILD) -> list[Any]:
    return [r.body for r in devnode.requests if r.method == "PATCH" and r.path.endswith(f"/players/{guild_id}")]


def joined(player: Player) -> int:
    assert player._coalescer is not None
    group = player._coalescer._open
    return 0 if group is None else len(group.changes)


@pytest.fixture
def stage(make_client: Callable[..., Client], devnode: DevNode) -> Stage:
    clock = ManualClock()
    return Stage(make_client(clock=clock, coalesce=WINDOW), clock, devnode)


def test_ten_volumes_from_ten_threads_are_one_call_and_the_last_one_counts(stage: Stage) -> None:
    calls = [stage.join(stage.player.set_volume, percent) for percent in range(1, 11)]
    assert stage.bodies() == []
    stage.pass_window()
    assert [call.end().result.volume for call in calls] == [10] * 10
    assert stage.bodies() == [{"volume": 10}]
    assert stage.node.rest.player(GUILD).volume == 10


def test_with_the_systems_time_ten_threads_at_once_need_few_calls(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(coalesce=0.1)
    node = client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    start = threading.Barrier(10)

    def change(percent: int) -> int:
        start.wait(10)
        return player.set_volume(percent).volume

    calls = [Call(change, percent) for percent in range(1, 11)]
    answers = {call.end().result for call in calls}
    sent = [body["volume"] for body in bodies(devnode)]
    assert len(sent) <= 3
    assert answers == set(sent)
    assert node.rest.player(GUILD).volume == player.volume == sent[-1]


def test_changes_of_several_kinds_are_one_call(stage: Stage) -> None:
    track = stage.node.load_tracks(FLAC).tracks[0]
    stage.player.play(track)
    slow = Filters(timescale=Timescale(speed=0.5))
    calls = [
        stage.join(stage.player.set_volume, 30),
        stage.join(stage.player.seek, 4000),
        stage.join(stage.player.set_filters, slow),
        stage.join(stage.player.update, volume=40, position=5000),
    ]
    stage.pass_window()
    for call in calls:
        assert (call.end().result.volume, call.result.filters) == (40, slow)
    [body] = stage.bodies()[1:]
    assert (body["volume"], body["position"], list(body["filters"])) == (40, 5000, ["timescale"])
    assert sorted(body) == ["filters", "position", "volume"]


@pytest.mark.parametrize("what", ["play", "stop", "pause", "volume and pause", "no_replace"])
def test_another_call_ends_the_waiting_and_keeps_its_place(stage: Stage, what: str) -> None:
    player, track = stage.player, stage.node.load_tracks(FLAC).tracks[0]
    calls: dict[str, tuple[Callable[[], object], list[str]]] = {
        "play": (lambda: player.play(track), ["track"]),
        "stop": (player.stop, ["track"]),
        "pause": (player.pause, ["paused"]),
        "volume and pause": (lambda: player.update(volume=15, paused=True), ["paused", "volume"]),
        "no_replace": (lambda: player.update(volume=15, no_replace=True), ["volume"]),
    }
    call, names = calls[what]
    first = stage.join(player.set_volume, 10)
    joins_first = stage.join(player.set_volume, 11)
    # No time passes, and yet they go out, the other call behind them.
    stage.devnode.slow("/v4/sessions", 0.1, times=1)
    other = Call(call)
    wait_until(lambda: joined(player) == 0, "the end of the group")
    # Of those that wait for their turn: the second of the first group, and the other call.
    stage.clock.waiting(2, due_in=PATIENT.call)
    late = Call(player.set_volume, 20)
    for each in (first, joins_first, other):
        assert each.end().error is None
    stage.pass_window()
    assert late.end().result.volume == 20
    assert [sorted(body) for body in stage.bodies()] == [["volume"], names, ["volume"]]
    assert [body.get("volume") for body in stage.bodies()][::2] == [11, 20]


def test_destroying_the_player_ends_the_waiting_and_comes_after(stage: Stage) -> None:
    first = stage.join(stage.player.set_volume, 10)
    stage.player.destroy()
    assert first.end().error is None
    methods = [r.method for r in stage.devnode.requests if r.path.endswith(f"/players/{GUILD}")]
    assert methods == ["PATCH", "DELETE"]


def test_an_error_reaches_every_caller(stage: Stage) -> None:
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"not these","path":"/"}'
    stage.devnode.answer("/v4/sessions", 400, body, "application/json", times=1)
    calls = [stage.join(stage.player.set_volume, percent) for percent in (1, 2, 3)]
    stage.pass_window()
    errors = [call.end().error for call in calls]
    assert all(isinstance(error, BadRequestError) and "not these" in str(error) for error in errors)
    assert len(set(map(id, errors))) == 3, "each thread raises one of its own"
    assert len(stage.bodies()) == 1
    # And nothing of it is left for the next ones.
    call = stage.join(stage.player.set_volume, 4)
    stage.pass_window()
    assert call.end().result.volume == 4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda player: player.set_volume(5000),
        lambda player: player.seek(-1),
        lambda player: player.set_filters(Filters(plugin_filters={"x": object()})),
    ],
)
def test_a_mistake_is_its_callers_alone(stage: Stage, wrong: Callable[[Player], object]) -> None:
    right = stage.join(stage.player.set_volume, 10)
    with pytest.raises(InvalidArgumentError):
        wrong(stage.player)
    stage.pass_window()
    assert right.end().result.volume == 10
    assert stage.bodies() == [{"volume": 10}]


def test_closing_the_client_ends_all_of_them(stage: Stage) -> None:
    calls = [stage.join(stage.player.set_volume, percent) for percent in (1, 2, 3)]
    stage.client.close()
    assert all(isinstance(call.end().error, ClientClosedError) for call in calls)
    assert stage.bodies() == []


# Everybody's own deadline.


def test_a_caller_whose_time_is_over_in_the_window_changes_nothing(stage: Stage) -> None:
    first = stage.join(stage.player.set_volume, 1)
    hasty = stage.join(stage.player.set_volume, 2, timeout=0.003)
    stage.clock.advance(0.003)
    assert isinstance(hasty.end().error, RequestTimeoutError)
    stage.clock.advance(0.002)
    assert first.end().result.volume == 1
    assert stage.bodies() == [{"volume": 1}]


def test_the_first_caller_waits_for_others_for_half_of_its_own_time_at_most(stage: Stage) -> None:
    hasty = Call(stage.player.set_volume, 1, timeout=0.004)
    stage.clock.waiting(1, due_in=0.002)
    others = [Call(stage.player.seek, 2000), Call(stage.player.set_volume, 3)]
    stage.clock.waiting(2, due_in=PATIENT.call)
    stage.clock.advance(0.002)
    assert [call.end().result.volume for call in (hasty, *others)] == [3, 3, 3]
    assert stage.bodies() == [{"position": 2000, "volume": 3}]


def test_a_caller_whose_time_is_over_on_the_wire_is_told_that_it_may_have_arrived(stage: Stage) -> None:
    stage.devnode.silence("/v4/sessions", times=1)
    first = stage.join(stage.player.set_volume, 1)
    hasty = stage.join(stage.player.set_volume, 2, timeout=5)
    stage.clock.advance(WINDOW)
    wait_until(lambda: stage.bodies(), "the call to be sent")
    stage.clock.waiting(1, due_in=PATIENT.read)
    stage.clock.waiting(1, due_in=5 - WINDOW)
    stage.clock.advance(5 - WINDOW)
    assert isinstance(hasty.end().error, OutcomeUnknownError)
    assert "sent together with others" in str(hasty.error)
    # The first one is not answered either: as of any call, its outcome is unknown.
    stage.clock.advance(PATIENT.read)
    assert isinstance(first.end().error, OutcomeUnknownError)


def test_where_the_sender_gives_up_on_an_answer_the_others_send_for_themselves(stage: Stage) -> None:
    stage.devnode.silence("/v4/sessions", times=1)
    hasty = Call(stage.player.set_volume, 1, timeout=3)
    stage.clock.waiting(1, due_in=WINDOW)
    patient = Call(stage.player.seek, 2000)
    stage.clock.waiting(1, due_in=PATIENT.call)
    stage.clock.advance(WINDOW)
    wait_until(lambda: stage.bodies(), "the call to be sent")
    stage.clock.waiting(1, due_in=3 - WINDOW)
    stage.clock.advance(3)
    assert isinstance(hasty.end().error, OutcomeUnknownError)
    assert patient.end().error is None
    assert stage.bodies() == [{"position": 2000, "volume": 1}, {"position": 2000}]


# Outages.


def test_a_group_waits_an_outage_out_and_arrives_once(make_client: Callable[..., Client], devnode: DevNode) -> None:
    client = make_client(coalesce=WINDOW)
    node = client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    player.set_volume(1)
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is Status.RECONNECTING, "the outage")
    calls = []
    for percent in (2, 3, 4):
        calls.append(Call(player.set_volume, percent))
        wait_until(lambda: joined(player) == len(calls), "the call to join")
    hasty = Call(player.set_volume, 99, timeout=0.05)
    assert isinstance(hasty.end().error, LavalinkError)
    assert not isinstance(hasty.error, OutcomeUnknownError), "it was not sent, and is not"
    devnode.refuse(None)
    assert [call.end().result.volume for call in calls] == [4, 4, 4]
    assert [body["volume"] for body in bodies(devnode) if sorted(body) == ["volume"]] == [1, 4]
    assert node.rest.player(GUILD).volume == 4


def test_a_session_that_is_gone_is_not_the_callers_problem(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(coalesce=0.05)
    node = client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    player.set_volume(1)
    devnode.forget_sessions()
    calls = []
    for percent in (2, 3, 4):
        calls.append(Call(player.update, volume=percent))
    assert {call.end().error for call in calls} == {None}
    assert node.rest.player(GUILD).volume == player.volume
    assert player.volume in (2, 3, 4)


def test_changes_from_many_threads_through_cuts_leave_what_the_server_has(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(coalesce=WINDOW)
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    player = client.player(GUILD)
    done: list[int] = []
    wrong: list[BaseException] = []

    def work(number: int) -> None:
        for step in range(15):
            try:
                player.set_volume(number * 15 + step)
            except OutcomeUnknownError:
                pass
            except LavalinkError as error:
                wrong.append(error)
            done.append(step)

    calls = [Call(work, number) for number in range(16)]
    for cut in range(3):
        wait_until(lambda: len(done) > 50 * (cut + 1), "some changes")  # noqa: B023 - called at once
        devnode.cut_sockets()
        wait_until(lambda: node.view.readies == cut + 2, "the node to be back")  # noqa: B023
    for call in calls:
        assert call.end().error is None
    assert not wrong
    assert len(bodies(devnode)) < 16 * 15 / 2
    wait_until(lambda: node.rest.player(GUILD).volume == player.volume, "the same volume here and there")


# Others.


def test_guilds_do_not_wait_for_each_other(stage: Stage) -> None:
    waiting = stage.join(stage.player.set_volume, 10)
    other = stage.client.player(7)
    assert other.pause().paused
    second = Call(other.set_volume, 20)
    stage.clock.waiting(2, due_in=WINDOW)
    stage.clock.advance(WINDOW)
    assert (waiting.end().result.volume, second.end().result.volume) == (10, 20)
    assert stage.bodies() == [{"volume": 10}]
    assert stage.bodies(7) == [{"paused": True}, {"volume": 20}]


def test_without_the_option_every_change_is_a_call(client: Client, devnode: DevNode) -> None:
    client.add_node(config_for(devnode), timeout=10)
    calls = [Call(client.player(GUILD).set_volume, 5) for _ in range(3)]
    assert [call.end().result.volume for call in calls] == [5, 5, 5]
    assert bodies(devnode) == [{"volume": 5}] * 3


@pytest.mark.parametrize("seconds", [0, -1, "5", True, 5, 1.01])
def test_the_window_is_a_number_of_seconds_and_short(make_client: Callable[..., Client], seconds: float) -> None:
    with pytest.raises(ConfigError, match="coalesce"):
        make_client(coalesce=seconds)


# Where it matters what was on the wire: without a client, so that each step can be held.

Sending = Callable[[], AbstractContextManager[PlayerUpdate]]


class Desk:
    """A guild's gate with callers of a coalescer, and time that is moved by hand."""

    def __init__(self, send: Callable[[Turn, Sending], str]) -> None:
        self.clock = ManualClock()
        self.gate = GuildGate(self.clock)
        self.coalescer: Coalescer[str] = Coalescer(self.clock, WINDOW)
        self._send = send

    def change(self, volume: int, *, seconds: float) -> Call:
        """Ask for a volume; returns once the caller waits for the window, or for its turn."""
        queued = len(self.gate._users)
        call = Call(self._change, volume, seconds)
        self.clock.waiting(1, due_in=seconds if queued else WINDOW)
        return call

    def _change(self, volume: int, seconds: float) -> str:
        deadline = Deadline(self.clock, seconds)
        return self.coalescer.send(PlayerUpdate(volume=volume), self.gate.turn(deadline), deadline, self._send)


def test_a_caller_that_is_interrupted_leaves_the_sending_to_the_others() -> None:
    sent: list[PlayerUpdate] = []

    def send(turn: Turn, sending: Sending) -> str:
        with sending() as update:
            sent.append(update)
            if len(sent) == 1:
                raise KeyboardInterrupt
        return "answer"

    desk = Desk(send)
    interrupted, other = desk.change(1, seconds=20), desk.change(2, seconds=30)
    desk.clock.advance(WINDOW)
    assert isinstance(interrupted.end().error, KeyboardInterrupt)
    assert other.end().result == "answer"
    assert sent == [PlayerUpdate(volume=2), PlayerUpdate(volume=2)]
    assert desk.gate.idle


def test_what_was_sent_in_vain_counts_as_not_sent() -> None:
    sent: list[PlayerUpdate] = []
    outage, over = threading.Event(), threading.Event()

    def send(turn: Turn, sending: Sending) -> str:
        with suppress(SessionNotFoundError), sending():
            raise SessionNotFoundError("gone")
        with turn.aside():
            outage.set()
            over.wait(10)
        with sending() as update:
            sent.append(update)
        return "answer"

    desk = Desk(send)
    first, hasty = desk.change(1, seconds=20), desk.change(2, seconds=10)
    desk.clock.advance(WINDOW)
    assert outage.wait(10)
    desk.clock.advance(10)
    assert isinstance(hasty.end().error, RequestTimeoutError), "it has not arrived, and never will"
    over.set()
    assert first.end().result == "answer"
    assert sent == [PlayerUpdate(volume=1)]


def test_what_was_sent_and_not_answered_may_have_arrived_whatever_becomes_of_a_second_try() -> None:
    tries: list[PlayerUpdate] = []
    on_the_wire, given_up, outage, over = (threading.Event() for _ in range(4))

    def send(turn: Turn, sending: Sending) -> str:
        with suppress(ConnectError), sending() as update:
            tries.append(update)
            if len(tries) == 1:
                on_the_wire.set()
                given_up.wait(10)
                raise OutcomeUnknownError("no answer")
            raise ConnectError("refused")
        with turn.aside():
            outage.set()
            over.wait(10)
        return "too late"

    desk = Desk(send)
    first, other = desk.change(1, seconds=10), desk.change(2, seconds=20)
    desk.clock.advance(WINDOW)
    assert on_the_wire.wait(10)
    desk.clock.advance(10)
    given_up.set()
    assert isinstance(first.end().error, OutcomeUnknownError)
    assert outage.wait(10)
    desk.clock.advance(10)
    over.set()
    assert isinstance(other.end().error, OutcomeUnknownError)
    assert tries == [PlayerUpdate(volume=2), PlayerUpdate(volume=2)]
