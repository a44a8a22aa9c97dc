"""The node's transition table."""

from __future__ import annotations

import itertools

import pytest

from lavalink_sync.core.status import TRANSITIONS, Status, check

C, D, R, U = Status.CONNECTED, Status.DISCONNECTED, Status.RECONNECTING, Status.CONNECTING
ALLOWED = {(D, U), (U, C), (U, U), (U, D), (C, R), (R, C), (R, R), (R, D), (C, D), (D, D)}


@pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
def test_a_node_goes_only_where_the_table_says(old: Status, new: Status) -> None:
    if (old, new) in ALLOWED:
        check(old, new)
    else:
        with pytest.raises(ValueError, match=f"from {old} to {new}"):
            check(old, new)


def test_every_state_can_be_closed_and_only_opening_leads_out_of_closed() -> None:
    assert set(TRANSITIONS) == set(Status)
    assert all(D in after for after in TRANSITIONS.values())
    assert TRANSITIONS[D] == {U, D}


def test_a_status_is_the_text_that_it_shows() -> None:
    assert [str(status) for status in Status] == ["CONNECTING", "CONNECTED", "RECONNECTING", "DISCONNECTED"]
    assert f"{C}" == "CONNECTED" == C
    assert f"now {R!s}" == "now RECONNECTING"
