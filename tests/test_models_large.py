"""Large answers are made into objects while the garbage collector rests, and it never rests for longer."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Iterator

import pytest

from lavalink_sync.models import Track, codec, loads
from lavalink_sync.models.large import made_of

from .support.http_server import Started
from .support.recordings import tracks

LARGE = 1 << 20


@pytest.fixture(autouse=True)
def _collector_as_it_was() -> Iterator[None]:
    assert gc.isenabled()
    yield
    gc.enable()


def test_the_collector_rests_for_what_is_large_only() -> None:
    assert made_of(LARGE, gc.isenabled) is False
    assert gc.isenabled()
    assert made_of(1000, gc.isenabled) is True


def test_it_works_again_after_a_failure() -> None:
    with pytest.raises(ZeroDivisionError):
        made_of(LARGE, lambda: 1 // 0)
    assert gc.isenabled()


def test_a_process_without_it_stays_without_it() -> None:
    gc.disable()
    made_of(LARGE, list)
    assert not gc.isenabled()


def test_calls_that_overlap_can_not_keep_it_off() -> None:
    first_made, go_on = threading.Event(), threading.Event()

    def second() -> bool:
        first_made.set()
        assert go_on.wait(10)
        return gc.isenabled()

    def first() -> Started:
        other = Started(lambda: made_of(LARGE, second))
        assert first_made.wait(10)
        return other

    other = made_of(LARGE, first)
    assert gc.isenabled(), "the second call, which goes on, pauses nothing by itself"
    go_on.set()
    assert other.result() is True
    assert gc.isenabled()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_that_is_forked_meanwhile_has_it() -> None:
    def child_has_it() -> bool:
        pid = os.fork()
        if pid == 0:
            os._exit(0 if gc.isenabled() else 1)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0

    assert made_of(LARGE, child_has_it)


@pytest.mark.skipif(not hasattr(gc, "get_count"), reason="counts what CPython's collector counts")
def test_a_track_is_two_objects() -> None:
    text = codec.dumps([tracks()[0]] * 1000)
    data = loads(text)
    codec.decode_list(Track, data)
    gc.disable()
    before = gc.get_count()[0]
    made = codec.decode_list(Track, data)
    # The track and its info, which have slots and no dict; what is JSON stays as it was parsed.
    assert gc.get_count()[0] - before <= 2 * len(made) + 10


@pytest.mark.skipif(not hasattr(gc, "get_count"), reason="counts what CPython's collector counts")
def test_what_a_track_was_made_of_is_given_back_at_once_where_the_list_is_ours() -> None:
    data = loads(codec.dumps([tracks()[0]] * 1000))
    codec.decode_list(Track, data[:1])
    gc.disable()
    before = gc.get_count()[0]
    made = codec.decode_list(Track, data, own=True)
    assert made is data
    # Two objects, for two that were parsed; a few of those CPython keeps for new dicts.
    assert gc.get_count()[0] - before <= 100
