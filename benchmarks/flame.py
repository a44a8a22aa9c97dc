"""A flame graph of two profiles on one scale, as an SVG: what a call cost before, and what it costs now.

The widths are microseconds of CPU a call; a profile is a list of stacks, outermost frame first, each with its number of
samples. Written for these pictures alone: no script, one tooltip a box, small enough for a repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape

_WIDTH, _ROW, _MARGIN = 1200, 17, 10
# A box that is narrower is left out.
_LEAST = 2.0
_COLOURS = {
    "models": "#f4a259",
    "core": "#8cb369",
    "transport": "#5b8e7d",
    "other rooms": "#f4e285",
    "outside": "#c9c9d3",
}


@dataclass
class Frame:
    """A function in a stack: its samples, those of what it called among them, and what it called."""

    samples: int = 0
    calls: dict[str, Frame] = field(default_factory=dict)

    def depth(self, scale: float) -> int:
        """How many rows are drawn below its own."""
        drawn = [frame for frame in self.calls.values() if frame.samples * scale >= _LEAST]
        return max((1 + frame.depth(scale) for frame in drawn), default=0)


@dataclass(frozen=True)
class Profile:
    """One of the two: its title, microseconds a call, and its stacks."""

    title: str
    microseconds: float
    stacks: Sequence[tuple[Sequence[str], int]]

    def tree(self) -> Frame:
        """The stacks laid over each other."""
        root = Frame()
        for stack, samples in self.stacks:
            root.samples += samples
            frame = root
            for name in stack:
                frame = frame.calls.setdefault(name, Frame())
                frame.samples += samples
        return root


def picture(title: str, profiles: Sequence[Profile]) -> str:
    """All profiles below each other, on the scale of the dearest."""
    widest = max(profile.microseconds for profile in profiles)
    boxes: list[str] = [_text(_MARGIN, 22, title, size=16)]
    boxes += _legend(42)
    y = 62
    for profile in profiles:
        tree = profile.tree()
        boxes.append(_text(_MARGIN, y + 12, f"{profile.title}: {profile.microseconds:.2f} µs", size=13))
        y += 20
        width = (_WIDTH - 2 * _MARGIN) * profile.microseconds / widest
        scale = width / max(1, tree.samples)
        boxes += _boxes(tree, _MARGIN, y, scale)
        y += tree.depth(scale) * _ROW + 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" font-family="sans-serif" font-size="11">\n'
        f'<rect width="{_WIDTH}" height="{y}" fill="#ffffff"/>\n' + "\n".join(boxes) + "\n</svg>\n"
    )


def _boxes(frame: Frame, x: float, y: int, scale: float) -> Iterable[str]:
    for name, called in sorted(frame.calls.items(), key=lambda item: -item[1].samples):
        width = called.samples * scale
        if width < _LEAST:
            break
        share = called.samples * scale / (_WIDTH - 2 * _MARGIN)
        shown = _shortened(name, width)
        yield (
            f'<g><title>{escape(name)}: {share:.1%} of the width</title><rect x="{x:.1f}" y="{y}" width="{width:.1f}" '
            f'height="{_ROW - 1}" fill="{_COLOURS[_room(name)]}"/>'
            + (_text(x + 3, y + 12, shown) if shown else "")
            + "</g>"
        )
        yield from _boxes(called, x, y + _ROW, scale)
        x += width


def _shortened(name: str, width: float) -> str:
    room = int((width - 6) / 6)
    return "" if room < 4 else name if len(name) <= room else name[: room - 1] + "…"


def _room(name: str) -> str:
    file = name.partition(" (")[2]
    if "<string>" in file:
        return "models"
    if not file.startswith("./"):
        return "outside"
    room = file.split("/")[1]
    return room if room in _COLOURS else "other rooms"


def _legend(y: int) -> Iterable[str]:
    x = float(_MARGIN)
    for room, colour in _COLOURS.items():
        yield f'<rect x="{x}" y="{y - 10}" width="12" height="12" fill="{colour}"/>'
        yield _text(x + 17, y, room)
        x += 110


def _text(x: float, y: float, text: str, size: int = 11) -> str:
    return f'<text x="{x:.1f}" y="{y}" font-size="{size}">{escape(text)}</text>'
