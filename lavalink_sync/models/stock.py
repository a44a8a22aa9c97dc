"""dataclasses-json itself, and the marshmallow behind it: imported at the first call that needs one of them.

They take as long to import as a fifth of all the rest, and reading and writing what Lavalink says needs neither. That a
module is run once, and that other threads wait until it was, is all the care that the first call needs.
"""

import dataclasses
from typing import Any, TypeVar

import marshmallow
from dataclasses_json import DataClassJsonMixin, Undefined
from dataclasses_json.core import _decode_type

from .base import Model, read_id, read_secret, write_secret
from .values import UNSET, is_unset

__all__ = ["decode_type", "from_dict", "schema", "to_json"]

M = TypeVar("M", bound=Model)

# A class of the library's that holds a model asks for its schema only if it is one of its own kind.
DataClassJsonMixin.register(Model)
Model.dataclass_json_config["undefined"] = Undefined.EXCLUDE


class _GivenField(marshmallow.fields.Raw):
    """How `schema()` sees a field that may be `UNSET`: left out then, and a nested model as its JSON."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is UNSET:
            return marshmallow.missing
        return value.to_dict() if isinstance(value, Model) else value


class _SecretField(marshmallow.fields.Str):
    """How `schema()` sees a `Secret`: like any text, but written as it is, not as it prints."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return write_secret(value)


def schema(cls: type[Model], **options: Any) -> Any:
    """What the library's `schema` returns, with the fields of ours that it has no type for."""
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]  # every Model but the root is a dataclass
        config = field.metadata.get("dataclasses_json", {})
        made = _field_of(field.name, config) if "mm_field" not in config else None
        if made is not None:
            config["mm_field"] = made
    return DataClassJsonMixin.schema.__func__(cls, **options)  # type: ignore[attr-defined]  # of a class method


def _field_of(name: str, config: dict[str, Any]) -> marshmallow.fields.Field | None:
    if config.get("exclude") is is_unset:
        return _GivenField(data_key=config["letter_case"](name), allow_none=True)
    if config.get("decoder") is read_secret:
        return _SecretField(data_key=config["letter_case"](name))
    if config.get("decoder") is read_id:
        return marshmallow.fields.Integer(as_string=True, data_key=config["letter_case"](name))
    return None


def from_dict(cls: type[M], kvs: Any) -> M:
    """Make one the library's way, absent fields `None`."""
    made: M = DataClassJsonMixin.from_dict.__func__(cls, kvs, infer_missing=True)  # type: ignore[attr-defined]
    return made


def to_json(model: Model, **options: Any) -> str:
    """Write one as the library does, which knows of dates and numbers that the standard library doesn't."""
    return DataClassJsonMixin.to_json(model, **options)  # type: ignore[arg-type]  # registered above


def decode_type(type_: Any, value: Any) -> Any:
    """Read a value of a type that only the library knows how to read."""
    return _decode_type(type_, value, False)  # type: ignore[no-untyped-call]  # the library's own gap
