"""A recorded session is replayed to a client, which sees what the first one saw."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lavalink_sync import (
    Client,
    NodeConfig,
    NodeConnected,
    TrackEndEvent,
    TrackStartEvent,
    WebSocketClosedEvent,
)
from lavalink_sync.devnode import DevNode, Recorder, ReplayServer

from .support.devnode_raw import Raw, next_of
from .support.nodes import EAGER, GUILD, PATIENT, join_voice
from .support.relaying import written
from .support.waiting import wait_until

SEEN: tuple[type[Any], ...] = (TrackStartEvent, TrackEndEvent, WebSocketClosedEvent, NodeConnected)


def a_session(client: Client, address: str, password: str, cut: Callable[[], None]) -> list[tuple[str, Any]]:
    """Play two tracks, join a voice channel, lose the connection and resume; returns the events, in order."""
    seen: list[tuple[str, Any]] = []

    def note(player: object, event: Any) -> None:
        fields = {k: v for k, v in vars(event).items() if k not in ("node", "previous", "attempt", "raw")}
        seen.append((type(event).__name__, fields.get("track") or fields.get("resumed")))

    for kind in SEEN:
        client.add_listener(kind, note)
    config = NodeConfig("main", address, password, reconnect=EAGER, timeouts=PATIENT, resume_timeout=60)
    node = client.add_node(config, timeout=10)
    player = client.player(GUILD)
    tracks = [node.load_tracks(f"/music/{name}").tracks[0] for name in ("wav3.wav", "flac12.flac")]
    player.play(tracks[0], volume=80)
    join_voice(client)
    wait_until(lambda: player.state is not None and player.state.connected, "the voice connection")
    player.play(tracks[1])
    wait_until(lambda: len(seen) >= 4, "the second track")
    cut()
    wait_until(lambda: sum(name == "NodeConnected" for name, _ in seen) == 2, "the node again")
    player.stop()
    wait_until(lambda: sum(name == "TrackEndEvent" for name, _ in seen) == 2, "the end of the second track")
    client.close()
    return seen


def test_a_new_client_sees_what_the_recorded_one_saw(
    make_client: Callable[..., Client], make_devnode: Callable[..., DevNode], tmp_path: Path
) -> None:
    path = tmp_path / "session.jsonl"
    devnode = make_devnode()
    with Recorder(devnode.address, path) as recorder:
        recorded = a_session(make_client(), recorder.address, devnode.password, devnode.cut_sockets)
        written(recorder, "ws_end", 2)
    devnode.close()
    assert len(recorded) >= 6
    for password in ("another password", "youshallnotpass"):  # it can be replayed as often as one likes
        with ReplayServer(path, password=password) as server:
            replayed = a_session(make_client(), server.address, password, lambda: None)
            assert server.unexpected == []
            assert server.wait_finished(), server.missing
            assert server.finished
        assert replayed == recorded


def test_every_client_of_a_recording_gets_its_own_part(devnode: DevNode, tmp_path: Path) -> None:
    path = tmp_path / "session.jsonl"
    guilds = range(1, 21)

    def a_client(address: str, guild: int, results: dict[int, list[Any]]) -> None:
        raw = Raw(devnode, address=address)
        websocket, session_id = raw.open_session(user_id=str(1000 + guild))
        seen: list[Any] = []
        for name in ("wav3.wav", "missing", "sine5.mp3"):
            body = {"track": {"identifier": f"/music/{name}"}}
            seen.append(raw.ask("PATCH", f"/v4/sessions/{session_id}/players/{guild}", body)[0])
            if name != "missing":
                seen.append(next_of(websocket, "TrackStartEvent"))
        results[guild] = seen
        websocket.close()
        raw.close()

    def all_clients(address: str) -> dict[int, list[Any]]:
        results: dict[int, list[Any]] = {}
        threads = [threading.Thread(target=a_client, args=(address, guild, results)) for guild in guilds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        return results

    with Recorder(devnode.address, path) as recorder:
        recorded = all_clients(recorder.address)
        written(recorder, "ws_end", len(guilds))
    with ReplayServer(path, password=devnode.password) as server:
        assert all_clients(server.address) == recorded
        assert server.unexpected == []
    assert sorted(recorded) == list(guilds)
