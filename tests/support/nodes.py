"""Fixtures of the integration tests: a development node over real sockets, and a client of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lavalink_sync import Client, Node, NodeConfig, ReconnectPolicy, Timeouts
from lavalink_sync.devnode import DevNode

E = TypeVar("E")

MUSIC = Path(__file__).parent.parent.parent / "examples" / "music"
USER_ID = 170939974227591168
GUILD = 81384788765712384

# Reconnecting at once: the waiting itself is tested with a clock that is moved by hand.
EAGER = ReconnectPolicy(step=0.01, cap=0.05)
# Nothing here should take that long; a test that needs a timeout to pass sets its own.
PATIENT = Timeouts(connect=5, read=10, call=20, load=20, voice=10, close=10)


def config_for(devnode: DevNode, name: str = "main", **changes: Any) -> NodeConfig:
    """A config for `devnode` that reconnects at once, with `changes`."""
    settings: dict[str, Any] = {"reconnect": EAGER, "timeouts": PATIENT, **changes}
    password = settings.pop("password", devnode.password)
    address = settings.pop("address", devnode.address)
    return NodeConfig(name, address, password, **settings)


def say_info(devnode: DevNode, semver: str = "4.2.2", major: int = 4, **changes: Any) -> None:
    """Let the server tell something else of itself from now on."""
    told = {
        "version": {"semver": semver, "major": major, "minor": 2, "patch": 2, "preRelease": ""},
        "buildTime": 0,
        "git": {"branch": "master", "commit": "0", "commitTime": 0},
        "jvm": "17",
        "lavaplayer": "2",
        "sourceManagers": [],
        "filters": [],
        "plugins": [],
        **changes,
    }
    devnode.answer("/v4/info", 200, json.dumps(told), "application/json")


@pytest.fixture
def make_devnode() -> Iterator[Callable[..., DevNode]]:
    """Make development nodes that are closed after the test."""
    made: list[DevNode] = []

    def make(**options: Any) -> DevNode:
        devnode = DevNode(**{"music": MUSIC, "port": 0, "player_update_interval": 0.05, **options})
        devnode.start()
        made.append(devnode)
        return devnode

    yield make
    for devnode in made:
        devnode.close()


@pytest.fixture
def devnode(make_devnode: Callable[..., DevNode]) -> DevNode:
    """A development node over the four files of the examples; player updates come every 50 ms."""
    return make_devnode()


@pytest.fixture
def make_client(make_devnode: object) -> Iterator[Callable[..., Client]]:
    """Make clients that are closed after the test, before the development nodes."""
    made: list[Client] = []

    def make(**options: Any) -> Client:
        client = Client(USER_ID, **options)
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A client without nodes."""
    return make_client()


@pytest.fixture
def node(client: Client, devnode: DevNode) -> Node:
    """The client's node, connected to the development node."""
    return client.add_node(config_for(devnode), timeout=10)


def join_voice(client: Client, guild_id: int = GUILD, channel_id: int = 1234) -> None:
    """Hand the client what Discord would send after joining a channel."""
    client.on_voice_state_update(guild_id, channel_id, "a-discord-session")
    client.on_voice_server_update(guild_id, "a-discord-token", "voice.example:443")


def listen(client: Client, kind: type[E]) -> list[E]:
    """The events of that type that the client will tell, as they come."""
    told: list[E] = []
    client.add_listener(kind, lambda _, event: told.append(event))
    return told
