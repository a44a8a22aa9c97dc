"""Players that play on one node and are to be moved, and what the nodes say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from lavalink_sync import Client, Node, Player
from lavalink_sync.devnode import DevNode, ManualClock

from .nodes import config_for, join_voice

SONG = "https://example.org/an-hour"
_REFUSAL = '{"timestamp":1,"status":400,"error":"Bad Request","message":"not this one","path":"/"}'


@pytest.fixture
def source(devnode: DevNode) -> DevNode:
    """The server of the client's `node`, from which players are moved; it knows the song."""
    offer(devnode)
    return devnode


@pytest.fixture
def target(make_devnode: Callable[..., DevNode]) -> DevNode:
    """Another server, to which they are moved; it knows the song."""
    made = make_devnode()
    offer(made)
    return made


@pytest.fixture
def target_clock() -> ManualClock:
    """The time of `slow_target`."""
    return ManualClock()


@pytest.fixture
def slow_target(make_devnode: Callable[..., DevNode], target_clock: ManualClock) -> DevNode:
    """A target that takes as long as `target_clock` is moved."""
    made = make_devnode(clock=target_clock)
    offer(made)
    return made


@pytest.fixture
def other(client: Client, node: Node, target: DevNode) -> Node:
    """The client's second node, connected to `target`."""
    return client.add_node(config_for(target, "second"), timeout=10)


def offer(*devnodes: DevNode) -> None:
    """Let the song of an hour be known to the nodes."""
    for devnode in devnodes:
        devnode.tracks.add(SONG, title="An hour", length=3_600_000)


def start(client: Client, node: Node, guilds: Iterable[int], *, voice: bool = True) -> list[Player]:
    """Play the song in each guild, in each with settings of its own."""
    track = node.load_tracks(SONG).tracks[0]
    players = [client.player_on_node(node, guild_id) for guild_id in guilds]
    for player in players:
        if voice:
            join_voice(client, player.guild_id)
        n = player.guild_id
        player.play(track, volume=n, user_data={"n": n}, position=60_000 * n, end_time=3_000_000 + n, paused=True)
    return players


def playing_on(devnode: DevNode) -> list[int]:
    """The guilds that the node plays for."""
    return sorted(guild_id for session in devnode.sessions for guild_id, p in session.players.items() if p.track)


def known_to(devnode: DevNode) -> list[int]:
    """The guilds that the node has a player for."""
    return sorted(guild_id for session in devnode.sessions for guild_id in session.players)


def made_on(devnode: DevNode) -> list[int]:
    """The guilds whose players were asked to be made on the node, answered or not, in order."""
    return [int(r.path.rpartition("/")[2]) for r in devnode.requests if _makes(r.method, r.body)]


def _makes(method: str, body: object) -> bool:
    return method == "PATCH" and isinstance(body, dict) and "track" in body


def check_settings(client: Client, node: Node, devnode: DevNode, guilds: Iterable[int]) -> None:
    """Fail unless the node's server and the client have of each guild's player what `start` gave it."""
    there = {server.guild_id: server for server in node.rest.players()}
    for n in guilds:
        player, server = client.existing_player(n), there[n]
        assert player is not None
        assert player.node is node
        assert player.track is not None
        assert server.track is not None
        assert server.track.user_data == player.track.user_data == {"n": n}
        assert (server.volume, server.paused) == (player.volume, player.paused) == (n, True)
        # No answer tells the end time, and none the position before the first frame.
        made = [r.body for r in devnode.requests if r.path.endswith(f"/{n}") and _makes(r.method, r.body)][-1]
        assert made["position"] == 60_000 * n
        assert player.position == 60_000 * n
        assert made["endTime"] == player.snapshot.end_time == 3_000_000 + n


def refuse(devnode: DevNode, guild_id: int, status: int = 400, times: int = 1) -> None:
    """Let the node refuse to make the guild's player, so many times."""
    [session] = devnode.sessions
    path = f"/v4/sessions/{session.session_id}/players/{guild_id}"
    devnode.answer(path, status, _REFUSAL, "application/json", times, method="PATCH")
