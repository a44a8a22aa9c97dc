"""What plays, and how: the snapshot rule by rule. Orders and positions have modules of their own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lavalink_sync.core.playback import (
    PlayerSnapshot,
    before_send,
    on_event,
    on_node_left,
    on_player_update,
    on_read,
    on_rebuilt,
    on_refused,
    on_reply,
)
from lavalink_sync.models import (
    ExceptionInfo,
    Filters,
    PlayerState,
    PlayerUpdate,
    Severity,
    TrackEndReason,
    TrackExceptionEvent,
    TrackStuckEvent,
    TrackUpdate,
    WebSocketClosedEvent,
)

from .support.snapshots import GUILD, PLAY_A, PLAY_B, A, B, end, playing, reply_to, server_player, start, track


def test_the_end_of_a_track_that_was_found_playing_counts() -> None:
    snapshot = PlayerSnapshot(GUILD)
    snapshot = on_read(snapshot, before_send(snapshot), server_player(A), 100.0)
    assert snapshot.track == A
    assert on_event(snapshot, end(A), 100.0).track is None


def test_a_track_that_broke_or_is_stuck_stays_until_its_end_is_told() -> None:
    snapshot = playing()
    broken = on_event(snapshot, TrackExceptionEvent(GUILD, A, ExceptionInfo("no", Severity.COMMON, "cause")), 101.0)
    stuck = on_event(snapshot, TrackStuckEvent(GUILD, A, 10_000), 101.0)
    assert broken == stuck == snapshot, "until its end is told, it is the player's track"
    assert on_event(broken, end(A), 101.0).track is None


def test_a_reply_never_says_whether_there_is_a_voice_connection() -> None:
    reply = server_player(A, time=5)
    snapshot, _ = on_reply(playing(), before_send(playing()), PlayerUpdate(volume=5), reply, 100.0)
    assert snapshot.state.connected


def shown(snapshot: PlayerSnapshot) -> tuple[object, ...]:
    return snapshot.track, snapshot.position_at(100.0), snapshot.state, snapshot.end_time


def test_replayed_events_change_nothing_and_the_next_end_counts_again() -> None:
    # B's play was answered, but the socket broke before its events came; the player was read when it was back.
    snapshot = reply_to(playing(), PLAY_B, server_player(B))
    snapshot = on_read(snapshot, before_send(snapshot), server_player(B), 100.0)
    replayed = snapshot
    for event in (
        end(A, TrackEndReason.REPLACED, replayed=True),
        start(B, replayed=True),
        WebSocketClosedEvent(GUILD, 4006, "", True, replayed=True),
    ):
        replayed = on_event(replayed, event, 100.0)
        assert shown(replayed) == shown(snapshot)
    assert on_event(replayed, end(B), 100.0).track is None


def test_what_is_replayed_while_a_call_is_on_its_way_does_not_outdate_its_reply() -> None:
    snapshot = on_read(playing(), before_send(playing()), server_player(B), 100.0)
    mark = before_send(snapshot)
    for event in (end(A, replayed=True), start(B, replayed=True), end(B, replayed=True), start(B, replayed=True)):
        snapshot = on_event(snapshot, event, 100.0)
    assert on_reply(snapshot, mark, PlayerUpdate(volume=5), server_player(None), 100.0)[0].track is None


def test_more_was_replayed_than_was_known() -> None:
    snapshot = on_read(playing(), before_send(playing()), server_player(None), 100.0)
    for event in (end(A, replayed=True), start(B, replayed=True), end(B, replayed=True)):
        snapshot = on_event(snapshot, event, 100.0)
        assert snapshot.track is None
    assert on_event(snapshot, start(A), 100.0).track == A


def test_an_event_that_got_lost_is_made_up_for_by_a_later_update() -> None:
    snapshot = reply_to(PlayerSnapshot(GUILD), PLAY_A, server_player(A, time=1000))
    early = on_player_update(snapshot, PlayerState(1500, 400, True, 5), 100.0)
    assert on_event(early, end(A), 100.0).track == A, "the end may still be of a track before"
    later = on_player_update(early, PlayerState(6000, 5000, True, 5), 105.0)
    assert later.position_at(105.0) == 5000
    assert on_event(later, end(A), 106.0).track is None


def test_a_player_made_anew_elsewhere_begins_a_new_line_of_events() -> None:
    # Two tracks were played while the old socket was dead already.
    snapshot = reply_to(reply_to(playing(), PLAY_B, server_player(B)), PLAY_A, server_player(A))
    mark = before_send(snapshot)
    rebuilt = on_rebuilt(snapshot, mark, PlayerUpdate(), server_player(track("A", position=4000), time=3), 100.0)
    assert shown(rebuilt)[:2] == (track("A", position=4000), 4000)
    assert on_event(rebuilt, end(A), 100.0).track is None, "its start was not heard"
    assert on_event(on_event(rebuilt, start(A), 100.0), end(A), 100.0).track is None


@pytest.mark.parametrize("heard", ["before the answer", "after the answer", "never"])
def test_a_player_made_anew_keeps_its_end_time_whenever_its_start_is_told(heard: str) -> None:
    snapshot = replace(playing(), end_time=9000)
    mark, update = before_send(snapshot), PlayerUpdate(end_time=9000)
    if heard == "before the answer":
        snapshot = on_event(snapshot, start(A), 100.0)
    rebuilt = on_rebuilt(snapshot, mark, update, server_player(track("A", position=4000)), 100.0)
    if heard == "after the answer":
        rebuilt = on_event(rebuilt, start(A), 100.0)
    assert (rebuilt.end_time, rebuilt.position_at(100.0)) == (9000, 4000)
    # Later starts of the same track are news.
    again = on_event(on_event(rebuilt, end(A), 101.0), start(A), 101.0)
    assert (again.end_time, again.position_at(101.0)) == (None, 0)
    replayed = reply_to(rebuilt, PLAY_A, server_player(A))
    assert on_event(replayed, start(A), 101.0).end_time is None
    assert on_event(on_event(replayed, start(A), 101.0), end(A), 101.0).track is None


def test_away_from_its_node_a_player_stands_still_until_the_next_one_is_heard_of() -> None:
    left = on_node_left(playing(), 102.0)
    assert left.position_at(102.0) == left.position_at(200.0) == playing().position_at(102.0) > 0
    rebuilt = on_rebuilt(left, before_send(left), PlayerUpdate(), server_player(track("A", position=4000)), 200.0)
    assert rebuilt.position_at(300.0) == 4000
    assert on_player_update(rebuilt, PlayerState(90_000, 4500, True, 5), 300.0).position_at(301.0) == 5500


def test_a_player_that_no_server_took_plays_nothing_and_its_next_track_counts() -> None:
    refused = on_refused(replace(playing(), end_time=9000), 102.0)
    assert (refused.track, refused.end_time, refused.volume) == (None, None, playing().volume)
    played = reply_to(refused, PLAY_B, server_player(B))
    assert on_event(played, start(B), 102.0).track == B
    assert on_event(on_event(played, start(B), 102.0), end(B), 103.0).track is None


def test_a_player_made_anew_whose_events_come_before_the_answer() -> None:
    snapshot = reply_to(reply_to(playing(), PLAY_B, server_player(B)), PLAY_A, server_player(A))
    mark = before_send(snapshot)
    begun = on_event(snapshot, start(A), 100.0)
    over = on_event(begun, end(A), 100.0)
    assert on_rebuilt(begun, mark, PlayerUpdate(), server_player(A), 100.0).track == A
    assert on_event(on_rebuilt(begun, mark, PlayerUpdate(), server_player(A), 100.0), end(A), 100.0).track is None
    assert on_rebuilt(over, mark, PlayerUpdate(), server_player(A), 100.0).track is None
    assert on_rebuilt(snapshot, mark, PlayerUpdate(), server_player(None), 100.0).track is None


def test_a_reply_that_a_read_has_overtaken_is_not_enough_to_know_what_plays() -> None:
    mark = before_send(playing())
    read = on_read(playing(), mark, server_player(B), 100.0)
    snapshot, must_read = on_reply(
        read, mark, PlayerUpdate(track=TrackUpdate(encoded=None)), server_player(None), 100.0
    )
    assert must_read
    assert snapshot.track == B


def test_user_data_alone_changes_the_tracks() -> None:
    reply = server_player(replace(A, user_data={"by": 5}))
    snapshot = reply_to(playing(), PlayerUpdate(track=TrackUpdate(user_data={"by": 5})), reply)
    assert snapshot.track is not None
    assert snapshot.track.user_data == {"by": 5}
    assert on_event(snapshot, end(A), 100.0).track is None


def test_the_end_time_goes_with_its_track() -> None:
    marked = reply_to(playing(), PlayerUpdate(end_time=5000), server_player(A))
    assert marked.end_time == 5000
    assert reply_to(marked, PlayerUpdate(end_time=None), server_player(A)).end_time == 5000, "the server keeps it"
    assert reply_to(marked, PlayerUpdate(end_time=6000), server_player(A), no_replace=True).end_time == 5000
    assert reply_to(marked, PlayerUpdate(volume=5), server_player(A)).end_time == 5000
    assert reply_to(marked, PLAY_B, server_player(B)).end_time is None
    assert reply_to(marked, replace(PLAY_A, end_time=7000), server_player(A)).end_time == 7000
    assert on_read(marked, before_send(marked), server_player(B), 100.0).end_time is None
    assert on_event(marked, end(A), 100.0).end_time is None
    assert reply_to(PlayerSnapshot(GUILD), PlayerUpdate(end_time=5000), server_player(None)).end_time is None


def test_the_end_time_is_not_another_tracks() -> None:
    mark = before_send(playing())
    over = on_event(on_event(playing(), start(B), 100.0), end(B), 100.0)
    assert on_reply(over, mark, replace(PLAY_B, end_time=5000), server_player(B), 100.0)[0].end_time is None


def test_the_servers_answer_sets_volume_pause_and_filters() -> None:
    filters = Filters(volume=0.5)
    reply = server_player(None, volume=1000, paused=True, filters=filters)
    snapshot = PlayerSnapshot(GUILD)
    snapshot, _ = on_reply(snapshot, before_send(snapshot), PlayerUpdate(volume=5000), reply, 0.0)
    assert (snapshot.volume, snapshot.paused, snapshot.filters) == (1000, True, filters)
