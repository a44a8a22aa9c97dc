"""`close()` works from everywhere, in the middle of everything, and leaves no thread, socket or timer.

What is left is looked for after every test (`conftest.py`).
"""

from __future__ import annotations

import gc
import logging
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    ClientClosedError,
    ForkError,
    InvalidArgumentError,
    LavalinkError,
    LoadFailed,
    LoadResult,
    Node,
    NodeClosedError,
    NodeConfig,
    NodeConnected,
    Status,
    Timeouts,
    TrackStartEvent,
    UnknownEvent,
)
from lavalink_sync.devnode import DevNode
from lavalink_sync.stores import MemoryStore

from .support.nodes import GUILD, USER_ID, config_for
from .support.waiting import wait_until


def in_thread(call: Callable[[], object]) -> Future[object]:
    """Run `call` in a thread of the test's own; its end is awaited by asking for the result."""
    future: Future[object] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            future.set_exception(error)

    threading.Thread(target=run, name="test-caller").start()
    return future


def our_threads() -> list[str]:
    return [
        thread.name
        for thread in threading.enumerate()
        if thread.name.startswith("lavalink-") and "devnode" not in thread.name
    ]


def test_from_the_main_thread(client: Client, node: Node, devnode: DevNode) -> None:
    client.close()
    assert node.status is Status.DISCONNECTED
    assert our_threads() == []
    wait_until(lambda: not devnode.sessions, "the server to have no session")


def test_leaving_the_with_block(devnode: DevNode) -> None:
    with Client(USER_ID) as client:
        client.add_node(config_for(devnode), timeout=10)
    assert our_threads() == []


@pytest.mark.parametrize("timeout", [float("inf"), 1e12, 10**30])
def test_with_all_the_time_there_is(
    timeout: float, make_client: Callable[..., Client], devnode: DevNode, caplog: pytest.LogCaptureFixture
) -> None:
    client = make_client(store=MemoryStore())
    node = client.add_node(config_for(devnode), timeout=timeout)
    client.player(GUILD).set_volume(5, timeout=timeout)
    node.close(timeout)
    assert node.status is Status.DISCONNECTED
    node.open(timeout)
    client.close(timeout)
    assert our_threads() == []
    assert not caplog.records


@pytest.mark.parametrize("timeout", [float("nan"), -1, True, "5"])
def test_a_time_that_is_none_is_refused_before_anything_is_closed(timeout: Any, client: Client, node: Node) -> None:
    with pytest.raises(InvalidArgumentError, match="timeout must be a number of seconds"):
        client.close(timeout)
    for close in (node.close, lambda timeout: client.remove_node(node.name, timeout=timeout)):
        with pytest.raises(InvalidArgumentError, match="timeout must be a number of seconds"):
            close(timeout)
    assert (client.nodes, node.status) == ([node], Status.CONNECTED)
    assert client.player(GUILD).update(timeout=10).volume == 100


def test_twice_and_from_two_threads_at_once(client: Client, node: Node) -> None:
    closers = [in_thread(client.close) for _ in range(4)]
    for closer in closers:
        closer.result(10)
    client.close()
    assert our_threads() == []


def test_from_a_listener(client: Client, devnode: DevNode) -> None:
    returned = threading.Event()

    @client.on(NodeConnected)
    def connected(_: None, event: NodeConnected) -> None:
        client.close()
        returned.set()

    with suppress(ClientClosedError):  # the listener may be faster than the way back from here
        client.add_node(config_for(devnode), wait=False)
    assert returned.wait(10), "close() from a listener starts the closing and returns"
    client.close()
    assert our_threads() == []


