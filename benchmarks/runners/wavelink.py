"""Wavelink, measured. Usage: python -m benchmarks.runners.wavelink MEASURE ADDRESS COUNT"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import wavelink

from benchmarks.load_bytes import GUILD
from benchmarks.runners import asyncio_measures, discord_stand_in
from benchmarks.runners.asyncio_measures import Heard
from benchmarks.runners.measuring import PASSWORD


class Wavelink:
    """`wavelink.Pool` on a discord.py bot."""

    bot: Any
    ready: dict[str, asyncio.Event]

    async def start(self) -> None:
        self.bot = await discord_stand_in.logged_in()
        self.ready = {}
        self.bot.add_listener(self._told, "on_wavelink_node_ready")

    async def connect(self, address: str, name: str) -> None:
        self.ready[name] = asyncio.Event()
        node = wavelink.Node(identifier=name, uri=f"http://{address}", password=PASSWORD)
        await wavelink.Pool.connect(nodes=[node], client=self.bot)
        await self.ready[name].wait()

    async def _told(self, payload: Any) -> None:
        self.ready[payload.node.identifier].set()

    async def make_players(self, guilds: Sequence[int]) -> None:
        node = wavelink.Pool.get_node()
        for guild in guilds:
            player = wavelink.Player(self.bot, discord_stand_in.channel(guild), nodes=[node])
            # What its `connect` does before it waits for Discord.
            player._guild = player.channel.guild
            node._players[guild] = player

    def on_start(self, heard: Heard) -> None:
        async def started(payload: Any) -> None:
            heard(payload.player.guild.id)

        self.bot.add_listener(started, "on_wavelink_track_start")

    def on_end(self, heard: Heard) -> None:
        async def ended(payload: Any) -> None:
            heard(payload.player.guild.id)

        self.bot.add_listener(ended, "on_wavelink_track_end")

    def on_ready(self, heard: Heard) -> None:
        async def ready(payload: Any) -> None:
            heard(0)

        self.bot.add_listener(ready, "on_wavelink_node_ready")

    async def load(self, identifier: str) -> int:
        return len(await wavelink.Pool.fetch_tracks(identifier))

    async def update(self, volume: int) -> None:
        await wavelink.Pool.get_node().get_player(GUILD).set_volume(volume)


if __name__ == "__main__":
    asyncio_measures.main(Wavelink)
