"""Faults on demand: what a network, a proxy or a broken server does to a client. Every call has effect when it returns.

All of them may be called from any thread, also before the node has started. What lasts is ended by `heal`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from .http import Answer
from .plan import Plan, Rule, put

__all__ = ["Faults", "Sockets"]

_HTML = "text/html;charset=utf-8"


class Sockets(Protocol):
    """What faults do to a running server, on its thread."""

    def cut(self, reset: bool) -> None: ...

    def say_to_all(self, text: str) -> None: ...

    def send_to_all(self, data: bytes, binary: bool) -> None: ...

    def half_a_frame(self) -> None: ...

    def close_websockets(self, code: int, reason: str) -> None: ...

    def forget_all(self) -> None: ...

    def stats(self) -> dict[str, Any]: ...


class Faults(ABC):
    """The methods a development node has for making trouble."""

    def __init__(self) -> None:
        self._plan = Plan()

    @abstractmethod
    def _on_loop(self, job: Callable[[Sockets | None], Any]) -> Any:
        """Run `job` on the node's thread with its server; here and with `None` while the node is not running."""

    def _if_running(self, job: Callable[[Sockets], None]) -> None:
        self._on_loop(lambda server: None if server is None else job(server))

    # --- all of it

    def mute(self, on: bool = True) -> None:
        """Accept and read everything, and answer nothing: no HTTP, no handshake, no frame, no pong.

        What was asked in the meantime stays unanswered for good, and is not done.
        """
        self._on_loop(lambda server: setattr(self._plan, "muted", on))

    def heal(self) -> None:
        """End everything that lasts: muting, refusals, delays, answers that were scripted, statistics."""
        self._on_loop(lambda server: self._plan.clear())

    # --- WebSockets

    def cut_sockets(self, reset: bool = True) -> None:
        """End every WebSocket without a close frame, by a reset or, with `reset` False, just an end."""
        self._if_running(lambda server: server.cut(reset))

    def close_sockets(self, code: int, reason: str = "") -> None:
        """Close every WebSocket with a close frame."""
        self._if_running(lambda server: server.close_websockets(code, reason))

    def forget_sessions(self) -> None:
        """Forget every session and its players, as after a restart, but leave the sockets open."""
        self._if_running(lambda server: server.forget_all())

    def refuse(
        self, status: int | None, times: int | None = None, body: str | None = None, content_type: str = _HTML
    ) -> None:
        """Answer WebSocket handshakes with `status`, the next `times` or all; `None` takes them again.

        With `body` that is what is answered, such as a proxy's page; else what a server would say.
        """
        answer = status if body is None or status is None else Answer(status, body.encode(), content_type)

        def refuse(server: Sockets | None) -> None:
            self._plan.refusal, self._plan.refusals_left = answer, times

        self._on_loop(refuse)

    def send_raw(self, text: str) -> None:
        """Send a text frame over every WebSocket, whatever it says."""
        self._if_running(lambda server: server.say_to_all(text))

    def send_bytes(self, data: bytes, *, binary: bool = True) -> None:
        """Send a binary frame over every WebSocket; or with `binary` False a text frame, which may be no UTF-8."""
        self._if_running(lambda server: server.send_to_all(data, binary))

    def send_half_a_frame(self) -> None:
        """Begin a frame on every WebSocket, and cut the connection in the middle of it."""
        self._if_running(lambda server: server.half_a_frame())

    # --- statistics

    def stop_stats(self) -> None:
        """Send no `stats` any more; not on new sockets either."""
        self._on_loop(lambda server: setattr(self._plan, "stats", False))

    def freeze_stats(self) -> None:
        """Tell the figures of this moment from now on, whatever happens."""

        def freeze(server: Sockets | None) -> None:
            self._plan.stale_stats = None if server is None else server.stats()

        self._on_loop(freeze)

    def set_stats(self, **figures: Any) -> None:
        """Tell these figures from now on, by their names in the protocol: `players=7, cpu={"systemLoad": 0.9}`.

        A client hears of it with the next `stats`, which comes every 60 seconds of the node's clock, and at once on a
        new socket.
        """
        self._on_loop(lambda server: self._plan.told_stats.update(figures))

    # --- REST

    def slow(self, path_prefix: str, seconds: float, times: int | None = None, *, method: str | None = None) -> None:
        """Let REST requests under a prefix wait `seconds` of the node's clock before they are looked at.

        One whose client hangs up before has no effect. 0 seconds ends it.
        """
        rule = Rule(path_prefix, times, method, seconds=seconds) if seconds > 0 else None
        self._on_loop(lambda server: put(self._plan.delays, path_prefix, rule))

    def answer(
        self,
        path_prefix: str,
        status: int,
        body: str | bytes,
        content_type: str,
        times: int | None = None,
        *,
        method: str | None = None,
    ) -> None:
        """Answer REST requests under a prefix with this instead of doing them."""
        raw = body.encode() if isinstance(body, str) else body
        self._instead(path_prefix, Rule(path_prefix, times, method, answer=Answer(status, raw, content_type)))

    def silence(self, path_prefix: str, times: int | None = None, *, method: str | None = None) -> None:
        """Never answer REST requests under a prefix, nor do them; the connection stays open."""
        self._instead(path_prefix, Rule(path_prefix, times, method, silent=True))

    def hang_up(
        self, path_prefix: str, times: int | None = None, *, midway: bool = False, method: str | None = None
    ) -> None:
        """Close the connection instead of answering REST requests under a prefix; or `midway` through an answer."""
        self._instead(path_prefix, Rule(path_prefix, times, method, hang_up="midway" if midway else "before"))

    def _instead(self, prefix: str, rule: Rule) -> None:
        self._on_loop(lambda server: put(self._plan.answers, prefix, rule))
