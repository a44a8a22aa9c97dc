"""A guild's player against a real server on loopback: every method, the order of calls, outages, moving."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lavalink_sync import (
    BadRequestError,
    Client,
    ConfigError,
    Filters,
    InvalidArgumentError,
    Node,
    NodeNotReadyError,
    NoNodeAvailableError,
    OutcomeUnknownError,
    PlayerDestroyedError,
    Status,
    Timeouts,
    Timescale,
    Track,
    TrackEndEvent,
    TrackStartEvent,
    VoiceFailed,
    VoiceStage,
    WaitTimeoutError,
)
from lavalink_sync.devnode import DevNode

from .support.nodes import GUILD, config_for, join_voice, listen
from .support.waiting import wait_until


@pytest.fixture
def track(node: Node) -> Track:
    return node.load_tracks("/music/sine5.mp3").tracks[0]


@pytest.fixture
def other(node: Node) -> Track:
    return node.load_tracks("/music/flac12.flac").tracks[0]


def patches(devnode: DevNode) -> list[Any]:
    """The bodies of all player PATCHes so far."""
    return [request.body for request in devnode.requests if request.method == "PATCH" and "/players/" in request.path]


def test_a_player_is_made_once_without_asking_the_server(client: Client, node: Node, devnode: DevNode) -> None:
    before = len(devnode.requests)
    player = client.player(GUILD)
    assert client.player(GUILD) is player
    assert client.existing_player(GUILD) is player
    assert client.existing_player(5) is None
    assert client.players == [player]
    assert player.node is node
    assert (player.track, player.volume, player.paused, player.position) == (None, 100, False, 0)
    assert len(devnode.requests) == before


def test_every_method_changes_the_server_and_the_snapshot(client: Client, node: Node, track: Track) -> None:
    player = client.player(GUILD)
    join_voice(client)
    assert player.play(track, volume=80, user_data={"requester": 7}).track is not None
    assert player.track is not None
    assert player.track.info.title == "Sine 440"
    assert player.track.user_data == {"requester": 7}
    assert player.volume == 80
    assert player.pause().paused
    assert not player.resume().paused
    assert player.set_volume(30).volume == 30
    filters = Filters(timescale=Timescale(speed=1.5))
    assert player.set_filters(filters).filters.timescale == Timescale(speed=1.5)
    player.seek(3000)
    assert node.rest.player(GUILD).track is not None
    assert player.position >= 3000
    assert player.stop().track is None
    assert node.rest.player(GUILD).track is None
    assert player.stop().track is None, "stopping nothing is fine"


def test_a_tracks_own_user_data_goes_with_it(client: Client, node: Node, track: Track) -> None:
    player = client.player(GUILD)
    player.play(track.with_user_data({"requester": 5}))
    assert player.track is not None
    assert player.track.user_data == {"requester": 5}
    player.update(user_data={"requester": 6})
    assert player.track.user_data == {"requester": 6}


def test_the_server_resolves_an_identifier(client: Client, node: Node) -> None:
    player = client.player(GUILD)
    assert player.play(identifier="/music/sine5.mp3").track is not None
    with pytest.raises(BadRequestError, match="No matches found"):
        player.play(identifier="/music/none.mp3")


def test_no_replace_leaves_what_plays_alone(client: Client, node: Node, track: Track, other: Track) -> None:
    player = client.player(GUILD)
    player.play(track)
    player.play(other, no_replace=True, volume=20)
    assert player.track is not None
    assert player.track.info.title == track.info.title
    assert player.volume == 20


def test_a_new_track_goes_on_playing_after_a_pause_unless_it_is_told_not_to(
    client: Client, node: Node, track: Track, other: Track
) -> None:
    player = client.player(GUILD)
    player.play(track)
    player.pause()
    assert not player.play(other).paused
    assert player.play(track, paused=True).paused


def test_what_the_server_would_not_take_is_refused_with_the_fields_name(
    client: Client, node: Node, track: Track
) -> None:
    player = client.player(GUILD)
    calls: list[tuple[Callable[[], object], str]] = [
        (lambda: player.play(track, end_time=0), "endTime"),
        (lambda: player.play(), "track"),
        (lambda: player.play(None), "track"),  # type: ignore[arg-type]  # that is what is tried
        (lambda: player.play(track, user_data=[1]), "track.userData"),  # type: ignore[arg-type]
        (lambda: player.move_to("main"), "node"),  # type: ignore[arg-type]
        (lambda: player.play(track, identifier="x"), "track"),
        (lambda: player.set_volume(True), "volume"),
        (lambda: client.player(-1), "guildId"),
        (lambda: client.player("5"), "guildId"),  # type: ignore[arg-type]  # that is what is tried
    ]
    for call, field in calls:
        with pytest.raises(InvalidArgumentError) as caught:
            call()
        assert caught.value.field == field


def test_the_position_moves_on_between_updates_and_stands_still_when_paused(
    client: Client, node: Node, other: Track
) -> None:
    player = client.player(GUILD)
    join_voice(client)
    player.play(other)
    wait_until(lambda: player.state.connected and player.position > 200, "the position to move")
    player.pause()
    wait_until(lambda: player.paused, "the pause")
    still = player.position
    threading.Event().wait(0.05)
    assert player.position == still
    assert still <= other.info.length


def test_without_voice_a_track_starts_and_stays_at_its_beginning(client: Client, node: Node, track: Track) -> None:
    player = client.player(GUILD)
    with client.expect(TrackStartEvent, guild_id=GUILD, timeout=10) as started:
        player.play(track)
    started.result()
    assert player.position == 0
    assert not player.state.connected


def test_calls_of_one_guild_go_out_in_the_order_they_were_made(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    for volume in range(40):
        player.set_volume(volume)
    assert [body["volume"] for body in patches(devnode)] == list(range(40))


def test_calls_of_one_guild_never_overlap_and_those_of_others_are_not_held_up(
    client: Client, node: Node, devnode: DevNode
) -> None:
    devnode.slow(f"/v4/sessions/{node.session_id.reveal() if node.session_id else ''}/players/{GUILD}", 60)
    slow = threading.Thread(target=lambda: swallow(lambda: client.player(GUILD).set_volume(1, timeout=1)))
    slow.start()
    wait_until(lambda: patches(devnode), "the slow call to be on the wire")
    assert client.player(5).set_volume(7).volume == 7
    with pytest.raises(TimeoutError):
        client.player(GUILD).set_volume(2, timeout=0.1)
    slow.join(10)
    assert [body["volume"] for body in patches(devnode)] == [1, 7]


def swallow(call: Callable[[], object]) -> None:
    try:
        call()
    except (TimeoutError, ConnectionError):
        return


def test_a_call_that_was_sent_and_not_answered_says_that_its_outcome_is_unknown(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)
    player.set_volume(10)
    devnode.slow("/v4/sessions", 60, times=1)
    with pytest.raises(OutcomeUnknownError):
        player.set_volume(20, timeout=0.2)
    reads = lambda: [r for r in devnode.requests if r.method == "GET" and "/players/" in r.path]  # noqa: E731
    wait_until(reads, "the player to be read again")


def test_a_call_during_an_outage_waits_for_the_node_and_goes_out_once(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)
    player.set_volume(10)
    devnode.refuse(503, times=5)
    devnode.cut_sockets()
    wait_until(lambda: node.status is not Status.CONNECTED, "the outage")
    assert player.set_volume(77).volume == 77
    assert [body["volume"] for body in patches(devnode)].count(77) == 1
    assert node.rest.player(GUILD).volume == 77


def test_a_call_during_an_outage_ends_at_its_deadline(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    devnode.refuse(503)
    devnode.cut_sockets()
    wait_until(lambda: node.status is not Status.CONNECTED, "the outage")
    with pytest.raises(NodeNotReadyError, match="RECONNECTING"):
        player.set_volume(5, timeout=0.2)


def test_without_a_node_a_call_waits_for_one(client: Client, devnode: DevNode) -> None:
    player = client.player(GUILD)
    assert player.node is None
    with pytest.raises(NoNodeAvailableError):
        player.set_volume(5, timeout=0.1)
    done = threading.Event()

    def call() -> None:
        player.set_volume(6)
        done.set()

    caller = threading.Thread(target=call)
    caller.start()
    node = client.add_node(config_for(devnode), timeout=10)
    assert done.wait(10)
    caller.join(10)
    assert player.node is node


def test_destroy_removes_the_player_here_and_there(client: Client, node: Node, track: Track) -> None:
    player = client.player(GUILD)
    player.play(track)
    player.destroy()
    player.destroy()
    assert client.players == []
    assert node.rest.players() == []
    with pytest.raises(PlayerDestroyedError, match=r"client\.player"):
        player.pause()
    assert client.player(GUILD) is not player


def test_destroy_forgets_the_player_also_when_the_server_can_not_be_told(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)
    player.set_volume(5)
    devnode.answer("/v4/sessions", 500, "{}", "application/json")
    with pytest.raises(Exception, match="500"):
        player.destroy()
    assert client.players == []


def test_removing_a_player_only_forgets_it(client: Client, node: Node, track: Track) -> None:
    client.player(GUILD).play(track)
    client.remove_player(GUILD)
    client.remove_player(GUILD)
    assert client.players == []
    assert len(node.rest.players()) == 1


def test_voice_data_is_sent_once_it_is_complete_and_alone(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    client.on_voice_server_update(GUILD, "token", "voice.example:443")
    assert player.voice.state is None
    assert "session" in player.voice.explain()
    client.on_voice_state_update(GUILD, 55, "discord-session")
    assert player.channel_id == 55
    wait_until(lambda: patches(devnode), "the voice update")
    assert patches(devnode) == [
        {
            "voice": {
                "token": "token",
                "endpoint": "voice.example:443",
                "sessionId": "discord-session",
                "channelId": "55",
            }
        }
    ]
    client.on_voice_state_update(GUILD, 55, "discord-session")
    client.on_voice_server_update(GUILD, "token", "voice.example:443")
    player.set_volume(3)
    assert len([body for body in patches(devnode) if "voice" in body]) == 1, "the same data is not sent again"


def test_gateway_messages_are_taken_as_they_come(client: Client, node: Node, devnode: DevNode) -> None:
    state = {"guild_id": str(GUILD), "channel_id": "9", "session_id": "s", "user_id": str(client.user_id)}
    client.on_gateway_event({"t": "MESSAGE_CREATE", "d": {"guild_id": str(GUILD)}})
    client.on_gateway_event({"op": 11})
    client.on_gateway_event({"t": "VOICE_STATE_UPDATE", "d": {**state, "user_id": "5"}})
    assert client.players == []
    client.on_gateway_event({"t": "VOICE_STATE_UPDATE", "d": state})
    client.on_gateway_event(
        {"t": "VOICE_SERVER_UPDATE", "d": {"guild_id": str(GUILD), "token": "t", "endpoint": "e:443"}}
    )
    wait_until(lambda: patches(devnode), "the voice update")
    client.on_gateway_event({"t": "VOICE_STATE_UPDATE", "d": {**state, "channel_id": None}})
    assert client.player(GUILD).channel_id is None


@pytest.mark.parametrize(
    "payload",
    [
        {"t": "VOICE_STATE_UPDATE", "d": {"guild_id": "5"}},
        {"t": "VOICE_STATE_UPDATE", "d": {"guild_id": "5", "user_id": "x"}},
        {"t": "VOICE_SERVER_UPDATE", "d": {"guild_id": "x", "token": "t", "endpoint": "e"}},
        {"t": "VOICE_SERVER_UPDATE", "d": {"guild_id": "5", "token": None, "endpoint": "e"}},
        {"t": "VOICE_SERVER_UPDATE", "d": {"guild_id": "5", "token": "t", "endpoint": 5}},
    ],
)
def test_a_gateway_message_that_lacks_something_is_refused(client: Client, payload: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        client.on_gateway_event(payload)


def test_a_call_between_users_is_left_alone(client: Client) -> None:
    client.on_gateway_event({"t": "VOICE_STATE_UPDATE", "d": {"guild_id": None, "user_id": "5"}})
    assert client.players == []


def test_connect_returns_once_the_server_has_the_voice_connection(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    sent: list[tuple[Any, ...]] = []

    def discord(guild_id: int, channel_id: int | None, self_mute: bool, self_deaf: bool) -> None:
        sent.append((guild_id, channel_id, self_mute, self_deaf))
        if channel_id is not None:
            join_voice(client, guild_id, channel_id)

    client = make_client(send_voice_state=discord)
    client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    player.connect(77)
    assert player.channel_id == 77
    player.disconnect()
    assert sent == [(GUILD, 77, False, True), (GUILD, None, False, False)]


def test_connect_goes_to_the_best_node_where_there_was_none_when_the_player_was_made(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    client: Client = make_client(send_voice_state=lambda guild, channel, *_: join_voice(client, guild, channel))
    player = client.player(GUILD)
    node = client.add_node(config_for(devnode), timeout=10)
    player.connect(77, timeout=10)
    assert player.node is node
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")


def test_connect_waits_for_the_first_node_before_it_asks_discord(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    asked: list[int] = []

    def send(guild: int, channel: int, *_: bool) -> None:
        asked.append(channel)
        join_voice(client, guild, channel)

    client: Client = make_client(send_voice_state=send)
    player = client.player(GUILD)
    with pytest.raises(NoNodeAvailableError):
        player.connect(76, timeout=0.05)
    assert asked == []
    with ThreadPoolExecutor(1) as pool:
        connecting = pool.submit(player.connect, 77, timeout=10)
        client.add_node(config_for(devnode), timeout=10)
        connecting.result(10)
    assert asked == [77]
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")


def test_connect_says_which_part_never_came(make_client: Callable[..., Client], devnode: DevNode) -> None:
    client = make_client(send_voice_state=lambda *_: None)
    client.add_node(config_for(devnode), timeout=10)
    client.on_voice_state_update(GUILD, 77, "discord-session")
    with pytest.raises(WaitTimeoutError, match="VOICE_SERVER_UPDATE"):
        client.player(GUILD).connect(77, timeout=0.1)


def test_connect_needs_a_way_to_discord(client: Client, node: Node) -> None:
    with pytest.raises(ConfigError, match="send_voice_state"):
        client.player(GUILD).connect(5)


def test_a_voice_update_that_is_never_answered_holds_up_its_guild_for_two_seconds_at_most(
    client: Client, devnode: DevNode
) -> None:
    failed = listen(client, VoiceFailed)
    node = client.add_node(config_for(devnode, timeouts=Timeouts(voice=3)), timeout=10)
    devnode.slow("/v4/sessions", 60, times=1)
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: patches(devnode), "the voice update")
    began = time.monotonic()
    assert player.set_volume(9).volume == 9
    assert time.monotonic() - began < 3
    # Then the player is made anew, and the voice data is sent once more.
    wait_until(lambda: player.voice.stage is VoiceStage.TAKEN, "the voice connection", 20)
    assert node.rest.player(GUILD).state.connected
    assert node.rest.player(GUILD).volume == 9
    assert [r.method for r in devnode.requests if "/players/" in r.path].count("DELETE") == 1
    assert not failed


def test_a_player_moves_with_all_it_has(
    client: Client, node: Node, track: Track, make_devnode: Callable[..., DevNode], devnode: DevNode
) -> None:
    second = make_devnode()
    target = client.add_node(config_for(second, "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    join_voice(client)
    player.play(track, volume=40, position=2000, user_data={"n": 1})
    # A server tells a start position only once frames are taken from there.
    wait_until(lambda: player.state.connected and player.state.position >= 2000, "it to play")
    player.pause()
    player.move_to(target)
    assert player.node is target
    moved = target.rest.player(GUILD)
    assert moved.track is not None
    assert (moved.track.info.identifier, moved.track.user_data) == (track.info.identifier, {"n": 1})
    assert (moved.volume, moved.paused) == (40, True)
    sent = [request.body for request in second.requests if request.method == "PATCH" and "track" in request.body]
    assert sent[-1]["position"] >= 2000
    assert node.rest.players() == []
    wait_until(lambda: target.rest.player(GUILD).state.connected, "the voice connection on the target")


def test_a_player_that_can_not_be_moved_stays_where_it_was(
    client: Client, node: Node, track: Track, make_devnode: Callable[..., DevNode]
) -> None:
    second = make_devnode()
    target = client.add_node(config_for(second, "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    player.play(track)
    target.close()
    with pytest.raises(NodeNotReadyError):
        player.move_to(target, timeout=0.2)
    assert player.node is node
    assert len(node.rest.players()) == 1


def test_a_player_goes_to_no_node_of_another_client(
    make_client: Callable[..., Client], client: Client, node: Node, devnode: DevNode
) -> None:
    foreign = make_client().add_node(config_for(devnode, "foreign"), timeout=10)
    player = client.player(GUILD)
    not_ours: list[Any] = [foreign, "main", None]
    for wrong in not_ours:
        with pytest.raises(InvalidArgumentError, match=r"of this client, such as client\.node\(name\)"):
            player.move_to(wrong)
        with pytest.raises(InvalidArgumentError, match=r"of this client, such as client\.node\(name\)"):
            client.player_on_node(wrong, GUILD + 1)
    assert player.node is node
    assert client.players == [player]


def test_a_destroyed_player_moves_nowhere(client: Client, node: Node) -> None:
    player = client.player(GUILD)
    player.destroy()
    with pytest.raises(PlayerDestroyedError):
        player.move_to(node)


def test_a_track_that_is_replaced_and_one_that_ends_leave_the_right_snapshot(
    client: Client, node: Node, track: Track, other: Track
) -> None:
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: node.rest.players(), "the voice update")
    for _ in range(10):
        player.play(track)
        player.play(other)
        assert player.track is not None
        assert player.track.info.title == other.info.title
    with client.expect(
        TrackEndEvent, guild_id=GUILD, timeout=10, check=lambda event: event.reason == "finished"
    ) as end:
        player.play(track, position=track.info.length - 100)
    assert end.result().track.info.title == track.info.title
    assert player.track is None
    assert player.position == 0


def test_moving_to_where_it_is_already_asks_nobody(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    before = len(devnode.requests)
    player.move_to(node)
    assert len(devnode.requests) == before


def test_a_player_without_a_track_moves_with_its_settings(
    client: Client, node: Node, make_devnode: Callable[..., DevNode]
) -> None:
    target = client.add_node(config_for(make_devnode(), "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    player.set_volume(33)
    player.set_filters(Filters(timescale=Timescale(speed=2.0)))
    node.close()
    player.move_to(target)
    assert (player.node, target.rest.player(GUILD).volume) == (target, 33)
    assert player.filters.timescale == Timescale(speed=2.0)


def test_a_move_whose_source_can_not_be_told_is_still_a_move(
    client: Client, node: Node, devnode: DevNode, make_devnode: Callable[..., DevNode], caplog: pytest.LogCaptureFixture
) -> None:
    target = client.add_node(config_for(make_devnode(), "second"), timeout=10)
    player = client.player_on_node(node, GUILD)
    player.set_volume(33)
    devnode.answer("/v4/sessions", 500, "{}", "application/json")
    player.move_to(target)
    assert player.node is target
    assert "not deleted" in caplog.text


def test_voice_data_that_the_server_refuses_is_told(client: Client, node: Node, devnode: DevNode) -> None:
    failed = listen(client, VoiceFailed)
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"no such voice","path":"/"}'
    devnode.answer("/v4/sessions", 400, body, "application/json")
    join_voice(client)
    wait_until(lambda: failed, "VoiceFailed")
    assert "no such voice" in failed[0].reason


def test_voice_data_that_came_without_a_node_is_sent_with_the_first_call(client: Client, devnode: DevNode) -> None:
    join_voice(client)
    player = client.player(GUILD)
    assert player.node is None
    node = client.add_node(config_for(devnode), timeout=10)
    player.set_volume(5)
    wait_until(lambda: node.rest.player(GUILD).state.connected, "the voice connection")


def test_voice_data_that_came_in_an_outage_is_sent_after_it(client: Client, devnode: DevNode) -> None:
    node = client.add_node(config_for(devnode, resume_timeout=60), timeout=10)
    client.player(GUILD).set_volume(5)
    devnode.refuse(503, times=2)
    devnode.cut_sockets()
    join_voice(client)
    wait_until(lambda: node.view.readies == 2, "the node to be back")
    wait_until(lambda: node.rest.player(GUILD).state.connected, "the voice connection")


def test_a_connection_refused_between_two_calls_is_waited_out(
    client: Client, make_devnode: Callable[..., DevNode]
) -> None:
    devnode = make_devnode()
    node = client.add_node(config_for(devnode), timeout=10)
    player = client.player(GUILD)
    player.set_volume(5)
    devnode.close()
    done: list[int] = []
    caller = threading.Thread(target=lambda: done.append(player.set_volume(66).volume))
    caller.start()
    wait_until(lambda: node.last_error is not None, "the outage")
    devnode.start()
    caller.join(20)
    assert done == [66]
    assert node.rest.player(GUILD).volume == 66


def test_a_player_says_where_it_is(client: Client, node: Node) -> None:
    assert repr(client.player(GUILD)) == f"<Player of guild {GUILD} on main>"
    assert client.player(GUILD).filters == Filters()
    client.remove_node("main")
    assert "no node" in repr(client.player(GUILD))


def test_a_call_after_its_node_was_removed_finds_another(
    client: Client, node: Node, make_devnode: Callable[..., DevNode]
) -> None:
    player = client.player(GUILD)
    player.set_volume(5)
    target = client.add_node(config_for(make_devnode(), "second"), timeout=10)
    client.remove_node("main")
    assert player.node is target
    player.set_volume(6)
    assert player.node is target


def test_destroy_is_fine_with_a_server_that_knows_nothing_of_it(client: Client, node: Node, devnode: DevNode) -> None:
    player = client.player(GUILD)
    body = '{"timestamp":1,"status":404,"error":"Not Found","message":"Session not found","path":"/"}'
    devnode.answer("/v4/sessions", 404, body, "application/json")
    player.destroy()
    assert client.players == []
