"""What a message, a player and a node cost, in what can be counted: calls, system calls, bytes, threads woken.

Nothing here looks at a clock. Each test holds one thing that makes the quick way quick; figures are in
docs/performance.md. The limits leave some room over what was counted, and none for the way without the trick.
"""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from queue import SimpleQueue
from selectors import BaseSelector, SelectorKey
from types import FrameType
from typing import Any

import pytest

from lavalink_sync import (
    Client,
    Node,
    NodeConfig,
    PlayerUpdateEvent,
    TrackEndEvent,
    TrackStartEvent,
    dispatch,
    player_calls,
    rest,
)
from lavalink_sync import client as client_module
from lavalink_sync.core import playback
from lavalink_sync.core.answers import Answer
from lavalink_sync.core.snapshot import PlayerSnapshot, draft_of
from lavalink_sync.devnode import DevNode
from lavalink_sync.models import Track, codec
from lavalink_sync.transport import connection, http_pool, locks, upgrade, workers
from lavalink_sync.transport.clock import Clock, Deadline, SystemClock
from lavalink_sync.transport.connection import WebSocketConnection
from lavalink_sync.transport.dial import dial
from lavalink_sync.transport.http import HttpTransport
from lavalink_sync.transport.stream import Attempt, Stream
from lavalink_sync.transport.upgrade import Upgraded
from lavalink_sync.transport.waker import Waker
from lavalink_sync.transport.workers import KeyedExecutor

from .support.nodes import GUILD, config_for
from .support.sockets import text
from .support.waiting import wait_until

on_cpython = pytest.mark.skipif(sys.implementation.name != "cpython", reason="these counts are CPython's")

UPDATE = (
    b'{"op":"playerUpdate","guildId":"%d","state":'
    b'{"time":1700000000123,"position":60123,"connected":true,"ping":12}}' % GUILD
)
TRACK = (
    b'{"encoded":"QAAA","info":{"identifier":"dQw4w9WgXcQ","isSeekable":true,"author":"Rick Astley","length":212000,'
    b'"isStream":false,"position":0,"title":"Never Gonna Give You Up","uri":"https://example.com/watch?v=dQw4w9WgXcQ",'
    b'"artworkUrl":null,"isrc":null,"sourceName":"youtube"},"pluginInfo":{},"userData":{}}'
)
START = b'{"op":"event","type":"TrackStartEvent","guildId":"%d","track":%s}' % (GUILD, TRACK)

END = START.replace(b"TrackStartEvent", b"TrackEndEvent").replace(b"}}}", b'}},"reason":"replaced"}')


@pytest.fixture(autouse=True)
def _plain_locks(monkeypatch: pytest.MonkeyPatch, _one_lock_at_a_time: None) -> None:
    """The locks that users get: those of the other tests are larger, and cost calls."""
    monkeypatch.setattr(locks, "factory", threading.Lock)


# System calls.


class CountingSocket(socket.socket):
    """A socket that counts how often it is read."""

    reads = 0

    def recv(self, *arguments: int) -> bytes:
        self.reads += 1
        return super().recv(*arguments)


class CountingClock(SystemClock):
    """The system's clock, which counts the waits for sockets."""

    polls = 0

    def poll(self, selector: BaseSelector, waker: Waker, deadline: float | None) -> list[tuple[SelectorKey, int]]:
        self.polls += 1
        return super().poll(selector, waker, deadline)


@pytest.fixture
def line() -> Iterator[tuple[WebSocketConnection, CountingSocket, CountingClock, socket.socket]]:
    """A connection whose handshake is over, and the server's end of it."""
    here, there = socket.socketpair()
    there.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    sock, clock, waker = CountingSocket(fileno=here.detach()), CountingClock(), Waker()
    sock.setblocking(False)
    config = NodeConfig("main", "localhost:2333", "password")
    connection = WebSocketConnection(config, Stream(sock, clock, waker), Upgraded(None, b""), clock)
    with there:
        yield connection, sock, clock, there
    connection.abort()
    waker.close()


Line = tuple[WebSocketConnection, CountingSocket, CountingClock, socket.socket]


def test_a_flood_costs_one_read_in_64_kib_and_no_poll_between_full_reads(line: Line) -> None:
    connection, sock, clock, there = line
    message = text(UPDATE.decode())
    number = 3 * 65536 // len(message)
    there.sendall(message * number)
    read = len(connection.poll(clock.monotonic() + 10))
    assert read == 65536 // len(message), "all whole frames of a read come at once"
    while read < number:
        read += len(connection.poll(clock.monotonic() + 10))
    assert sock.reads <= 4
    assert clock.polls <= 2


