"""`Model`, which every class of the protocol is, and the pieces its fields are declared with.

A model is declared the way dataclasses-json wants it (a frozen dataclass, camelCase keys, unknown keys ignored) and is
read and written by the compiled functions of `codec.py`.
"""

# Without `from __future__ import annotations`, here and in every module of models: dataclasses-json evaluates text
# annotations anew for each object it decodes.

import dataclasses
import json
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from ..errors import ProtocolError
from ..secret import Secret
from . import codec
from .values import UNSET, OpenEnum, Unset, is_unset

__all__ = [
    "GUILD_ID",
    "UNSET",
    "Model",
    "OpenEnum",
    "Unset",
    "frozen_slots",
    "given",
    "read_id",
    "read_object",
    "secret",
    "wire",
]

M = TypeVar("M", bound="Model")
_AFTER_UNDERSCORE = re.compile(r"_([a-z0-9])")


def camel_case(name: str) -> str:
    """Return a field's key, `sourceName` for `source_name`: what `LetterCase.CAMEL` of dataclasses-json does."""
    name = name.removeprefix("_")
    return name[:1].lower() + _AFTER_UNDERSCORE.sub(lambda match: match[1].upper(), name[1:])


class Model:
    """The root of everything that Lavalink sends or takes.

    `from_dict`, `to_dict`, `from_json`, `to_json` and `schema` are those of dataclasses-json; the first three run code
    that is compiled of its declarations. The library itself is imported when one of the others is first called. From
    then on, or where it was imported before this package, a model counts as a `DataClassJsonMixin`: the `schema` of a
    class of your own that holds models needs that, so import `lavalink_sync.models.stock` beside such a class. What
    can't be decoded is a `ProtocolError` whose `path` leads to the spot.
    """

    # What a subclass with slots needs, to be without a dict.
    __slots__ = ()

    # `stock` adds that unknown keys are ignored, which only `schema` asks.
    dataclass_json_config: ClassVar[dict[str, Any]] = {"letter_case": camel_case}

    @classmethod
    def from_dict(cls: type[M], kvs: Any, *, infer_missing: bool = False) -> M:
        """Make one of parsed JSON. Raises `ProtocolError`.

        With `infer_missing` every absent field is `None`; that is dataclasses-json's own decoder, which is slow.
        """
        if infer_missing and not hasattr(cls, "_from_wire"):
            from . import stock

            return stock.from_dict(cls, kvs)
        return codec.decode(cls, codec.copied(kvs))

    def to_dict(self, encode_json: bool = False) -> dict[str, Any]:
        """Return the JSON object. Secrets are in it as they are. `encode_json` changes nothing: it is JSON already."""
        return codec.encoder(type(self))(self)

    @classmethod
    def from_json(cls: type[M], s: str | bytes | bytearray, *, infer_missing: bool = False, **options: Any) -> M:
        """Make one of JSON text. `options` are those of `json.loads`. Raises `ProtocolError`."""
        if not options:
            return cls.from_dict(codec.loads(s), infer_missing=infer_missing)
        try:
            kvs = json.loads(s, **options)
        except ValueError as error:
            raise ProtocolError(f"not JSON: {type(error).__name__}") from None
        return cls.from_dict(kvs, infer_missing=infer_missing)

    def to_json(self, **options: Any) -> str:
        """Return JSON text. `options` are those of `json.dumps`."""
        from . import stock

        return stock.to_json(self, **options)

    @classmethod
    def schema(cls: type[M], **options: Any) -> Any:
        """Return dataclasses-json's marshmallow schema. Raises `TypeError` where the JSON has no fixed shape."""
        if hasattr(cls, "_from_wire"):
            raise TypeError(f"the JSON of {cls.__name__} has no fixed shape, so there is no schema for it")
        from . import stock

        return stock.schema(cls, **options)


def frozen_slots(cls: type[M]) -> type[M]:
    """Let a frozen dataclass with slots refuse what is no field, too: for above `@dataclass(frozen=True, slots=True)`.

    For its slots `dataclass` makes the class anew, and what it wrote to refuse with knows only the class from before.
    """
    names = {field.name for field in dataclasses.fields(cls)}  # type: ignore[arg-type]  # it is a dataclass

    def refuse(model: object, name: str, doing: str) -> None:
        if type(model) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot {doing} field {name!r}")

    def set_attribute(self: object, name: str, value: object) -> None:
        refuse(self, name, "assign to")
        object.__setattr__(self, name, value)

    def delete_attribute(self: object, name: str) -> None:
        refuse(self, name, "delete")
        object.__delattr__(self, name)

    cls.__setattr__, cls.__delattr__ = set_attribute, delete_attribute  # type: ignore[method-assign]
    return cls


def wire(
    key: str | None = None,
    *,
    encoder: Callable[[Any], Any] | None = None,
    decoder: Callable[[Any], Any] | None = None,
    exclude: Callable[[Any], bool] | None = None,
) -> dict[str, Any]:
    """Metadata of a field, as the `config` of dataclasses-json makes it. `key`: its name on the wire."""
    config = {
        "letter_case": None if key is None else lambda _: key,
        "encoder": encoder,
        "decoder": decoder,
        "exclude": exclude,
    }
    return {"dataclasses_json": {name: value for name, value in config.items() if value is not None}}


def given(key: str, decoder: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Metadata of a field that is sent as `key`, and only when it is not `UNSET`."""
    return wire(key, decoder=decoder, exclude=is_unset)


def read_object(value: Any) -> dict[str, Any] | Unset:
    """Read a JSON object of free form; for a union with `Unset`, in which dataclasses-json expects none."""
    if isinstance(value, Unset):
        return value  # it passes a default through the decoder as well
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


def read_secret(value: Any) -> Secret:
    if not isinstance(value, str):
        raise TypeError
    return Secret(value)


def write_secret(value: str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def secret(key: str) -> dict[str, Any]:
    """Metadata of a field of type `Secret`, sent as `key`: plain text in JSON, masked wherever it is printed."""
    return wire(key, decoder=read_secret, encoder=write_secret)


def read_id(value: Any) -> int:
    """Read a guild's id, which is text on the wire."""
    if type(value) is str:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError
    return int(value)


# Metadata of a guild's id: an `int` here, a text of digits on the wire, because JavaScript can't count that far.
GUILD_ID: dict[str, Any] = wire("guildId", decoder=read_id, encoder=str)

if "dataclasses_json" in sys.modules:  # what a program declares with it may hold models
    from . import stock  # noqa: F401
