"""Where locks come from, and that the tests' own lock notices what it is for."""

from __future__ import annotations

import threading

import pytest

from lavalink_sync.transport.locks import new_condition, new_lock

from .support.locks import TrackedLock, violations


def test_in_tests_every_lock_of_the_package_is_watched() -> None:
    assert isinstance(new_lock(), TrackedLock)


def test_without_the_tests_it_is_a_plain_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert isinstance(new_lock(), type(threading.Lock()))


def test_a_second_lock_in_one_thread_is_refused_and_told() -> None:
    first, second = new_lock(), new_lock()
    with first, pytest.raises(RuntimeError, match="second lock"):
        second.acquire()
    assert len(violations) == 1
    violations.clear()
    assert not second.locked()
    with second:
        pass


def test_only_the_holder_can_let_go() -> None:
    lock = new_lock()
    with pytest.raises(RuntimeError, match="does not hold"):
        lock.release()
    violations.clear()


def test_a_condition_over_a_watched_lock_waits_and_wakes() -> None:
    condition = new_condition()
    told: list[int] = []

    def tell() -> None:
        with condition:
            told.append(1)
            condition.notify_all()

    thread = threading.Thread(target=tell)
    with condition:
        thread.start()
        assert condition.wait_for(lambda: told, 10)
        with pytest.raises(RuntimeError, match="second lock"), new_lock():
            raise AssertionError("unreachable")
    thread.join(10)
    violations.clear()
