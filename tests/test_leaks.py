"""That the look at what a test leaves behind, which every test gets, would see something."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from lavalink_sync.transport.waker import Waker

from .conftest import _left_over, _open_files


def test_a_thread_that_runs_on_is_seen() -> None:
    threads, files = set(threading.enumerate()), _open_files()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left")
    thread.start()
    assert _left_over(threads, files) == ["thread left"]
    end.set()
    thread.join(10)
    assert _left_over(threads, files) == []


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="files are seen where /proc shows them")
def test_a_socket_or_a_waker_that_stays_open_is_seen() -> None:
    threads, files = set(threading.enumerate()), _open_files()
    with socket.socket():
        [found] = _left_over(threads, files)
        assert found.startswith("socket:")
    waker = Waker()
    assert len(_left_over(threads, files)) == 1
    waker.close()
    assert _left_over(threads, files) == []
