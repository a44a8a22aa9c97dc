"""`Model`, which every class of the protocol is, and the pieces its fields are declared with.

A model is declared the way dataclasses-json wants it (a frozen dataclass, camelCase keys, unknown keys ignored) and is
read and written by the compiled functions of `codec.py`.
"""

# Without `from __future__ import annotations`, here and in every module of models: dataclasses-json evaluates text
# annotations anew for each object it decodes.

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import marshmallow
from dataclasses_json import DataClassJsonMixin, LetterCase, Undefined, config

from ..errors import ProtocolError
from ..secret import Secret
from . import codec
from .values import UNSET, OpenEnum, Unset, is_unset

__all__ = ["GUILD_ID", "UNSET", "Model", "OpenEnum", "Unset", "given", "read_id", "read_object", "secret"]

M = TypeVar("M", bound="Model")


class Model(DataClassJsonMixin):
    """The root of everything that Lavalink sends or takes.

    `from_dict`, `to_dict`, `from_json`, `to_json` and `schema` are those of dataclasses-json; the first two (and with
    them the next two) run compiled code. What can't be decoded is a `ProtocolError` whose `path` leads to the spot.
    """

    dataclass_json_config = config(letter_case=LetterCase.CAMEL, undefined=Undefined.EXCLUDE)["dataclasses_json"]

    @classmethod
    def from_dict(cls: type[M], kvs: Any, *, infer_missing: bool = False) -> M:
        """Make one of parsed JSON. Raises `ProtocolError`.

        With `infer_missing` every absent field is `None`; that is dataclasses-json's own decoder, which is slow.
        """
        if infer_missing and not hasattr(cls, "_from_wire"):
            return super().from_dict(kvs, infer_missing=True)
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

    @classmethod
    def schema(cls: type[M], **options: Any) -> Any:
        """Return dataclasses-json's marshmallow schema. Raises `TypeError` where the JSON has no fixed shape."""
        if hasattr(cls, "_from_wire"):
            raise TypeError(f"the JSON of {cls.__name__} has no fixed shape, so there is no schema for it")
        return super().schema(**options)


class _GivenField(marshmallow.fields.Raw):
    """How `schema()` sees a field that may be `UNSET`: left out then, and a nested model as its JSON."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        if value is UNSET:
            return marshmallow.missing
        return value.to_dict() if isinstance(value, Model) else value


def given(key: str, decoder: Callable[[Any], Any] | None = None) -> dict[str, Any]:
    """Metadata of a field that is sent as `key`, and only when it is not `UNSET`."""
    return config(
        field_name=key,
        decoder=decoder,
        exclude=is_unset,
        mm_field=_GivenField(data_key=key, allow_none=True),
    )


def read_object(value: Any) -> dict[str, Any] | Unset:
    """Read a JSON object of free form; for a union with `Unset`, in which dataclasses-json expects none."""
    if isinstance(value, Unset):
        return value  # it passes a default through the decoder as well
    if not isinstance(value, Mapping):
        raise TypeError
    return dict(value)


class _SecretField(marshmallow.fields.Str):
    """How `schema()` sees a `Secret`: like any text, but written as it is, not as it prints."""

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return _write_secret(value)


def _read_secret(value: Any) -> Secret:
    if not isinstance(value, str):
        raise TypeError
    return Secret(value)


def _write_secret(value: str) -> str:
    return value.reveal() if isinstance(value, Secret) else value


def secret(key: str) -> dict[str, Any]:
    """Metadata of a field of type `Secret`, sent as `key`: plain text in JSON, masked wherever it is printed."""
    return config(field_name=key, decoder=_read_secret, encoder=_write_secret, mm_field=_SecretField(data_key=key))


def read_id(value: Any) -> int:
    """Read a guild's id, which is text on the wire."""
    if type(value) is str:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise TypeError
    return int(value)


# Metadata of a guild's id: an `int` here, a text of digits on the wire, because JavaScript can't count that far.
GUILD_ID: dict[str, Any] = config(
    field_name="guildId",
    decoder=read_id,
    encoder=str,
    mm_field=marshmallow.fields.Integer(as_string=True, data_key="guildId"),
)
