"""lavalink_sync, measured. Usage: python -m benchmarks.runners.ours MEASURE ADDRESS COUNT"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import median

from benchmarks.load_bytes import GUILD, PLAYLIST, TRACK
from benchmarks.runners import measuring
from benchmarks.runners.measuring import GUILDS, PASSWORD, USER_ID, WARM_UP, ask, cpu, flood
from lavalink_sync import Client, Node, NodeConfig, Status, TrackEndEvent, TrackStartEvent
from lavalink_sync.node_events import NodeConnected

_PATIENCE = 60.0


@contextmanager
def connected(address: str, players: int = len(GUILDS)) -> Iterator[tuple[Client, Node]]:
    """A client with one node and `players` players on it."""
    with Client(USER_ID) as client:
        node = client.add_node(NodeConfig("bench", address, PASSWORD))
        for guild in range(GUILD, GUILD + players):
            client.player_on_node(node, guild)
        yield client, node


def flooded(client: Client, address: str, kind: str, count: int, guilds: int = len(GUILDS)) -> float:
    """CPU microseconds a frame, from before the first to the listener of the marker behind the last."""
    over = threading.Event()
    client.add_listener(TrackEndEvent, lambda player, event: over.set())
    for size in (int(count * WARM_UP), count):
        over.clear()
        ask(address, flood(kind, size, guilds))
        used = cpu()
        assert over.wait(_PATIENCE)
        used = cpu() - used
    return used / count * 1e6


def updates(address: str, count: int, players: int = len(GUILDS)) -> dict[str, float]:
    with connected(address, players) as (client, _):
        return {"cpu_us": flooded(client, address, "update", count, players)}


def updates_10000(address: str, count: int) -> dict[str, float]:
    return updates(address, count, 10_000)


def events(address: str, count: int) -> dict[str, float]:
    seen = dict.fromkeys(GUILDS, 0)

    def started(player: object, event: TrackStartEvent) -> None:
        seen[event.guild_id] += 1

    with connected(address) as (client, _):
        client.add_listener(TrackStartEvent, started)
        used = flooded(client, address, "start", count)
    total = count + int(count * WARM_UP)
    assert sum(seen.values()) == total, f"{sum(seen.values())} of {total} events came"
    return {"cpu_us": used}


def unheard(address: str, count: int) -> dict[str, float]:
    with connected(address) as (client, _):
        return {"cpu_us": flooded(client, address, "start", count)}


def latency(address: str, count: int) -> dict[str, float]:
    heard: dict[int, list[int]] = {guild: [] for guild in GUILDS}
    due = count // len(GUILDS)
    left = threading.Semaphore(0)

    def started(player: object, event: TrackStartEvent) -> None:
        times = heard[event.guild_id]
        times.append(time.monotonic_ns())
        # Not at each event: like the runner on asyncio, the main thread is woken when all have come.
        if len(times) == due:
            left.release()

    with connected(address) as (client, _):
        client.add_listener(TrackStartEvent, started)
        ask(address, f"paced?count={count}&rate=2000")
        used = cpu()
        for _ in GUILDS:
            assert left.acquire(timeout=_PATIENCE)
        used = cpu() - used
        return {**measuring.latencies(address, heard), "cpu_us": used / count * 1e6}


def latency_busy(address: str, count: int) -> dict[str, float]:
    end = measuring.spin_beside()
    try:
        return latency(address, count)
    finally:
        end()


def load(address: str, count: int) -> dict[str, float]:
    with connected(address) as (_, node):
        took, used = measuring.timed(lambda: node.load_tracks(TRACK), count)
    return {"cpu_us": used, "p50_us": median(took)}


def load_16(address: str, count: int) -> dict[str, float]:
    def some(number: int) -> None:
        for _ in range(number):
            assert node.load_tracks(TRACK).tracks

    with connected(address) as (_, node), ThreadPoolExecutor(16) as pool:
        for size in (int(count * WARM_UP), count):
            begun, used = time.perf_counter(), cpu()
            list(pool.map(some, [size // 16] * 16))
            took, used = time.perf_counter() - begun, cpu() - used
    calls = count // 16 * 16
    return {"calls_s": calls / took, "cpu_us": used / calls * 1e6}


def playlist(address: str, count: int) -> dict[str, float]:
    def whole() -> None:
        assert len(node.load_tracks(PLAYLIST).tracks) == 5000

    with connected(address) as (_, node):
        took, used = measuring.timed(whole, count)
    return {"cpu_us": used / 5000, "p50_us": median(took) / 5000}


def update(address: str, count: int) -> dict[str, float]:
    volumes = iter(range(10**9))
    with connected(address) as (client, _):
        player = client.player(GUILD)
        took, used = measuring.timed(lambda: player.update(volume=next(volumes) % 100), count)
    return {"cpu_us": used, "p50_us": median(took)}


def memory(address: str, count: int) -> dict[str, float]:
    with connected(address, 0) as (client, node):
        flooded(client, address, "update", 100, 10)
        with measuring.MemoryOf() as made:
            for guild in range(GUILD, GUILD + count):
                client.player_on_node(node, guild)
            told = threading.Event()
            client.add_listener(TrackEndEvent, lambda player, event: told.set())
            ask(address, flood("update", count, count))
            assert told.wait(_PATIENCE)
        assert client.player(GUILD + count - 1).state.connected
    return {"bytes": made.bytes / count}


def connect(address: str, count: int) -> dict[str, float]:
    took = []
    with Client(USER_ID) as client:
        for number in range(count):
            begun = time.perf_counter()
            client.add_node(NodeConfig(f"node{number}", address, PASSWORD))
            took.append((time.perf_counter() - begun) * 1e3)
    return {"ms": median(took)}


def many(client: Client, address: str, count: int) -> list[Node]:
    nodes = [client.add_node(NodeConfig(f"node{n}", address, PASSWORD), wait=False) for n in range(count)]
    for node in nodes:
        assert node.wait_for(Status.CONNECTED, timeout=_PATIENCE)
    return nodes


def connect_50(address: str, count: int) -> dict[str, float]:
    took = []
    for _ in range(count):
        with Client(USER_ID) as client:
            begun = time.perf_counter()
            many(client, address, 50)
            took.append((time.perf_counter() - begun) * 1e3)
    return {"ms": median(took)}


def reset(address: str, count: int) -> dict[str, float]:
    back = threading.Event()
    at = 0

    def again(player: object, event: NodeConnected) -> None:
        nonlocal at
        at = time.monotonic_ns()
        back.set()

    took = []
    with connected(address) as (client, _):
        client.add_listener(NodeConnected, again)
        for _ in range(count):
            back.clear()
            time.sleep(measuring.STEADY)
            begun = ask(address, "reset")
            assert back.wait(_PATIENCE)
            took.append((at - begun) / 1e6)
    return {"ms": median(took)}


def nodes_500(address: str, count: int) -> dict[str, float]:
    with Client(USER_ID) as client:
        many(client, address, 1)
        memory, files = measuring.resident(), measuring.descriptors()
        for n in range(count):
            client.add_node(NodeConfig(f"one-of-many{n}", address, PASSWORD), wait=False)
        for node in client.nodes:
            assert node.wait_for(Status.CONNECTED, timeout=_PATIENCE)
        memory, files = measuring.resident() - memory, measuring.descriptors() - files
        used, seconds = cpu(), 2.0
        time.sleep(seconds)
        idle = (cpu() - used) / seconds * 100
    return {"kb": memory / count / 1024, "fds": files / count, "idle_percent": idle}


MEASURES: dict[str, Callable[[str, int], dict[str, float]]] = {
    "updates": updates,
    "updates_10000": updates_10000,
    "events": events,
    "unheard": unheard,
    "latency": latency,
    "latency_busy": latency_busy,
    "load": load,
    "load_16": load_16,
    "playlist": playlist,
    "update": update,
    "memory": memory,
    "connect": connect,
    "connect_50": connect_50,
    "reset": reset,
    "nodes_500": nodes_500,
}

if __name__ == "__main__":
    measuring.run(MEASURES)
