"""A process that is killed while it writes into a store, many times over: `python -m tests.support.store_writer`.

It forks a writer, lets it run for a random moment, kills it with SIGKILL, and looks at what a new store then loads: all
players of one save, no older than the last save that returned. Forked here, in a process with one thread, because a new
interpreter for each kill would take a hundred times as long.
"""

from __future__ import annotations

import json
import os
import random
import select
import signal
import sys
from collections.abc import Callable

from lavalink_sync.stores import FileStore, RedisStore, SQLiteStore, Store

from .stores import player, session

PLAYERS = 20
_PATIENCE = 20.0


def opener(kind: str, place: str) -> Callable[[], Store]:
    """Return what opens the store."""
    if kind == "file":
        return lambda: FileStore(place)
    if kind == "sqlite":
        return lambda: SQLiteStore(place)
    return lambda: RedisStore(place, prefix="killed")


def write_for_ever(store: Store, first: int, told: int) -> None:
    """Save generation after generation, and say so after each."""
    store.claim("main")
    generation = first
    while True:
        generation += 1
        store.save_players(player(guild, position=generation) for guild in range(PLAYERS))
        store.save_session(session(saved_at=generation))
        os.write(told, generation.to_bytes(8, "big"))


def kill_one(open_store: Callable[[], Store], first: int, luck: random.Random) -> tuple[int, int]:
    """Kill a writer in mid-write; return the last generation it told of, and the one that was found."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            write_for_ever(open_store(), first, writing)
        finally:
            os._exit(1)
    os.close(writing)
    if not select.select([reading], [], [], _PATIENCE)[0]:
        raise SystemExit("the writer wrote nothing")
    select.select([], [], [], luck.uniform(0, 0.004))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with open(reading, "rb") as pipe:
        told = int.from_bytes(pipe.read()[-8:], "big")
    with open_store() as store:
        state = store.load()
        found = {each.position for each in state.players.values()}
        if len(state.players) != PLAYERS or len(found) != 1 or set(state.sessions) != {"main"}:
            raise SystemExit(f"{len(state.players)} players of the saves {found}, sessions {set(state.sessions)}")
    return told, found.pop()


def main(kind: str, place: str, times: int, seed: int) -> None:
    """Kill `times` writers, and print what was seen as JSON."""
    luck = random.Random(seed)
    ahead = 0
    last = 0
    for _ in range(times):
        told, found = kill_one(opener(kind, place), last, luck)
        if not told <= found <= told + 1:
            raise SystemExit(f"save {told} had returned, but save {found} was found")
        ahead += found - told
        last = found
    sys.stdout.write(json.dumps({"kills": times, "saves": last, "killed between save and word": ahead}) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
