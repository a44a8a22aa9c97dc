"""Writes the decoder and the encoder of a class as Python, and has it compiled: straight code, one line or two a field.

`codec.py` says what the fields are, and keeps what was made here.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable
from dataclasses import MISSING, dataclass
from typing import Any, TypeVar

from .shapes import ANYTHING, Shape
from .values import UNSET, is_unset

T = TypeVar("T")

# What a frozen class refuses, of which CPython takes its quick way to write only with both; the quickest way to make an
# empty one; and a layout that stays.
_DRAFT = {
    "__setattr__": object.__setattr__,
    "__delattr__": object.__delattr__,
    "__new__": object.__new__,
    "__init__": object.__init__,
    "__slots__": (),
}


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


def compile_decoder(
    cls: type[T], fields: Iterable[Field], nested: Callable[[Shape], Any], other: Callable[[Any], T]
) -> Callable[[Any], T]:
    """Write the decoder of a class: read each key into a local, convert what is not of the exact type, build.

    `nested` gives the decoder of a model in it, `other` reads what is no dict.
    """
    body, names = _decoding(cls, fields, nested, other)
    lines = ["def decode(data):", " if type(data) is not dict: return other(data)", *body, " return built"]
    return _run(lines, names, "decode")  # type: ignore[no-any-return]  # what exec makes has no type


def compile_list_decoder(
    cls: type[T], fields: Iterable[Field], nested: Callable[[Shape], Any], other: Callable[[Any], T]
) -> Callable[[list[Any], list[Any]], None]:
    """Write what puts a `cls` made of each of `items` into `made`, which may be the same list.

    It is the decoder without a call around it: 0.1 us of the 3 that a track of a playlist takes.
    """
    body, names = _decoding(cls, fields, nested, other)
    lines = ["def decode_all(items, made):", " for number, data in enumerate(items):"]
    lines += ["  if type(data) is not dict:", "   made[number] = other(data)", "   continue"]
    lines += [*(f" {line}" for line in body), "  made[number] = built"]
    return _run(lines, names, "decode_all")  # type: ignore[no-any-return]  # what exec makes has no type


def _decoding(
    cls: type, fields: Iterable[Field], nested: Callable[[Shape], Any], other: Callable[[Any], Any]
) -> tuple[list[str], dict[str, Any]]:
    """The lines that make `built` of the dict `data`, and the names in them."""
    fields = [field for field in fields if field.init]
    names: dict[str, Any] = {"cls": cls, "other": other}
    lines = []
    for number, field in enumerate(fields):
        lines += _read_lines(field, number, names, nested)
    if not _builds_plainly(cls):
        lines += [f" built = cls({', '.join(f'{field.name}=v{number}' for number, field in enumerate(fields))})"]
        return lines, names
    # A frozen dataclass's own constructor calls `object.__setattr__` for each field, which costs more than all the
    # rest here. So an object of a subclass that can be written to is filled, and becomes one of the class.
    names["draft"] = types.new_class(cls.__name__, (cls,), exec_body=lambda body: body.update(_DRAFT))
    lines += [" built = draft()"]
    lines += [f" built.{field.name} = v{number}" for number, field in enumerate(fields)]
    return [*lines, " built.__class__ = cls"], names


def _read_lines(field: Field, number: int, names: dict[str, Any], nested: Callable[[Shape], Any]) -> list[str]:
    var, key = f"v{number}", repr(field.key)
    make, default = field.default, f"default{number}" if field.constant else f"default{number}()"
    names[f"default{number}"] = make() if make is not None and field.constant else make
    test, read = _conversion(field.shape, number, names, nested)
    if field.default is None and not field.nullable:
        return [f" {var} = data[{key}]", f" if {test}: {var} = {read}"]
    if field.nullable and (field.default is None or field.default() is None):
        return [f" {var} = data.get({key})", f" if {test} and {var} is not None: {var} = {read}"]
    if not field.nullable:
        # A null where there is a default means the default: servers write nulls for "nothing to say".
        return [
            f" {var} = data.get({key})",
            f" if {var} is None: {var} = {default}",
            f" elif {test}: {var} = {read}",
        ]
    return [
        f" if {key} not in data: {var} = {default}",
        " else:",
        f"  {var} = data[{key}]",
        f"  if {test} and {var} is not None: {var} = {read}",
    ]


def _conversion(shape: Shape, number: int, names: dict[str, Any], nested: Callable[[Shape], Any]) -> tuple[str, str]:
    """Return the test whether a value has to be converted, and the expression that does it."""
    var, read, item = f"v{number}", f"read{number}", shape.item
    names[read] = shape.read
    if shape.read is None:
        return "False", var
    if shape.exact is not None:
        names[f"exact{number}"] = shape.exact
        return f"type({var}) is not exact{number}", f"{read}({var})"
    if shape.model is not None:
        names[read] = nested(shape)
    elif item is ANYTHING and shape.sequence is None:
        # JSON of free form is kept as it was parsed: two copies of `{}` a track were half of a playlist of 5,000.
        return f"type({var}) is not dict", f"{read}({var})"
    elif item is not None and item.model is not None and shape.sequence is list:
        names[f"item{number}"] = nested(item)
        return "True", f"[item{number}(item) for item in {var}] if type({var}) is list else {read}({var})"
    return "True", f"{read}({var})"


def _builds_plainly(cls: type) -> bool:
    """Whether the constructor does nothing but keep its arguments."""
    maker = next(base for base in cls.__mro__ if "__init__" in vars(base))
    return (
        not hasattr(cls, "__post_init__")
        and "__dataclass_fields__" in vars(maker)
        and maker.__dataclass_params__.init  # type: ignore[attr-defined]  # not in the stubs
        # A field that is no argument is read from the class, which has it only without slots.
        and all(field.init or _is_in_class(cls, field) for field in dataclasses.fields(cls))
    )


def _is_in_class(cls: type, field: dataclasses.Field[Any]) -> bool:
    return field.default is not MISSING and getattr(cls, field.name, MISSING) is field.default


def compile_encoder(fields: Iterable[Field]) -> Callable[[Any], dict[str, Any]]:
    """Write the encoder of a class: each field in turn, but for those that are to be left out."""
    names: dict[str, Any] = {"UNSET": UNSET}
    lines = ["def encode(model):", " out = {}"]
    for number, field in enumerate(fields):
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
