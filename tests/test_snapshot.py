"""The quick copy of a snapshot: whole, frozen again, and without what makes the slow one slow."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from lavalink_sync.core.playback import on_player_update
from lavalink_sync.core.snapshot import PlayerSnapshot, draft_of, freeze, with_state
from lavalink_sync.models import Filters, PlayerState

from .support.snapshots import GUILD, A

FULL = PlayerSnapshot(
    guild_id=GUILD,
    track=A,
    volume=50,
    paused=True,
    filters=Filters(volume=0.5),
    state=PlayerState(1, 2, True, 3),
    received=4.0,
    end_time=5,
    _position=6,
    _at=7.0,
    _sought_at=8,
    _seen=9,
    _known=10,
    _told_at=11,
    _start_due=True,
)


def test_a_copy_has_every_field_and_is_frozen_again() -> None:
    default = PlayerSnapshot(GUILD + 1)
    assert all(getattr(FULL, field.name) != getattr(default, field.name) for field in fields(FULL)), (
        "else it can't tell"
    )
    same = freeze(draft_of(FULL))
    assert same == FULL
    assert same is not FULL
    assert type(same) is PlayerSnapshot
    with pytest.raises(FrozenInstanceError):
        same.volume = 1  # type: ignore[misc]  # that it can't be is what this is about


def test_what_an_update_told_is_all_that_changes() -> None:
    state = PlayerState(20, 21, True, 22)
    assert with_state(FULL, state, 23.0) == replace(FULL, state=state, received=23.0, _at=23.0, _position=21)


def test_a_change_does_not_show_in_the_original() -> None:
    draft = draft_of(FULL)
    draft.volume = 60
    assert freeze(draft).volume == 60
    assert FULL.volume == 50


def test_a_copy_can_be_copied_and_pickled_as_any_dataclass() -> None:
    made = freeze(draft_of(FULL))
    assert copy.deepcopy(made) == pickle.loads(pickle.dumps(made)) == FULL


def test_a_snapshot_has_no_dictionary() -> None:
    assert not hasattr(FULL, "__dict__")


def test_a_message_does_not_run_the_constructor(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: object, *_: object, **__: object) -> None:
        raise AssertionError("the constructor was run")

    monkeypatch.setattr(PlayerSnapshot, "__init__", refuse)
    assert on_player_update(FULL, PlayerState(20_000, 2, True, 3), 100.0).received == 100.0
