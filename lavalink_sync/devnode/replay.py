"""A recording as a server: clients ask, and get what was answered then, in the order and with the frames of then."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TypeVar

from .clock import Clock, RealClock
from .connection import Connection
from .loop import LoopEndedError
from .recording import read_lines
from .replay_forms import in_one_form
from .replay_script import Script, script_of
from .replay_stage import Stage, UnexpectedRequest
from .serving import Serving

__all__ = ["ReplayServer", "UnexpectedRequest"]

_T = TypeVar("_T")


class ReplayServer(Serving):
    """Serves a recording on a port, in a thread of its own. A context manager; it plays the recording once.

    `path`: a recording of a `Recorder`, or in one of the forms that `replay_forms` tells. `port`, `host`: where it
    listens, port 0 chooses one. `password`: what clients must send where the recorded ones sent the right one.
    `pace`: how much of the recorded time passes between messages, 0 for none, 1 for as it was, on `clock`. `repeat`:
    whether a request that comes more often than recorded gets the last answer again; else it is unexpected. `ignore`:
    keys in bodies of requests whose values may differ, such as `position`. `scenarios`: which of a recording that has
    some. Raises `OSError` or `ValueError` when there is no recording at `path`.

    Requests are matched by method, path, query, JSON body, and whether the password is right. Messages are sent when
    what had been asked and answered before them was asked and answered again. Placeholders stand for what the client
    sends there; the session in `ready` is a new one. What nobody has recorded is answered with 501, or with 401 and 403
    where the password is wrong, and listed in `unexpected`. Requests that failed then fail again: the connection is
    ended as the server did, and where it was the client that gave up there is no answer. Pings are not replayed, nor
    what a recording has only the size of; times inside of messages are those of then.
    """

    def __init__(
        self,
        path: Path | str,
        port: int = 0,
        host: str = "127.0.0.1",
        password: str = "youshallnotpass",
        *,
        pace: float = 0.0,
        clock: Clock | None = None,
        repeat: bool = True,
        ignore: Collection[str] = (),
        scenarios: Collection[str] | None = None,
    ) -> None:
        super().__init__(host, port, RealClock() if clock is None else clock, "lavalink-replay")
        if pace < 0:
            raise ValueError("pace must not be less than 0")
        self.password = password
        self._options = (password, pace, repeat, frozenset(ignore))
        self._script = _read(path, scenarios)
        self._stage: Stage | None = None
        self._all = threading.Event()
        if self._script.finished():
            self._all.set()

    @property
    def unexpected(self) -> list[UnexpectedRequest]:
        """The requests, handshakes too, that the recording has no answer for, in order. Of very many the last."""
        return self._look(lambda: [] if self._stage is None else list(self._stage.unexpected))

    @property
    def missing(self) -> list[str]:
        """What of the recording was not asked, not opened or not sent yet, in words."""
        return self._look(self._script.missing)

    @property
    def finished(self) -> bool:
        """Whether everything was asked, opened and sent."""
        return self._look(self._script.finished)

    def wait_finished(self, timeout: float = 10.0) -> bool:
        """Wait until everything was asked, opened and sent, for `timeout` real seconds; whether that came about."""
        return self._all.wait(timeout)

    def _begin(self) -> None:
        """Nothing can fail here."""

    def _accepted(self, sock: socket.socket) -> None:
        assert self._loop is not None
        if self._stage is None:
            self._stage = Stage(self._script, self._loop, self._all.set, *self._options)
        self._stage.add(Connection(sock, self._loop, self._stage))

    def _end(self) -> None:
        if self._stage is not None:
            self._stage.drop_all()

    def _look(self, job: Callable[[], _T]) -> _T:
        try:
            return job() if self._loop is None else self._loop.call(job)
        except LoopEndedError:
            return job()


def _read(path: Path | str, scenarios: Collection[str] | None) -> Script:
    try:
        return script_of(in_one_form(read_lines(path), scenarios))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        told = f"{type(error).__name__}: {error}"
        raise ValueError(f"{str(path)!r} is no recording: a line is in none of the known forms ({told})") from None
