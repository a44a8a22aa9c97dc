"""The results of loading: told apart by class, in any form a server gives them."""

import copy
from typing import Any

import pytest

from lavalink_sync.errors import LoadFailedError, ProtocolError, RequestTimeoutError
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
    TrackLoaded,
    UnknownLoadResult,
    decode_load_result,
    decoder,
    encoder,
)

from .support import recordings

TRACK = recordings.tracks()[0]
EXCEPTION = {"message": "broken", "severity": "suspicious", "cause": "java.io.IOException", "causeStackTrace": "at x"}
PLAYLIST = {"info": {"name": "n", "selectedTrack": 1}, "pluginInfo": {"type": "album"}, "tracks": [TRACK, TRACK]}
WIRE: list[tuple[str, Any, type[LoadResult], int]] = [
    ("track", TRACK, TrackLoaded, 1),
    ("playlist", PLAYLIST, PlaylistLoaded, 2),
    ("search", [TRACK, TRACK, TRACK], SearchResult, 3),
    ("search", [], SearchResult, 0),
    ("empty", None, NoMatches, 0),
    ("error", EXCEPTION, LoadFailed, 0),
    ("brandNew", {"a": [1]}, UnknownLoadResult, 0),
]


@pytest.mark.parametrize(("load_type", "data", "cls", "count"), WIRE)
def test_every_load_type_has_its_class_and_goes_both_ways(
    load_type: str, data: Any, cls: type[LoadResult], count: int
) -> None:
    wire = {"loadType": load_type, "data": data}
    result = decode_load_result(wire)
    assert type(result) is cls
    assert result.load_type == load_type
    assert result.tracks == [Track.from_dict(TRACK)] * count
    assert bool(result) is bool(count)
    assert result.to_dict() == encoder(cls)(result) == wire
    assert decode_load_result(wire) == cls.from_dict(wire) == LoadResult.from_dict(wire) == result
    assert decoder(LoadResult)(wire) == LoadResult.from_json(result.to_json()) == result


def test_results_match_by_position() -> None:
    found: list[object] = []
    for load_type, data, _, _ in WIRE:
        match decode_load_result({"loadType": load_type, "data": data}):
            case TrackLoaded(track):
                found.append(track.encoded)
            case PlaylistLoaded(playlist):
                found.append(playlist.info.name)
            case SearchResult([first, *_]):
                found.append(first)
            case SearchResult(tracks):
                found.append(tracks)
            case NoMatches():
                found.append(None)
            case LoadFailed(exception):
                assert exception is not None
                found.append(exception.message)
            case UnknownLoadResult(kind, data):
                found.append((kind, data))
    assert found == [
        TRACK["encoded"], "n", Track.from_dict(TRACK), [], None, "broken", (LoadType("brandNew"), {"a": [1]}),
    ]  # fmt: skip


def test_an_empty_result_may_have_an_object_for_data() -> None:
    assert decode_load_result({"loadType": "empty", "data": {}}) == decode_load_result({"loadType": "empty"})


def test_a_failure_is_an_error_of_ours_too() -> None:
    result = decode_load_result({"loadType": "error", "data": EXCEPTION})
    assert isinstance(result, LoadFailed)
    assert result.exception == ExceptionInfo("broken", Severity.SUSPICIOUS, "java.io.IOException", "at x")
    assert isinstance(result.error, LoadFailedError)
    assert result.error.exception is result.exception
    assert "broken" in str(result.error)


def test_a_failure_without_a_message_tells_its_cause() -> None:
    result = LoadFailed(ExceptionInfo(None, Severity.FAULT, "java.lang.NullPointerException"))
    assert "NullPointerException" in str(result.error)
    assert result.to_dict()["data"] == {"message": None, "severity": "fault", "cause": "java.lang.NullPointerException"}


def test_a_failure_to_ask_has_no_exception_of_the_server() -> None:
    error = RequestTimeoutError("too slow")
    result = LoadFailed(None, error)
    assert (result.exception, result.error, result.tracks) == (None, error, [])
    assert result.to_dict() == {"loadType": "error", "data": None}


def test_results_made_by_hand_are_like_those_that_came() -> None:
    track = Track.from_dict(TRACK)
    playlist = Playlist(PlaylistInfo("n", 1), {"type": "album"}, [track, track])
    assert TrackLoaded(track) == decode_load_result({"loadType": "track", "data": TRACK})
    assert PlaylistLoaded(playlist) == decode_load_result({"loadType": "playlist", "data": PLAYLIST})
    assert SearchResult([track]) == decode_load_result({"loadType": "search", "data": [TRACK]})
    assert SearchResult(tracks=[track]).tracks == [track]


@pytest.mark.parametrize(
    ("wire", "path"),
    [
        (None, "loadType"),
        ([], "loadType"),
        ("track", "loadType"),
        ({}, "loadType"),
        ({"loadType": 5}, "loadType"),
        ({"loadType": "track"}, "data"),
        ({"loadType": "track", "data": None}, "data"),
        ({"loadType": "track", "data": {**TRACK, "info": {**TRACK["info"], "title": None}}}, "data.info.title"),
        ({"loadType": "search", "data": {}}, "data"),
        ({"loadType": "search", "data": [TRACK, TRACK, TRACK, {**TRACK, "info": []}]}, "data[3].info"),
        ({"loadType": "playlist", "data": {**PLAYLIST, "tracks": [TRACK, 5]}}, "data.tracks[1]"),
        ({"loadType": "error", "data": {}}, "data.severity"),
    ],
)
def test_a_fault_is_named_with_its_path(wire: Any, path: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        decode_load_result(wire)
    assert caught.value.path == path
    with pytest.raises(ProtocolError) as caught:
        decode_load_result(copy.deepcopy(wire), own=True)
    assert caught.value.path == path
    with pytest.raises(ProtocolError) as caught:
        decoder(LoadResult)(wire)
    assert caught.value.path == path


def test_a_result_of_another_class_is_refused() -> None:
    with pytest.raises(ProtocolError, match="loadType: search is no TrackLoaded"):
        TrackLoaded.from_dict({"loadType": "search", "data": []})
