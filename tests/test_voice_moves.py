"""The bot is moved, kicked or told to leave: what a user sees of it, in whatever order it is told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync import Client, Node, Player, PlayerUpdateEvent, VoiceStage, WaitTimeoutError
from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode import ManualClock as DevClock

from .support.clock import ManualClock
from .support.nodes import GUILD, config_for, join_voice
from .support.voice import ELSEWHERE, HERE, join, join_in_vain, quick, say_closed, updates, voices, watched
from .support.waiting import wait_until

SESSION = "a-discord-session"


def in_call(player: Player) -> bool:
    return player.voice.stage is VoiceStage.TAKEN


@pytest.mark.parametrize("first", ["state", "server"])
def test_an_answer_between_the_two_voice_messages_takes_nothing_away(
    first: str, client: Client, node: Node, devnode: DevNode
) -> None:
    player = client.player(GUILD)

    def state() -> None:
        client.on_voice_state_update(GUILD, 77, SESSION)

    def server() -> None:
        client.on_voice_server_update(GUILD, "a-token", HERE)

    (state if first == "state" else server)()
    # Its answer has the server's voice data, which is empty.
    player.set_volume(5)
    (server if first == "state" else state)()
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    assert voices(devnode) == [{"token": "a-token", "endpoint": HERE, "sessionId": SESSION, "channelId": "77"}]


def test_a_move_under_the_same_session_is_passed_on_with_all_four_fields(
    client: Client, node: Node, devnode: DevNode
) -> None:
    player = join(client, devnode)
    client.on_voice_state_update(GUILD, 4321, SESSION)
    wait_until(lambda: len(voices(devnode)) == 2, "the new channel")
    assert voices(devnode)[1] == {**voices(devnode)[0], "channelId": "4321"}
    wait_until(lambda: in_call(player), "the answer")
    # Being muted is told with the same data, other users are none of its business.
    client.on_voice_state_update(GUILD, 4321, SESSION)
    other = {"guild_id": str(GUILD), "channel_id": "9", "session_id": "theirs", "user_id": "5"}
    client.on_gateway_event({"t": "VOICE_STATE_UPDATE", "d": other})
    player.set_volume(5)
    assert len(voices(devnode)) == 2
    assert player.channel_id == 4321


def test_what_is_on_its_way_already_is_not_sent_a_second_time(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, _ = watched(make_client, devnode, clock)
    player = join_in_vain(client, devnode, clock)
    # Muted, unmuted: while the answer is out, and while the next try waits for its time.
    join_voice(client)
    assert player.set_volume(7).volume == 7
    assert player.voice.stage is VoiceStage.SENDING
    clock.advance(8)
    wait_until(lambda: player.voice.stage is VoiceStage.FAILED, "the failure")
    clock.waiting(due_in=2)
    join_voice(client)
    assert player.set_volume(8).volume == 8
    assert updates(devnode) == [HERE]
    clock.advance(2)
    wait_until(lambda: updates(devnode) == [HERE, HERE], "the next try")


@pytest.mark.parametrize("first", ["close", "state"])
def test_a_kick_is_told_once_whoever_tells_it_first(
    first: str, make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    player = join(client, devnode)
    if first == "state":
        client.on_voice_state_update(GUILD, None, SESSION)
    devnode.voice.close(GUILD, 4014)
    if first == "close":
        wait_until(lambda: player.voice.stage is VoiceStage.HELD, "the close")
        client.on_voice_state_update(GUILD, None, SESSION)
    wait_until(lambda: told, "VoiceFailed")
    assert [event.code for event in told] == [4014 if first == "close" else None]
    assert "kicked" in told[0].reason
    assert player.channel_id is None
    assert "no voice channel" in player.voice.explain()
    clock.advance(60)
    player.set_volume(5)
    assert len(told) == 1
    assert updates(devnode) == [HERE]
    # The player is still there: asked back, the bot goes on.
    join_voice(client)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection to be back")


@pytest.mark.parametrize("first", ["close", "state"])
def test_leaving_when_asked_to_is_no_failure(
    first: str, make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock, send_voice_state=lambda *asked: None)
    player = join(client, devnode)
    player.disconnect()
    assert "leave" in player.voice.explain()
    # Nothing of the old data is sent any more, whatever happens.
    say_closed(devnode, 4006)
    client.on_voice_server_update(GUILD, "another-token", ELSEWHERE)
    if first == "state":
        client.on_voice_state_update(GUILD, None, SESSION)
    devnode.voice.close(GUILD, 4014)
    wait_until(lambda: not player.state.connected, "the close")
    client.on_voice_state_update(GUILD, None, SESSION)
    clock.advance(60)
    player.set_volume(5)
    assert told == []
    assert player.channel_id is None
    assert updates(devnode) == [HERE]


def test_a_leave_that_discord_could_not_be_told_leaves_the_connection_as_it_was(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    def unreachable(*asked: Any) -> None:
        raise RuntimeError("no gateway")

    client = make_client(send_voice_state=unreachable)
    client.add_node(config_for(devnode), timeout=10)
    player = join(client, devnode)
    with pytest.raises(RuntimeError, match="no gateway"):
        player.disconnect()
    assert in_call(player)
    # A break is still mended.
    devnode.voice.close(GUILD, 4006)
    wait_until(lambda: updates(devnode) == [HERE, HERE] and in_call(player), "the voice connection to be back")


@pytest.mark.parametrize("code", [4004, 4006, 4014])
def test_the_end_of_the_old_connection_that_is_told_late_costs_the_new_one_nothing(
    code: int, make_client: Callable[..., Client], make_devnode: Callable[..., DevNode]
) -> None:
    clock, servers_clock = ManualClock(), DevClock()
    devnode = make_devnode(clock=servers_clock)
    client, told = watched(make_client, devnode, clock)
    player = join(client, devnode)
    # The answer to the move is late, and the old connection's end comes before it.
    devnode.slow("/v4/sessions", 60, times=1, method="PATCH")
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    wait_until(lambda: updates(devnode) == [HERE, ELSEWHERE], "the move to be under way")
    say_closed(devnode, code)
    wait_until(lambda: player.voice.stage is VoiceStage.NEW, "the close to be heard")
    servers_clock.advance(60)
    wait_until(lambda: in_call(player) and updates(devnode)[-1] == ELSEWHERE, "the new connection")
    clock.advance(60)
    player.set_volume(5)
    assert devnode.voice.links == [GUILD]
    assert told == []
    assert in_call(player)


def test_a_late_4014_after_the_move_was_made_is_no_kick(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    player = join(client, devnode)
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    wait_until(lambda: updates(devnode) == [HERE, ELSEWHERE] and in_call(player), "the new connection")
    say_closed(devnode, 4014)
    wait_until(lambda: player.voice.stage is VoiceStage.HELD, "the close")
    clock.waiting(due_in=5)
    clock.advance(5)
    wait_until(lambda: in_call(player), "a look at the server")
    assert told == []
    assert updates(devnode) == [HERE, ELSEWHERE]


def test_connect_to_another_channel_outlasts_the_end_of_the_old_connection(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    def discord(guild_id: int, channel_id: int | None, self_mute: bool, self_deaf: bool) -> None:
        devnode.voice.close(guild_id, 4014)
        wait_until(lambda: player.voice.stage is VoiceStage.HELD, "the close")

    client, told = watched(make_client, devnode, clock, send_voice_state=discord)
    player = join(client, devnode)
    caller = threading.Thread(target=lambda: player.connect(4321, timeout=7))
    caller.start()
    clock.waiting(due_in=7)
    client.on_voice_state_update(GUILD, 4321, SESSION)
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    caller.join(10)
    assert told == []
    assert player.channel_id == 4321
    assert devnode.voice.links == [GUILD]
    assert updates(devnode)[-1] == ELSEWHERE


def test_connect_back_at_once_to_the_channel_that_is_being_left_waits_for_discord(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    said: list[int | None] = []

    def discord(guild_id: int, channel_id: int | None, self_mute: bool, self_deaf: bool) -> None:
        said.append(channel_id)
        if channel_id is not None:
            # It was quicker than the leaving: nothing has changed.
            client.on_voice_state_update(guild_id, channel_id, SESSION)

    client = make_client(send_voice_state=discord)
    client.add_node(config_for(devnode), timeout=10)
    player = join(client, devnode)
    player.disconnect()
    player.connect(1234)
    assert said == [None, 1234]
    assert in_call(player)


def test_connect_says_at_once_why_there_will_be_no_connection(
    make_client: Callable[..., Client], devnode: DevNode
) -> None:
    def discord(guild_id: int, channel_id: int, *muted: bool) -> None:
        join_voice(client, guild_id, channel_id)

    client, _ = watched(make_client, devnode, ManualClock(), send_voice_state=discord)
    body = '{"timestamp":1,"status":400,"error":"Bad Request","message":"no such channel","path":"/"}'
    devnode.answer("/v4/sessions", 400, body, "application/json", method="PATCH")
    with pytest.raises(WaitTimeoutError, match="no such channel"):
        client.player(GUILD).connect(77)


def test_voice_can_be_explained_at_any_time(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client = make_client(clock=clock)
    player = client.player(GUILD)
    heard = [player.voice.explain()]

    def explain_at(stage: VoiceStage) -> None:
        wait_until(lambda: player.voice.stage is stage, stage.name)
        heard.append(player.voice.explain())

    devnode.voice.dead(HERE)
    join_voice(client)
    explain_at(VoiceStage.NEW)
    client.add_node(quick(devnode), timeout=10)
    player.set_volume(5)
    explain_at(VoiceStage.SENDING)
    clock.waiting(due_in=2)
    clock.advance(2)
    clock.waiting(due_in=8)
    clock.advance(8)
    explain_at(VoiceStage.FAILED)
    clock.waiting(due_in=2)
    devnode.voice.heal()
    clock.advance(2)
    explain_at(VoiceStage.TAKEN)
    for sentence, part in zip(
        heard,
        ("no voice data came", "was not sent yet", "has not answered yet", "may be unreachable", "has taken it"),
        strict=True,
    ):
        assert part in sentence
        assert "token" not in sentence
        assert SESSION not in sentence


def test_a_connection_that_breaks_again_and_again_is_not_mended_for_ever(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    [node] = client.nodes
    player = join(client, devnode)
    player.play(node.load_tracks("/music/flac12.flac").tracks[0])

    def break_it(pause: int) -> None:
        # Each time it works for a moment, and that is seen.
        wait_until(lambda: in_call(player) and player.state.connected, "the voice connection")
        sent = len(updates(devnode))
        devnode.voice.close(GUILD, 4006)
        if pause:
            clock.waiting(due_in=pause)
            clock.advance(pause)
        wait_until(lambda: len(updates(devnode)) == sent + 1, "the next try")

    break_it(0)
    break_it(2)
    # Having worked for a while, it may break as often as before.
    wait_until(lambda: in_call(player) and player.state.connected, "the voice connection")
    clock.advance(10)
    client.wait_for(PlayerUpdateEvent)
    break_it(0)
    break_it(2)
    wait_until(lambda: in_call(player), "the answer")
    devnode.voice.close(GUILD, 4006)
    wait_until(lambda: told, "VoiceFailed")
    assert (told[0].code, "3 times" in told[0].reason) == (4006, True)
