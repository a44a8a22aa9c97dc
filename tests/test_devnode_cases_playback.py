"""What the protocol's sections 3.5 and 3.6 say of players and sessions, line by line, as a table of cases."""

from __future__ import annotations

import pytest

from .support.cases import Cases, line, music
from .support.devnode_line import GUILD, VOICE, Line
from .support.devnode_raw import next_message

__all__ = ["line", "music"]  # the fixtures

case = Cases()
OTHER = {"identifier": "/music/tone.flac"}
START = ["TrackStartEvent", "off -1 at 0", "off -1 at 0"]
STOP = {"encoded": None}


# --- 3.5 WebSocket


@case("3.5 playerUpdate comes at the interval while a track plays, counted from its start")
def _(line: Line) -> None:
    line.join()
    line.clock.advance(3)
    line.play(name="long.flac")
    line.said()
    line.clock.advance(4.99)
    assert line.said() == []
    line.clock.advance(0.01)
    assert line.said() == ["on 0 at 5380"]


@case("3.5 playerUpdate goes on while it is paused, and ends with the track")
def _(line: Line) -> None:
    line.join()
    line.play(paused=True)
    line.said()
    line.clock.advance(10)
    assert line.said() == ["on 0 at 0"] * 2
    line.patch(track=STOP)
    line.said()
    line.clock.advance(10)
    assert line.said() == []


@case("3.5 playerUpdate comes at once after play, seek, filter change and voice")
def _(line: Line) -> None:
    line.play(name="long.flac")
    assert line.said() == START
    line.patch(position=9000)
    assert line.said() == ["off -1 at 9000"]
    line.patch(filters={})
    assert line.said() == ["off -1 at 9000"]
    line.join()
    assert line.said() == ["on 0 at 9000"]


@case("3.5 there are no pause or resume events, and nothing for volume, endTime or userData")
def _(line: Line) -> None:
    line.play()
    line.said()
    line.patch(paused=True, volume=3, endTime=9000, track={"userData": {"a": 1}})
    line.patch(paused=False)
    assert line.said() == []


@case("3.5 TrackEnd replaced comes before TrackStart")
def _(line: Line) -> None:
    line.play()
    line.said()
    line.patch(track=OTHER)
    assert line.said() == ["TrackEndEvent replaced", *START]


@case("3.5 TrackStuck is followed by no TrackEnd, and the track may go on")
def _(line: Line) -> None:
    line.join()
    line.play(name="tone.flac")
    line.clock.advance(1)
    line.said()
    assert line.devnode.playback.stall(GUILD) == 1
    line.clock.advance(11)
    assert line.said() == ["on 0 at 1360", "on 0 at 1360", "TrackStuckEvent", "on 0 at 1360"]
    line.devnode.playback.stall(GUILD, on=False)
    line.clock.advance(5)
    assert line.said()[-1] == "TrackEndEvent finished"


@case("3.5 resume order is ready, queued events and stats, one playerUpdate a player")
def _(line: Line) -> None:
    line.raw.ask("PATCH", f"/v4/sessions/{line.session}", {"resuming": True, "timeout": 120})
    line.join()
    line.play(name="tone.flac")
    line.ask("PATCH", {}, 1)
    line.devnode.cut_sockets()
    line.clock.advance(61)
    socket = line.raw.connect(session_id=line.session)
    messages = [next_message(socket) for _ in range(5)]
    assert [each.get("type", each["op"]) for each in messages] == [
        "ready", "TrackEndEvent", "stats", "playerUpdate", "playerUpdate",
    ]  # fmt: skip
    assert messages[0]["resumed"] is True


@case("3.5 the players of a list are in the order of the server's table")
def _(line: Line) -> None:
    guilds = [1000, 1001, 1002, 1003, 1004, 2014, 2006, 3015, 3000, 3009, 3100, 3101, 4001]
    for guild in guilds:
        line.ask("PATCH", {}, guild)
    found = line.raw.ask("GET", f"/v4/sessions/{line.session}/players")[2]
    order = [3009, 4001, 3015, 1000, 1001, 1002, 1003, 1004, 2006, 3000, 3100, 3101, 2014]
    assert [int(each["guildId"]) for each in found] == order


@case("3.5 with resuming off the players are destroyed at once")
def _(line: Line) -> None:
    line.join()
    line.devnode.cut_sockets()
    assert line.devnode.voice.links == []


@pytest.mark.parametrize(("timeout", "lives"), [(0, False), (-5, False), (30, True), (2**63 - 1, True)])
def test_a_session_waits_as_long_as_its_timeout(line: Line, timeout: int, lives: bool) -> None:
    line.raw.ask("PATCH", f"/v4/sessions/{line.session}", {"resuming": True, "timeout": timeout})
    line.devnode.cut_sockets()
    line.clock.advance(29)
    assert (line.raw.open_session(session_id=line.session)[1] == line.session) is lives


