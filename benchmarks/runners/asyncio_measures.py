"""The measures, once for all clients on asyncio: what a peer's own runner gives is how that library does each thing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from statistics import median
from typing import Protocol

from benchmarks.load_bytes import GUILD, PLAYLIST, TRACK
from benchmarks.runners import measuring
from benchmarks.runners.measuring import GUILDS, WARM_UP, ask, cpu, flood

_PATIENCE = 60.0
# Of a library that gets no further, so that it does not hold up the rest.
_PATIENCE_WITH_NODES = 10.0

Heard = Callable[[int], None]
"""A handler's work: it is called with the guild's id, for a node's event with 0."""


class Peer(Protocol):
    """One library, as its users use it."""

    async def start(self) -> None:
        """Make its client; called once, inside the loop."""

    async def connect(self, address: str, name: str) -> None:
        """Connect one more node; returns when it is ready."""

    async def make_players(self, guilds: Sequence[int]) -> None:
        """One player each, on the first node, as if the bot were in a voice channel there."""

    def on_start(self, heard: Heard) -> None:
        """Register a handler of track starts."""

    def on_end(self, heard: Heard) -> None:
        """Register a handler of track ends."""

    def on_ready(self, heard: Heard) -> None:
        """Register a handler of nodes that are ready."""

    async def load(self, identifier: str) -> int:
        """Load, and say how many tracks there are."""

    async def update(self, volume: int) -> None:
        """Set the volume of the first guild's player."""


