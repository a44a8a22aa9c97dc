"""Waiting for one socket, by `poll` and where a system has none."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE

import pytest

from lavalink_sync.transport.polled import PolledSocket


@pytest.fixture(params=["poll", "no poll"])
def pair(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[socket.socket, socket.socket]]:
    if request.param == "no poll":
        monkeypatch.delattr(select, "poll", raising=False)
    here, there = socket.socketpair()
    here.setblocking(False)
    with here, there:
        yield here, there


def test_what_comes_makes_it_ready(pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    polled = PolledSocket(here, EVENT_READ)
    assert not polled.is_ready(0)
    there.send(b"x")
    assert polled.is_ready(10)
    assert here.recv(10) == b"x"
    assert not polled.is_ready(0)


@pytest.mark.parametrize("who", [0, 1])
def test_the_end_makes_it_ready(pair: tuple[socket.socket, socket.socket], who: int) -> None:
    pair[who].shutdown(socket.SHUT_RDWR)
    assert PolledSocket(pair[0], EVENT_READ).is_ready(10)


def test_room_to_write_makes_it_ready_where_that_is_waited_for(pair: tuple[socket.socket, socket.socket]) -> None:
    here, _ = pair
    assert PolledSocket(here, EVENT_WRITE).is_ready(10)
    assert PolledSocket(here, EVENT_READ | EVENT_WRITE).is_ready(10)
    with contextlib.suppress(BlockingIOError):
        while here.send(b"x" * 65536):
            pass
    assert not PolledSocket(here, EVENT_READ | EVENT_WRITE).is_ready(0)


def test_a_part_of_a_millisecond_is_waited_for_too(
    pair: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    polled = PolledSocket(pair[0], EVENT_READ)
    asked: list[int] = []

    def noted(milliseconds: int) -> list[object]:
        asked.append(milliseconds)
        return []

    monkeypatch.setattr(polled, "_wait", noted)
    for seconds in (0, 0.0001, 0.001, 1.5):
        assert not polled.is_ready(seconds)
    assert asked == [0, 1, 1, 1500]