# --- 3.6 PATCH


@case("3.6 a PATCH with {} creates the player")
def _(line: Line) -> None:
    assert line.patch()["track"] is None
    assert line.said() == []


@case("3.6 track.encoded null stops, and a stop un-pauses")
def _(line: Line) -> None:
    line.play(paused=True)
    line.said()
    assert line.patch(track=STOP)["paused"] is False
    assert line.said() == ["TrackEndEvent stopped"]
    line.patch(track=STOP)
    assert line.said() == []


@case("3.6 track.encoded with identifier, and track with the deprecated ones, are 400 and change nothing")
def _(line: Line) -> None:
    line.play()
    line.said()
    assert line.ask("PATCH", {"track": {"encoded": "x", "identifier": "y"}, "volume": 1})[0] == 400
    assert line.ask("PATCH", {"track": OTHER, "identifier": "y", "volume": 1})[0] == 400
    assert (line.said(), line.ask("GET")[1]["volume"]) == ([], 100)


@case("3.6 an identifier that can't be played is 400 after voice, volume, filters and pause were applied")
def _(line: Line) -> None:
    line.play(paused=True)
    line.said()
    body = {"track": {"identifier": "/music/no.mp3"}, "voice": VOICE, "volume": 7, "filters": {"volume": 2.0}}
    status, error = line.ask("PATCH", body)
    assert (status, error["message"]) == (400, "No matches found for identifier")
    assert line.said() == ["on 0 at 0", "on 0 at 0"]
    player = line.ask("GET")[1]
    assert (player["volume"], player["filters"], player["paused"]) == (7, {"volume": 2.0}, False)
    assert player["track"]["info"]["title"] == "Flac Twelve"


@case("3.6 an identifier that is a list, a search or an error is 400 with the server's words")
def _(line: Line) -> None:
    scripts = line.devnode.tracks
    song = scripts.add("song")
    scripts.playlist("list", "A list", [song])
    scripts.search("found", [song])
    scripts.fail("broken", message="not in your country")
    cannot = "Cannot play a playlist or search result"
    for identifier, message in (("list", cannot), ("found", cannot), ("broken", "not in your country")):
        status, error = line.ask("PATCH", {"track": {"identifier": identifier}})
        assert (status, error["message"]) == (400, message)
    assert line.said() == []


@case("3.3 each session has players of its own, and only its own socket hears of them")
def _(line: Line) -> None:
    other, session = line.raw.open_session()
    line.join()
    line.play()
    path = f"/v4/sessions/{session}/players"
    assert line.raw.ask("GET", path)[2] == []
    assert line.raw.ask("PATCH", f"{path}/{GUILD}", {"volume": 3})[2]["track"] is None
    assert line.ask("GET")[1]["volume"] == 100
    assert line.raw.ask("DELETE", f"{path}/{GUILD}")[0] == 204
    assert line.ask("GET")[1]["track"] is not None
    line.devnode.send_raw('{"op":"mark"}')
    assert [next_message(other)["op"] for _ in range(2)] == ["stats", "mark"], "nothing of the other one"


@case("3.6 track.userData alone changes the current track's")
def _(line: Line) -> None:
    line.play()
    assert line.patch(track={"userData": {"a": 1}})["track"]["userData"] == {"a": 1}
    line.said()
    line.patch(track=STOP)
    assert line.patch(track={"userData": {"a": 1}})["track"] is None


@case("3.6 position with a new track starts there")
def _(line: Line) -> None:
    line.join()
    line.said()
    assert line.play(name="long.flac", position=9000)["track"]["info"]["position"] == 9000
    assert line.said() == ["TrackStartEvent", "on 0 at 9000", "on 0 at 9000"]
    line.clock.advance(1)
    assert line.at() == 10_360


@case("3.6 position below 0 with a new track is 0, and a stream can't be sought")
def _(line: Line) -> None:
    assert line.play(name="long.flac", position=-5)["track"]["info"]["position"] == 0
    assert line.said() == START
    stream = line.devnode.tracks.add("radio", source="http", is_stream=True)
    line.join()
    line.said()
    found = line.patch(track={"encoded": stream["encoded"]}, position=9000)
    assert (found["track"]["info"]["position"], found["state"]["position"]) == (0, 0)
    assert line.said() == ["TrackEndEvent replaced", "TrackStartEvent", "on 0 at 0", "on 0 at 0"]
    assert line.patch(position=9000)["state"]["position"] == 0
    assert line.said() == ["on 0 at 0"]