class AsyncioMeasures:
    """Every measure of one peer; see `ours.py` for the same of this client."""

    def __init__(self, peer: Peer, address: str, count: int) -> None:
        self.peer = peer
        self.address = address
        self.count = count

    async def ready(self, players: int = len(GUILDS)) -> None:
        await self.peer.connect(self.address, "bench")
        await self.peer.make_players(range(GUILD, GUILD + players))

    async def flooded(self, kind: str, guilds: int = len(GUILDS)) -> float:
        over = asyncio.Event()
        self.peer.on_end(lambda guild: over.set())
        for size in (int(self.count * WARM_UP), self.count):
            over.clear()
            ask(self.address, flood(kind, size, guilds))
            used = cpu()
            await asyncio.wait_for(over.wait(), _PATIENCE)
            used = cpu() - used
        return used / self.count * 1e6

    async def updates(self, players: int = len(GUILDS)) -> dict[str, float]:
        await self.ready(players)
        return {"cpu_us": await self.flooded("update", players)}

    async def updates_10000(self) -> dict[str, float]:
        return await self.updates(10_000)

    async def events(self) -> dict[str, float]:
        seen = dict.fromkeys(GUILDS, 0)

        def started(guild: int) -> None:
            seen[guild] += 1

        await self.ready()
        self.peer.on_start(started)
        used = await self.flooded("start")
        total = self.count + int(self.count * WARM_UP)
        assert sum(seen.values()) == total, f"{sum(seen.values())} of {total} events came"
        return {"cpu_us": used}

    async def unheard(self) -> dict[str, float]:
        await self.ready()
        return {"cpu_us": await self.flooded("start")}

    async def latency(self) -> dict[str, float]:
        heard: dict[int, list[int]] = {guild: [] for guild in GUILDS}
        over = asyncio.Event()
        left = self.count

        def started(guild: int) -> None:
            nonlocal left
            heard[guild].append(time.monotonic_ns())
            left -= 1
            if not left:
                over.set()

        await self.ready()
        self.peer.on_start(started)
        ask(self.address, f"paced?count={self.count}&rate=2000")
        used = cpu()
        await asyncio.wait_for(over.wait(), _PATIENCE)
        used = cpu() - used
        return {**measuring.latencies(self.address, heard), "cpu_us": used / self.count * 1e6}

    async def latency_busy(self) -> dict[str, float]:
        end = measuring.spin_beside()
        try:
            return await self.latency()
        finally:
            end()

    async def timed(self, call: Callable[[], Awaitable[object]]) -> tuple[list[float], float]:
        for _ in range(max(1, int(self.count * WARM_UP))):
            await call()
        took = []
        used = cpu()
        for _ in range(self.count):
            begun = time.perf_counter()
            await call()
            took.append((time.perf_counter() - begun) * 1e6)
        return took, (cpu() - used) / self.count * 1e6

    async def load(self) -> dict[str, float]:
        await self.ready()
        took, used = await self.timed(lambda: self.peer.load(TRACK))
        return {"cpu_us": used, "p50_us": median(took)}

    async def load_16(self) -> dict[str, float]:
        async def some(number: int) -> None:
            for _ in range(number):
                assert await self.peer.load(TRACK)

        await self.ready()
        for size in (int(self.count * WARM_UP), self.count):
            begun, used = time.perf_counter(), cpu()
            await asyncio.gather(*(some(size // 16) for _ in range(16)))
            took, used = time.perf_counter() - begun, cpu() - used
        calls = self.count // 16 * 16
        return {"calls_s": calls / took, "cpu_us": used / calls * 1e6}

    async def playlist(self) -> dict[str, float]:
        async def whole() -> None:
            assert await self.peer.load(PLAYLIST) == 5000

        await self.ready()
        took, used = await self.timed(whole)
        return {"cpu_us": used / 5000, "p50_us": median(took) / 5000}

    async def update(self) -> dict[str, float]:
        volumes = iter(range(10**9))
        await self.ready()
        took, used = await self.timed(lambda: self.peer.update(next(volumes) % 100))
        return {"cpu_us": used, "p50_us": median(took)}

    async def memory(self) -> dict[str, float]:
        await self.ready(0)
        told = asyncio.Event()
        self.peer.on_end(lambda guild: told.set())
        with measuring.MemoryOf() as made:
            await self.peer.make_players(range(GUILD, GUILD + self.count))
            ask(self.address, flood("update", self.count, self.count))
            await asyncio.wait_for(told.wait(), _PATIENCE)
            await asyncio.sleep(0.2)  # whatever it does behind the handler's back
        return {"bytes": made.bytes / self.count}

    async def connect(self) -> dict[str, float]:
        took = []
        for number in range(self.count):
            begun = time.perf_counter()
            await self.peer.connect(self.address, f"node{number}")
            took.append((time.perf_counter() - begun) * 1e3)
        return {"ms": median(took)}

    async def many(self, prefix: str, count: int) -> None:
        ready = asyncio.gather(*(self.peer.connect(self.address, f"{prefix}{n}") for n in range(count)))
        try:
            await asyncio.wait_for(ready, _PATIENCE_WITH_NODES)
        except asyncio.TimeoutError:
            raise RuntimeError(f"not all of its nodes were ready after {_PATIENCE_WITH_NODES:.0f} s") from None

    async def connect_50(self) -> dict[str, float]:
        took = []
        for number in range(self.count):
            begun = time.perf_counter()
            await self.many(f"round{number}-", 50)
            took.append((time.perf_counter() - begun) * 1e3)
        return {"ms": median(took)}

    async def reset(self) -> dict[str, float]:
        back = asyncio.Event()
        at = 0

        def again(_: int) -> None:
            nonlocal at
            at = time.monotonic_ns()
            back.set()

        await self.ready()
        self.peer.on_ready(again)
        took = []
        for _ in range(self.count):
            back.clear()
            await asyncio.sleep(measuring.STEADY)
            begun = ask(self.address, "reset")
            try:
                await asyncio.wait_for(back.wait(), _PATIENCE_WITH_NODES)
            except asyncio.TimeoutError:
                raise RuntimeError(f"not back after {_PATIENCE_WITH_NODES:.0f} s") from None
            took.append((at - begun) / 1e6)
        return {"ms": median(took)}

    async def nodes_500(self) -> dict[str, float]:
        await self.ready(0)
        memory, files = measuring.resident(), measuring.descriptors()
        for at in range(0, self.count, 50):
            await self.many(f"one-of-many{at}-", min(50, self.count - at))
        memory, files = measuring.resident() - memory, measuring.descriptors() - files
        used, seconds = cpu(), 2.0
        await asyncio.sleep(seconds)
        idle = (cpu() - used) / seconds * 100
        return {"kb": memory / self.count / 1024, "fds": files / self.count, "idle_percent": idle}


def main(make: Callable[[], Peer]) -> None:
    """Run the measure that the command line names on the peer that `make` makes."""
    logging.disable(logging.WARNING)

    async def run() -> None:
        name, address, count = measuring.asked()
        peer = make()
        await peer.start()
        measuring.report(await getattr(AsyncioMeasures(peer, address, count), name)())

    asyncio.run(run())
