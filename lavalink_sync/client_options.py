"""What a `Client` is made with: a slip is told when it is made, not hours later by one of its threads.

One line an option: what it must be, and how that is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import requests

from .config import Timeouts, check_seconds, is_header_value
from .core import checks
from .errors import ConfigError, InvalidArgumentError
from .failover import MoveLimits
from .stores import Store
from .transport.clock import Clock

# How long a change may wait for others, in seconds: more than that are milliseconds, given by mistake.
_LONGEST_WINDOW = 1.0


def _is(kind: type[Any]) -> Callable[[Any], bool]:
    return lambda value: value is None or isinstance(value, kind)


def _is_function(value: Any) -> bool:
    return value is None or callable(value)


def _is_executor(value: Any) -> bool:
    # Not the class, which has a `submit` too.
    return value is None or (callable(getattr(value, "submit", None)) and not isinstance(value, type))


_OPTIONS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "executor": (_is_executor, "a concurrent.futures.Executor"),
    "store": (_is(Store), "a Store, such as SQLiteStore('players.db')"),
    "selector": (_is_function, "a function that gets a list of nodes and returns one of them"),
    "send_voice_state": (_is_function, "a function of guild_id, channel_id, self_mute and self_deaf"),
    "timeouts": (_is(Timeouts), "a Timeouts"),
    "session": (_is(requests.Session), "a requests.Session"),
    "move_limits": (_is(MoveLimits), "a MoveLimits"),
    "client_name": (is_header_value, "a text of one line that can be sent as a header, such as my-bot/1.0"),
    "clock": (_is(Clock), "a Clock"),
}


def check_numbers(*, user_id: int, workers: int, max_pending: int, coalesce: float | None) -> None:
    """Refuse what is no whole number from 1 on: no workers, or no room for events, would be a client that hangs."""
    checks.whole(user_id, "user_id")
    checks.whole(workers, "workers")
    checks.whole(max_pending, "max_pending")
    if coalesce is not None:
        check_seconds("coalesce", coalesce)
        if coalesce > _LONGEST_WINDOW:
            raise ConfigError(
                f"coalesce is in seconds, {_LONGEST_WINDOW:g} at most, not {coalesce!r}: give 0.005 for 5 milliseconds"
            )


def check_options(**options: object) -> None:
    """Refuse an option that is not what `_OPTIONS` says; raises `InvalidArgumentError` with its name."""
    for name, value in options.items():
        fits, what = _OPTIONS[name]
        if not fits(value):
            # Not the value itself: a store's address may have a password in it.
            given = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
            raise InvalidArgumentError(f"Client({name}=...) must be {what}; this is {given}", field=name)
