"""The snapshot of one player, rule by rule: positions, seeks, settings, replays. Orders have a module of their own."""

from __future__ import annotations

from dataclasses import replace

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
    ExceptionInfo,
    Filters,
    PlayerState,
    PlayerUpdate,
    ServerPlayer,
    Severity,
    Timescale,
    Track,
    TrackEndEvent,
    TrackEndReason,
    TrackExceptionEvent,
    TrackInfo,
    TrackStartEvent,
    TrackStuckEvent,
    TrackUpdate,
    WebSocketClosedEvent,
)

GUILD = 7


def track(name: str, position: int = 0, length: int = 10_000) -> Track:
    return Track(name, TrackInfo(name, True, "author", length, False, position, name, "local"))


A, B = track("A"), track("B")
PLAY_A, PLAY_B = (PlayerUpdate(track=TrackUpdate(encoded=name)) for name in "AB")


def server_player(playing: Track | None, time: int = 0, **changes: object) -> ServerPlayer:
    absent = ServerPlayer.absent(GUILD)
    return replace(absent, track=playing, state=PlayerState(time=time), **changes)  # type: ignore[arg-type]  # any field


def reply_to(
    snapshot: PlayerSnapshot, update: PlayerUpdate, reply: ServerPlayer, now: float = 100.0, no_replace: bool = False
) -> PlayerSnapshot:
    """The snapshot after a call that nothing came in between of."""
    return on_reply(snapshot, before_send(snapshot), update, reply, now, no_replace)[0]


def start(of: Track, **flags: bool) -> TrackStartEvent:
    return TrackStartEvent(GUILD, of, **flags)


def end(of: Track, reason: TrackEndReason = TrackEndReason.FINISHED, **flags: bool) -> TrackEndEvent:
    return TrackEndEvent(GUILD, of, reason, **flags)


def playing(connected: bool = True, at: float = 100.0, **changes: object) -> PlayerSnapshot:
    snapshot = on_event(PlayerSnapshot(GUILD), TrackStartEvent(GUILD, A), at)
    snapshot = on_player_update(snapshot, PlayerState(1, 2000, connected, 5), at)
    return replace(snapshot, **changes)  # type: ignore[arg-type]  # any of its fields


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
    snapshot = playing()
    for update, changes in (
        (PlayerUpdate(paused=True), {"paused": True}),
        (PlayerUpdate(paused=False), {"paused": False}),
        (PlayerUpdate(filters=Filters()), {"filters": Filters(timescale=Timescale(speed=2.0))}),
    ):
        before = snapshot.position_at(102.0)
        reply = server_player(replace(A, info=replace(A.info, position=before)), **changes)
        snapshot, _ = on_reply(snapshot, before_send(snapshot), update, reply, 102.0)
        assert snapshot.position_at(102.0) == before


def test_a_reply_that_took_its_time_does_not_make_the_position_jump_back() -> None:
    snapshot = playing()
    late = server_player(track("A", position=2100))
    assert reply_to(snapshot, PlayerUpdate(volume=5), late, 100.8).position_at(100.8) == 2800
    far = server_player(track("A", position=9000))
    assert reply_to(snapshot, PlayerUpdate(volume=5), far, 100.8).position_at(100.8) == 9000, "that is no delay"


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


def test_a_seek_without_a_track_is_nothing() -> None:
    assert reply_to(PlayerSnapshot(GUILD), SOUGHT, server_player(None)).position_at(100.0) == 0


def test_a_seek_that_was_left_out_does_not_move_the_position() -> None:
    snapshot = reply_to(playing(), SOUGHT, server_player(track("A", position=2000)), no_replace=True)
    assert snapshot.position_at(100.0) == 2000


def test_a_track_that_ended_and_broke_or_got_stuck() -> None:
    snapshot = playing()
    broken = on_event(snapshot, TrackExceptionEvent(GUILD, A, ExceptionInfo("no", Severity.COMMON, "cause")), 101.0)
    stuck = on_event(snapshot, TrackStuckEvent(GUILD, A, 10_000), 101.0)
    assert broken == stuck == snapshot, "until its end is told, it is the player's track"
    assert on_event(broken, end(A), 101.0).track is None


def test_a_closed_voice_connection_freezes_the_position() -> None:
    closed = on_event(playing(), WebSocketClosedEvent(GUILD, 4014, "", True), 101.0)
    assert not closed.state.connected
    assert closed.position_at(110.0) == 3000


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
    snapshot = replace(snapshot, end_time=9000)
    mark = before_send(snapshot)
    rebuilt = on_rebuilt(snapshot, mark, server_player(track("A", position=4000), time=3), 100.0)
    assert shown(rebuilt)[:2] == (track("A", position=4000), 4000)
    assert rebuilt.end_time == 9000
    assert on_event(rebuilt, end(A), 100.0).track is None, "its start was not heard"
    assert on_event(on_event(rebuilt, start(A), 100.0), end(A), 100.0).track is None


def test_a_player_made_anew_whose_events_come_before_the_answer() -> None:
    snapshot = reply_to(reply_to(playing(), PLAY_B, server_player(B)), PLAY_A, server_player(A))
    mark = before_send(snapshot)
    begun = on_event(snapshot, start(A), 100.0)
    over = on_event(begun, end(A), 100.0)
    assert on_rebuilt(begun, mark, server_player(A), 100.0).track == A
    assert on_event(on_rebuilt(begun, mark, server_player(A), 100.0), end(A), 100.0).track is None
    assert on_rebuilt(over, mark, server_player(A), 100.0).track is None
    assert on_rebuilt(snapshot, mark, server_player(None), 100.0).track is None


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
