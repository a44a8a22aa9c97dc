"""The pool for user code on an executor that the user brings: one that is shut down, or that runs jobs at once."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from lavalink_sync.transport.workers import KeyedExecutor, current_key

from .test_workers import Blocker, soon


class Shut(Executor):
    """A user's executor that was shut down."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        raise RuntimeError("cannot schedule new futures after shutdown")


def test_an_executor_that_was_shut_down_drops_the_job_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    pool = KeyedExecutor(executor=Shut())
    assert pool.run("a", lambda: 1).cancelled()
    assert pool.submit("a", lambda: None)
    assert "takes no more jobs" in caplog.text
    assert pool.close(soon()) == []


def test_an_executor_that_is_shut_down_over_our_jobs_drops_them(caplog: pytest.LogCaptureFixture) -> None:
    with ThreadPoolExecutor(1) as executor:
        pool = KeyedExecutor(executor=executor)
        blocker = Blocker()
        pool.submit("running", blocker)
        assert blocker.running.wait(10)
        waiting = pool.run("waiting", lambda: 1)
        executor.shutdown(wait=False, cancel_futures=True)
        assert waiting.cancelled()
        assert "shut down" in caplog.text
        blocker.let_go.set()
        assert pool.close(soon()) == []


class Inline(Executor):
    """A user's executor that runs a job at once, in the submitting thread."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        fn(*args)
        return Future()


def test_an_executor_may_run_jobs_in_the_submitting_thread() -> None:
    pool = KeyedExecutor(executor=Inline())
    ran: list[object] = []

    def outer() -> None:
        pool.submit("a", lambda: ran.append("behind the outer one"))
        pool.submit("b", lambda: ran.append(("nested", current_key())))
        ran.append(("outer", current_key()))

    pool.submit("a", outer)
    assert ran == [("nested", "b"), ("outer", "a"), "behind the outer one"]
    assert current_key() is None
    assert pool.close(soon()) == []
