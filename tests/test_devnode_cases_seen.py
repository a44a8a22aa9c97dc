"""What the protocol's sections 3.7 and 3.11 say of a running player, line by line, as a table of cases."""

from __future__ import annotations

import pytest

from lavalink_sync.devnode.races import Races

from .support.cases import Cases, line, music
from .support.devnode_line import GUILD, VOICE, Line
from .support.devnode_raw import next_message, next_of

__all__ = ["line", "music"]  # the fixtures

case = Cases()


# --- 3.7 filters on a running player


@pytest.mark.parametrize(
    ("timescale", "seconds"), [({"speed": 2.0}, 2.6), ({"rate": 0.5}, 11.6), ({"pitch": 3.0}, 5.6)]
)
def test_speed_and_rate_of_a_timescale_change_how_long_a_track_is(
    line: Line, timescale: dict[str, float], seconds: float
) -> None:
    line.patch(voice=VOICE, filters={"timescale": timescale})
    line.play(name="tone.flac")
    line.said()
    line.clock.advance(seconds - 0.02)
    assert "TrackEndEvent finished" not in line.said()
    line.clock.advance(0.05)
    assert line.said() == ["TrackEndEvent finished"]


@case("3.7 a position counts what is heard, not what is used up")
def _(line: Line) -> None:
    line.patch(voice=VOICE, filters={"timescale": {"speed": 2.0}})
    line.play(name="long.flac")
    line.clock.advance(2)
    assert line.at() == 2360


@case("3.7 filters count for what is not yet decoded, five seconds ahead")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac")
    line.clock.advance(4.6)
    line.patch(filters={"timescale": {"speed": 2.0}})
    line.said()
    # Of 30 s 5 were heard, 5 are decoded, and 20 take 10.
    line.clock.advance(14.9)
    assert "TrackEndEvent finished" not in line.said()
    line.clock.advance(0.2)
    assert line.said() == ["TrackEndEvent finished"]


# --- 3.11 playback


@case("3.11 without voice a track starts and stays at 0, a start position is told once")
def _(line: Line) -> None:
    line.play(name="long.flac", position=9000)
    assert line.said() == ["TrackStartEvent", "off -1 at 9000", "off -1 at 0"]
    assert line.at() == 0
    line.clock.advance(5)
    assert (line.said(), line.at()) == (["off -1 at 0"], 0)
    line.join()
    line.clock.advance(1)
    assert line.at() == 10_360


@case("3.11 a seek without voice is echoed, then it is back at 0 until there is voice")
def _(line: Line) -> None:
    line.play(name="long.flac")
    assert line.patch(position=9000)["state"]["position"] == 9000
    line.clock.advance(1)
    assert line.at() == 0
    line.join()
    line.clock.advance(1)
    assert line.at() == 9000 + 1360


@case("3.11 a seek beyond the end is echoed and ends the track")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac")
    line.said()
    assert line.patch(position=999_999)["state"]["position"] == 999_999
    line.clock.advance(0.1)
    assert line.said() == ["on 0 at 999999", "TrackEndEvent finished"]


@case("3.11 a seek beyond the end breaks an mp3 that is sought by a table of hundredths")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.mp3")
    line.said()
    line.patch(position=60_096)
    line.clock.advance(0.1)
    assert line.said() == ["on 0 at 60096", "TrackExceptionEvent", "TrackEndEvent finished"]


@case("3.11 a negative seek goes to 0")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac")
    line.clock.advance(2)
    assert line.patch(position=-5)["state"]["position"] == 0
    line.clock.advance(1)
    assert line.at() == 960


@case("3.11 a position stands still after a seek into what is decoded to the end")
def _(line: Line) -> None:
    line.join()
    line.play(name="tone.flac")
    line.clock.advance(2)
    line.patch(position=500)
    line.said()
    line.clock.advance(3)
    assert line.at() == 500
    line.clock.advance(0.7)
    assert line.said() == ["on 0 at 500", "TrackEndEvent finished"]


@case("3.11 a position starts again near 0 after a seek in an ogg")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.ogg")
    line.clock.advance(2)
    assert line.patch(position=12_000)["state"]["position"] == 12_000
    line.clock.advance(1)
    assert line.at() == 960


