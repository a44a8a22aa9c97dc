"""What the replays of the recordings do not hold the development node to: all of it, each with its reason.

`docs/devnode.md` has the same table, and a test holds the two together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

from lavalink_sync.models import decode_track

__all__ = ["MASKS", "NEAR", "Mask", "left_out", "may_differ", "unequal"]

# Milliseconds. Positions and times differ by the seconds' fractions in which a real server's threads take their turns.
NEAR = 120
# The recorded files of these names are not those that are given here.
GUESSED = {"sine5.mp3", "uni30.mp3", "trunc.mp3", "name with space & ünï#1.mp3"}

_SILENT, _VOICED = ("rest", "websocket"), ("playback",)
_ALL = (*_SILENT, *_VOICED)


class Mask(NamedTuple):
    """`field`: the end of a path in a body, `header: NAME`, or `line: KIND`. `where`: in which recordings.

    `like(recorded, found, identifier)`: what is still held, of the track with that identifier where there is one.
    """

    field: str
    where: tuple[str, ...]
    like: Callable[[Any, Any, str], bool]
    why: str


def _any(recorded: Any, found: Any, identifier: str) -> bool:
    return True


def _same_first_line(recorded: Any, found: Any, identifier: str) -> bool:
    return bool(recorded.partition("\n")[0] == found.partition("\n")[0])


def _session(recorded: Any, found: Any, identifier: str) -> bool:
    return re.fullmatch("[a-z0-9]{16}", found) is not None


def _near(recorded: Any, found: Any, identifier: str) -> bool:
    return bool(abs(recorded - found) <= NEAR)


def _same_sign(recorded: Any, found: Any, identifier: str) -> bool:
    return bool((recorded < 0) == (found < 0))


def _guessed(recorded: Any, found: Any, identifier: str) -> bool:
    return unquote(identifier).rpartition("/")[2] in GUESSED


def _near_track(recorded: Any, found: Any, identifier: str) -> bool:
    """The same but for a position nearby, and for the port of where it comes from."""
    one, other = decode_track(recorded), decode_track(found)
    told = ("title", "author", "length", "is_stream", "artwork_url", "isrc", "source_name")
    same = all(getattr(one.info, name) == getattr(other.info, name) for name in told)
    return same and one.plugin_info == other.plugin_info and abs(one.info.position - other.info.position) <= NEAR


_CLOCKS, _MACHINE, _JAVA = "the clocks differ", "of the machine", "names Java's frames"
_BYTES = "the server guesses it from the bytes, by a rule that the node has too; the recorded files were others"

MASKS = (
    Mask("timestamp", _ALL, _any, _CLOCKS),
    Mask("time", _ALL, _any, _CLOCKS),
    Mask("header: date", _SILENT, _any, _CLOCKS),
    Mask("header: sec-websocket-accept", _SILENT, _any, "reckoned from what the client draws"),
    Mask("sessionId", _ALL, _session, "drawn; 16 letters and digits"),
    Mask("uptime", _ALL, _any, _CLOCKS),
    *(Mask(f"memory.{name}", _ALL, _any, _MACHINE) for name in ("free", "used", "allocated")),
    *(Mask(f"cpu.{name}", _ALL, _any, _MACHINE) for name in ("cores", "systemLoad", "lavalinkLoad")),
    Mask("trace", _SILENT, _any, _JAVA),
    Mask("causeStackTrace", _ALL, _same_first_line, f"{_JAVA}; its first line is held"),
    Mask("info.length", _SILENT, _guessed, f"of four MP3s without a length header: {_BYTES}"),
    Mask("encoded", _SILENT, _guessed, "of the same four: their length is in it; it is held to the info beside it"),
    Mask("encoded", _VOICED, _near_track, "has a position and a port in it; held but for them"),
    Mask("position", _VOICED, _near, f"up to {NEAR} ms: a real server's threads take turns"),
    Mask("ping", _VOICED, _same_sign, "0 to 2 ms there, 0 here; its sign is held"),
    Mask("line: never_came", _SILENT, _any, "the recorder waited in vain for an end that comes only with voice"),
    Mask("line: kill_9", _SILENT, _any, "what the recorder did"),
    Mask("line: note", _VOICED, _any, "a remark"),
    Mask("line: step", _VOICED, _any, "the name of a scenario"),
    Mask("line: voice_state", _VOICED, _any, "what the recorded stand-in for a voice server knew"),
    Mask("line: ws_close", _VOICED, _any, "the client's own close, which ends the recording"),
)


def may_differ(where: str, path: str, recorded: Any, found: Any, identifier: str = "") -> bool:
    """Whether a value may be another one than that of a recording, which has the same type."""
    return any(
        where in mask.where
        and (path == mask.field or path.endswith(f".{mask.field}"))
        and mask.like(recorded, found, identifier)
        for mask in MASKS
    )


def left_out(where: str) -> set[str]:
    """The kinds of lines of a recording that are not compared."""
    return {
        mask.field.removeprefix("line: ") for mask in MASKS if mask.field.startswith("line: ") and where in mask.where
    }


def unequal(where: str, recorded: Any, found: Any, path: str = "", identifier: str = "") -> Iterator[str]:
    """Where two bodies of a recording differ: keys, their order, types, and values but where they may."""
    if isinstance(recorded, dict) and isinstance(found, dict):
        if list(recorded) != list(found):
            yield f"{path}: keys {list(recorded)} became {list(found)}"
            return
        if "encoded" in recorded and "info" in recorded:
            identifier = recorded["info"]["identifier"]
            if decode_track(found["encoded"]).info.to_dict() != found["info"]:
                yield f"{path}.encoded says something else than the info beside it"
        for key, value in recorded.items():
            yield from unequal(where, value, found[key], f"{path}.{key}", identifier)
    elif isinstance(recorded, list) and isinstance(found, list) and len(recorded) == len(found):
        for index, value in enumerate(recorded):
            yield from unequal(where, value, found[index], f"{path}[{index}]", identifier)
    elif type(recorded) is not type(found) or (
        recorded != found and not may_differ(where, path, recorded, found, identifier)
    ):
        yield f"{path}: {recorded!r} became {found!r}"
