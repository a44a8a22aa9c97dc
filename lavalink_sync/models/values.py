"""The two kinds of value that plain JSON types don't cover: "not given", and an enum that outlives its list.

They stand below the codec, which has to know both.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final


class Unset:
    """The type of `UNSET`: "not given", as opposed to `None`, which is sent as `null`. There is one instance, falsy."""

    _instance: Unset | None = None

    def __new__(cls) -> Unset:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        # The name of a global: what is copied or unpickled is the one instance again.
        return "UNSET"


UNSET: Final = Unset()


def is_unset(value: object) -> bool:
    """Whether a field was not given, so that it is not sent. The codec knows this function, and writes the test out."""
    return value is UNSET


class OpenEnum(str, Enum):
    """An enum of texts that accepts texts it doesn't list, so that a newer server loses no message.

    `Severity("common") is Severity.COMMON`; `Severity("new")` is an object of the same class that keeps the text, is
    equal to it, and says `known` is `False`. `str()` and JSON give the text.
    """

    @classmethod
    def _missing_(cls, value: object) -> OpenEnum | None:
        if not isinstance(value, str):
            return None
        stranger = str.__new__(cls, value)
        stranger._name_ = stranger._value_ = value
        return stranger

    @property
    def known(self) -> bool:
        """Whether this version lists the value."""
        return self._value_ in type(self)._value2member_map_

    def __reduce_ex__(self, protocol: object) -> tuple[Any, ...]:
        # By its text: Python 3.11 up to 3.11.3 copies and pickles an enum's members by their names.
        return type(self), (str(self._value_),)

    def __str__(self) -> str:
        return str(self._value_)

    def __format__(self, spec: str) -> str:
        return format(str(self._value_), spec)
