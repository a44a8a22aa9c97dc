"""The exception tree: each error is a fitting built-in, says whether to try again, and survives pickling."""

from __future__ import annotations

import inspect
import pickle

import pytest

from lavalink_sync import errors

ALL = [thing for thing in vars(errors).values() if inspect.isclass(thing) and issubclass(thing, errors.LavalinkError)]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_survives_pickling_with_its_fields(kind: type[errors.LavalinkError]) -> None:
    error = kind("what happened")
    for name in vars(error):
        setattr(error, name, getattr(error, name) or "kept")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == "what happened"
    assert vars(copy) == vars(error)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_drawn_tree_is_the_real_one(kind: type[errors.LavalinkError]) -> None:
    assert errors.__doc__ is not None
    line = next(line for line in errors.__doc__.splitlines() if kind.__name__ in line.replace("(", " ").split())
    for base in kind.__mro__[1:]:
        if base.__module__ == "builtins" and base.__name__ in (
            "ConnectionError",
            "TimeoutError",
            "ValueError",
            "LookupError",
        ):
            parents = [
                parent
                for parent in kind.__mro__
                if issubclass(parent, base) and issubclass(parent, errors.LavalinkError)
            ]
            topmost = parents[-1].__name__
            drawn = next(line for line in errors.__doc__.splitlines() if topmost in line.replace("(", " ").split())
            assert base.__name__ in drawn, f"{kind.__name__}: {base.__name__} is not drawn at {topmost}"
    assert kind.__name__ in line


def test_what_can_be_tried_again_says_so() -> None:
    assert errors.ConnectError("").retryable
    assert errors.RequestTimeoutError("").retryable
    assert not errors.CertificateError("").retryable
    assert not errors.AuthenticationError("").retryable
    assert not errors.OutcomeUnknownError("").retryable