@case("3.6 position alone seeks, and is ignored when nothing plays")
def _(line: Line) -> None:
    assert line.patch(position=5)["state"]["position"] == 0
    assert line.said() == []
    line.join()
    line.play(name="long.flac")
    line.clock.advance(1)
    assert line.patch(position=20_000)["state"]["position"] == 20_000
    line.clock.advance(1)
    assert line.at() == 20_960


@case("3.6 endTime of 0 or less is 400 and changes nothing")
def _(line: Line) -> None:
    line.play()
    for end_time in (0, -1):
        status, error = line.ask("PATCH", {"endTime": end_time, "volume": 3})
        assert (status, error["message"]) == (400, "End time must be greater than 0")
    assert line.ask("GET")[1]["volume"] == 100


@case("3.6 endTime alone marks the running track, null does not clear it, a replay does")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac")
    line.patch(endTime=3000)
    line.patch(endTime=None)
    line.said()
    line.clock.advance(3)
    assert line.said() == ["TrackEndEvent finished"]
    line.play(name="long.flac", endTime=3000)
    line.play(name="long.flac")
    line.said()
    line.clock.advance(4)
    assert line.said() == []


@case("3.6 endTime that is passed never fires, and takes the place of the one before")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac", endTime=4000)
    line.clock.advance(2)
    line.said()
    line.patch(endTime=1000)
    line.clock.advance(4)
    assert line.said() == ["on 0 at 5360"]


@case("3.6 endTime that a seek goes past ends the track")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac", endTime=9000)
    line.said()
    line.patch(position=9500)
    line.clock.advance(0.1)
    assert line.said() == ["on 0 at 9500", "TrackEndEvent finished"]


@case("3.6 volume is clamped")
def _(line: Line) -> None:
    assert [line.patch(volume=each)["volume"] for each in (1001, -1, 1000)] == [1000, 0, 1000]


@case("3.6 paused omitted with a new track un-pauses, and with it starts paused")
def _(line: Line) -> None:
    assert line.patch(paused=True)["paused"] is True
    assert line.play()["paused"] is False
    assert line.play(paused=True)["paused"] is True


@case("3.6 filters replace the whole set")
def _(line: Line) -> None:
    line.patch(filters={"volume": 0.5})
    assert list(line.patch(filters={"rotation": {}})["filters"]) == ["rotation"]


@case("3.6 voice with a blank field is 400")
def _(line: Line) -> None:
    for name in VOICE:
        assert line.ask("PATCH", {"voice": {**VOICE, name: " "}, "volume": 3})[0] == 400
    assert line.ask("GET")[0] == 404, "not even a player was made"


@case("3.6 noReplace skips track, userData, position, endTime, paused and a stop, and applies voice, volume, filters")
def _(line: Line) -> None:
    line.play(name="long.flac")
    line.said()
    for track in ({**OTHER, "userData": {"a": 1}}, STOP):
        body = {"track": track, "position": 9, "endTime": 9, "paused": True, "volume": 7, "filters": {"volume": 2.0}}
        status, player = line.ask("PATCH", {**body, "voice": VOICE}, noReplace="true")
        assert (status, player["volume"], player["filters"], player["paused"]) == (200, 7, {"volume": 2.0}, False)
        assert (player["track"]["info"]["title"], player["track"]["userData"]) == ("Long Noise", {})
        assert player["voice"] == VOICE
    assert line.said() == ["on 0 at 0"] * 3, "of voice, and of the filters each time"


@case("3.6 noReplace plays when nothing does")
def _(line: Line) -> None:
    assert line.ask("PATCH", {"track": OTHER}, noReplace="true")[1]["track"] is not None


@case("3.6 order is voice, position, filters, then the new track")
def _(line: Line) -> None:
    line.play(name="long.flac")
    line.said()
    line.patch(voice=VOICE, position=9000, filters={}, paused=True)
    assert line.said() == ["on 0 at 0", "on 0 at 9000", "on 0 at 9000"]
    line.patch(voice={**VOICE, "channelId": "6"}, filters={}, track=OTHER)
    assert line.said() == [
        "closed 1000  own", "off -1 at 9000", "on 0 at 9000", "on 0 at 9000",
        "TrackEndEvent replaced", "TrackStartEvent", "on 0 at 0", "on 0 at 0",
    ]  # fmt: skip


@case("3.6 equal voice data on an open link does nothing")
def _(line: Line) -> None:
    line.join()
    line.said()
    line.join(channelId="05")
    assert line.said() == []


@pytest.mark.parametrize("name", case)
def test_the_protocol_holds(line: Line, name: str) -> None:
    case[name](line)
