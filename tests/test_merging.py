"""Which changes can be one call, and what that call is."""

from __future__ import annotations

import pytest

from lavalink_sync import Filters, PlayerUpdate, TrackUpdate
from lavalink_sync.core.merging import can_merge, merged


@pytest.mark.parametrize(
    ("update", "can"),
    [
        (PlayerUpdate(volume=5), True),
        (PlayerUpdate(position=5), True),
        (PlayerUpdate(filters=Filters()), True),
        (PlayerUpdate(volume=5, position=0, filters=Filters()), True),
        (PlayerUpdate(), False),
        (PlayerUpdate(paused=True), False),
        (PlayerUpdate(volume=5, paused=False), False),
        (PlayerUpdate(track=TrackUpdate(encoded=None)), False),
        (PlayerUpdate(end_time=None), False),
    ],
)
def test_volume_position_and_filters_can_be_merged_and_nothing_else(update: PlayerUpdate, can: bool) -> None:
    assert can_merge(update) is can


def test_of_each_kind_the_last_one_counts() -> None:
    loud, quiet = Filters(volume=2.0), Filters(volume=0.5)
    updates = [
        PlayerUpdate(volume=1, filters=loud),
        PlayerUpdate(position=10),
        PlayerUpdate(volume=2),
        PlayerUpdate(filters=quiet),
    ]
    assert merged(updates) == PlayerUpdate(volume=2, position=10, filters=quiet)
    assert merged(updates[:1]) == updates[0]
