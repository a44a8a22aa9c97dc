"""A lost connection: with resuming the players play on and are read back, without it they are made anew."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import Client, Filters, Node, OutcomeUnknownError, ServerPlayer, Timeouts, Timescale
from lavalink_sync.devnode import DevNode
from lavalink_sync.player_fields import PlayerFields

from .support.nodes import GUILD, config_for, join_voice
from .support.waiting import wait_until


def test_after_a_resume_every_player_is_read_back(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    track = node.load_tracks("/music/flac12.flac").tracks[0]
    player = client.player(GUILD)
    player.play(track, volume=30)
    gone = client.player(5)
    gone.play(track)
    first = node.session_id
    assert first is not None
    # What somebody else changes meanwhile, this client can only learn by reading.
    node.rest.request("PATCH", f"/v4/sessions/{first.reveal()}/players/{GUILD}", body={"volume": 70})
    node.rest.request("DELETE", f"/v4/sessions/{first.reveal()}/players/5")
    node.rest.request("PATCH", f"/v4/sessions/{first.reveal()}/players/9", body={"volume": 15})
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert node.session_id == first
    assert (player.volume, player.track is not None) == (70, True)
    assert gone.track is None
    created = client.existing_player(9)
    assert created is not None
    assert created.volume == 15


def test_the_newest_session_id_is_sent_at_each_dial(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    ids = [node.session_id]
    for lost in range(3):
        devnode.forget_sessions()
        devnode.cut_sockets()
        wait_until(lambda: node.view.readies == lost + 2, "the node to be back")  # noqa: B023 - called at once
        ids.append(node.session_id)
    dials = [r.headers.get("session-id") for r in devnode.requests if r.path == "/v4/websocket"]
    assert dials == [None, *(session_id.reveal() for session_id in ids[:-1] if session_id)]
    assert len(set(ids)) == 4


def test_a_resume_that_is_refused_has_the_player_made_anew(client: Client, node: Node, devnode: DevNode) -> None:
    track = node.load_tracks("/music/flac12.flac").tracks[0]
    player = client.player(GUILD)
    join_voice(client)
    filters = Filters(timescale=Timescale(speed=1.5))
    player.play(track, volume=30, position=4000, filters=filters, user_data={"n": 1})
    # A server tells a start position only once frames are taken from there.
    wait_until(lambda: player.state.connected and player.state.position >= 4000, "it to play")
    player.pause()
    devnode.forget_sessions()
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    wait_until(lambda: any(p.state.connected for p in node.rest.players()), "the player and its voice")
    made = node.rest.player(GUILD)
    assert made.track is not None
    assert (made.track.info.title, made.track.user_data) == (track.info.title, {"n": 1})
    assert (made.volume, made.paused, made.filters.timescale) == (30, True, Timescale(speed=1.5))
    sent = [request.body for request in devnode.requests if request.method == "PATCH" and "track" in request.body]
    assert sent[-1]["position"] >= 4000
    assert player.track is not None


def test_a_player_that_a_server_never_knew_is_not_made_anew(client: Client, node: Node, devnode: DevNode) -> None:
    client.player(GUILD)
    devnode.cut_sockets()
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    assert client.player(5).set_volume(10).volume == 10
    assert [server.guild_id for server in node.rest.players()] == [5]


@pytest.mark.parametrize("run", range(3))
def test_a_call_that_was_never_answered_in_an_outage_does_not_lose_the_music(
    client: Client, node: Node, devnode: DevNode, run: int
) -> None:
    track = node.load_tracks("/music/flac12.flac").tracks[0]
    player = client.player(GUILD)
    player.play(track, volume=30)
    devnode.slow("/v4/sessions", 60, times=1)
    met: list[BaseException] = []

    def call() -> None:
        try:
            player.set_volume(20, timeout=0.3)
        except OutcomeUnknownError as error:
            met.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    wait_until(lambda: [r.method for r in devnode.requests].count("PATCH") == 2, "the call to be on the wire")
    devnode.refuse(503)
    devnode.forget_sessions()
    devnode.cut_sockets()
    caller.join(15)
    devnode.refuse(None)
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    wait_until(lambda: [p for p in node.rest.players() if p.track is not None], "the music")
    assert len(met) == 1
    assert player.track is not None


GONE = '{"timestamp":1,"status":404,"error":"Not Found","message":"Session not found","path":"/"}'


@pytest.mark.parametrize(
    "trouble",
    [
        # A read is asked for again by itself, a few times.
        lambda devnode: devnode.silence("/v4/sessions", times=3, method="GET"),
        lambda devnode: devnode.hang_up("/v4/sessions", times=6, method="GET"),
        lambda devnode: devnode.answer("/v4/sessions", 502, "<html>", "text/html", times=2, method="GET"),
        lambda devnode: devnode.answer("/v4/sessions", 404, GONE, "application/json", times=1, method="GET"),
    ],
    ids=["no answer", "hung up", "a proxy's page", "the session is gone"],
)
def test_a_player_whose_reading_fails_too_is_read_until_it_is_known(
    client: Client, devnode: DevNode, monkeypatch: pytest.MonkeyPatch, trouble: Callable[[DevNode], None]
) -> None:
    monkeypatch.setattr("lavalink_sync.syncing.RETRY_PAUSE", 0.01)
    brief = Timeouts(connect=5, read=0.3, call=20, load=20, voice=10, close=10)
    node = client.add_node(config_for(devnode, resume_timeout=60, timeouts=brief), timeout=10)
    player = client.player(GUILD)
    player.set_volume(30)
    real = node.rest.update_player

    def answer_lost(*args: Any, **options: Any) -> ServerPlayer:
        real(*args, **options)
        raise OutcomeUnknownError("the answer got lost")

    monkeypatch.setattr(node.rest, "update_player", answer_lost)
    trouble(devnode)
    with pytest.raises(OutcomeUnknownError):
        player.pause()
    wait_until(lambda: player.paused, "what the server says")


def test_a_player_that_is_in_doubt_many_times_is_read_once(
    client: Client, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    player, syncing = client.player(GUILD), client._recovery.syncing
    queued: list[Callable[[], object]] = []

    def submit(player: PlayerFields, job: Callable[[PlayerFields], object], *, delay: float) -> None:
        queued.append(lambda: job(player))

    monkeypatch.setattr(syncing._jobs, "submit", submit)
    for _ in range(3):
        syncing.reread(player)
    assert len(queued) == 1
    queued.pop()()
    syncing.reread(player)
    assert len(queued) == 1, "a doubt that came later is another one"
