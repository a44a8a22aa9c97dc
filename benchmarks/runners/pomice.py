"""pomice, measured. Usage: python -m benchmarks.runners.pomice MEASURE ADDRESS COUNT"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pomice

from benchmarks.load_bytes import GUILD
from benchmarks.runners import asyncio_measures, discord_stand_in
from benchmarks.runners.asyncio_measures import Heard
from benchmarks.runners.measuring import PASSWORD


class Pomice:
    """`pomice.NodePool` on a discord.py bot. It tells nobody that a node is ready: its session id is looked at."""

    bot: Any
    node: Any = None

    async def start(self) -> None:
        self.bot = await discord_stand_in.logged_in()

    async def connect(self, address: str, name: str) -> None:
        host, port = address.split(":")
        node = await pomice.NodePool.create_node(
            bot=self.bot, host=host, port=int(port), password=PASSWORD, identifier=name
        )
        self.node = self.node or node
        while node._session_id is None:  # noqa: ASYNC110  # it has no event for it
            await asyncio.sleep(0)

    async def make_players(self, guilds: Sequence[int]) -> None:
        for guild in guilds:
            player = pomice.Player(self.bot, discord_stand_in.channel(guild), node=self.node)
            await player.connect(timeout=10, reconnect=True)

    def on_start(self, heard: Heard) -> None:
        async def started(player: Any, track: Any) -> None:
            heard(player.guild.id)

        self.bot.add_listener(started, "on_pomice_track_start")

    def on_end(self, heard: Heard) -> None:
        async def ended(player: Any, track: Any, reason: str) -> None:
            heard(player.guild.id)

        self.bot.add_listener(ended, "on_pomice_track_end")

    def on_ready(self, heard: Heard) -> None:
        async def watch() -> None:
            known = self.node._session_id
            while True:
                await asyncio.sleep(0.001)
                if self.node._session_id != known:
                    known = self.node._session_id
                    heard(0)

        self.watching = asyncio.create_task(watch())

    async def load(self, identifier: str) -> int:
        found = await self.node.get_tracks(identifier)
        return len(found.tracks if isinstance(found, pomice.Playlist) else found or ())

    async def update(self, volume: int) -> None:
        await self.node.get_player(GUILD).set_volume(volume)


if __name__ == "__main__":
    asyncio_measures.main(Pomice)
