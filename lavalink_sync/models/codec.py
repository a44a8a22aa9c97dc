"""JSON values to models and back, by one function a class that is written once, at its first use (`compiler.py`).

dataclasses-json is the declared schema of every model, but its own decoder works everything out anew for each object,
at a hundred times the cost of building it. Here the same fields and the same metadata become straight code. A test
holds the two equal. Where an object does not fit, a second, slow pass over it (`fault`) finds out where, so that
the quick one need not keep track of its path.

What is decoded belongs to the model from then on. `copied` is for JSON that is somebody else's, as in `from_dict`.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING
from typing import Any, TypeVar

from ..errors import ProtocolError
from .compiler import Field, compile_decoder, compile_encoder, compile_list_decoder
from .jsontext import copied, dumps, loads
from .shapes import WRONG, Shape, coded, list_shape, plain, shape_of

__all__ = ["copied", "decode", "decode_list", "decoder", "dumps", "encoder", "fast_decoder", "loads", "plan"]

T = TypeVar("T")

# Filled at first use. Two threads may compile the same class at once; both get the same result.
_decoders: dict[type, Callable[[Any], Any]] = {}
_list_decoders: dict[type, Callable[[list[Any], list[Any]], None]] = {}
_encoders: dict[type, Callable[[Any], dict[str, Any]]] = {}
_plans: dict[type, tuple[Field, ...]] = {}


def decoder(cls: type[T]) -> Callable[[Any], T]:
    """Return the function that makes a `cls` of parsed JSON. It raises `ProtocolError` with the path of the fault."""

    read = fast_decoder(cls)

    def decode_one(data: Any) -> T:
        try:
            return read(data)
        except WRONG as error:
            raise fault(cls, data, "", error) from None

    return decode_one


def decode(cls: type[T], data: Any, path: str = "") -> T:
    """Make a `cls` of parsed JSON. `path` says where `data` stood in what was received, for the `ProtocolError`."""
    read = fast_decoder(cls)
    try:
        return read(data)
    except WRONG as error:
        raise fault(cls, data, path, error) from None


def decode_list(cls: type[T], data: Any, path: str = "", *, own: bool = False) -> list[T]:
    """Make a list of `cls` of a parsed JSON list, as `decode` does with one. `own`: it may become the result."""
    shape = list_shape(list, _model_shape(cls))
    try:
        if type(data) is list and hasattr(cls, "_from_wire"):
            return [fast_decoder(cls)(item) for item in data]
        if type(data) is list:
            # What an item was made of is free for the next, if the list was all that had it.
            made = data if own else list(data)
            _list_decoder(cls)(data, made)
            return made
    except WRONG as error:
        raise _fault_in(shape, data, path) or _unexplained(cls, path, error) from None
    raise _wrong_kind(shape, data, path)


def fast_decoder(cls: type[T]) -> Callable[[Any], T]:
    """Return the compiled decoder alone. On what does not fit it raises any of `WRONG`, which `fault` explains."""
    known = _decoders.get(cls)
    if known is None:
        hook = getattr(cls, "_from_wire", None)
        known = hook if hook is not None else compile_decoder(*_written_of(cls, ()))
        _decoders[cls] = known
    return known


def encoder(cls: type[T]) -> Callable[[T], dict[str, Any]]:
    """Return the function that makes a JSON object of a `cls`. What it returns shares nothing with the model."""
    known = _encoders.get(cls)
    if known is None:
        hook = getattr(cls, "_to_wire", None)
        known = hook if hook is not None else compile_encoder(plan(cls))
        _encoders[cls] = known
    return known


def plan(cls: type) -> tuple[Field, ...]:
    """Return what the codec knows of the fields of a dataclass."""
    known = _plans.get(cls)
    if known is None:
        hints = typing.get_type_hints(cls)
        known = tuple(_field(cls, field, hints[field.name]) for field in dataclasses.fields(cls))
        _plans[cls] = known
    return known


def _field(cls: type, field: dataclasses.Field[Any], type_: Any) -> Field:
    # The metadata of dataclasses-json's `config`, the class's first, then the field's over it.
    config = {**(getattr(cls, "dataclass_json_config", None) or {}), **field.metadata.get("dataclasses_json", {})}
    letter_case, default = config.get("letter_case"), None
    if field.default is not MISSING:
        default = _always(field.default)
    elif field.default_factory is not MISSING:
        default = field.default_factory
    shape, nullable = shape_of(type_, _model_shape)
    return Field(
        name=field.name,
        key=field.name if letter_case is None else letter_case(field.name),
        shape=coded(type_, shape, config.get("decoder"), config.get("encoder")),
        nullable=nullable,
        init=field.init,
        default=default,
        constant=field.default is not MISSING,
        exclude=config.get("exclude"),
    )


def _always(value: T) -> Callable[[], T]:
    return lambda: value


def _model_shape(cls: type) -> Shape:
    """The shape of a nested model. Its functions are looked up at the first value, so a class may hold its own kind."""

    def read(value: Any) -> Any:
        return fast_decoder(cls)(value)

    def write(value: Any) -> Any:
        return encoder(cls)(value) if type(value) is cls else plain(value)

    return Shape("an object", read, write, model=cls)


def _list_decoder(cls: type) -> Callable[[list[Any], list[Any]], None]:
    """Return what makes a whole list of one class, as `compile_list_decoder` says."""
    known = _list_decoders.get(cls)
    if known is None:
        known = _list_decoders[cls] = compile_list_decoder(*_written_of(cls, ()))
    return known


def _written_of(
    cls: type[T], outer: tuple[type, ...]
) -> tuple[type[T], tuple[Field, ...], Callable[[Shape], Any], Callable[[Any], T]]:
    """What a decoder is written of. `outer` are the classes whose decoders are being written around this one."""
    outer = (*outer, cls)
    return cls, plan(cls), lambda shape: _nested_decoder(shape, outer), _other_input(cls)


def _nested_decoder(shape: Shape, outer: tuple[type, ...]) -> Callable[[Any], Any] | None:
    """The decoder of a nested class itself, but for one that holds its own kind: that one is looked up when needed."""
    assert shape.model is not None
    if shape.model in outer:
        return shape.read
    if shape.model not in _decoders and not hasattr(shape.model, "_from_wire"):
        _decoders[shape.model] = compile_decoder(*_written_of(shape.model, outer))
    return fast_decoder(shape.model)


def _other_input(cls: type[T]) -> Callable[[Any], T]:
    def read_other(data: Any) -> T:
        if isinstance(data, cls):
            return data  # decoded already, which dataclasses-json lets pass too
        if isinstance(data, Mapping):
            return fast_decoder(cls)(dict(data))
        raise TypeError

    return read_other


def fault(cls: type, data: Any, path: str, error: BaseException) -> ProtocolError:
    """Go over `data`, which did not decode, once more and return the error that names the spot. Slow and thorough."""
    return _fault_in(_model_shape(cls), data, path) or _unexplained(cls, path, error)


def _unexplained(cls: type, path: str, error: BaseException) -> ProtocolError:
    if isinstance(error, ProtocolError):
        return error
    return ProtocolError(f"{path or 'the whole'}: not a {cls.__name__}", path=path)


def _wrong_kind(shape: Shape, value: Any, path: str) -> ProtocolError:
    return ProtocolError(f"{path or 'the whole'}: expected {shape.expected}, got {_kind(value)}", path=path)


def _fault_in(shape: Shape, value: Any, path: str) -> ProtocolError | None:
    hook = getattr(shape.model, "_from_wire", None)
    if hook is not None:
        return _fault_of_hook(hook, value, path)
    if shape.model is not None and isinstance(value, Mapping):
        return next(filter(None, (_fault_of_field(field, value, path) for field in plan(shape.model))), None)
    if shape.item is not None and isinstance(value, Mapping if shape.sequence is None else (list, tuple)):
        entries = value.items() if isinstance(value, Mapping) else enumerate(value)
        faults = (_fault_in(shape.item, entry, _join(path, key)) for key, entry in entries)
        return next(filter(None, faults), None)
    if shape.read is None or type(value) is shape.exact:
        return None
    try:
        shape.read(value)
    except WRONG:
        return _wrong_kind(shape, value, path)
    return None


def _fault_of_hook(hook: Callable[[Any, str], Any], value: Any, path: str) -> ProtocolError | None:
    try:
        hook(value, path)
    except ProtocolError as error:
        return error
    return None


def _fault_of_field(field: Field, data: Mapping[str, Any], path: str) -> ProtocolError | None:
    path = _join(path, field.key)
    value = data.get(field.key)
    if not field.init or (value is None and (field.nullable or field.default is not None)):
        return None
    if value is None:
        return ProtocolError(f"{path}: {'is null' if field.key in data else 'is missing'}", path=path)
    return _fault_in(field.shape, value, path)


def _join(path: str, key: str | int) -> str:
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key}" if path else key


def _kind(value: Any) -> str:
    """What a value is, without showing it: it may be secret, and it may be long."""
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "text"}
    if isinstance(value, Mapping):
        return "an object"
    return "a list" if isinstance(value, (list, tuple)) else kinds.get(type(value), type(value).__name__)
