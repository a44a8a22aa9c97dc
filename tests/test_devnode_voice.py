"""The stand-in for Discord's voice servers: who answers, what a closed link looks like, and what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode.races import Races

from .support.devnode_line import GUILD, VOICE, Line, line_of


@pytest.fixture
def line(make_devnode: Callable[..., DevNode]) -> Iterator[Line]:
    with line_of(make_devnode, player_update_interval=1.0) as line:
        yield line


def test_an_update_connects_and_the_same_again_does_nothing(line: Line) -> None:
    status, player = line.join()
    assert (status, player["state"]["connected"], player["voice"]) == (200, True, VOICE)
    assert line.said() == ["on 0 at 0"]
    assert line.devnode.voice.links == [GUILD]
    assert line.join()[0] == 200
    assert line.said() == []


def test_another_channel_first_leaves_the_old_one(line: Line) -> None:
    line.join()
    line.play()
    line.clock.advance(0.5)
    line.said()
    assert line.join(channelId="6", sessionId="s2")[1]["voice"]["channelId"] == "6"
    assert line.said() == ["closed 1000  own", "off -1 at 860", "on 0 at 860"]
    line.devnode.races = Races(closed_event=False)
    line.join(channelId="7")
    assert line.said() == ["on 0 at 860"], "sometimes it is not told"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (1000, ""),
        (4004, "Authentication failed."),
        (4006, "Session is no longer valid."),
        (4014, "Disconnected."),
        (4021, "Disconnected: Rate Limited."),
        (4022, "Disconnected: Call Terminated."),
    ],
)
def test_a_close_by_the_voice_server_is_told_and_the_music_goes_on(line: Line, code: int, reason: str) -> None:
    line.join()
    line.play()
    line.clock.advance(0.5)
    line.said()
    assert line.devnode.voice.close(GUILD, code) == 1
    assert line.devnode.voice.close(GUILD, code) == 0
    assert line.said() == [f"closed {code} {reason} remote", "off 0 at 860"]
    assert line.devnode.voice.links == []
    line.clock.advance(1)
    assert line.said() == ["off 0 at 1360"]
    assert line.ask("GET")[1]["voice"] == VOICE
    assert line.join()[1]["state"]["connected"] is True
    assert line.said() == ["on 0 at 1860"]


@pytest.mark.parametrize("code", [4000, 4009, 4015, 1006])
def test_what_can_be_resumed_is_not_told(line: Line, code: int) -> None:
    line.join()
    line.said()
    voice = line.devnode.voice
    assert (voice.drop(GUILD) if code == 1006 else voice.close(GUILD, code)) == 1
    assert line.said() == []
    assert line.ask("GET")[1]["state"]["connected"] is True
    voice.lame(times=1)
    voice.drop(GUILD)
    assert line.said() == []
    state = line.ask("GET")[1]["state"]
    assert (state["connected"], state["ping"]) == (False, 0)
    line.join()
    voice.drop(GUILD)
    assert voice.links == [GUILD], "only once was it lame"


@pytest.mark.parametrize(
    "endpoint",
    ["wss://voice.example:443", "nowhere.invalid:443", "nowhere.invalid", "h:0", "127.0.0.1:1", "h:65536", "h:-5"],
)
def test_what_no_network_reaches_is_never_answered_nor_is_anything_after_it(line: Line, endpoint: str) -> None:
    line.play()
    line.said()
    assert line.unanswered({"voice": {**VOICE, "endpoint": endpoint}, "volume": 5})
    assert line.unanswered({"voice": VOICE})
    status, player = line.ask("PATCH", {"volume": 7})
    assert (status, player["volume"], player["voice"]["token"]) == (200, 7, "")
    assert (player["state"]["ping"], player["state"]["connected"]) == (-1, False)
    assert line.said() == []
    assert line.ask("DELETE")[0] == 204
    assert line.join()[0] == 200
    assert line.said() == ["TrackEndEvent stopped", "on 0 at 0"]


def test_endpoints_can_be_made_dead_or_not_tls_and_healed(line: Line) -> None:
    voice = line.devnode.voice
    voice.dead("eu1.")
    voice.no_tls("plain.example:80")
    assert line.unanswered({"voice": {**VOICE, "endpoint": "eu1.example:443"}})
    status, error = line.join(8, endpoint="plain.example:80")
    assert (status, error["message"]) == (500, "Failed to connect to voice server")
    assert line.ask("GET", guild=8)[1]["voice"]["endpoint"] == ""
    assert line.join(8)[0] == 200, "after a 500 it can be tried again at once"
    voice.heal()
    assert line.join(9, endpoint="eu1.example:443")[0] == 200
    assert line.unanswered({"voice": VOICE}), "healing does not bring back who waits"


def test_leaving_for_a_dead_endpoint_leaves_all_the_same(line: Line) -> None:
    line.join()
    line.said()
    assert line.unanswered({"voice": {**VOICE, "endpoint": "h:1"}})
    assert line.said() == ["closed 1000  own", "off -1 at 0"]


def test_a_refused_identify_is_answered_and_then_closed(line: Line) -> None:
    line.devnode.voice.refuse(4004, times=1)
    status, player = line.join()
    assert (status, player["state"]["connected"]) == (200, True)
    assert line.said() == ["closed 4004 Authentication failed. remote", "off 0 at 0"]
    assert line.ask("GET")[1]["voice"] == VOICE
    line.join()
    assert line.said() == ["on 0 at 0"]


def test_a_refusal_that_can_be_resumed_is_tried_again_three_times(line: Line) -> None:
    line.devnode.voice.refuse(4009, "late", times=3)
    line.join()
    assert line.said() == ["on 0 at 0"]
    line.devnode.voice.refuse(4009, "late", endpoint="eu1.")
    line.join(8, endpoint="eu1.example")
    assert line.said() == ["closed 4009 late remote", "off 0 at 0"]


def test_deleting_a_player_closes_its_open_link_only(line: Line) -> None:
    line.join()
    line.play()
    line.clock.advance(0.5)
    line.said()
    line.ask("DELETE")
    assert line.said() == ["TrackEndEvent stopped", "closed 1000  own", "off -1 at 0"]
    line.join()
    line.devnode.voice.close(GUILD, 4014)
    line.said()
    line.ask("DELETE")
    assert line.said() == []


def test_an_update_can_follow_a_delete(line: Line) -> None:
    line.devnode.races = Races(update_after_delete=True)
    line.play()
    line.said()
    line.ask("DELETE")
    assert line.said() == ["TrackEndEvent stopped", "off -1 at 0"]


@pytest.mark.parametrize("channel", ["abc", "1.5", " 5", "1_0", "9223372036854775808"])
def test_a_channel_that_is_no_number_is_an_error_of_the_server(line: Line, channel: str) -> None:
    status, error = line.join(channelId=channel)
    assert (status, f'For input string: "{channel}"' in error["message"]) == (500, True)
