"""The test kit as its users meet it: each fixture, and each fault as a client sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

from lavalink_sync import (
    AuthenticationError,
    Client,
    LavalinkError,
    LoadFailed,
    Node,
    NodeReconnecting,
    NoMatches,
    OutcomeUnknownError,
    Player,
    PlaylistLoaded,
    RestError,
    SearchResult,
    Status,
    TrackEndEvent,
    TrackExceptionEvent,
    TrackLoaded,
    TrackStartEvent,
    TrackStuckEvent,
    UnknownEvent,
    UnknownMessageEvent,
    WebSocketClosedEvent,
)
from lavalink_sync.devnode import DevNode, ManualClock, Races
from lavalink_sync.testing import GUILD_ID, join_voice, node_config, wait_until

SONG = "https://example.org/song"


@pytest.fixture
def server(lavalink_node: DevNode) -> DevNode:
    return lavalink_node


@pytest.fixture
def node(lavalink_client: Client) -> Node:
    return lavalink_client.nodes[0]


def back(node: Node, readies: int = 2) -> None:
    wait_until(lambda: node.view.readies == readies, "the node to be back")


# --- fixtures


def test_a_client_is_connected_and_a_player_has_voice(
    lavalink_client: Client, lavalink_node: DevNode, lavalink_player: Player
) -> None:
    assert lavalink_client.nodes[0].status is Status.CONNECTED
    assert lavalink_node.voice.links == [GUILD_ID]
    assert lavalink_player.guild_id == GUILD_ID


def test_an_hour_passes_in_no_time(
    lavalink_player: Player, node: Node, server: DevNode, lavalink_clock: ManualClock, lavalink_client: Client
) -> None:
    server.tracks.add(SONG, length=3_600_000)
    with lavalink_client.expect(TrackEndEvent, guild_id=GUILD_ID, timeout=10) as ended:
        lavalink_player.play(node.load_tracks(SONG).tracks[0])
        lavalink_clock.advance(3601)
    assert ended.result().reason.value == "finished"
    assert abs(ended.result().track.info.position - 3_600_000) < 1000


def test_several_nodes_and_clients_can_be_had(
    make_lavalink_node: Callable[..., DevNode], make_lavalink_client: Callable[..., Client]
) -> None:
    client = make_lavalink_client()
    for name in ("one", "two", "three"):
        client.add_node(node_config(make_lavalink_node(), name), timeout=10)
    assert [node.name for node in client.nodes] == ["one", "two", "three"]


class TestOptions:
    @pytest.fixture
    def lavalink_options(self) -> dict[str, Any]:
        return {"password": "another password", "disabled_filters": ("karaoke",)}

    def test_of_the_node_can_be_changed_by_a_fixture(self, lavalink_client: Client, server: DevNode) -> None:
        assert server.password == "another password"
        assert "karaoke" not in lavalink_client.nodes[0].info().filters


# --- the WebSocket


@pytest.mark.parametrize(
    "cut",
    [
        lambda server: server.cut_sockets(),
        lambda server: server.cut_sockets(reset=False),
        lambda server: server.close_sockets(1000),
        lambda server: server.close_sockets(1011, "why not"),
        lambda server: server.send_half_a_frame(),
    ],
    ids=["reset", "end", "1000", "1011", "half a frame"],
)
def test_a_socket_that_ends_is_made_anew(
    cut: Callable[[DevNode], None], lavalink_client: Client, node: Node, server: DevNode
) -> None:
    with lavalink_client.expect(NodeReconnecting, timeout=10) as lost:
        cut(server)
    assert lost.result().reason
    back(node)


def test_a_handshake_is_refused_as_often_as_told(node: Node, server: DevNode) -> None:
    server.refuse(502, times=3, body="<h1>Bad Gateway</h1>")
    server.cut_sockets()
    back(node)
    assert sum(request.wants_upgrade for request in server.requests) == 5


def test_handshakes_are_refused_until_told(lavalink_client: Client, node: Node, server: DevNode) -> None:
    server.refuse(503)
    server.cut_sockets()
    wait_until(lambda: sum(request.wants_upgrade for request in server.requests) > 5, "some tries")
    assert node.status is Status.RECONNECTING
    server.refuse(None)
    back(node)


@pytest.mark.parametrize("status", [401, 403])
def test_a_password_that_is_refused_ends_the_opening(
    status: int, make_lavalink_client: Callable[..., Client], server: DevNode
) -> None:
    server.refuse(status, body="")
    with pytest.raises(AuthenticationError):
        make_lavalink_client().add_node(node_config(server), timeout=10)


def test_a_server_that_is_down_and_up_again_is_found_at_its_place(node: Node, server: DevNode) -> None:
    server.close()
    wait_until(lambda: node.status is Status.RECONNECTING, "the loss")
    server.start()
    back(node)


def test_a_mute_server_answers_nobody_until_it_is_healed(node: Node, server: DevNode) -> None:
    server.mute()
    with pytest.raises(LavalinkError):
        node.version(timeout=0.2)
    server.heal()
    assert node.version(timeout=10)


@pytest.mark.parametrize(
    "send",
    [
        lambda server: server.send_raw("no json"),
        lambda server: server.send_raw('{"op":"playerUpdate"}'),
        lambda server: server.send_bytes(b'{"op": 1}', binary=False),
        lambda server: server.send_bytes(b"\xff\xfe", binary=False),
    ],
    ids=["no JSON", "fields missing", "a wrong type", "no UTF-8"],
)
def test_a_bad_frame_is_counted_and_the_connection_lives_on(
    send: Callable[[DevNode], None], lavalink_player: Player, node: Node, server: DevNode
) -> None:
    send(server)
    wait_until(lambda: node.bad_frames == 1 or node.view.readies == 2, "the frame")
    assert lavalink_player.set_volume(7).volume == 7


def test_what_is_not_known_is_handed_on(lavalink_client: Client, server: DevNode) -> None:
    with lavalink_client.expect(UnknownMessageEvent, timeout=10) as message:
        server.send_raw('{"op":"weather","sun":true}')
    assert message.result().data["sun"] is True
    with lavalink_client.expect(UnknownEvent, timeout=10) as event:
        server.send_raw('{"op":"event","type":"SegmentSkipped","guildId":"1"}')
    assert event.result().type == "SegmentSkipped"


def test_a_session_that_is_lost_is_no_callers_problem(lavalink_player: Player, node: Node, server: DevNode) -> None:
    lavalink_player.set_volume(30)
    server.forget_sessions()
    assert lavalink_player.set_volume(31).volume == 31


def test_stats_can_come_first_and_say_what_they_are_told_to(
    make_lavalink_node: Callable[..., DevNode], make_lavalink_client: Callable[..., Client]
) -> None:
    server = make_lavalink_node(races=Races(stats_first=True))
    server.set_stats(players=77, cpu={"systemLoad": 0.5})
    node = make_lavalink_client().add_node(node_config(server), timeout=10)
    # Had `ready` come first, they might not be there yet.
    assert node.stats is not None
    assert (node.stats.players, node.stats.cpu.system_load, node.stats.cpu.lavalink_load) == (77, 0.5, 0.0)


def test_stats_can_be_frozen_and_stopped(
    make_lavalink_node: Callable[..., DevNode], make_lavalink_client: Callable[..., Client]
) -> None:
    server = make_lavalink_node(races=Races(stats_first=True))
    client = make_lavalink_client()
    node = client.add_node(node_config(server), timeout=10)
    server.freeze_stats()
    client.player(1).set_volume(3)
    server.cut_sockets()
    back(node)
    assert node.stats is not None
    assert node.stats.players == 0
    server.stop_stats()
    server.cut_sockets()
    back(node, 3)
    assert node.stats is None


@pytest.mark.parametrize("place", ["before", "between", "after"])
def test_the_reply_comes_where_it_is_told_to_and_the_player_knows_what_plays(
    place: Literal["before", "between", "after"],
    make_lavalink_node: Callable[..., DevNode],
    make_lavalink_client: Callable[..., Client],
) -> None:
    server = make_lavalink_node(races=Races(reply=place))
    client = make_lavalink_client()
    node = client.add_node(node_config(server), timeout=10)
    for title in ("One", "Two"):
        server.tracks.add(title, title=title)
        with client.expect(TrackStartEvent, guild_id=1, timeout=10) as started:
            client.player(1).play(node.load_tracks(title).tracks[0])
        assert started.result().track.info.title == title
        playing = client.player(1).track
        assert playing is not None
        assert playing.info.title == title


# --- REST


def test_a_slow_answer_is_waited_for_and_a_missing_one_says_so(lavalink_player: Player, server: DevNode) -> None:
    server.slow("/v4/sessions", 0.05, times=1)
    assert lavalink_player.set_volume(5).volume == 5
    server.silence("/v4/sessions", times=1, method="PATCH")
    with pytest.raises(OutcomeUnknownError):
        lavalink_player.set_volume(6, timeout=0.2)


@pytest.mark.parametrize("midway", [False, True])
def test_a_connection_that_ends_instead_of_an_answer(midway: bool, node: Node, server: DevNode) -> None:
    server.hang_up("/v4/info", midway=midway)
    with pytest.raises(LavalinkError):
        node.info(timeout=1)
    server.heal()
    assert node.info().version.major == 4


@pytest.mark.parametrize("status", [401, 403, 404, 500, 502])
def test_an_answer_can_be_anything(status: int, node: Node, server: DevNode) -> None:
    server.answer("/v4/info", status, "<h1>no</h1>", "text/html", times=1)
    with pytest.raises(RestError) as caught:
        node.info()
    assert caught.value.status == status
    assert node.info().version.major == 4


def test_a_method_of_its_own_can_fail(lavalink_player: Player, node: Node, server: DevNode) -> None:
    server.answer("/v4/sessions", 500, "{}", "application/json", method="PATCH")
    with pytest.raises(RestError):
        lavalink_player.set_volume(3)
    assert node.rest.players() is not None


# --- voice, loading, playing


# Protocol 3.5 has them all.
CODES = [1000, 4001, 4002, 4003, 4004, 4005, 4006, 4009, 4011, 4012, 4014, 4015, 4016, 4017, 4020, 4021, 4022]


@pytest.mark.parametrize("code", CODES)
def test_a_voice_server_refuses_with_each_code(code: int, lavalink_client: Client, server: DevNode) -> None:
    server.voice.refuse(code)
    with lavalink_client.expect(WebSocketClosedEvent, guild_id=GUILD_ID, timeout=10) as closed:
        join_voice(lavalink_client)
    event = closed.result()
    assert (event.code, event.by_remote, bool(event.reason)) == (code, True, code != 1000)


@pytest.mark.parametrize("severity", ["common", "suspicious", "fault"])
def test_a_load_fails_with_a_severity_as_often_as_told(severity: str, node: Node, server: DevNode) -> None:
    server.tracks.add(SONG, title="There")
    server.tracks.fail(SONG, message="not now", severity=severity, times=1)
    result = node.load_tracks(SONG)
    assert isinstance(result, LoadFailed)
    assert result.exception is not None
    assert (result.exception.message, result.exception.severity.value) == ("not now", severity)
    assert isinstance(node.load_tracks(SONG), TrackLoaded)


def test_what_can_be_loaded_is_scripted(node: Node, server: DevNode) -> None:
    one, two = (server.tracks.add(f"id-{title}", title=title, source="spotify") for title in ("One", "Two"))
    server.tracks.playlist("list", "Both", [one, two], selected=1)
    server.tracks.search("ytsearch:x", [two, one])
    server.tracks.empty("nothing")
    found = node.load_tracks("list")
    assert isinstance(found, PlaylistLoaded)
    assert (found.playlist.info.name, found.playlist.info.selected_track) == ("Both", 1)
    assert isinstance(node.load_tracks("ytsearch:x"), SearchResult)
    assert isinstance(node.load_tracks("nothing"), NoMatches)
    assert node.decode_track(one["encoded"]).info.source_name == "spotify"
    server.tracks.forget("list")
    assert isinstance(node.load_tracks("list"), NoMatches)
    with pytest.raises(ValueError, match="severity"):
        server.tracks.fail("x", severity="bad")


def test_a_track_breaks_or_gets_stuck(
    lavalink_client: Client, lavalink_player: Player, server: DevNode, lavalink_clock: ManualClock, node: Node
) -> None:
    server.tracks.add(SONG, length=600_000)
    track = node.load_tracks(SONG).tracks[0]
    with lavalink_client.expect(TrackStuckEvent, guild_id=GUILD_ID, timeout=10) as stuck:
        lavalink_player.play(track)
        lavalink_clock.advance(5)
        assert server.playback.stall(GUILD_ID) == 1
        lavalink_clock.advance(30)
    assert stuck.result().threshold_ms == 10_000
    server.tracks.break_track(SONG, cause="java.io.IOException: torn")
    with lavalink_client.expect(TrackExceptionEvent, guild_id=GUILD_ID, timeout=10) as broken:
        lavalink_player.play(track)
    assert broken.result().exception.cause == "java.io.IOException: torn"


def test_waiting_in_vain_says_for_what() -> None:
    with pytest.raises(AssertionError, match=r"in vain for the moon"):
        wait_until(lambda: False, "the moon", timeout=0.01)


def test_a_test_that_leaves_a_thread_of_the_client_behind_fails(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]")
    pytester.makeconftest('pytest_plugins = ["lavalink_sync.testing"]')
    pytester.makepyfile(
        """
        import threading
        import lavalink_sync.testing as kit

        def test_it(make_lavalink_client):
            kit.wait_until.__defaults__ = ("x", 0.05)
            threading.Thread(target=threading.Event().wait, name="lavalink-worker-9", daemon=True).start()
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*lavalink-worker-9*"])
