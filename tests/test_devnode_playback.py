"""Playback on a development node whose clock is moved by hand: what is told, when, and at which position."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode.clock import ManualClock

from .support.devnode_raw import Raw, close_code, next_message, next_of

VOICE = {"token": "t", "endpoint": "e:443", "sessionId": "s", "channelId": "5"}
GUILD = 7


class Bench:
    """A development node on a manual clock, and one client's session."""

    def __init__(self, devnode: DevNode, clock: ManualClock) -> None:
        self.devnode = devnode
        self.clock = clock
        self.raw = Raw(devnode)
        self.socket, self.session = self.raw.open_session()
        next_of(self.socket, "stats")
        self.tracks = {name: self.load(name) for name in ("sine5.mp3", "flac12.flac")}

    def load(self, name: str) -> Any:
        return self.raw.ask("GET", "/v4/loadtracks", query={"identifier": f"/music/{name}"})[2]["data"]

    def patch(self, body: Any, **query: str) -> tuple[int, Any]:
        status, _, answer = self.raw.ask("PATCH", f"/v4/sessions/{self.session}/players/{GUILD}", body, query=query)
        return status, answer

    def play(self, name: str = "sine5.mp3", **more: Any) -> Any:
        return self.patch({"track": {"encoded": self.tracks[name]["encoded"]}, **more})[1]

    def heard(self, *, updates: bool = False) -> list[str]:
        """What has been said so far, in order, as short texts; stats are left out."""
        self.devnode.send_raw('{"op":"mark"}')
        found = []
        while (message := next_message(self.socket))["op"] != "mark":
            if message["op"] == "event":
                found.append(f"{message['type'].removesuffix('Event')} {message.get('reason', '')}".strip())
            elif updates and message["op"] == "playerUpdate":
                found.append(f"at {message['state']['position']}")
        return found


@pytest.fixture
def bench(make_devnode: Callable[..., DevNode]) -> Iterator[Bench]:
    clock = ManualClock()
    found = Bench(make_devnode(clock=clock, player_update_interval=5.0), clock)
    yield found
    found.raw.close()


def test_a_track_plays_to_its_end_in_no_time(bench: Bench) -> None:
    bench.patch({"voice": VOICE})
    bench.play("flac12.flac")
    bench.heard()
    bench.clock.advance(13)
    # The sender takes 400 ms of frames ahead of time, and the last one of 20 ms counts from its beginning.
    assert bench.heard(updates=True) == ["at 5360", "at 10360", "TrackEnd finished"]
    assert bench.patch({})[1]["track"] is None


def test_an_end_time_ends_it_sooner_and_one_that_is_behind_does_not(bench: Bench) -> None:
    bench.patch({"voice": VOICE})
    bench.play("flac12.flac", endTime=3000)
    bench.clock.advance(2.5)  # of 3.0: the sender is 0.4 s ahead
    assert "TrackEnd finished" not in bench.heard()
    bench.clock.advance(0.2)
    assert bench.heard() == ["TrackEnd finished"]
    bench.play("flac12.flac", position=5000, endTime=4000)
    bench.clock.advance(6)
    assert bench.heard() == ["TrackStart"]
    bench.patch({"endTime": 11_500})
    bench.clock.advance(0.6)
    assert bench.heard() == ["TrackEnd finished"]


def test_a_pause_stops_the_time_and_a_seek_moves_it(bench: Bench) -> None:
    bench.patch({"voice": VOICE})
    bench.play("flac12.flac")
    bench.clock.advance(2)
    bench.patch({"paused": True})
    bench.clock.advance(50)
    assert bench.patch({"paused": False})[1]["state"]["position"] == 2360
    assert bench.patch({"position": 11_000})[1]["state"]["position"] == 11_000
    bench.heard()
    bench.clock.advance(1.1)
    assert bench.heard() == ["TrackEnd finished"]


def test_a_timescale_makes_it_shorter(bench: Bench) -> None:
    bench.patch({"voice": VOICE, "filters": {"timescale": {"speed": 2.0}}})
    bench.play("flac12.flac")
    bench.heard()
    bench.clock.advance(6.1)
    assert bench.heard() == ["TrackEnd finished"]


def test_what_is_replaced_or_stopped_says_so(bench: Bench) -> None:
    bench.play()
    bench.play("flac12.flac")
    assert bench.patch({"track": {"encoded": None}})[0] == 200
    bench.patch({"track": {"encoded": None}})
    assert bench.heard() == ["TrackStart", "TrackEnd replaced", "TrackStart", "TrackEnd stopped"]


def test_no_replace_leaves_what_plays_and_plays_when_nothing_does(bench: Bench) -> None:
    bench.play()
    bench.patch({"track": {"encoded": None}}, noReplace="true")
    bench.patch({"track": {"encoded": bench.tracks["flac12.flac"]["encoded"]}, "volume": 7}, noReplace="true")
    assert bench.heard() == ["TrackStart"]
    assert bench.patch({})[1]["volume"] == 7


