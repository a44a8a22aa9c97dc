"""Shapes: what an annotated type means on the wire. How its JSON is read, how it is written, where a fault in it lies.

`codec.py` strings the shapes of a class's fields together into one function. Types that have no shape of their own here
(`datetime`, `Decimal`, ...) are left to dataclasses-json, so that a subclass of `Model` may use whatever that can do.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from .values import Unset

# What reading a value of the wrong kind raises, in our converters and in those of a field's metadata.
WRONG = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True)
class Shape:
    """How one type is read and written.

    `read` takes a JSON value and raises one of `WRONG` on what doesn't fit; values of exactly the type `exact` need no
    reading, and with `read` `None` none do. `write` is its opposite, `None` where the value is JSON already.
    `expected` is for people. `item` is the shape of a list's or an object's values, and for a list `sequence` is the
    type it becomes. `model` is the class of an object that is one.
    """

    expected: str
    read: Callable[[Any], Any] | None
    write: Callable[[Any], Any] | None = None
    exact: type | None = None
    item: Shape | None = None
    sequence: type | None = None
    model: type | None = None


def read_whole_number(value: Any) -> int:
    """Read an `int`; also `5.0`, which some JSON writers make of 5."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
        raise TypeError
    return int(value)


def read_number(value: Any) -> float:
    """Read a `float`; a whole number is one too."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return float(value)


def read_text(value: Any) -> str:
    """Read a `str`, subclasses included."""
    if not isinstance(value, str):
        raise TypeError
    return value


def _read_nothing_else(value: Any) -> Any:
    raise TypeError


TEXT = Shape("text", read_text, exact=str)
WHOLE_NUMBER = Shape("a whole number", read_whole_number, exact=int)
NUMBER = Shape("a number", read_number, exact=float)
BOOLEAN = Shape("true or false", _read_nothing_else, exact=bool)


def plain(value: Any) -> Any:
    """Return any value as JSON types, with containers of its own, so that changing the result changes nothing else."""
    if isinstance(value, Mapping):
        return {plain(key): plain(item) for key, item in value.items()}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        to_dict = getattr(value, "to_dict", None)
        return to_dict() if callable(to_dict) else dataclasses.asdict(value)
    return value


ANYTHING = Shape("anything", None, plain)


def shape_of(type_: Any, model_shape: Callable[[type], Shape]) -> tuple[Shape, bool]:
    """Return the shape of an annotation, and whether `None` is one of its values.

    `model_shape` makes the shape of a dataclass. `Unset` in a union is left out: it is a default, never read.
    """
    options, nullable = [type_], type_ is Any
    if typing.get_origin(type_) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(type_) if option not in (type(None), Unset)]
        nullable = type(None) in typing.get_args(type_)
    if len(options) != 1:
        return _left_to_stock(type_), nullable
    return _shape_of_one(options[0], model_shape), nullable


def coded(
    type_: Any, shape: Shape, decoder: Callable[[Any], Any] | None, encoder: Callable[[Any], Any] | None
) -> Shape:
    """Return `shape` with the `decoder` and `encoder` of a field's metadata in place of its own."""
    if decoder is not None:
        shape = Shape(shape.expected, decoder, shape.write, type_ if _is_class(type_) else None)
    return shape if encoder is None else dataclasses.replace(shape, write=encoder)


def _shape_of_one(type_: Any, model_shape: Callable[[type], Shape]) -> Shape:
    simple = {str: TEXT, int: WHOLE_NUMBER, float: NUMBER, bool: BOOLEAN, Any: ANYTHING, object: ANYTHING}.get(type_)
    if simple is not None:
        return simple
    origin, arguments = typing.get_origin(type_) or type_, typing.get_args(type_)
    if origin is list:
        return list_shape(list, _item_shape(arguments[:1], model_shape))
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return list_shape(tuple, _item_shape(arguments[:1], model_shape))
    if origin is dict and (not arguments or arguments[0] is str):
        return _object_shape(_item_shape(arguments[1:], model_shape))
    if _is_class(type_) and issubclass(type_, Enum):
        return _enum_shape(type_)
    if _is_class(type_) and dataclasses.is_dataclass(type_):
        return model_shape(type_)
    return _left_to_stock(type_)


def _item_shape(arguments: tuple[Any, ...], model_shape: Callable[[type], Shape]) -> Shape:
    if not arguments:
        return ANYTHING
    shape, nullable = shape_of(arguments[0], model_shape)
    if not nullable or shape is ANYTHING:
        return shape
    read, write = reader(shape), shape.write
    return dataclasses.replace(
        shape,
        exact=None,
        read=lambda value: None if value is None else read(value),
        write=None if write is None else lambda value: None if value is None else write(value),
    )


def reader(shape: Shape) -> Callable[[Any], Any]:
    """Return one function that reads a value of `shape`, for where it is not compiled into a larger one."""
    read, exact = shape.read, shape.exact
    if read is None:
        return lambda value: value
    if exact is None:
        return read
    return lambda value: value if type(value) is exact else read(value)


def list_shape(kind: type, item: Shape) -> Shape:
    """Return the shape of a list of `item` that becomes a `kind`, `list` or `tuple`."""
    read_item, write_item = reader(item), item.write

    def read(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise TypeError
        items = [read_item(item) for item in value]
        return items if kind is list else kind(items)

    def write(value: Any) -> list[Any]:
        return list(value) if write_item is None else [write_item(item) for item in value]

    return Shape("a list", read, write, item=item, sequence=kind)


def _object_shape(item: Shape) -> Shape:
    read_item, write_item = reader(item), item.write or plain

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise TypeError
        return dict(value) if item.read is None else {key: read_item(entry) for key, entry in value.items()}

    def write(value: Mapping[str, Any]) -> dict[str, Any]:
        return {key: write_item(entry) for key, entry in value.items()}

    return Shape("an object", read, write, item=item)


def _enum_shape(type_: type[Enum]) -> Shape:
    members = {member.value: member for member in type_}

    def read(value: Any) -> Enum:
        return members.get(value) or type_(value)

    def write(value: Any) -> Any:
        return value.value if isinstance(value, Enum) else value

    expected = "text" if issubclass(type_, str) else f"one of {', '.join(map(str, members))}"
    return Shape(expected, read, write)


def _left_to_stock(type_: Any) -> Shape:
    def read(value: Any) -> Any:
        from .stock import decode_type

        return decode_type(type_, value)

    is_text = _is_class(type_) and issubclass(type_, str)
    return Shape("text" if is_text else getattr(type_, "__name__", str(type_)), read, plain)


def _is_class(type_: Any) -> typing.TypeGuard[type]:
    # On Python 3.10 `list[int]` passes for a class, too.
    return isinstance(type_, type) and typing.get_origin(type_) is None
