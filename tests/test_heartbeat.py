"""When a peer is pinged and when it counts as gone."""

from __future__ import annotations

from lavalink_sync.core.heartbeat import Beat, Heartbeat


def test_a_mute_peer_is_pinged_once_and_given_up_after_two_intervals() -> None:
    heart = Heartbeat(15, now=100)
    assert heart.next_check() == 115
    assert heart.check(114.9) is Beat.QUIET
    assert heart.check(115) is Beat.PING
    assert heart.next_check() == 130
    assert heart.check(116) is Beat.QUIET
    assert heart.check(129.9) is Beat.QUIET
    assert heart.check(130) is Beat.MUTE


def test_any_byte_begins_a_new_interval_and_another_silence_is_pinged_again() -> None:
    heart = Heartbeat(15, now=0)
    assert heart.check(15) is Beat.PING
    heart.heard(16)
    assert heart.next_check() == 31
    assert heart.check(30) is Beat.QUIET
    assert heart.check(31) is Beat.PING
    assert heart.check(46) is Beat.MUTE


def test_an_old_time_does_not_count_as_an_answer() -> None:
    heart = Heartbeat(15, now=10)
    assert heart.check(25) is Beat.PING
    heart.heard(10)
    assert heart.check(40) is Beat.MUTE


def test_a_process_that_slept_pings_before_it_gives_up() -> None:
    heart = Heartbeat(15, now=0)
    assert heart.check(100) is Beat.PING
    assert heart.next_check() == 115
    assert heart.check(114) is Beat.QUIET
    heart.heard(114)
    assert heart.check(115) is Beat.QUIET


def test_a_peer_that_only_stops_its_stats_is_stale_after_the_limit() -> None:
    heart = Heartbeat(15, now=0, stats_limit=150)
    for now in range(0, 150, 5):
        heart.heard(now)
        assert heart.check(now) is Beat.QUIET
    heart.heard(149)
    assert heart.next_check() == 150
    assert heart.check(150) is Beat.STALE
    heart.stats_heard(150)
    assert heart.check(150) is Beat.QUIET
    assert heart.next_check() == 164
