"""Hypothesis strategies for the JSON of a model, made from nothing but its dataclass fields, not from the codec."""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import Enum
from typing import Any

from hypothesis import strategies as st

from lavalink_sync.models import Model, Unset
from lavalink_sync.secret import Secret

TEXT = st.text(max_size=12)
WHOLE = st.integers(-(2**63), 2**63 - 1)
NUMBER = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | WHOLE | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
# What a newer server may add anywhere; the names are none of ours.
EXTRA = st.dictionaries(TEXT.map(lambda name: f"x-{name}"), JSON, max_size=2)


def key_of(cls: type[Model], field: dataclasses.Field[Any]) -> str:
    """Return the wire's name of a field, from dataclasses-json's metadata."""
    config = {**(cls.dataclass_json_config or {}), **field.metadata.get("dataclasses_json", {})}
    key: str = config["letter_case"](field.name)
    return key


def json_of(cls: type[Model]) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for valid JSON of `cls`: optional keys may be absent, optional values null."""
    hints = typing.get_type_hints(cls)
    required: dict[str, st.SearchStrategy[Any]] = {}
    optional: dict[str, st.SearchStrategy[Any]] = {}
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # every Model but the root is a dataclass
        if not field.init or field.name == "replayed":  # which is not on the wire
            continue
        has_default = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
        key = key_of(cls, field)
        value = st.integers(0, 2**63 - 1).map(str) if key == "guildId" else value_of(hints[field.name])
        (optional if has_default else required)[key] = value
    known = st.fixed_dictionaries(required, optional=optional)
    return st.builds(lambda known, extra: {**extra, **known}, known, EXTRA)


def value_of(type_: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for valid JSON of an annotation."""
    origin, arguments = typing.get_origin(type_), typing.get_args(type_)
    if origin in (types.UnionType, typing.Union):
        options = [option for option in arguments if option is not Unset]
        return st.one_of([st.none() if option is types.NoneType else value_of(option) for option in options])
    if origin is list:
        return st.lists(value_of(arguments[0]), max_size=3)
    if origin is dict:
        return st.dictionaries(TEXT, value_of(arguments[1]), max_size=3)
    if isinstance(type_, type) and issubclass(type_, Model):
        return json_of(type_)
    if isinstance(type_, type) and issubclass(type_, Enum):
        return st.sampled_from([member.value for member in type_]) | TEXT
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        Secret: TEXT,
        int: WHOLE,
        float: NUMBER | st.integers(-1000, 1000),
        bool: st.booleans(),
        Any: JSON,
    }
    return simple[type_]
