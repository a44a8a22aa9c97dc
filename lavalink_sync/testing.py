"""For tests of your bot: pytest fixtures for a Lavalink server in this process, and a client that is connected to it.

Write `pytest_plugins = ["lavalink_sync.testing"]` into the `conftest.py` of your project, and ask for fixtures by name:
`lavalink_node`, `lavalink_client`, `lavalink_player`, `lavalink_clock`. What the node can load, and every way to make
trouble, are methods of the node: see `lavalink_sync.devnode.DevNode`, and `docs/testing.md`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

try:
    import pytest
except ModuleNotFoundError as _error:
    raise ImportError("lavalink_sync.testing needs pytest: pip install 'lavalink_sync[testing]'") from _error

from .client import Client
from .config import NodeConfig, ReconnectPolicy
from .devnode import DevNode, ManualClock
from .player import Player

__all__ = [
    "GUILD_ID",
    "USER_ID",
    "join_voice",
    "lavalink_client",
    "lavalink_clock",
    "lavalink_node",
    "lavalink_options",
    "lavalink_player",
    "make_lavalink_client",
    "make_lavalink_node",
    "node_config",
    "wait_until",
]

USER_ID = 170939974227591168
"""The bot of the fixtures' clients."""
GUILD_ID = 81384788765712384
"""The guild of `lavalink_player`."""

# Reconnecting at once, so that a test of an outage takes as long as the outage.
_EAGER = ReconnectPolicy(step=0.01, cap=0.05)
_PATIENCE = 10.0


def node_config(server: DevNode, name: str = "main", **changes: Any) -> NodeConfig:
    """A config for `server` that reconnects at once. `changes` are other fields of `NodeConfig`."""
    settings = {"reconnect": _EAGER, "password": server.password, "address": server.address, **changes}
    return NodeConfig(name, **settings)


def join_voice(client: Client, guild_id: int = GUILD_ID, channel_id: int = 1234) -> None:
    """Hand the client what Discord sends after a bot has joined a channel; the node then connects, and music flows."""
    client.on_voice_state_update(guild_id, channel_id, "a-voice-session")
    client.on_voice_server_update(guild_id, "a-voice-token", "voice.example:443")


def wait_until(condition: Callable[[], object], what: str = "the condition", timeout: float = _PATIENCE) -> None:
    """Return once `condition()` is true; `AssertionError` that says `what` after `timeout` real seconds.

    For what no event tells. For events there are `client.expect` and `client.wait_for`.
    """
    until = time.monotonic() + timeout
    pause = threading.Event()
    while not condition():
        if time.monotonic() >= until:
            raise AssertionError(f"waited {timeout:g} s in vain for {what}")
        pause.wait(0.002)


@pytest.fixture
def lavalink_options() -> dict[str, Any]:
    """Arguments for the fixtures' nodes, such as `{"music": "tests/music"}`. Override it with one of your own."""
    return {}


@pytest.fixture
def lavalink_clock() -> ManualClock:
    """The time of the nodes that this test asks for: it stands still until `lavalink_clock.advance(seconds)`.

    `advance` returns when everything up to then was sent: the music of an hour, in milliseconds. The client's own time
    (its deadlines, reconnecting, heartbeats) is real and goes on.
    """
    return ManualClock()


@pytest.fixture
def make_lavalink_node(
    request: pytest.FixtureRequest, lavalink_options: dict[str, Any]
) -> Iterator[Callable[..., DevNode]]:
    """A function that starts a node: `make_lavalink_node(**options)`. All are closed after the test."""
    made: list[DevNode] = []
    by_hand = "lavalink_clock" in request.fixturenames
    clock = request.getfixturevalue("lavalink_clock") if by_hand else None

    def make(**options: Any) -> DevNode:
        made.append(DevNode(**{"clock": clock, **lavalink_options, **options}).start())
        return made[-1]

    before = set(threading.enumerate())
    yield make
    for server in made:
        server.close()
    _check_threads(before, "lavalink-devnode")


@pytest.fixture
def lavalink_node(make_lavalink_node: Callable[..., DevNode]) -> DevNode:
    """A Lavalink server on a free port of this machine, made with `lavalink_options`."""
    return make_lavalink_node()


@pytest.fixture
def make_lavalink_client(make_lavalink_node: object) -> Iterator[Callable[..., Client]]:
    """A function that makes a client without nodes: `make_lavalink_client(**options)`. All are closed afterwards."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        made.append(Client(options.pop("user_id", USER_ID), **options))
        return made[-1]

    before = set(threading.enumerate())
    yield make
    for client in made:
        client.close()
    _check_threads(before, "lavalink-node-", "lavalink-worker-", "lavalink-keeper-", "lavalink-store")


@pytest.fixture
def lavalink_client(make_lavalink_client: Callable[..., Client], lavalink_node: DevNode) -> Client:
    """A client that is connected to `lavalink_node`, which it knows as `main`."""
    client = make_lavalink_client()
    client.add_node(node_config(lavalink_node), timeout=_PATIENCE)
    return client


@pytest.fixture
def lavalink_player(lavalink_client: Client, lavalink_node: DevNode) -> Player:
    """A player of `GUILD_ID` on `lavalink_node`, with a voice connection."""
    join_voice(lavalink_client)
    wait_until(lambda: GUILD_ID in lavalink_node.voice.links, "the voice connection")
    return lavalink_client.player(GUILD_ID)


def _check_threads(before: set[threading.Thread], *prefixes: str) -> None:
    """Fail where a thread of ours goes on: something holds it up, and later tests would meet it."""

    def left() -> list[str]:
        return [t.name for t in threading.enumerate() if t not in before and t.name.startswith(prefixes)]

    try:
        wait_until(lambda: not left(), "the end of threads")
    except AssertionError:
        pytest.fail(f"these threads are still busy after the test, with user code perhaps: {', '.join(left())}")
