"""The voice connection fails or breaks: what the client does about each way, and what it tells."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lavalink_sync import Client, Node, Player, VoiceFailed, VoiceStage, WebSocketClosedEvent
from lavalink_sync.devnode import DevNode

from .support.clock import ManualClock
from .support.nodes import GUILD, join_voice, listen
from .support.voice import ELSEWHERE, HERE, join, join_in_vain, say_closed, updates, watched
from .support.waiting import wait_until


@pytest.fixture
def failed(client: Client) -> list[VoiceFailed]:
    return listen(client, VoiceFailed)


@pytest.fixture
def player(client: Client, node: Node, devnode: DevNode) -> Player:
    """Playing, with voice."""
    player = client.player(GUILD)
    join_voice(client)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")
    player.play(node.load_tracks("/music/flac12.flac").tracks[0])
    wait_until(lambda: player.snapshot.state.connected, "the server to tell of it")
    return player


@pytest.mark.parametrize("code", [1000, 4006, 4999])
def test_a_connection_that_can_be_had_again_is_made_again_at_once(
    code: int, player: Player, devnode: DevNode, failed: list[VoiceFailed]
) -> None:
    assert devnode.voice.close(GUILD, code) == 1
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection to be back")
    wait_until(lambda: player.snapshot.state.connected, "the server to tell of it")
    assert updates(devnode) == [HERE, HERE]
    assert player.track is not None
    assert not failed


@pytest.mark.parametrize("code", [4000, 4009, 4015])
def test_what_the_server_mends_by_itself_is_left_to_it(
    code: int, client: Client, player: Player, devnode: DevNode, failed: list[VoiceFailed]
) -> None:
    devnode.voice.close(GUILD, code)
    player.set_volume(50)
    assert devnode.voice.links == [GUILD]
    assert updates(devnode) == [HERE]
    assert not failed


def test_a_token_that_is_not_valid_any_more_is_not_sent_again(
    client: Client, player: Player, devnode: DevNode, failed: list[VoiceFailed]
) -> None:
    devnode.voice.close(GUILD, 4004)
    wait_until(lambda: player.voice.state is None, "the token to be dropped")
    assert "4004" in player.voice.explain()
    assert "new voice data" in player.voice.explain()
    client.on_voice_server_update(GUILD, "a-newer-token", HERE)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection to be back")
    assert updates(devnode) == [HERE, HERE]
    assert not failed


def test_after_a_refused_token_discord_s_silence_is_told(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    join(client, devnode)
    devnode.voice.close(GUILD, 4004)
    clock.waiting(due_in=10)
    clock.advance(10)
    wait_until(lambda: told, "VoiceFailed")
    assert (told[0].guild_id, told[0].code) == (GUILD, 4004)
    assert "token" in told[0].reason


@pytest.mark.parametrize("code", [4012, 4016, 4017, 4021, 4022])
def test_what_trying_again_would_not_help_is_told_at_once(
    code: int, player: Player, devnode: DevNode, failed: list[VoiceFailed], client: Client
) -> None:
    if code in (4012, 4016):
        # The server would mend these by itself; what it can't, it tells.
        say_closed(devnode, code)
    else:
        assert devnode.voice.close(GUILD, code) == 1
    wait_until(lambda: failed, "VoiceFailed")
    assert [(event.guild_id, event.code) for event in failed] == [(GUILD, code)]
    assert str(code) in player.voice.explain()
    assert updates(devnode) == [HERE]
    # Something new from Discord is another matter.
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    wait_until(lambda: updates(devnode) == [HERE, ELSEWHERE], "the new data to be sent")


def test_a_move_to_another_channel_is_waited_for(
    client: Client, player: Player, devnode: DevNode, failed: list[VoiceFailed]
) -> None:
    devnode.voice.close(GUILD, 4014)
    wait_until(lambda: player.voice.stage is VoiceStage.HELD and "move" in player.voice.explain(), "the wait")
    client.on_voice_state_update(GUILD, 4321, "a-discord-session")
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    wait_until(lambda: updates(devnode)[-1] == ELSEWHERE, "the new data to be sent")
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection to be back")
    assert player.channel_id == 4321
    assert not failed


def test_without_a_move_the_bot_counts_as_kicked(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    join(client, devnode)
    devnode.voice.close(GUILD, 4014)
    clock.waiting(due_in=5)
    assert not told
    clock.advance(5)
    wait_until(lambda: told, "VoiceFailed")
    assert told[0].code == 4014
    assert "kicked" in told[0].reason
    assert updates(devnode) == [HERE]


def test_a_voice_server_that_refuses_again_and_again_is_given_up(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    devnode.voice.refuse(4006)
    join_voice(client)
    # At once, then after 2 s: three in all.
    wait_until(lambda: len(updates(devnode)) == 2, "the second try")
    player = client.player(GUILD)
    wait_until(lambda: player.voice.stage is VoiceStage.FAILED, "its failure")
    player.set_volume(9)  # goes out when that try is over
    clock.waiting(due_in=2)
    clock.advance(2)
    wait_until(lambda: told, "VoiceFailed")
    assert updates(devnode) == [HERE] * 3
    assert told[0].code == 4006
    assert "3 times" in told[0].reason


def test_a_dead_endpoint_is_tried_three_times_and_holds_up_nobody_else(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    [node] = client.nodes
    devnode.voice.dead(HERE)
    player = client.player(GUILD)
    player.play(node.load_tracks("/music/flac12.flac").tracks[0], volume=44)
    join_voice(client)
    for tries in range(1, 4):
        wait_until(lambda: len(updates(devnode)) == tries, "the voice update")  # noqa: B023 - called at once
        clock.waiting(due_in=2)
        # Another guild's goes through meanwhile.
        client.on_voice_state_update(tries, 77, "a-discord-session")
        client.on_voice_server_update(tries, "a-discord-token", ELSEWHERE)
        wait_until(lambda: tries in devnode.voice.links, "the other guild's voice")  # noqa: B023
        clock.advance(2)
        # The guild's own calls go on, too.
        assert player.set_volume(50 + tries).volume == 50 + tries
        clock.waiting(due_in=8)
        clock.advance(8)
        if tries < 3:
            clock.waiting(due_in=2.0 * tries)
            clock.advance(2 * tries)
    wait_until(lambda: told, "VoiceFailed")
    assert HERE in told[0].reason
    # It was made anew each time, with all it had.
    assert [r.method for r in devnode.requests if r.path.endswith(f"/players/{GUILD}")].count("DELETE") == 2
    there = node.rest.player(GUILD)
    assert there.track is not None
    assert there.volume == 53


def test_a_region_that_is_down_holds_up_no_other_guild(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, _ = watched(make_client, devnode, clock)
    devnode.voice.dead(HERE)
    for guild_id in range(1, 21):
        join_voice(client, guild_id)
    wait_until(lambda: all(updates(devnode, guild_id) for guild_id in range(1, 21)), "their voice updates")
    # Time stands still, so none of them has been given up yet.
    client.on_voice_state_update(GUILD, 77, "a-discord-session")
    client.on_voice_server_update(GUILD, "a-discord-token", ELSEWHERE)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection")


def test_newer_data_ends_the_wait_for_a_dead_endpoint(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    player = join_in_vain(client, devnode, clock)
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    # The server answers no update of that guild until the player is deleted, so this one has to be tried twice.
    wait_until(lambda: updates(devnode) == [HERE, ELSEWHERE], "the newer data")
    clock.waiting(due_in=2)
    clock.advance(2)
    pass_until(clock, lambda: "not answer" in player.voice.explain())
    pass_until(clock, lambda: devnode.voice.links == [GUILD])
    assert not told


@pytest.mark.parametrize("code", [None, 4009, 4015])
def test_a_connection_that_the_server_fails_to_mend_is_sent_again(
    code: int | None, make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    [node] = client.nodes
    player = join(client, devnode)
    player.play(node.load_tracks("/music/flac12.flac").tracks[0])
    wait_until(lambda: player.snapshot.state.connected, "the server to tell of it")
    devnode.voice.lame()
    assert (devnode.voice.drop(GUILD) if code is None else devnode.voice.close(GUILD, code)) == 1
    wait_until(lambda: not player.snapshot.state.connected, "the server to tell of it")
    assert updates(devnode) == [HERE]
    clock.advance(11)
    clock.waiting(due_in=2)
    clock.advance(2)
    wait_until(lambda: devnode.voice.links == [GUILD], "the voice connection to be back")
    assert updates(devnode) == [HERE, HERE]
    assert not told


def test_an_endpoint_without_tls_is_told(
    make_client: Callable[..., Client], devnode: DevNode, clock: ManualClock
) -> None:
    client, told = watched(make_client, devnode, clock)
    devnode.voice.no_tls(HERE)
    player = client.player(GUILD)
    join_voice(client)
    for pause in (2, 4):
        wait_until(lambda: len(updates(devnode)) == pause // 2, "the voice update")  # noqa: B023 - called at once
        wait_until(lambda: player.voice.stage is VoiceStage.FAILED, "the answer")
        clock.waiting(due_in=pause)
        clock.advance(pause)
    wait_until(lambda: told, "VoiceFailed")
    assert "Failed to connect" in told[0].reason


def test_data_of_another_region_replaces_the_connection(
    client: Client, player: Player, devnode: DevNode, failed: list[VoiceFailed]
) -> None:
    closed = listen(client, WebSocketClosedEvent)
    client.on_voice_server_update(GUILD, "a-newer-token", None)
    client.on_voice_server_update(GUILD, "a-newer-token", ELSEWHERE)
    wait_until(lambda: updates(devnode) == [HERE, ELSEWHERE], "the new data")
    wait_until(lambda: closed, "the old link's end")
    wait_until(lambda: devnode.voice.links == [GUILD], "the new link")
    assert (closed[0].code, closed[0].by_remote) == (1000, False)
    assert not failed
    assert updates(devnode) == [HERE, ELSEWHERE]


def pass_until(clock: ManualClock, condition: Callable[[], bool]) -> None:
    """Let time pass, a second at a time, until the condition holds."""

    def passed() -> bool:
        done = condition()
        if not done:
            clock.advance(1)
        return done

    wait_until(passed, "what takes its time")
