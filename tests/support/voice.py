"""What tests of voice share: the endpoints, what was sent, and clients whose time and failures are watched."""

from __future__ import annotations

from collections.abc import Callable

from lavalink_sync import Client, NodeConfig, Player, Timeouts, VoiceFailed, VoiceStage, WebSocketClosedEvent
from lavalink_sync.devnode import DevNode

from .clock import ManualClock
from .nodes import GUILD, config_for, join_voice, listen
from .waiting import wait_until

HERE, ELSEWHERE = "voice.example:443", "other.example:443"


def updates(devnode: DevNode, guild_id: int = GUILD) -> list[str]:
    """The endpoints that were sent, in order."""
    return [voice["endpoint"] for voice in voices(devnode, guild_id)]


def voices(devnode: DevNode, guild_id: int = GUILD) -> list[dict[str, str]]:
    """The voice data that was sent, in order."""
    bodies = [r.body for r in devnode.requests if r.method == "PATCH" and r.path.endswith(f"/players/{guild_id}")]
    return [body["voice"] for body in bodies if "voice" in body]


def quick(devnode: DevNode, **changes: float) -> NodeConfig:
    """A config for a clock that is moved by hand: nothing but voice has a deadline soon."""
    return config_for(devnode, heartbeat=3600, timeouts=Timeouts(**{"voice": 10, "call": 60, "read": 60, **changes}))


def watched(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock, **options: object
) -> tuple[Client, list[VoiceFailed]]:
    """A client of the node, in the clock's time, and the failures that it tells of."""
    client = make_client(clock=clock, **options)
    client.add_node(quick(devnode), timeout=60)
    told = listen(client, VoiceFailed)
    return client, told


def join(client: Client, devnode: DevNode) -> Player:
    """The guild's player, with a voice connection."""
    player = client.player(GUILD)
    player.set_volume(90)
    join_voice(client)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    wait_until(lambda: player.voice.stage is VoiceStage.TAKEN, "the answer")
    return player


def join_in_vain(client: Client, devnode: DevNode, clock: ManualClock) -> Player:
    """The guild's player, whose voice update to a dead endpoint is no longer waited for, but looked after in 8 s."""
    devnode.voice.dead(HERE)
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: updates(devnode) == [HERE], "the voice update")
    clock.waiting(due_in=2)
    clock.advance(2)
    clock.waiting(due_in=8)
    return player


def say_closed(devnode: DevNode, code: int) -> None:
    """Have the server tell of a close, though its connection is as it was."""
    devnode.send_raw(WebSocketClosedEvent(guild_id=GUILD, code=code, reason="", by_remote=True).to_json())
