"""Handing a load result to a handler: a callable, or an object with any of the five methods DisGoLink's handlers have.

A transport failure reaches the handler as well, as a `LoadFailed`, so that a handler hears of every outcome.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from .errors import InvalidArgumentError, LavalinkError
from .models import (
    LoadFailed,
    LoadResult,
    NoMatches,
    Playlist,
    PlaylistLoaded,
    SearchResult,
    Track,
    TrackLoaded,
)

log = logging.getLogger(__name__)

METHODS = ("track_loaded", "playlist_loaded", "search_result_loaded", "no_matches", "load_failed")


class LoadResultHandler(Protocol):
    """The five methods a handler may have; one that has only some of them hears only of those results."""

    def track_loaded(self, track: Track) -> object:
        """One track was found."""

    def playlist_loaded(self, playlist: Playlist) -> object:
        """A playlist was found."""

    def search_result_loaded(self, tracks: Sequence[Track]) -> object:
        """A search found these tracks, possibly none."""

    def no_matches(self) -> object:
        """Nothing was found."""

    def load_failed(self, error: LavalinkError) -> object:
        """The server could not load it (`LoadFailedError`), or could not be asked."""


# An object with only some of the methods is no LoadResultHandler to a type checker, hence `object`.
LoadHandler: TypeAlias = Callable[[LoadResult], object] | LoadResultHandler | object


def check_handler(handler: LoadHandler) -> None:
    """Refuse what can't be told anything, before anything is loaded. Raises `InvalidArgumentError`."""
    if not callable(handler) and not any(callable(getattr(handler, name, None)) for name in METHODS):
        raise InvalidArgumentError(
            f"a load handler must be callable or have one of {', '.join(METHODS)}; {type(handler).__name__} has none",
            field="handler",
        )


def load_and_deliver(load: Callable[[], LoadResult], identifier: str, handler: LoadHandler) -> LoadResult:
    """Load, then tell the handler, on the calling thread. Returns the result.

    What the handler raises is logged and raised.
    A failure to load at all becomes a `LoadFailed` with `.error` and without the server's `.exception`.
    """
    try:
        result = load()
    except LavalinkError as error:
        result = LoadFailed(exception=None, error=error)
    try:
        deliver(result, handler)
    except Exception:
        log.exception("the handler for loading %r failed", identifier)
        raise
    return result


def deliver(result: LoadResult, handler: LoadHandler) -> None:
    """Call what fits: the object's method for this kind of result, else the callable with the result itself."""
    if not any(callable(getattr(handler, name, None)) for name in METHODS):
        if callable(handler):
            handler(result)
        return
    name, arguments = _method_for(result)
    method = getattr(handler, name, None)
    if callable(method):
        method(*arguments)


def _method_for(result: LoadResult) -> tuple[str, tuple[Any, ...]]:
    if isinstance(result, TrackLoaded):
        return "track_loaded", (result.track,)
    if isinstance(result, PlaylistLoaded):
        return "playlist_loaded", (result.playlist,)
    if isinstance(result, SearchResult):
        return "search_result_loaded", (result.tracks,)
    if isinstance(result, NoMatches):
        return "no_matches", ()
    if isinstance(result, LoadFailed):
        return "load_failed", (result.error,)
    return "load_failed", (LavalinkError(f"the server answered with a load type unknown here: {result.load_type}"),)
