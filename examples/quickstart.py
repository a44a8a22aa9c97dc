"""The first music: load tracks, play one to its end, watch the events. No bot, no async.

    python examples/quickstart.py                         # starts a development node over examples/music and uses that
    LAVALINK_ADDRESS=localhost:2333 LAVALINK_PASSWORD=youshallnotpass python examples/quickstart.py "ytsearch:lofi"

The second form talks to a real Lavalink server. Without a bot there is no voice connection, so a real server starts the
track but does not advance it; the script says so and stops after a few seconds.
"""

from __future__ import annotations

import os
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

from lavalink_sync import (
    Client,
    LavalinkError,
    LoadFailed,
    LoadResult,
    Node,
    NodeConfig,
    NodeConnected,
    NoMatches,
    Player,
    PlaylistLoaded,
    SearchResult,
    Track,
    TrackEndEvent,
    TrackExceptionEvent,
    TrackLoaded,
    TrackStartEvent,
)

MUSIC = Path(__file__).parent / "music"
USER_ID = 170939974227591168  # any bot's user id
GUILD_ID = 81384788765712384  # any guild's id
PATIENCE = 15.0  # seconds to wait for an end that may never come


def main() -> int:
    with ExitStack() as stack:
        address = os.environ.get("LAVALINK_ADDRESS")
        if address is None:
            config, identifiers = start_devnode(stack)
        elif len(sys.argv) > 1:
            config = NodeConfig("server", address, os.environ.get("LAVALINK_PASSWORD", "youshallnotpass"))
            identifiers = sys.argv[1:]
        else:
            print('say what to play: python examples/quickstart.py "https://..." (or a search such as "ytsearch:lofi")')
            return 2
        client = stack.enter_context(Client(USER_ID))
        listen(client)
        node = client.add_node(config, timeout=20)
        print(f"connected to Lavalink {node.version()} at {config.address}\n")
        tracks = load_all(node, identifiers)
        if not tracks:
            print("nothing to play")
            return 1
        player = client.player(GUILD_ID)
        if address is None:
            join_voice(client)
        return play_to_the_end(client, player, tracks[0])


def start_devnode(stack: ExitStack) -> tuple[NodeConfig, list[str]]:
    from lavalink_sync.devnode import DevNode

    node = stack.enter_context(DevNode(music=MUSIC, port=0))
    names = ("sine5.mp3", "flac12.flac", "vorbis8.ogg", "wav3.wav")
    print(f"development node at {node.address}, playing files of {MUSIC.name}/")
    return NodeConfig("devnode", node.address, node.password), [f"/music/{name}" for name in names]


def listen(client: Client) -> None:
    """Listeners run on worker threads, one event of a guild at a time."""

    @client.on(NodeConnected)
    def connected(_: None, event: NodeConnected) -> None:
        print(f"  event: node {event.node.name} is connected")

    @client.on(TrackStartEvent)
    def started(player: Player, event: TrackStartEvent) -> None:
        print(f"  event: started {event.track.info.title!r} in guild {player.guild_id}")

    @client.on(TrackExceptionEvent)
    def failed(player: Player, event: TrackExceptionEvent) -> None:
        print(f"  event: {event.track.info.title!r} failed: {event.exception.message}")


def load_all(node: Node, identifiers: list[str]) -> list[Track]:
    """Load each identifier twice: once for a result, once with a handler that runs on a worker thread."""
    found: list[Track] = []
    for identifier in identifiers:
        result = node.load_tracks(identifier)
        print(f"{identifier}\n  result:  {describe(result)}")
        found += result.tracks
        future = node.load_tracks(identifier, lambda result: print(f"  handler: {describe(result)}"))
        future.result(timeout=60)
    print()
    return found


def describe(result: LoadResult) -> str:
    match result:
        case TrackLoaded(track):
            info = track.info
            length = "live" if info.is_stream else clock(info.length)
            return f"{info.title} by {info.author}, {length}, from {info.source_name}"
        case PlaylistLoaded(playlist):
            return f"playlist {playlist.info.name} with {len(playlist.tracks)} tracks"
        case SearchResult(tracks):
            return f"search with {len(tracks)} tracks"
        case NoMatches():
            return "no matches"
        case LoadFailed():
            return f"failed: {result.error}"
        case _:
            return f"a load type unknown here: {result.load_type}"


def join_voice(client: Client) -> None:
    """What a bot gets from Discord's gateway and passes on. The development node takes any such data."""
    client.on_voice_state_update(GUILD_ID, 1234, "a-session-of-discord")
    client.on_voice_server_update(GUILD_ID, "a-token-of-discord", "voice.example:443")


def play_to_the_end(client: Client, player: Player, track: Track) -> int:
    ended = threading.Event()
    reasons: list[str] = []

    @client.on(TrackEndEvent)
    def end(player: Player, event: TrackEndEvent) -> None:
        reasons.append(str(event.reason.value))
        ended.set()

    player.play(track, volume=80)
    length = 0 if track.info.is_stream else track.info.length
    deadline = PATIENCE + length / 1000
    live = sys.stdout.isatty()
    waited, step = 0.0, 0.1 if live else 1.0
    while not ended.wait(step) and waited < deadline:
        waited += step
        print(f"  {clock(player.position)} of {clock(length)}", end="\r" if live else "\n", flush=True)
        if waited > PATIENCE / 3 and not player.state.connected:
            print("  the server has no voice connection, so the track stays at 0:00: a bot would have joined a channel")
            player.stop()
            break
    ended.wait(5)
    print(f"  event: ended {track.info.title!r}: " + (reasons[0] if reasons else "no end came in time"))
    if not reasons:
        return 1
    print(reasons[0])
    return 0


def clock(milliseconds: int) -> str:
    seconds = milliseconds / 1000
    return f"{int(seconds) // 60}:{seconds % 60:04.1f}"


if __name__ == "__main__":
    try:
        sys.exit(main())
    except LavalinkError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)
