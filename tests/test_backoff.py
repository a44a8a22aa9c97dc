"""The delay between two tries."""

from __future__ import annotations

import pytest

from lavalink_sync.config import ReconnectPolicy
from lavalink_sync.core.backoff import delay, exhausted


def never() -> float:
    raise AssertionError("chance was asked without need")


def test_the_default_grows_by_two_seconds_up_to_thirty_and_stays_there() -> None:
    expected = [0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, *[30] * 35]
    assert [delay(ReconnectPolicy(), attempt, never) for attempt in range(50)] == expected


@pytest.mark.parametrize(("chance", "seconds"), [(0.0, 10.0), (0.5, 7.5), (0.999, 5.005)])
def test_jitter_takes_up_to_its_part_away(chance: float, seconds: float) -> None:
    policy = ReconnectPolicy(step=5, cap=60, jitter=0.5)
    assert delay(policy, 2, lambda: chance) == pytest.approx(seconds)
    assert delay(policy, 0, never) == 0


def test_a_step_of_zero_means_at_once() -> None:
    assert delay(ReconnectPolicy(step=0), 1000, never) == 0


def test_a_limit_is_a_number_of_tries() -> None:
    assert not exhausted(ReconnectPolicy(), 1_000_000)
    policy = ReconnectPolicy(limit=3)
    assert [exhausted(policy, tries) for tries in range(5)] == [False, False, False, True, True]
