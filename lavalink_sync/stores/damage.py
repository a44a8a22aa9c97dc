"""A store's file that can't be used: a damaged one is set aside, renamed and never deleted, so that somebody can look
into it; of any other it is told what to do about it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

from ..errors import StoreError

log = logging.getLogger(__name__)


def unusable(path: Path, doing: str, reason: object) -> StoreError:
    """The error for a file that could not be used (`doing`: read, say), with what helps where that is known."""
    hint = ""
    if path.is_dir():
        hint = "; it is a directory: give it a file's path"
    elif not path.parent.is_dir():
        hint = ": make its directory first"
    return StoreError(f"{path} can't be {doing}: {reason}{hint}")


def set_aside(path: Path, why: str, companions: Iterable[str] = ()) -> Path:
    """Rename `path` to `<path>.damaged-<n>`, n from 1 on, warn once, and return the new name.

    `companions`: the endings of files that belong to it, such as a database's journal. Raises `OSError`.
    """
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    # The companions first: without it they mean nothing, while they could do harm to a new file of its name.
    for ending in companions:
        companion = path.with_name(path.name + ending)
        if companion.exists():
            companion.rename(aside.with_name(aside.name + ending))
    path.rename(aside)
    log.warning("%s is damaged (%s): it is set aside as %s, and nothing is loaded from it", path, why, aside.name)
    return aside
