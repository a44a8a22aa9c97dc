"""Voice data is put together in any order, sent only whole, and never shows its secrets."""

from __future__ import annotations

import pytest

from lavalink_sync.core.voice import CLOSE_CODES, Remedy, VoiceMerge, VoiceStage, after_close

TOKEN, SESSION = "voice-token-abc", "discord-session-xyz"


def server(voice: VoiceMerge) -> VoiceMerge:
    return voice.with_server(TOKEN, "eu.discord.media:443")


def state(voice: VoiceMerge) -> VoiceMerge:
    return voice.with_state(5, SESSION)


@pytest.mark.parametrize("order", [(server, state), (state, server), (server, server, state), (state, state, server)])
def test_it_is_complete_in_either_order(order: tuple) -> None:  # type: ignore[type-arg]  # of the two above
    voice = VoiceMerge()
    for part in order[:-1]:
        voice = part(voice)
        assert voice.state is None
    complete = order[-1](voice).state
    assert complete is not None
    assert complete.to_dict() == {
        "token": TOKEN,
        "endpoint": "eu.discord.media:443",
        "sessionId": SESSION,
        "channelId": "5",
    }


def test_the_same_data_again_is_the_same_value() -> None:
    assert server(state(VoiceMerge())) == state(server(server(state(VoiceMerge()))))


def test_without_an_endpoint_the_old_server_is_of_no_use() -> None:
    voice = state(server(VoiceMerge())).with_server(TOKEN, None)
    assert voice.state is None
    assert voice.missing == ("VOICE_SERVER_UPDATE",)


def test_leaving_the_channel_forgets_everything() -> None:
    assert state(server(VoiceMerge())).with_state(None, SESSION) == VoiceMerge()


def test_a_move_to_another_channel_keeps_the_rest() -> None:
    moved = state(server(VoiceMerge())).with_state(6, SESSION).state
    assert moved is not None
    assert (moved.channel_id, moved.endpoint) == ("6", "eu.discord.media:443")


def test_a_new_session_and_a_new_server_come_in_either_order() -> None:
    old = server(state(VoiceMerge()))
    one = old.with_state(5, "new-session").with_server("new-token", "us.discord.media:443")
    other = old.with_server("new-token", "us.discord.media:443").with_state(5, "new-session")
    assert one == other
    assert one.state is not None
    assert one.state.to_dict()["sessionId"] == "new-session"


def test_the_endpoint_is_sent_as_discord_gave_it() -> None:
    voice = state(VoiceMerge().with_server(TOKEN, "[2001:db8::1]:2048")).state
    assert voice is not None
    assert voice.endpoint == "[2001:db8::1]:2048"


@pytest.mark.parametrize("part", ["token", "endpoint", "session"])
def test_an_empty_part_is_a_missing_one(part: str) -> None:
    voice = VoiceMerge().with_server("" if part == "token" else TOKEN, "" if part == "endpoint" else "host:1")
    assert voice.with_state(5, "" if part == "session" else SESSION).state is None


def test_it_explains_which_part_never_came_without_showing_secrets() -> None:
    explained = [
        v.explain() for v in (VoiceMerge(), server(VoiceMerge()), state(VoiceMerge()), state(server(VoiceMerge())))
    ]
    assert "neither" in explained[0]
    assert "VOICE_STATE_UPDATE" in explained[1]
    assert "VOICE_SERVER_UPDATE" in explained[2]
    assert "all voice data" in explained[3]
    shown = f"{explained} {state(server(VoiceMerge()))!r} {state(server(VoiceMerge())).state!r}"
    assert TOKEN not in shown
    assert SESSION not in shown


@pytest.mark.parametrize(
    ("remedy", "codes"),
    [
        (Remedy.SEND_AGAIN, {1000, 1001, 1006, 4000, 4001, 4002, 4003, 4005, 4006, 4009, 4015, 4020}),
        (Remedy.NEW_DATA, {4004, 4011}),
        (Remedy.MOVE_OR_KICK, {4014}),
        (Remedy.GIVE_UP, {4012, 4016, 4017, 4021, 4022}),
    ],
)
def test_every_close_code_has_its_remedy(remedy: Remedy, codes: set[int]) -> None:
    assert {code for code, close in CLOSE_CODES.items() if close.remedy is remedy} == codes


def test_a_code_that_nobody_knows_is_tried_again_and_the_nodes_own_leaving_is_none() -> None:
    unknown = after_close(4999, by_remote=True)
    assert unknown is not None
    assert unknown.remedy is Remedy.SEND_AGAIN
    assert after_close(1000, by_remote=False) is None
    assert after_close(1000, by_remote=True) is CLOSE_CODES[1000]


@pytest.mark.parametrize("stage", VoiceStage)
def test_the_same_again_begins_nothing_anew_unless_it_was_waited_for(stage: VoiceStage) -> None:
    voice = server(state(VoiceMerge())).at(stage, "some trouble")
    idle = stage in (VoiceStage.HELD, VoiceStage.GIVEN_UP)
    assert server(voice).stage is (VoiceStage.NEW if idle else stage)
    # The bot's own state is told for less, such as being muted; after a leaving it says that the bot is back.
    assert state(voice).stage is (VoiceStage.NEW if stage is VoiceStage.LEAVING else stage)
    # What is new is to be sent, but for a bot that is leaving.
    leaving = stage is VoiceStage.LEAVING
    assert voice.with_server("new", "host:1").stage is (VoiceStage.LEAVING if leaving else VoiceStage.NEW)
    assert voice.with_state(6, SESSION).stage is VoiceStage.NEW