def test_a_new_track_goes_on_after_a_pause(bench: Bench) -> None:
    bench.play(paused=True)
    assert bench.play("flac12.flac")["paused"] is False


def test_a_track_without_voice_stays_at_0_and_is_cleaned_up(bench: Bench) -> None:
    bench.play()
    bench.clock.advance(30)
    assert set(bench.heard(updates=True)) == {"TrackStart", "at 0"}
    bench.clock.advance(40)
    assert bench.heard() == ["TrackEnd cleanup"]


def test_leaving_the_channel_or_deleting_the_player_closes_its_voice(bench: Bench) -> None:
    bench.patch({"voice": VOICE})
    bench.patch({"voice": VOICE})
    bench.patch({"voice": {**VOICE, "channelId": "6"}})
    bench.raw.ask("DELETE", f"/v4/sessions/{bench.session}/players/{GUILD}")
    assert bench.heard() == ["WebSocketClosed", "WebSocketClosed"]


def test_a_file_that_vanished_breaks_its_track(
    make_devnode: Callable[..., DevNode], tmp_path: Any, bench: Bench
) -> None:
    (tmp_path / "a.wav").write_bytes((bench.devnode._music / "wav3.wav").read_bytes())  # type: ignore[operator]
    raw = Raw(make_devnode(music=tmp_path))
    try:
        socket, session = raw.open_session()
        track = raw.ask("GET", "/v4/loadtracks", query={"identifier": "/music/a.wav"})[2]["data"]
        (tmp_path / "a.wav").unlink()
        player = f"/v4/sessions/{session}/players/1"
        raw.ask("PATCH", player, {"track": {"encoded": track["encoded"]}})
        assert next_of(socket, "TrackExceptionEvent")["exception"]["severity"] == "fault"
        raw.ask("PATCH", player, {"voice": VOICE})
        assert next_of(socket, "TrackEndEvent")["reason"] == "loadFailed"
        raw.ask("PATCH", player, {"track": {"encoded": track["encoded"]}})
        assert next_of(socket, "TrackEndEvent")["reason"] == "loadFailed", "with voice it ends at once"
    finally:
        raw.close()


def test_stats_come_every_minute_and_tell_what_plays(bench: Bench) -> None:
    bench.patch({"voice": VOICE})
    bench.patch({"filters": {"timescale": {"speed": 0.05}}})
    bench.clock.advance(30)
    bench.play("flac12.flac")
    bench.clock.advance(30)
    stats = next_of(bench.socket, "stats")
    assert (stats["players"], stats["playingPlayers"], stats["frameStats"]) == (1, 1, None)
    bench.clock.advance(60)
    assert next_of(bench.socket, "stats")["frameStats"]["sent"] == 3000


def test_a_session_that_can_resume_keeps_its_events(bench: Bench) -> None:
    bench.raw.ask("PATCH", f"/v4/sessions/{bench.session}", {"resuming": True, "timeout": 30})
    bench.patch({"voice": VOICE})
    bench.play("sine5.mp3")
    bench.devnode.cut_sockets()
    status, _, body = bench.raw.ask("GET", f"/v4/sessions/{bench.session}/players")
    assert (status, body["message"]) == (404, "Session not found")
    bench.clock.advance(10)
    bench.socket = bench.raw.connect(session_id=bench.session)
    assert next_message(bench.socket) == {"op": "ready", "resumed": True, "sessionId": bench.session}
    assert bench.heard(updates=True) == ["TrackEnd finished", "at 0"]


def test_a_session_is_forgotten_when_its_time_is_over(bench: Bench) -> None:
    bench.raw.ask("PATCH", f"/v4/sessions/{bench.session}", {"resuming": True, "timeout": 30})
    bench.devnode.cut_sockets(reset=False)
    bench.clock.advance(31)
    bench.socket, other = bench.raw.open_session(session_id=bench.session)
    assert other != bench.session


def test_a_second_socket_with_a_live_session_gets_a_new_one(bench: Bench) -> None:
    _, other = bench.raw.open_session(session_id=bench.session)
    assert other != bench.session
    assert bench.patch({})[0] == 200


def test_an_idle_http_connection_is_closed_after_a_minute(bench: Bench) -> None:
    for _ in range(3):
        bench.clock.advance(59.9)
        assert bench.raw.ask("GET", "/version")[0] == 200
    bench.clock.advance(60)
    with pytest.raises((ConnectionError, OSError)):
        bench.raw.ask("GET", "/version")


def test_shutting_down_says_1001(bench: Bench) -> None:
    bench.devnode.close()
    assert close_code(bench.socket) == 1001


def test_time_does_not_go_back() -> None:
    clock = ManualClock(start=50.0)
    clock.advance(5)
    assert (clock.monotonic(), clock.time()) == (5.0, 55.0)
    with pytest.raises(ValueError, match="back"):
        clock.advance(-1)
