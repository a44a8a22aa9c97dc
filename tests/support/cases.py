"""Cases of the protocol: small functions under the line that they hold, and the node that they are tried on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lavalink_sync.devnode import DevNode

from .devnode_line import Line, line_of
from .devnode_raw import EXAMPLES
from .recorded_music import fill

__all__ = ["Cases", "line", "music"]

_Case = Callable[[Line], None]


class Cases(dict[str, _Case]):
    """A table of cases by the section and its line. Called with one it registers the function under it."""

    def __call__(self, line: str) -> Callable[[_Case], _Case]:
        def register(function: _Case) -> _Case:
            assert line not in self, "a line has one case"
            self[line] = function
            return function

        return register


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded files, those of the examples, and two that are torn."""
    folder = tmp_path_factory.mktemp("music")
    fill(folder)
    for source in EXAMPLES.iterdir():
        (folder / source.name).write_bytes(source.read_bytes())
    whole = (folder / "long.mp3").read_bytes()
    (folder / "torn.mp3").write_bytes(whole[:20_000])
    (folder / "torn_late.mp3").write_bytes(whole[:100_000])
    return folder


@pytest.fixture
def line(make_devnode: Callable[..., DevNode], music: Path) -> Iterator[Line]:
    """A session on a clock that is moved by hand; updates come every five seconds."""
    with line_of(make_devnode, music=music) as line:
        yield line
