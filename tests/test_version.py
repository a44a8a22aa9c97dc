"""What counts as another major version than ours."""

from __future__ import annotations

import pytest

from lavalink_sync import UnsupportedServerError
from lavalink_sync.core.version import check_major, major_of


@pytest.mark.parametrize(
    ("version", "major"),
    [
        ("4.2.2", 4),
        ("3.7.11", 3),
        ("v5.0.0-rc.1", 5),
        ("12.0", 12),
        ("4.0.0-beta.3", 4),
        ("a1b2c3d-SNAPSHOT", 0),
        ("4", 0),
        ("3a1b2c3", 0),
        ("4" * 5000 + ".0", 0),
        ("", 0),
    ],
)
def test_the_major_version_in_a_text(version: str, major: int) -> None:
    assert major_of(version) == major


@pytest.mark.parametrize("major", [4, 0])
def test_ours_and_none_pass(major: int) -> None:
    check_major("main", "localhost:2333", major, "whatever")


def test_another_one_is_named_and_cut_short() -> None:
    with pytest.raises(UnsupportedServerError, match=r"^node main: the server at localhost:2333 .*'5\.0x+'") as raised:
        check_major("main", "localhost:2333", 5, "5.0" + "x" * 1000)
    assert len(raised.value.version) == 40
    assert not raised.value.retryable