def test_a_lone_message_costs_one_poll_and_one_read(line: Line) -> None:
    connection, sock, clock, there = line
    for number in range(1, 6):
        there.sendall(text(UPDATE.decode()))
        assert connection.poll(clock.monotonic() + 10) == [UPDATE]
        assert (sock.reads, clock.polls) == (number, number)


def test_after_a_read_of_several_frames_the_next_is_tried_without_a_poll(line: Line) -> None:
    connection, sock, clock, there = line
    there.sendall(text(UPDATE.decode()) * 3)
    assert len(connection.poll(clock.monotonic() + 10)) == 3
    there.sendall(text(UPDATE.decode()))
    assert len(connection.poll(clock.monotonic() + 10)) == 1
    assert (sock.reads, clock.polls) == (2, 1)


# Connecting.


def test_a_connect_costs_one_call_and_two_connections(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialled: list[str] = []

    def counting(config: NodeConfig, attempt: Attempt) -> Stream:
        dialled.append(config.address)
        return dial(config, attempt)

    monkeypatch.setattr(connection, "dial", counting)
    monkeypatch.setattr(http_pool, "dial", counting)
    client.add_node(config_for(devnode), timeout=10)
    assert [(request.method, request.path) for request in devnode.requests] == [
        ("GET", "/v4/websocket"),
        ("GET", "/v4/info"),
    ]
    assert dialled == [devnode.address] * 2


def test_the_answer_to_a_handshake_is_taken_by_the_line(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bytes] = []
    take = upgrade._BorrowedSocket.recv

    def counting(self: upgrade._BorrowedSocket, size: int) -> bytes:
        taken.append(take(self, size))
        return taken[-1]

    monkeypatch.setattr(upgrade._BorrowedSocket, "recv", counting)
    client.add_node(config_for(devnode), timeout=10)
    answer = b"".join(taken)
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert len(taken) <= 2 * answer.count(b"\n")


# Calls and objects a message.


def calls_of(work: Callable[[], object]) -> int:
    """How many functions written in Python `work` runs."""
    work()
    called: Counter[str] = Counter()

    def count(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            called[frame.f_code.co_name] += 1

    gc.disable()  # Hypothesis has it call a function
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
        gc.enable()
    return sum(called.values()) - 1  # `work` itself


def peak_of(work: Callable[[], object]) -> int:
    """How many bytes `work` needs at once, what it leaves included."""
    work()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        work()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.fixture
def take(client: Client, node: Node) -> Callable[..., object]:
    """What the node's thread does with frames of a read that are about the guild's player, done in this thread."""
    client.player_on_node(node, GUILD)
    loop, generation = node._loop, node.view.generation
    return lambda *frames: loop._take(generation, iter(frames))


def test_a_player_update_that_nobody_listens_to_runs_few_functions(take: Callable[..., object]) -> None:
    # A message alone, and with what a read costs: who is to get it, the time, a worker woken behind it.
    assert calls_of(lambda: take(UPDATE, UPDATE)) - calls_of(lambda: take(UPDATE)) <= 7
    assert calls_of(lambda: take(UPDATE)) <= 13


def test_an_event_that_nobody_listens_to_runs_few_functions(take: Callable[..., object]) -> None:
    assert calls_of(lambda: take(START, START)) - calls_of(lambda: take(START)) <= 8


def test_few_functions_run_around_the_request_of_an_update(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, send, answers = client.player_on_node(node, GUILD), HttpTransport.send, []

    def kept(*arguments: Any, **options: Any) -> Answer:
        answers.append(send(*arguments, **options))
        return answers[-1]

    monkeypatch.setattr(HttpTransport, "send", kept)
    player.set_volume(80)
    monkeypatch.setattr(HttpTransport, "send", lambda *_, **__: answers[-1])
    # 71 when this was written; 101 with a gate, a second deadline and a path of its own for each call.
    assert calls_of(lambda: player.set_volume(80)) <= 74


def test_an_update_makes_one_deadline_and_no_gate(client: Client, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    player = client.player_on_node(node, GUILD)
    player.set_volume(80)
    made: list[object] = []

    class Noted(Deadline):
        def __init__(self, clock: Clock, seconds: float | None) -> None:
            super().__init__(clock, seconds)
            made.append(self)

    monkeypatch.setattr(client_module, "GuildGate", lambda *_: made.append("a gate"))
    for module in (rest, player_calls):
        monkeypatch.setattr(module, "Deadline", Noted)
    player.set_volume(80)
    assert [type(each) for each in made] == [Noted]


def test_a_reply_is_taken_with_one_copy_of_the_snapshot(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = client.player_on_node(node, GUILD)
    copies: list[PlayerSnapshot] = []

    def copied(snapshot: PlayerSnapshot) -> object:
        copies.append(snapshot)
        return draft_of(snapshot)

    monkeypatch.setattr(playback, "draft_of", copied)
    assert player.set_volume(80).volume == 80
    assert len(copies) == 1


@on_cpython
def test_a_player_update_needs_little_memory_at_once_and_leaves_none(take: Callable[..., object]) -> None:
    assert peak_of(lambda: take(UPDATE)) <= 6000
    gc.collect()
    blocks = sys.getallocatedblocks()
    for _ in range(1000):
        take(UPDATE)
    assert sys.getallocatedblocks() - blocks < 100


def test_a_player_update_that_nobody_listens_to_makes_no_event(
    take: Callable[..., object], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []

    class Noted(PlayerUpdateEvent):
        def __init__(self, *fields: Any) -> None:
            super().__init__(*fields)
            made.append(self)

    monkeypatch.setattr(dispatch, "PlayerUpdateEvent", Noted)
    take(UPDATE)
    assert made == []
    assert client.player(GUILD).state.position == 60123
    client.add_listener(Noted, lambda player, event: None)
    take(UPDATE)
    assert len(made) == 1


@pytest.mark.parametrize("frame", [START, END])
def test_a_start_or_an_end_that_nobody_listens_to_makes_no_event(
    take: Callable[..., object], client: Client, node: Node, frame: bytes
) -> None:
    made: list[object] = []
    node.hooks = replace(node.hooks, message=lambda node, message, now: made.append(message))
    take(START)
    assert client.player(GUILD).track is not None
    take(frame)
    assert (client.player(GUILD).track is None) == (frame is END)
    assert made == []
    expected = client.expect(TrackStartEvent, TrackEndEvent)
    take(frame)
    assert [type(message) for message in made] == [TrackEndEvent if frame is END else TrackStartEvent]
    expected.cancel()
    take(frame)
    assert len(made) == 1


@pytest.mark.parametrize(
    "frame",
    [
        START.replace(b'"author":"Rick Astley",', b""),
        END.replace(b'"author":"Rick Astley",', b""),
        END.replace(b'"replaced"', b"1"),
        END.replace(b',"reason":"replaced"', b""),
        START.replace(b'"%d"' % GUILD, b'"no number"'),
        START.replace(b'"TrackStartEvent"', b"[]"),
    ],
)
def test_what_is_wrong_with_an_event_that_nobody_listens_to_is_counted_all_the_same(
    take: Callable[..., object], client: Client, node: Node, frame: bytes
) -> None:
    take(frame)
    assert node._loop.bad_frames == 1
    assert client.player(GUILD).track is None


def test_what_is_replayed_is_told_from_news_though_nobody_listens(
    take: Callable[..., object], client: Client, node: Node
) -> None:
    client._dispatcher.expect_replays(node, {GUILD: True})
    take(START)
    assert client.player(GUILD).track is None
    take(UPDATE)  # the first that is not from before the resume
    assert client._dispatcher.unheard(node) != frozenset()
    take(START)
    assert client.player(GUILD).track is not None


def test_what_nobody_listens_to_is_not_handed_over(
    take: Callable[..., object], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed: list[object] = []
    monkeypatch.setattr(KeyedExecutor, "submit", lambda self, lane, *rest, **options: handed.append(lane))
    take(START)
    take(UPDATE)
    assert handed == []
    client.add_listener(TrackStartEvent, lambda player, event: None)
    take(START)
    assert handed == [GUILD]


def test_an_event_for_a_listener_takes_few_calls_to_its_lane(take: Callable[..., object], client: Client) -> None:
    quiet = calls_of(lambda: take(START))
    lane, entered = threading.Event(), threading.Event()

    def hold(player: object, event: object) -> None:
        entered.set()
        assert lane.wait(10)

    client.add_listener(TrackStartEvent, hold)
    try:
        take(START)
        assert entered.wait(10)
        assert calls_of(lambda: take(START)) - quiet <= 5  # its event is made and looked at, and given to its lane
    finally:
        lane.set()


# Decoding.


@pytest.fixture
def parsed() -> Iterator[list[Any]]:
    """A thousand tracks as JSON, while the collector rests: these tests count what it would count."""
    data: list[Any] = codec.loads(b"[%s]" % b",".join([TRACK] * 1000))
    codec.decode_list(Track, data[:1])
    gc.disable()
    yield data
    gc.enable()


@on_cpython
def test_a_track_is_two_objects(parsed: list[Any]) -> None:
    before = gc.get_count()[0]
    made = codec.decode_list(Track, parsed)
    # The track and its info, which have slots and no dict; what is JSON stays as it was parsed.
    assert gc.get_count()[0] - before <= 2 * len(made) + 10


@on_cpython
def test_what_a_track_was_made_of_is_given_back_at_once_where_the_list_is_ours(parsed: list[Any]) -> None:
    before = gc.get_count()[0]
    made = codec.decode_list(Track, parsed, own=True)
    assert made is parsed
    # Two objects, for two that were parsed; a few of those CPython keeps for new dicts.
    assert gc.get_count()[0] - before <= 100


def test_a_track_of_a_list_takes_one_call(parsed: list[Any]) -> None:
    # That of its info. A few come with the list.
    assert calls_of(lambda: codec.decode_list(Track, parsed)) <= len(parsed) + 10


# Threads that are woken.


class CountingInbox(SimpleQueue[bool]):
    """An inbox that counts how often anybody's is put into."""

    puts = 0

    def put(self, item: bool, block: bool = True, timeout: float | None = None) -> None:
        type(self).puts += 1
        super().put(item, block, timeout)


def test_no_second_thread_is_woken_while_one_is_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "SimpleQueue", CountingInbox)
    monkeypatch.setattr(CountingInbox, "puts", 0)
    pool = KeyedExecutor(2)
    barrier = threading.Barrier(2)
    futures = [pool.run(None, lambda: barrier.wait(10)) for _ in range(2)]
    for future in futures:
        future.result(10)
    wait_until(lambda: len(pool._idle) == 2, "both threads are idle")
    before = CountingInbox.puts
    on_its_way = pool._woken = pool._idle[0]
    assert pool.submit("a", lambda: None)
    assert pool.submit("b", lambda: None)
    assert CountingInbox.puts == before
    on_its_way.put(True)
    assert pool.close(Deadline(SystemClock(), 10)) == []


def test_a_worker_is_woken_behind_the_last_frame_of_a_read(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    woken: list[object] = []
    wake = KeyedExecutor._wake_locked

    def counting(self: KeyedExecutor) -> Any:
        woken.append(self)
        return wake(self)

    monkeypatch.setattr(KeyedExecutor, "_wake_locked", counting)
    heard: SimpleQueue[int] = SimpleQueue()
    client.add_listener(TrackStartEvent, lambda player, event: heard.put(event.guild_id))
    guilds, before = [GUILD, GUILD + 1, GUILD + 2], []

    def frames() -> Iterator[bytes]:
        for guild in guilds:
            yield START.replace(b"%d" % GUILD, b"%d" % guild)
        before.extend(woken)

    node._loop._take(node.view.generation, frames())
    assert before == []
    assert sorted(heard.get(timeout=10) for _ in guilds) == guilds


# Bytes and files.


@on_cpython
def test_a_player_is_kept_in_less_than_a_thousand_bytes(take: Callable[..., object], client: Client) -> None:
    number = 1000
    updates = [UPDATE.replace(b"%d" % GUILD, b"%d" % (GUILD + guild)) for guild in range(1, number + 1)]
    client.player(1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for guild in range(1, number + 1):
            client.player(GUILD + guild)
        for update in updates:
            take(update)
        gc.collect()
        assert (tracemalloc.get_traced_memory()[0] - before) / number < 1000
    finally:
        tracemalloc.stop()
    assert client.player(GUILD + number).state.position == 60123


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="files are counted where /proc shows them")
def test_a_node_at_rest_has_three_files_at_most(client: Client, devnode: DevNode) -> None:
    def files() -> list[str]:
        return [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]

    before = len(files())
    nodes = [client.add_node(config_for(devnode, f"node {number}"), timeout=10) for number in range(5)]
    assert all(node.version() for node in nodes)
    # The development node has the other end of each connection in this process, too.
    assert len(files()) - before <= 5 * (3 + 2)


def imported_by(code: str) -> set[str]:
    """The modules that a process of its own has once it ran `code`."""
    code += "\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_the_package_imports_nothing_optional() -> None:
    optional = {"h11", "wsproto", "mutagen", "redis", "sqlite3", "pytest", "asyncio", "numpy", "rich", "click"}
    ours = {"cli", "devnode", "gateway", "plugins", "queue", "testing"}
    imported = imported_by("import lavalink_sync")
    assert "lavalink_sync.client" in imported
    assert imported & optional == set()
    assert imported & {f"lavalink_sync.{name}" for name in ours} == set()


def test_the_import_writes_no_decoder_but_that_of_a_players_state() -> None:
    code = "import lavalink_sync\nfrom lavalink_sync.models import codec\nassert set(codec._decoders) == {%s}"
    imported_by(code % "lavalink_sync.PlayerState")


def test_dataclasses_json_comes_with_the_first_call_that_needs_it() -> None:
    heavy = {"dataclasses_json", "marshmallow"}
    quick = "from lavalink_sync import PlayerState\nPlayerState.from_json(b'{}').to_dict()"
    assert imported_by(quick) & heavy == set()
    assert heavy <= imported_by(f"{quick}\nPlayerState().to_json()")
