"""A load handler hears of every outcome, whatever form it has, and what it raises is not lost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from lavalink_sync.errors import ConnectError, InvalidArgumentError, LavalinkError, LoadFailedError
from lavalink_sync.loading import METHODS, check_handler, deliver, load_and_deliver
from lavalink_sync.models import (
    ExceptionInfo,
    LoadFailed,
    LoadResult,
    LoadType,
    NoMatches,
    Playlist,
    PlaylistInfo,
    PlaylistLoaded,
    SearchResult,
    Severity,
    Track,
    TrackInfo,
    TrackLoaded,
    UnknownLoadResult,
)

TRACK = Track("QAAA", TrackInfo("id", True, "author", 1000, False, 0, "title", "local"))
PLAYLIST = Playlist(PlaylistInfo("list", -1), {}, [TRACK])
BROKEN = ExceptionInfo("it broke", Severity.COMMON, "cause")

RESULTS: dict[str, LoadResult] = {
    "track_loaded": TrackLoaded(TRACK),
    "playlist_loaded": PlaylistLoaded(PLAYLIST),
    "search_result_loaded": SearchResult([TRACK]),
    "no_matches": NoMatches(),
    "load_failed": LoadFailed(BROKEN),
}


class Recorder:
    """A handler with all five methods."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name not in METHODS:
            raise AttributeError(name)
        return lambda *arguments: self.heard.append((name, arguments))


@pytest.mark.parametrize("method", METHODS)
def test_each_result_reaches_its_own_method(method: str) -> None:
    handler = Recorder()
    deliver(RESULTS[method], handler)
    assert [name for name, _ in handler.heard] == [method]


def test_the_methods_get_what_disgolinks_get() -> None:
    handler = Recorder()
    for result in RESULTS.values():
        deliver(result, handler)
    heard = dict(handler.heard)
    assert heard["track_loaded"] == (TRACK,)
    assert heard["playlist_loaded"] == (PLAYLIST,)
    assert heard["search_result_loaded"] == ([TRACK],)
    assert heard["no_matches"] == ()
    (error,) = heard["load_failed"]
    assert isinstance(error, LoadFailedError)
    assert error.exception == BROKEN


@pytest.mark.parametrize("result", RESULTS.values(), ids=RESULTS)
def test_a_callable_gets_every_result_as_it_is(result: LoadResult) -> None:
    heard: list[LoadResult] = []
    deliver(result, heard.append)
    assert heard == [result]


def test_an_object_with_one_method_is_not_asked_for_the_others() -> None:
    class OnlyTracks:
        def __init__(self) -> None:
            self.tracks: list[Track] = []

        def track_loaded(self, track: Track) -> None:
            self.tracks.append(track)

    handler = OnlyTracks()
    for result in RESULTS.values():
        deliver(result, handler)
    assert handler.tracks == [TRACK]


def test_methods_come_before_being_callable() -> None:
    class Both:
        heard: list[str] = []  # noqa: RUF012 - one test's own class

        def __call__(self, result: LoadResult) -> None:
            self.heard.append("called")

        def no_matches(self) -> None:
            self.heard.append("no_matches")

    deliver(NoMatches(), Both())
    assert Both.heard == ["no_matches"]


def test_a_load_type_unknown_here_is_told_as_a_failure() -> None:
    handler = Recorder()
    deliver(UnknownLoadResult(LoadType("hologram"), {"x": 1}), handler)
    ((name, (error,)),) = handler.heard
    assert name == "load_failed"
    assert isinstance(error, LavalinkError)
    assert "hologram" in str(error)


def test_a_transport_failure_reaches_the_handler_as_well() -> None:
    failure = ConnectError("refused")

    def load() -> LoadResult:
        raise failure

    handler = Recorder()
    result = load_and_deliver(load, "x", handler)
    assert isinstance(result, LoadFailed)
    assert result.exception is None
    assert result.error is failure
    assert handler.heard == [("load_failed", (failure,))]


def test_what_a_handler_raises_is_raised_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    def handler(result: LoadResult) -> None:
        raise KeyError("mine")

    with caplog.at_level(logging.ERROR), pytest.raises(KeyError, match="mine"):
        load_and_deliver(NoMatches, "ytsearch:x", handler)
    assert "ytsearch:x" in caplog.text


@pytest.mark.parametrize("handler", [5, "no", object()])
def test_what_can_not_be_told_anything_is_refused_at_once(handler: object) -> None:
    with pytest.raises(InvalidArgumentError, match="track_loaded"):
        check_handler(handler)


@pytest.mark.parametrize("handler", [print, Recorder()])
def test_what_can_be_told_is_taken(handler: object) -> None:
    check_handler(handler)
