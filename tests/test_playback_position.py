"""Where playback is: between updates, after seeks, and when answers and updates contradict each other."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lavalink_sync.core.playback import (
    PlayerSnapshot,
    before_send,
    on_event,
    on_player_update,
    on_read,
    on_rebuilt,
    on_reply,
)
from lavalink_sync.models import (
    Filters,
    PlayerState,
    PlayerUpdate,
    Timescale,
    TrackEndReason,
    TrackStartEvent,
    TrackUpdate,
    WebSocketClosedEvent,
)

from .support.snapshots import GUILD, PLAY_B, A, B, end, playing, reply_to, server_player, start, track


def test_the_position_moves_on_with_the_clock() -> None:
    assert playing().position_at(100.0) == 2000
    assert playing().position_at(101.5) == 3500


def test_the_position_keeps_to_the_track() -> None:
    assert playing().position_at(1000.0) == 10_000
    assert playing().position_at(0.0) == 0
    stream = replace(A, info=replace(A.info, is_stream=True, length=2**63 - 1))
    assert playing(track=stream).position_at(1000.0) == 902_000


def test_the_position_moves_at_the_timescales_speed_times_rate() -> None:
    filters = Filters(timescale=Timescale(speed=1.5, pitch=3.0, rate=2.0))
    assert playing(filters=filters).position_at(101.0) == 5000


def test_the_position_stands_still_while_paused_or_without_voice() -> None:
    assert playing(paused=True).position_at(105.0) == 2000
    assert playing(connected=False).position_at(105.0) == 2000


def test_without_a_track_the_position_is_0_and_before_the_first_update_where_it_starts() -> None:
    assert PlayerSnapshot(GUILD).position_at(50.0) == 0
    started = on_event(PlayerSnapshot(GUILD), TrackStartEvent(GUILD, track("C", position=700)), 1.0)
    assert started.position_at(60.0) == 700


def test_a_pause_and_a_change_of_speed_do_not_make_the_position_jump() -> None:
    snapshot, now = playing(), 100.0
    for update, changes in (
        (PlayerUpdate(paused=True), {"paused": True}),
        (PlayerUpdate(paused=False), {"paused": False}),
        (PlayerUpdate(filters=Filters()), {"filters": Filters(timescale=Timescale(speed=2.0))}),
    ):
        now += 1
        before = snapshot.position_at(now)
        snapshot = reply_to(snapshot, update, server_player(track("A", position=before), **changes), now)
        assert snapshot.position_at(now) == before


def test_a_reply_that_took_its_time_does_not_make_the_position_jump_back() -> None:
    snapshot = playing()
    late = server_player(track("A", position=2100))
    assert reply_to(snapshot, PlayerUpdate(volume=5), late, 100.8).position_at(100.8) == 2800
    far = server_player(track("A", position=9000))
    assert reply_to(snapshot, PlayerUpdate(volume=5), far, 100.8).position_at(100.8) == 9000, "that is no delay"


def test_where_playback_was_paused_is_told_by_the_reply() -> None:
    reply = server_player(track("A", position=2100), paused=True)
    assert reply_to(playing(), PlayerUpdate(paused=True), reply, 100.8).position_at(105.0) == 2100
    snapshot = on_event(playing(), end(A), 101.0)
    mark = before_send(snapshot)
    snapshot = on_event(snapshot, start(B), 101.0)
    reply = server_player(B, paused=True)
    assert on_reply(snapshot, mark, replace(PLAY_B, paused=True), reply, 101.9)[0].position_at(105.0) == 0


def test_before_the_first_update_every_answer_tells_the_position() -> None:
    snapshot = PlayerSnapshot(GUILD)
    snapshot = on_read(snapshot, before_send(snapshot), server_player(track("A", position=500)), 100.0)
    assert snapshot.position_at(100.0) == 500
    assert reply_to(snapshot, PlayerUpdate(volume=1), server_player(track("A", position=900))).position_at(100.0) == 900


def test_a_reply_to_a_play_does_not_throw_back_what_updates_have_told_since() -> None:
    snapshot = playing()
    mark = before_send(snapshot)
    for event in (end(A, TrackEndReason.REPLACED), start(B)):
        snapshot = on_event(snapshot, event, 101.0)
    snapshot, _ = on_reply(snapshot, mark, PLAY_B, server_player(B), 104.0)
    assert snapshot.track == B
    assert snapshot.position_at(104.0) == 3000


def test_an_update_of_the_track_before_does_not_move_the_new_one() -> None:
    snapshot = reply_to(playing(), PLAY_B, server_player(track("B", position=500), time=9))
    snapshot = on_player_update(snapshot, PlayerState(9, 7000, True, 5), 100.0)
    assert snapshot.position_at(100.0) == 500


def test_an_answer_is_newer_than_an_update_that_the_server_made_before_it() -> None:
    snapshot = on_read(playing(), before_send(playing()), server_player(track("A", position=9000), time=50), 100.0)
    late = on_player_update(snapshot, PlayerState(40, 1000, False, 8), 100.0)
    assert late.position_at(100.0) == 9000
    assert (late.state.connected, late.state.ping) == (False, 8)
    put_back = on_player_update(snapshot, PlayerState(50 - 3_600_000, 1000, True, 5), 100.0)
    assert put_back.position_at(100.0) == 1000, "the server's clock was put right"


SOUGHT = PlayerUpdate(position=8000)


def test_a_seek_shows_at_once_also_when_its_reply_has_the_old_position() -> None:
    for told in (8000, 2000):
        snapshot = reply_to(playing(), SOUGHT, server_player(track("A", position=told), time=70))
        assert snapshot.position_at(100.0) == 8000


def test_an_old_update_after_a_seek_is_not_believed_but_the_next_is() -> None:
    snapshot = reply_to(playing(), SOUGHT, server_player(track("A", position=8000), time=70))
    late = on_player_update(snapshot, PlayerState(71, 2100, True, 5), 100.1)
    assert late.position_at(100.1) == 8100
    again = on_player_update(late, PlayerState(1070, 2200, True, 5), 100.2)
    assert again.position_at(100.2) == 2200, "the file can't be sought in"


def test_an_update_that_came_before_the_reply_of_its_seek_is_kept() -> None:
    snapshot = playing()
    mark = before_send(snapshot)
    snapshot = on_player_update(snapshot, PlayerState(69, 8010, True, 5), 100.0)
    snapshot, _ = on_reply(snapshot, mark, SOUGHT, server_player(track("A", position=2000), time=70), 100.5)
    assert snapshot.position_at(100.5) == 8510
    quiet = reply_to(snapshot, PlayerUpdate(volume=3), server_player(track("A", position=2000), time=71), 100.5)
    assert quiet.position_at(100.5) == 8510, "the answer to another call soon after is no better"


def test_a_seek_beyond_the_end_or_before_the_beginning_keeps_to_the_track() -> None:
    for position, shown in ((999_999, 10_000), (-5, 0)):
        reply = server_player(track("A", position=2000))
        assert reply_to(playing(), PlayerUpdate(position=position), reply).position_at(100.0) == shown


def test_a_new_track_has_nothing_of_a_seek_in_the_one_before() -> None:
    sought = reply_to(playing(), SOUGHT, server_player(track("A", position=8000), time=70))
    replaced = reply_to(sought, PLAY_B, server_player(B, time=80))
    for event in (end(A, TrackEndReason.REPLACED), start(B)):
        replaced = on_event(replaced, event, 100.0)
    unheard = on_event(replace(sought, end_time=5), start(B), 100.0)  # the end before it got lost
    assert unheard.end_time is None
    rebuilt = on_rebuilt(sought, before_send(sought), PlayerUpdate(), server_player(B, time=80), 100.0)
    for snapshot in (replaced, unheard, rebuilt):
        assert on_player_update(snapshot, PlayerState(90, 3000, True, 5), 100.0).position_at(100.0) == 3000


@pytest.mark.parametrize("paused", [True, False])
def test_a_start_position_counts_until_the_first_frame_though_the_server_tells_0(paused: bool) -> None:
    update = PlayerUpdate(track=TrackUpdate(encoded="A"), position=6000)
    reply = server_player(A, time=80, paused=paused)
    played = reply_to(PlayerSnapshot(GUILD), update, reply)
    made = on_rebuilt(PlayerSnapshot(GUILD), before_send(PlayerSnapshot(GUILD)), update, reply, 100.0)
    for snapshot in (played, made):
        # Nobody hears it for long; then the voice connection is there, and then the first frame comes.
        for time, connected in ((90, False), (60_090, False), (60_100, True)):
            snapshot = on_player_update(snapshot, PlayerState(time, 0, connected, 5), 100.0)
            assert snapshot.position_at(100.0) == 6000
        read = on_read(snapshot, before_send(snapshot), server_player(A, time=60_100, paused=paused), 100.0)
        assert read.position_at(100.0) == 6000
        resumed = replace(read, paused=False)
        for position in (6100, 7900):
            resumed = on_player_update(resumed, PlayerState(60_200 + position, position, True, 5), 100.0)
            assert resumed.position_at(100.0) == position


def test_a_seek_in_a_paused_track_counts_until_it_goes_on() -> None:
    paused = replace(playing(), paused=True)
    sought = reply_to(paused, SOUGHT, server_player(track("A", position=2000), time=70, paused=True))
    there = sought.position_at(100.0)
    assert there != 2000
    later = on_player_update(sought, PlayerState(60_070, 2000, True, 5), 160.0)
    assert later.position_at(160.0) == there


def test_a_seek_without_a_track_is_nothing() -> None:
    assert reply_to(PlayerSnapshot(GUILD), SOUGHT, server_player(None)).position_at(100.0) == 0


def test_a_seek_that_was_left_out_does_not_move_the_position() -> None:
    snapshot = reply_to(playing(), SOUGHT, server_player(track("A", position=2000)), no_replace=True)
    assert snapshot.position_at(100.0) == 2000


def test_a_closed_voice_connection_freezes_the_position() -> None:
    closed = on_event(playing(), WebSocketClosedEvent(GUILD, 4014, "", True), 101.0)
    assert not closed.state.connected
    assert closed.position_at(110.0) == 3000
