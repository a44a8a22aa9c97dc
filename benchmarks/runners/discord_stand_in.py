"""What the peers on discord.py need of it: its own client and channels, logged in nowhere.

The client is discord.py's, so that events take the way to a handler that they take in a bot.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import discord
from discord.ext import commands

from benchmarks.runners.measuring import USER_ID


class Guild:
    """A guild, as far as a player asks; it lets the bot into any voice channel."""

    voice_client = None
    # Who is in which voice channel: nobody.
    _voice_states: ClassVar[dict[int, Any]] = {}

    def __init__(self, guild_id: int) -> None:
        self.id = guild_id

    async def change_voice_state(self, **state: object) -> None:
        """As if Discord had been asked."""


async def logged_in() -> Any:
    """A bot that believes to be logged in and ready."""
    bot = commands.Bot(command_prefix="!", intents=discord.Intents.none())
    # What `login` does, without a token; and the `ready` that a gateway sends.
    await bot._async_setup_hook()
    bot._connection.user = discord.Object(USER_ID)
    bot._ready = asyncio.Event()
    bot._ready.set()
    return bot


def channel(guild_id: int) -> Any:
    """A voice channel of a guild."""
    made: Any = discord.VoiceChannel.__new__(discord.VoiceChannel)
    made.id = guild_id + 1
    made.name = "music"
    made.guild = Guild(guild_id)
    return made
