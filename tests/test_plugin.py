"""A plugin hears what it overrides a method for, on the worker pool, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import Client, InvalidArgumentError, NodeConnected, Plugin, UnknownEvent
from lavalink_sync.devnode import DevNode

from .support.nodes import config_for
from .support.waiting import wait_until


class Recorder(Plugin):
    """Overrides everything."""

    name = "recorder"
    events = ("SegmentSkipped",)
    ops = ("news",)

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.threads: set[str] = set()

    def note(self, *what: Any) -> None:
        self.heard.append(what)
        self.threads.add(threading.current_thread().name.rpartition("-")[0])

    def on_event(self, player: Any, event: UnknownEvent) -> None:
        self.note("event", player, event.data["x"])

    def on_message(self, node: Any, op: str, data: dict[str, Any]) -> None:
        self.note("message", node.name, op, data["x"])

    def on_node_open(self, node: Any, resumed: bool) -> None:
        self.note("open", node.name, resumed)

    def on_node_close(self, node: Any, reason: str) -> None:
        self.note("close", node.name, reason)

    def on_player_created(self, player: Any) -> None:
        self.note("created", player.guild_id)

    def on_player_destroyed(self, player: Any) -> None:
        self.note("destroyed", player.guild_id)


class Silent(Plugin):
    """Overrides nothing."""

    name = "silent"


def test_a_plugin_hears_everything_it_asked_for(make_client: Callable[..., Client], devnode: DevNode) -> None:
    plugin = Recorder()
    client = make_client(plugins=[plugin])
    client.add_node(config_for(devnode), timeout=10)
    player = client.player(1)
    devnode.send_raw('{"op":"event","type":"SegmentSkipped","guildId":"1","x":5}')
    devnode.send_raw('{"op":"event","type":"Other","guildId":"1","x":6}')
    devnode.send_raw('{"op":"news","x":7}')
    devnode.send_raw('{"op":"other","x":8}')
    wait_until(lambda: len(plugin.heard) >= 4, "the first four")
    client.remove_player(1)
    client.remove_node("main")
    wait_until(lambda: len(plugin.heard) >= 6, "the last two")
    assert sorted(plugin.heard, key=lambda entry: str(entry[0])) == [
        ("close", "main", "closed on request"),
        ("created", 1),
        ("destroyed", 1),
        ("event", player, 5),
        ("message", "main", "news", 7),
        ("open", "main", False),
    ]
    assert plugin.threads == {"lavalink-worker"}


def test_what_is_not_overridden_costs_nothing(client: Client) -> None:
    client.add_plugin(Silent())
    assert not client.is_listened_to(NodeConnected)
    assert not client.is_listened_to(UnknownEvent)


def test_a_plugin_can_be_removed_and_its_name_used_again(client: Client) -> None:
    plugin, other = Recorder(), Recorder()
    client.add_plugin(plugin)
    assert client.plugins == [plugin]
    with pytest.raises(InvalidArgumentError, match="recorder"):
        client.add_plugin(other)
    assert not client.remove_plugin(other)
    assert client.remove_plugin(plugin)
    assert not client.is_listened_to(NodeConnected)
    client.add_plugin(other)
    with pytest.raises(InvalidArgumentError, match="name"):
        client.add_plugin(Plugin())


@pytest.mark.parametrize("wrong", ["recorder", Recorder], ids=["a name", "its class"])
def test_what_is_no_plugin_is_refused(client: Client, wrong: Any) -> None:
    for call in (client.add_plugin, client.remove_plugin, lambda plugin: Client(1, plugins=[plugin])):
        with pytest.raises(InvalidArgumentError, match=r"object of a class derived from Plugin, .* not .*[Rr]ecorder"):
            call(wrong)
    assert client.plugins == []