@case("3.11 a seek in an mp3 whose first frame is smaller lands too early, and the position exceeds the length")
def _(line: Line) -> None:
    line.join()
    line.play(name="tone.mp3", position=3000)
    line.clock.advance(4)
    assert line.at() == 7360


@case("3.11 an ogg with a start position fails to load")
def _(line: Line) -> None:
    line.join()
    line.play(name="tone.ogg", position=3000)
    line.said()
    line.clock.advance(0.1)
    assert line.said() == ["TrackExceptionEvent", "TrackEndEvent loadFailed"]
    for name, broken in (("tone.ogg", "OpusPacketRouter"), ("vorbis8.ogg", "AudioPipeline")):
        line.play(name=name, position=3000)
        line.clock.advance(0.1)
        assert broken in next_of(line.socket, "TrackExceptionEvent")["exception"]["cause"]


@case("3.11 a broken file gives TrackException, and no TrackEnd until something reads frames")
def _(line: Line) -> None:
    line.play(name="torn.mp3")
    line.clock.advance(0.1)
    assert line.said() == ["TrackStartEvent", "off -1 at 0", "off -1 at 0", "TrackExceptionEvent"]
    line.clock.advance(20)
    assert set(line.said()) == {"off -1 at 0"}
    line.join()
    line.clock.advance(4)
    assert line.said()[-1] == "TrackEndEvent finished"


@case("3.11 TrackException is followed by TrackEnd finished where the file is torn")
def _(line: Line) -> None:
    line.join()
    line.play(name="torn_late.mp3")
    line.said()
    line.clock.advance(4)
    assert line.said() == []
    line.clock.advance(10)
    assert line.said() == ["on 0 at 5360", "TrackExceptionEvent", "on 0 at 10360", "TrackEndEvent finished"]


@case("3.11 a track nobody listens to ends with cleanup after about a minute, at the next look")
def _(line: Line) -> None:
    line.clock.advance(4)
    line.play(name="long.flac")
    line.said()
    line.clock.advance(65.9)
    assert "TrackEndEvent cleanup" not in line.said()
    line.clock.advance(0.2)
    assert line.said() == ["TrackEndEvent cleanup"]


@case("3.11 a link that the voice server closed keeps a track from its cleanup, and its end is told")
def _(line: Line) -> None:
    line.join()
    line.play(name="long.flac", paused=True)
    line.devnode.voice.close(GUILD, 4014)
    line.said()
    line.clock.advance(200)
    assert set(line.said()) == {"off 0 at 0"}


@case("3.11 cleanup waits for the resume while a session is away, and old stats with it")
def _(line: Line) -> None:
    line.raw.ask("PATCH", f"/v4/sessions/{line.session}", {"resuming": True, "timeout": 120})
    line.play()
    line.devnode.cut_sockets()
    line.clock.advance(100)
    line.socket = line.raw.connect(session_id=line.session)
    assert next_of(line.socket, "TrackEndEvent")["reason"] == "cleanup"
    assert line.said() == ["off -1 at 0"]


@case("3.11 stats come before ready if that is how it goes")
def _(line: Line) -> None:
    line.devnode.races = Races(stats_first=True)
    socket = line.raw.connect()
    assert [next_message(socket)["op"] for _ in range(2)] == ["stats", "ready"]


@case("3.11 the first update after a seek, and its answer, may carry the old position")
def _(line: Line) -> None:
    line.devnode.races = Races(seek_update="old", seek_reply="old")
    line.join()
    line.play(name="long.flac")
    line.clock.advance(1)
    line.said()
    assert line.patch(position=9000)["state"]["position"] == 1360
    assert line.said() == ["on 0 at 1360"]
    assert line.at() == 9000


@case("3.11 the first update may come before TrackStart")
def _(line: Line) -> None:
    line.devnode.races = Races(first_update="before")
    line.play(name="long.flac", position=5)
    assert line.said() == ["off -1 at 5", "TrackStartEvent", "off -1 at 0"]


@pytest.mark.parametrize("name", case)
def test_the_protocol_holds(line: Line, name: str) -> None:
    case[name](line)
