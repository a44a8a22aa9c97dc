"""What a development node costs: its start, a bot's worth of sessions and players, and what is left when it ends."""

from __future__ import annotations

import gc
import json
import os
import selectors
import subprocess
import sys
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import EXAMPLES, Raw
from .support.waiting import wait_until

SESSIONS, PLAYERS = 50, 1_000
# Five times as often as by default, so five times the load.
INTERVAL = 1.0
UPDATES = 5
PATIENCE = 120.0
VOICE = {"token": "t", "endpoint": "voice.example:443", "sessionId": "s", "channelId": "5"}


class Remote:
    """A development node in a process of its own, held to one core."""

    password = "youshallnotpass"

    def __init__(self) -> None:
        options = ["--port", "0", "--music", str(EXAMPLES), "--player-update-interval", str(INTERVAL)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lavalink_sync.devnode", *options], stdout=subprocess.PIPE, text=True
        )
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, {min(os.sched_getaffinity(0))})
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().split()[-1]

    def cpu(self) -> float:
        """Seconds of CPU that it has used."""
        with open(f"/proc/{self.process.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=20)


@pytest.fixture
def remote() -> Iterator[Remote]:
    made = Remote()
    yield made
    made.end()


def started_and_asked() -> float:
    """Seconds from nothing to an answer."""
    begun = time.perf_counter()
    with DevNode(music=EXAMPLES) as devnode:
        raw = Raw(devnode)
        assert raw.ask("GET", "/version")[0] == 200
        took = time.perf_counter() - begun
        raw.close()
    return took


def test_it_serves_within_a_tenth_of_a_second_of_its_start() -> None:
    # The quickest of many: what the machine does besides is not the node's.
    assert min(started_and_asked() for _ in range(20)) < 0.1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="files are seen where /proc shows them")
def test_two_hundred_starts_and_stops_leave_nothing() -> None:
    started_and_asked()  # what is made once a process is made now
    threads, files = threading.active_count(), len(os.listdir("/proc/self/fd"))
    made: list[weakref.ref[DevNode]] = []
    for _ in range(200):
        with DevNode(music=EXAMPLES) as devnode:
            raw = Raw(devnode)
            _, session = raw.open_session()
            assert raw.ask("PATCH", f"/v4/sessions/{session}/players/1", {"voice": VOICE})[0] == 200
            raw.close()
        made.append(weakref.ref(devnode))
        del devnode, raw
    wait_until(lambda: threading.active_count() <= threads, "the threads have ended")
    assert len(os.listdir("/proc/self/fd")) <= files
    gc.collect()
    assert [each for each in made if each() is not None] == []


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="the time of a process is seen where /proc shows it")
def test_fifty_sessions_with_a_thousand_players_are_told_in_time(remote: Remote) -> None:
    raw: Any = Raw(remote)  # type: ignore[arg-type]  # it needs no more than the address and the password
    try:
        sessions = [raw.open_session() for _ in range(SESSIONS)]
        encoded = raw.ask("GET", "/v4/loadtracks", query={"identifier": "/music/flac12.flac"})[2]["data"]["encoded"]
        for number in range(PLAYERS):
            path = f"/v4/sessions/{sessions[number % SESSIONS][1]}/players/{number + 1}"
            assert raw.ask("PATCH", path, {"track": {"encoded": encoded}, "voice": VOICE})[0] == 200
        cpu = remote.cpu()
        told = listen([socket for socket, _ in sessions], UPDATES)
        used = remote.cpu() - cpu
    finally:
        raw.close()
    assert len(told) == PLAYERS
    # None was left out, however late the machine let it be told.
    spans = [(times[-1] - times[0]) / (1000 * INTERVAL) - len(times) for times in told.values()]
    assert max(spans) < 0
    # What all of them cost in an interval is far from what a core has in it.
    assert used / sum(len(times) for times in told.values()) * PLAYERS < INTERVAL / 2


def listen(sockets: list[Any], wanted: int) -> dict[str, list[int]]:
    """Note the server's time of each update, in milliseconds, until every player has as many as are wanted."""
    told: dict[str, list[int]] = defaultdict(list)
    until = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for socket in sockets:
            selector.register(socket.sock, selectors.EVENT_READ, socket)
        while len(told) < PLAYERS or min(len(times) for times in told.values()) < wanted:
            assert time.monotonic() < until, "the updates end"
            for key, _ in selector.select(1):
                message = json.loads(key.data.recv())
                if message["op"] == "playerUpdate":
                    told[message["guildId"]].append(message["state"]["time"])
    return told
