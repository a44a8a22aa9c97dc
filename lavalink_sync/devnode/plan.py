"""What is to go wrong at a development node. Read, and counted down, on the node's thread only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .http import Answer, Request

__all__ = ["Plan", "Rule"]


@dataclass(eq=False)
class Rule:
    """Something for the requests under a path, with any method or one: `left` times, or always.

    `seconds`: how long they wait. `answer`: what is answered instead. `hang_up`: `"before"` an answer, or `"midway"`.
    `silent`: nothing is ever answered.
    """

    prefix: str
    left: int | None
    method: str | None = None
    seconds: float = 0.0
    answer: Answer | None = None
    hang_up: str | None = None
    silent: bool = False

    def fits(self, request: Request) -> bool:
        """Whether this is about that request."""
        return request.path.startswith(self.prefix) and self.method in (None, request.method)


@dataclass
class Plan:
    """See the module."""

    muted: bool = False
    stats: bool = True
    stale_stats: dict[str, Any] | None = None
    told_stats: dict[str, Any] = field(default_factory=dict)
    refusal: Answer | int | None = None
    refusals_left: int | None = None
    delays: list[Rule] = field(default_factory=list)
    answers: list[Rule] = field(default_factory=list)

    def clear(self) -> None:
        """Nothing is."""
        self.__dict__.update(Plan().__dict__)

    def refused(self) -> Answer | int | None:
        """What a handshake is refused with now: a status, or a whole answer; counts it."""
        if self.refusal is None or self.refusals_left == 0:
            return None
        if self.refusals_left is not None:
            self.refusals_left -= 1
        return self.refusal

    def delay(self, request: Request) -> float:
        """How long the request has to wait; counts it."""
        rule = take(self.delays, request)
        return 0.0 if rule is None else rule.seconds

    def instead(self, request: Request) -> Rule | None:
        """What is done instead of what the request asks for; counts it."""
        return take(self.answers, request)

    def stats_of(self, real: dict[str, Any]) -> dict[str, Any]:
        """The statistics that are told, where these are the real ones."""
        told = real if self.stale_stats is None else self.stale_stats
        changes = self.told_stats
        merged = {**told, **{name: value for name, value in changes.items() if not isinstance(value, dict)}}
        for name, value in changes.items():
            if isinstance(value, dict):
                merged[name] = {**(merged.get(name) or {}), **value}
        return merged


def take(rules: list[Rule], request: Request) -> Rule | None:
    """The rule for a request, the one made last first; one that is used up goes."""
    for rule in reversed(rules):
        if rule.fits(request):
            if rule.left is not None:
                rule.left -= 1
                if rule.left <= 0:
                    rules.remove(rule)
            return rule
    return None


def put(rules: list[Rule], prefix: str, rule: Rule | None) -> None:
    """Have `rule` in place of those for the same prefix and method, or just forget them."""
    method = None if rule is None else rule.method
    rules[:] = [each for each in rules if each.prefix != prefix or (rule is not None and each.method != method)]
    if rule is not None:
        rules.append(rule)
