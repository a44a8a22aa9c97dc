"""mafic, measured. Usage: python -m benchmarks.runners.mafic MEASURE ADDRESS COUNT"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import mafic

from benchmarks.load_bytes import GUILD
from benchmarks.runners import asyncio_measures, discord_stand_in
from benchmarks.runners.asyncio_measures import Heard
from benchmarks.runners.measuring import PASSWORD


class Mafic:
    """`mafic.NodePool` on a discord.py bot."""

    bot: Any
    pool: Any
    node: Any = None

    async def start(self) -> None:
        self.bot = await discord_stand_in.logged_in()
        self.pool = mafic.NodePool(self.bot)

    async def connect(self, address: str, name: str) -> None:
        host, port = address.split(":")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", mafic.UnsupportedVersionWarning)
            node = await self.pool.create_node(host=host, port=int(port), label=name, password=PASSWORD)
        self.node = self.node or node

    async def make_players(self, guilds: Sequence[int]) -> None:
        for guild in guilds:
            player = mafic.Player(self.bot, discord_stand_in.channel(guild), node=self.node)
            self.node.add_player(guild, player)
            # Its calls refuse before the server's first `playerUpdate`.
            player.update_state({"time": 0, "position": 0, "connected": True, "ping": 0})

    def on_start(self, heard: Heard) -> None:
        async def started(event: Any) -> None:
            heard(event.player.guild.id)

        self.bot.add_listener(started, "on_track_start")

    def on_end(self, heard: Heard) -> None:
        async def ended(event: Any) -> None:
            heard(event.player.guild.id)

        self.bot.add_listener(ended, "on_track_end")

    def on_ready(self, heard: Heard) -> None:
        async def ready(node: Any) -> None:
            heard(0)

        self.bot.add_listener(ready, "on_node_ready")

    async def load(self, identifier: str) -> int:
        found = await self.node.fetch_tracks(identifier, search_type="ytsearch")
        return len(found.tracks if isinstance(found, mafic.Playlist) else found)

    async def update(self, volume: int) -> None:
        await self.node.get_player(GUILD).set_volume(volume)


if __name__ == "__main__":
    asyncio_measures.main(Mafic)
