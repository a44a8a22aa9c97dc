"""Lavalink.py, measured. Usage: python -m benchmarks.runners.lavalinkpy MEASURE ADDRESS COUNT"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import lavalink

from benchmarks.load_bytes import GUILD, TRACK
from benchmarks.runners import asyncio_measures
from benchmarks.runners.asyncio_measures import Heard
from benchmarks.runners.measuring import PASSWORD, USER_ID


class LavalinkPy:
    """`lavalink.Client` with event hooks; it needs no Discord library."""

    client: Any
    ready: dict[str, asyncio.Event]

    async def start(self) -> None:
        self.client = lavalink.Client(USER_ID)
        self.ready = {}

    async def connect(self, address: str, name: str) -> None:
        if not self.ready:
            self.client.add_event_hook(self._told, event=lavalink.NodeReadyEvent)
        host, port = address.split(":")
        self.ready[name] = asyncio.Event()
        self.client.add_node(host, int(port), PASSWORD, "eu", name)
        await self.ready[name].wait()

    async def _told(self, event: Any) -> None:
        self.ready[event.node.name].set()

    async def make_players(self, guilds: Sequence[int]) -> None:
        for guild in guilds:
            self.client.player_manager.create(guild)
        if 0 < len(guilds) <= 10:
            # Its track events are about the track that it was told to play.
            for guild in guilds:
                found = await self.client.get_tracks(TRACK)
                await self.client.player_manager.get(guild).play(found.tracks[0])

    def on_start(self, heard: Heard) -> None:
        async def started(event: Any) -> None:
            heard(event.player.guild_id)

        self.client.add_event_hook(started, event=lavalink.TrackStartEvent)

    def on_end(self, heard: Heard) -> None:
        async def ended(event: Any) -> None:
            heard(event.player.guild_id)

        self.client.add_event_hook(ended, event=lavalink.TrackEndEvent)

    def on_ready(self, heard: Heard) -> None:
        async def ready(event: Any) -> None:
            heard(0)

        self.client.add_event_hook(ready, event=lavalink.NodeReadyEvent)

    async def load(self, identifier: str) -> int:
        return len((await self.client.get_tracks(identifier)).tracks)

    async def update(self, volume: int) -> None:
        await self.client.player_manager.get(GUILD).set_volume(volume)


if __name__ == "__main__":
    asyncio_measures.main(LavalinkPy)