def test_from_a_listener_it_does_not_wait_for_the_other_listeners(client: Client, node: Node, devnode: DevNode) -> None:
    stuck, returned = threading.Event(), threading.Event()

    @client.on(UnknownEvent)
    def listen(player: object, event: UnknownEvent) -> None:
        if event.guild_id == 1:
            stuck.set()
            returned.wait(30)
        else:
            client.close()
            returned.set()

    devnode.send_raw('{"op":"event","type":"Made","guildId":"1"}')
    assert stuck.wait(10)
    devnode.send_raw('{"op":"event","type":"Made","guildId":"2"}')
    assert returned.wait(5), "close() waited for a listener that waits for it"
    client.close()
    assert our_threads() == []


def test_from_a_load_handler(client: Client, node: Node) -> None:
    future = node.load_tracks("/music/sine5.mp3", lambda result: client.close())
    assert future.result(10).tracks
    client.close()
    assert our_threads() == []


def test_during_connect(client: Client, devnode: DevNode) -> None:
    devnode.mute(True)
    adding = in_thread(lambda: client.add_node(config_for(devnode)))
    wait_until(lambda: client.node("main") is not None, "the node to be registered")
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 5
    with pytest.raises((NodeClosedError, ClientClosedError)):
        adding.result(10)
    assert our_threads() == []


def test_during_backoff(client: Client, devnode: DevNode) -> None:
    devnode.refuse(503)
    patient = NodeConfig("main", devnode.address, devnode.password)
    node = client.add_node(patient, wait=False)
    wait_until(lambda: node.view.attempt >= 1 and node.last_error is not None, "a failed try")
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 1.5, "the wait before the next try ends at once"
    assert our_threads() == []


def test_during_a_rest_call(client: Client, node: Node, devnode: DevNode) -> None:
    devnode.slow("/v4/info", 60)
    asking = in_thread(node.info)
    wait_until(lambda: any(request.path == "/v4/info" for request in devnode.requests), "the request to arrive")
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 5
    with pytest.raises(ClientClosedError):
        asking.result(10)


def test_a_player_call_in_flight_and_one_behind_it_both_end(client: Client, node: Node, devnode: DevNode) -> None:
    devnode.slow("/v4/sessions", 60)
    player = client.player(GUILD)
    calls = [in_thread(lambda: player.set_volume(50)), in_thread(lambda: player.set_volume(60))]
    wait_until(lambda: any(request.method == "PATCH" for request in devnode.requests), "the request to arrive")
    client.close()
    for call in calls:
        with pytest.raises(LavalinkError):
            call.result(10)


def test_a_load_with_a_handler_in_flight_is_told_to_the_handler(client: Client, node: Node, devnode: DevNode) -> None:
    devnode.slow("/v4/loadtracks", 60)
    told: list[LoadResult] = []
    future = node.load_tracks("/music/sine5.mp3", told.append)
    wait_until(lambda: any(request.path == "/v4/loadtracks" for request in devnode.requests), "the request to arrive")
    client.close()
    result = future.result(10)
    assert isinstance(result, LoadFailed)
    assert isinstance(result.error, ClientClosedError)
    assert told == [result]


def test_waits_and_streams_end(client: Client, node: Node) -> None:
    waiting = in_thread(lambda: client.wait_for(TrackStartEvent))
    streaming = in_thread(lambda: list(client.events(TrackStartEvent)))
    with client.expect(TrackStartEvent) as expected:
        expecting = in_thread(expected.result)
    wait_until(lambda: client.is_listened_to(TrackStartEvent), "the waits to have begun")
    client.close()
    with pytest.raises(ClientClosedError):
        waiting.result(10)
    with pytest.raises(ClientClosedError):
        expecting.result(10)
    assert streaming.result(10) == []


def test_user_code_that_is_stuck_is_named_in_one_warning(
    client: Client, devnode: DevNode, caplog: pytest.LogCaptureFixture
) -> None:
    stuck, go_on = threading.Event(), threading.Event()

    @client.on(NodeConnected)
    def connected(_: None, event: NodeConnected) -> None:
        stuck.set()
        go_on.wait(30)

    client.add_node(config_for(devnode), timeout=10)
    assert stuck.wait(10)
    with caplog.at_level(logging.WARNING):
        client.close(timeout=0.2)
    go_on.set()
    warnings = [record.getMessage() for record in caplog.records if "lavalink-worker-1" in record.getMessage()]
    assert len(warnings) == 1


