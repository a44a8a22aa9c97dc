"""Faults on demand: what a network, a proxy or a broken server does to a client. Every call has effect when it returns.

All of them may be called from any thread, also before the node has started.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from .http import Answer, Request

__all__ = ["Faults", "Plan", "Sockets"]


class Sockets(Protocol):
    """What faults do to a running server, on its thread."""

    def cut(self, reset: bool) -> None: ...

    def say_to_all(self, text: str) -> None: ...

    def close_websockets(self, code: int, reason: str) -> None: ...

    def forget_all(self) -> None: ...


@dataclass(eq=False)
class _Rule:
    """Something for the requests under a path: `left` times, or always."""

    prefix: str
    left: int | None
    seconds: float = 0.0
    answer: Answer | None = None


@dataclass
class Plan:
    """What is to go wrong. Read on the node's thread."""

    muted: bool = False
    stats: bool = True
    refusal: int | None = None
    refusals_left: int | None = None
    delays: list[_Rule] = field(default_factory=list)
    answers: list[_Rule] = field(default_factory=list)

    def clear(self) -> None:
        """Nothing is."""
        self.__dict__.update(Plan().__dict__)

    def refused(self) -> int | None:
        """The status a handshake is refused with now; counts it."""
        if self.refusal is None or self.refusals_left == 0:
            return None
        if self.refusals_left is not None:
            self.refusals_left -= 1
        return self.refusal

    def delay(self, request: Request) -> float:
        """How long the request has to wait; counts it."""
        rule = _take(self.delays, request.path)
        return 0.0 if rule is None else rule.seconds

    def canned(self, request: Request) -> Answer | None:
        """The answer that is given instead of the real one; counts it."""
        rule = _take(self.answers, request.path)
        return None if rule is None else rule.answer


class Faults(ABC):
    """The methods a development node has for making trouble."""

    def __init__(self) -> None:
        self._plan = Plan()

    @abstractmethod
    def _on_loop(self, job: Callable[[Sockets | None], Any]) -> Any:
        """Run `job` on the node's thread with its server; here and with `None` while the node is not running."""

    def _if_running(self, job: Callable[[Sockets], None]) -> None:
        self._on_loop(lambda server: None if server is None else job(server))

    def cut_sockets(self, reset: bool = True) -> None:
        """End every WebSocket without a close frame, by a reset or, with `reset` False, just an end."""
        self._if_running(lambda server: server.cut(reset))

    def mute(self, on: bool = True) -> None:
        """Accept and read everything, and answer nothing: no HTTP, no handshake, no frame, no pong.

        What was asked in the meantime stays unanswered for good, and is not done.
        """
        self._on_loop(lambda server: setattr(self._plan, "muted", on))

    def stop_stats(self) -> None:
        """Send no `stats` any more; not on new sockets either."""
        self._on_loop(lambda server: setattr(self._plan, "stats", False))

    def refuse(self, status: int | None, times: int | None = None) -> None:
        """Answer WebSocket handshakes with `status`, the next `times` or all; `None` takes them again."""

        def refuse(server: Sockets | None) -> None:
            self._plan.refusal, self._plan.refusals_left = status, times

        self._on_loop(refuse)

    def slow(self, path_prefix: str, seconds: float, times: int | None = None) -> None:
        """Let REST requests under a prefix wait `seconds` of the node's clock before they are looked at.

        One whose client hangs up before has no effect. 0 seconds ends it.
        """
        rule = _Rule(path_prefix, times, seconds=seconds) if seconds > 0 else None
        self._on_loop(lambda server: _put(self._plan.delays, path_prefix, rule))

    def answer(
        self, path_prefix: str, status: int, body: str | bytes, content_type: str, times: int | None = None
    ) -> None:
        """Answer REST requests under a prefix with this instead of doing them."""
        raw = body.encode() if isinstance(body, str) else body
        rule = _Rule(path_prefix, times, answer=Answer(status, raw, content_type))
        self._on_loop(lambda server: _put(self._plan.answers, path_prefix, rule))

    def heal(self) -> None:
        """End everything that lasts: muting, refusals, delays, canned answers, missing stats."""
        self._on_loop(lambda server: self._plan.clear())

    def send_raw(self, text: str) -> None:
        """Send a text frame over every WebSocket, whatever it says."""
        self._if_running(lambda server: server.say_to_all(text))

    def close_sockets(self, code: int, reason: str = "") -> None:
        """Close every WebSocket with a close frame."""
        self._if_running(lambda server: server.close_websockets(code, reason))

    def forget_sessions(self) -> None:
        """Forget every session and its players, as after a restart, but leave the sockets open."""
        self._if_running(lambda server: server.forget_all())


def _take(rules: list[_Rule], path: str) -> _Rule | None:
    """The rule for a path, the last one made first; one that is used up goes."""
    for rule in reversed(rules):
        if path.startswith(rule.prefix):
            if rule.left is not None:
                rule.left -= 1
                if rule.left <= 0:
                    rules.remove(rule)
            return rule
    return None


def _put(rules: list[_Rule], prefix: str, rule: _Rule | None) -> None:
    rules[:] = [each for each in rules if each.prefix != prefix]
    if rule is not None:
        rules.append(rule)
