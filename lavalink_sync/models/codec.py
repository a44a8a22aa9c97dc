"""JSON values to models and back, by one function a class that is written once, at its first use.

dataclasses-json is the declared schema of every model, but its own decoder works everything out anew for each object,
at a hundred times the cost of building it. Here the same fields and the same metadata become straight code. A test
holds the two equal. Where an object does not fit, a second, slow pass over it (`fault`) finds out where, so that
the quick one need not keep track of its path.

What is decoded belongs to the model from then on. `copied` is for JSON that is somebody else's, as in `from_dict`.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass
from typing import Any, TypeVar

from ..errors import ProtocolError
from .jsontext import copied, dumps, loads
from .shapes import ANYTHING, WRONG, Shape, coded, list_shape, plain, shape_of
from .values import UNSET, is_unset

__all__ = ["Field", "copied", "decode", "decode_list", "decoder", "dumps", "encoder", "fast_decoder", "loads", "plan"]

T = TypeVar("T")

# Filled at first use. Two threads may compile the same class at once; both get the same result.
_decoders: dict[type, Callable[[Any], Any]] = {}
_encoders: dict[type, Callable[[Any], dict[str, Any]]] = {}
_plans: dict[type, tuple[Field, ...]] = {}
# What a frozen class refuses. CPython takes its quick way to write only with both.
_WRITABLE = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}


@dataclass(frozen=True)
class Field:
    """A dataclass field as the codec sees it.

    `default` makes its default, always the same if `constant`; `None` where the field must be there.
    """

    name: str
    key: str
    shape: Shape
    nullable: bool
    init: bool
    default: Callable[[], Any] | None
    constant: bool
    exclude: Callable[[Any], bool] | None


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
    read = fast_decoder(cls)
    try:
        if type(data) is list:
            # What an item was made of is free for the next, if the list was all that had it.
            made = data if own else list(data)
            for number, item in enumerate(data):
                made[number] = read(item)
            return made
    except WRONG as error:
        raise _fault_in(shape, data, path) or _unexplained(cls, path, error) from None
    raise _wrong_kind(shape, data, path)


def fast_decoder(cls: type[T]) -> Callable[[Any], T]:
    """Return the compiled decoder alone. On what does not fit it raises any of `WRONG`, which `fault` explains."""
    known = _decoders.get(cls)
    if known is None:
        hook = getattr(cls, "_from_wire", None)
        known = hook if hook is not None else _compile_decoder(cls, ())
        _decoders[cls] = known
    return known


def encoder(cls: type[T]) -> Callable[[T], dict[str, Any]]:
    """Return the function that makes a JSON object of a `cls`. What it returns shares nothing with the model."""
    known = _encoders.get(cls)
    if known is None:
        hook = getattr(cls, "_to_wire", None)
        known = hook if hook is not None else _compile_encoder(cls)
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


def _compile_decoder(cls: type[T], outer: tuple[type, ...]) -> Callable[[Any], T]:
    """Write the decoder of a class: read each key into a local, convert what is not of the exact type, build.

    `outer` are the classes whose decoders are being written around this one.
    """
    fields = [field for field in plan(cls) if field.init]
    names: dict[str, Any] = {"cls": cls, "make": object.__new__, "other": _other_input(cls)}
    lines = ["def decode(data):", " if type(data) is not dict: return other(data)", " get = data.get"]
    for number, field in enumerate(fields):
        lines += _read_lines(field, number, names, (*outer, cls))
    if _builds_plainly(cls):
        # A frozen dataclass's own constructor calls `object.__setattr__` for each field, which costs more than all
        # the rest here. So an object of a subclass that can be written to is filled, and becomes one of the class.
        names["draft"] = types.new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(_WRITABLE))
        lines += [" built = make(draft)"]
        lines += [f" built.{field.name} = v{number}" for number, field in enumerate(fields)]
        lines += [" built.__class__ = cls", " return built"]
    else:
        lines += [f" return cls({', '.join(f'{field.name}=v{number}' for number, field in enumerate(fields))})"]
    return _run(lines, names, "decode")  # type: ignore[no-any-return]  # what exec makes has no type


def _read_lines(field: Field, number: int, names: dict[str, Any], outer: tuple[type, ...]) -> list[str]:
    var, key = f"v{number}", repr(field.key)
    make, default = field.default, f"default{number}" if field.constant else f"default{number}()"
    names[f"default{number}"] = make() if make is not None and field.constant else make
    test, read = _conversion(field.shape, number, names, outer)
    if field.default is None and not field.nullable:
        return [f" {var} = data[{key}]", f" if {test}: {var} = {read}"]
    if field.nullable and (field.default is None or field.default() is None):
        return [f" {var} = get({key})", f" if {test} and {var} is not None: {var} = {read}"]
    if not field.nullable:
        # A null where there is a default means the default: servers write nulls for "nothing to say".
        return [
            f" {var} = get({key})",
            f" if {var} is None: {var} = {default}",
            f" elif {test}: {var} = {read}",
        ]
    return [
        f" if {key} not in data: {var} = {default}",
        " else:",
        f"  {var} = data[{key}]",
        f"  if {test} and {var} is not None: {var} = {read}",
    ]


def _conversion(shape: Shape, number: int, names: dict[str, Any], outer: tuple[type, ...]) -> tuple[str, str]:
    """Return the test whether a value has to be converted, and the expression that does it."""
    var, read, item = f"v{number}", f"read{number}", shape.item
    names[read] = shape.read
    if shape.read is None:
        return "False", var
    if shape.exact is not None:
        names[f"exact{number}"] = shape.exact
        return f"type({var}) is not exact{number}", f"{read}({var})"
    if shape.model is not None:
        names[read] = _nested_decoder(shape, outer)
    elif item is ANYTHING and shape.sequence is None:
        # JSON of free form is kept as it was parsed: two copies of `{}` a track were half of a playlist of 5,000.
        return f"type({var}) is not dict", f"{read}({var})"
    elif item is not None and item.model is not None and shape.sequence is list:
        names[f"item{number}"] = _nested_decoder(item, outer)
        return "True", f"[item{number}(item) for item in {var}] if type({var}) is list else {read}({var})"
    return "True", f"{read}({var})"


def _nested_decoder(shape: Shape, outer: tuple[type, ...]) -> Callable[[Any], Any] | None:
    """The decoder of a nested class itself, but for one that holds its own kind: that one is looked up when needed."""
    assert shape.model is not None
    if shape.model in outer:
        return shape.read
    if shape.model not in _decoders and not hasattr(shape.model, "_from_wire"):
        _decoders[shape.model] = _compile_decoder(shape.model, outer)
    return fast_decoder(shape.model)


def _other_input(cls: type[T]) -> Callable[[Any], T]:
    def read_other(data: Any) -> T:
        if isinstance(data, cls):
            return data  # decoded already, which dataclasses-json lets pass too
        if isinstance(data, Mapping):
            return fast_decoder(cls)(dict(data))
        raise TypeError

    return read_other


def _builds_plainly(cls: type) -> bool:
    """Whether the constructor does nothing but keep its arguments."""
    maker = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return (
        not hasattr(cls, "__post_init__")
        and "__dataclass_fields__" in vars(maker)
        and maker.__dataclass_params__.init  # type: ignore[attr-defined]  # not in the stubs
        and all("__slots__" not in base.__dict__ for base in cls.__mro__ if dataclasses.is_dataclass(base))
        and all(field.init or field.default is not MISSING for field in dataclasses.fields(cls))
    )


def _compile_encoder(cls: type[T]) -> Callable[[T], dict[str, Any]]:
    names: dict[str, Any] = {"UNSET": UNSET}
    lines = ["def encode(model):", " out = {}"]
    for number, field in enumerate(plan(cls)):
        value = f"model.{field.name}"
        names[f"write{number}"], names[f"exclude{number}"] = field.shape.write, field.exclude
        indent = " "
        if field.exclude is not None or field.shape.write is not None:
            lines.append(f" value = {value}")
            value = "value"
        if field.exclude is not None:
            lines.append(" if value is not UNSET:" if field.exclude is is_unset else f" if not exclude{number}(value):")
            indent = "  "
        if field.shape.write is not None:
            value = f"None if value is None else write{number}(value)"
        lines.append(f"{indent}out[{field.key!r}] = {value}")
    return _run([*lines, " return out"], names, "encode")  # type: ignore[no-any-return]  # what exec makes has no type


def _run(lines: list[str], names: dict[str, Any], function: str) -> Any:
    # As dataclasses does for `__init__`: every line is made above, of nothing but field names and reprs.
    exec("\n".join(lines), names)
    return names[function]


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