def test_events_that_came_before_the_close_still_reach_their_listeners(client: Client, devnode: DevNode) -> None:
    heard: list[str] = []
    begun, go_on = threading.Event(), threading.Event()

    @client.on(NodeConnected)
    def connected(_: None, event: NodeConnected) -> None:
        begun.set()
        go_on.wait(10)
        heard.append("first")

    client.add_listener(NodeConnected, lambda _, event: heard.append("second"))
    client.add_node(config_for(devnode), timeout=10)
    assert begun.wait(10)
    closing = in_thread(client.close)
    go_on.set()
    closing.result(10)
    assert heard == ["first", "second"]


def test_everything_is_refused_afterwards(client: Client, node: Node) -> None:
    player = client.player(GUILD)
    client.close()
    for call in (
        lambda: client.add_node(config_for_nothing()),
        lambda: client.player(2),
        lambda: player.pause(),
        lambda: node.info(),
        lambda: node.open(),
        lambda: node.load_tracks("x"),
        lambda: node.load_tracks("x", print),
        lambda: client.wait_for(TrackStartEvent, timeout=1),
    ):
        with pytest.raises(ClientClosedError):
            call()


def config_for_nothing() -> NodeConfig:
    return NodeConfig("other", "127.0.0.1:1", "password")


def test_resuming_is_switched_off_first_unless_the_sessions_are_kept(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    for keep in (False, True):
        client = make_client()
        node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
        session_id = node.session_id
        assert session_id is not None
        client.close(keep_sessions=keep)
        wait_until(lambda: not devnode.sessions, "the socket to be gone")
        with make_client() as other:
            again = other.add_node(config_for(devnode, session_id=session_id.reveal()), timeout=10)
            assert (again.session_id == session_id) is keep
        wait_until(lambda: not devnode.sessions, "the socket to be gone")


def test_closing_takes_its_deadline_and_no_longer_when_the_server_does_not_answer(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client = make_client(timeouts=Timeouts(close=1))
    client.add_node(config_for(devnode, resume_timeout=60, timeouts=Timeouts(close=1)), timeout=10)
    devnode.mute(True)
    began = time.monotonic()
    client.close()
    assert time.monotonic() - began < 4


def test_a_users_executor_is_left_running(make_client: Callable[..., Client], devnode: DevNode) -> None:
    with ThreadPoolExecutor(2, thread_name_prefix="mine") as executor:
        client = make_client(executor=executor)
        names: list[str] = []
        client.add_listener(NodeConnected, lambda _, event: names.append(threading.current_thread().name))
        client.add_node(config_for(devnode), timeout=10)
        wait_until(lambda: names, "the listener")
        client.close()
        assert names[0].startswith("mine")
        assert executor.submit(lambda: 5).result(10) == 5


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_process_is_told_and_the_parent_is_not_harmed(client: Client, node: Node) -> None:
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        for call in (lambda: client.player(1), node.version, node.open, lambda: node.load_tracks("x")):
            try:
                call()
            except ForkError:
                os.write(write, b"t")
        node.close()
        client.close()
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(read, 10)
    os.close(read)
    os.close(write)
    assert told == b"tttt"
    assert node.version() == "4.2.2"
    assert node.status is Status.CONNECTED


def test_a_client_that_is_forgotten_ends_its_threads(devnode: DevNode) -> None:
    def use_and_forget() -> None:
        client = Client(USER_ID)
        client.add_node(config_for(devnode), timeout=10).load_tracks("/music/sine5.mp3", print).result(10)

    use_and_forget()
    gc.collect()
    wait_until(lambda: not our_threads(), "the threads to end")
