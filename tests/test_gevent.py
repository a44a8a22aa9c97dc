"""A process whose threads, sockets and waits gevent has made its own, as a server with gevent workers is one.

The development node is in this process and knows nothing of it. The other one says what it saw as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.sockets import Peer, ScriptedServer

pytestmark = pytest.mark.skipif(sys.implementation.name != "cpython", reason="gevent's loop is made for CPython")

MUSIC = Path(__file__).parent.parent / "examples" / "music"
_BEGIN = """
from gevent import monkey
monkey.patch_all()
import json, sys, threading, time
from lavalink_sync import *
address, password = sys.argv[1:]
seen = {}
"""


def run(code: str, address: str, password: str = "secret") -> Any:
    """Run `code` after gevent's patches; return its `seen`."""
    command = [sys.executable, "-c", f"{_BEGIN}{code}\nprint(json.dumps(seen))", address, password]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_music_is_played_and_closing_ends_every_thread() -> None:
    with DevNode(music=MUSIC) as server:
        seen = run(
            """
with Client(7) as client:
    node = client.add_node(NodeConfig("main", address, password), timeout=20)
    started = threading.Event()
    client.add_listener(TrackStartEvent, lambda player, event: started.set())
    track = node.load_tracks("/music/sine5.mp3").tracks[0]
    client.player(81).play(track)
    seen["started"] = started.wait(20)
    seen["while"] = [thread.name for thread in threading.enumerate() if thread.name.startswith("lavalink")]
seen["after"] = [thread.name for thread in threading.enumerate() if thread.name.startswith("lavalink")]
""",
            server.address,
            server.password,
        )
    assert seen["started"]
    assert "lavalink-node-main" in seen["while"]
    assert seen["after"] == []


def test_a_server_that_never_answers_can_not_hold_a_call_beyond_its_deadline() -> None:
    def never_answer(peer: Peer) -> None:
        peer.wait_gone()

    with ScriptedServer(never_answer) as server:
        seen = run(
            """
from lavalink_sync.transport.clock import Deadline, SystemClock
from lavalink_sync.transport.http import HttpTransport
clock = SystemClock()
transport = HttpTransport(NodeConfig("main", address, password), clock)
begun = time.monotonic()
try:
    transport.send("PATCH", "/", body=bytes(30_000_000), deadline=Deadline(clock, 0.5))
except RequestTimeoutError as error:
    seen["error"] = str(error)
seen["seconds"] = time.monotonic() - begun
transport.close(RuntimeError("over"))
""",
            server.address,
        )
    assert "main" in seen["error"]
    assert 0.4 < seen["seconds"] < 5
