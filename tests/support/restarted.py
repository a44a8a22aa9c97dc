"""A bot as a process of its own, to be killed: plays in one guild, says so, and waits for its end.

Usage: python -m tests.support.restarted KIND PLACE ADDRESS PASSWORD
"""

from __future__ import annotations

import sys
import threading

from lavalink_sync import Client, NodeConfig
from lavalink_sync.stores import FileStore, SQLiteStore, Store

from .nodes import USER_ID

GUILD = 81384788765712384


def store_of(kind: str, place: str) -> Store:
    """The store of a kind at a place; for Redis that is its URL, a space, and the prefix of the keys."""
    if kind == "redis":
        from lavalink_sync.stores.redis import RedisStore

        url, _, prefix = place.partition(" ")
        return RedisStore(url, prefix=prefix, lease_seconds=1)
    return FileStore(place) if kind == "file" else SQLiteStore(place, lease_seconds=1)


def say(word: str) -> None:
    """Tell the test."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def main(kind: str, place: str, address: str, password: str) -> None:
    """Play, and wait to be killed."""
    with Client(USER_ID, store=store_of(kind, place)) as client:
        node = client.add_node(NodeConfig("main", address, password, resume_timeout=60), timeout=10)
        player = client.player(GUILD)
        client.on_voice_state_update(GUILD, 5, "a-discord-session")
        client.on_voice_server_update(GUILD, "a-discord-token", "voice.example:443")
        player.play(node.load_tracks("/music/flac12.flac").tracks[0], volume=37, user_data={"n": 1}, position=3000)
        say("playing")
        for line in sys.stdin:
            player.set_volume(int(line))
            say("done")
        threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
