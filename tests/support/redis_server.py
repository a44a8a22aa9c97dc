"""A real Redis server for tests: a process on a free loopback port, without persistence, ended after.

Where no `redis-server` is installed the tests that need it are skipped with that reason, but never under CI (`CI` in
the environment): there they fail.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from .waiting import wait_until

_TRIES = 5


def program() -> str:
    """Return where `redis-server` is; skip the test, or under CI fail it, where it is nowhere."""
    found = shutil.which("redis-server")
    if found:
        return found
    reason = "redis-server is not installed (Debian: apt-get install redis-server)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def running(directory: Path, *options: str, port: int = 0) -> Iterator[int]:
    """Run a server on `port` (0: a free one) and give its port."""
    for _ in range(_TRIES):
        chosen = port or _free_port()
        log = directory.absolute() / f"redis-{chosen}.log"
        log.unlink(missing_ok=True)  # of an earlier server on this port
        fixed = ["--bind", "127.0.0.1", "--port", str(chosen), "--save", "", "--appendonly", "no"]
        command = [program(), *fixed, "--dir", str(directory), "--logfile", str(log), *options]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until(partial(_is_settled, process, log), "Redis is up")
                if process.poll() is None:
                    yield chosen
                    return
            finally:
                process.kill()
    raise AssertionError(f"redis-server did not start in {_TRIES} tries: {log.read_text()}")


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a server that all tests share; each uses a prefix of its own."""
    with running(tmp_path_factory.mktemp("redis")) as port:
        yield f"redis://127.0.0.1:{port}/0"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_settled(process: subprocess.Popen[bytes], log: Path) -> bool:
    """Whether it is ready, or has ended: somebody else was quicker on that port, say."""
    return process.poll() is not None or (
        log.is_file() and "Ready to accept connections" in log.read_text("utf-8", "replace")
    )
