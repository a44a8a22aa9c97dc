"""Everything a real server was heard to say decodes, and encodes back to the same JSON."""

import json
from collections import Counter
from typing import Any

import pytest

from lavalink_sync import models
from lavalink_sync.models import codec

from .support import recordings


def _class_of(method: str, path: str, status: int) -> type[models.Model] | None:
    """Which model an answer is, or a list of; `None` where the body is no object."""
    if status >= 400:
        return models.ErrorResponse
    last = path.split("?")[0].split("/")[-1]
    whole: dict[str, type[models.Model]] = {
        "info": models.Info,
        "stats": models.Stats,
        "loadtracks": models.LoadResult,
        "decodetrack": models.Track,
        "decodetracks": models.Track,
    }
    if "/sessions/" in path:
        return models.ServerPlayer if "/players" in path else models.Session
    return whole.get(last)


def test_every_recorded_answer_decodes_and_encodes_back() -> None:
    seen: Counter[str] = Counter()
    for method, path, _, status, body in recordings.exchanges():
        cls = _class_of(method, path, status or 0)
        if cls is None or not isinstance(body, (dict, list)):
            assert not isinstance(body, (dict, list))
            continue
        decode, encode = codec.decoder(cls), codec.encoder(cls)
        for item in body if isinstance(body, list) else [body]:
            model = decode(item)
            assert encode(model) == item
            assert type(model).from_dict(item) == model
            assert type(model).from_json(json.dumps(item)).to_json(sort_keys=True) == json.dumps(item, sort_keys=True)
            seen[type(model).__name__] += 1
    assert set(seen) == {
        "ErrorResponse", "Info", "LoadFailed", "NoMatches", "ServerPlayer", "Session", "Stats", "Track", "TrackLoaded",
    }  # fmt: skip
    assert seen["ServerPlayer"] > 100


def test_every_recorded_request_that_was_taken_encodes_back() -> None:
    seen: Counter[str] = Counter()
    for method, path, body, status, _ in recordings.exchanges():
        if method != "PATCH" or not isinstance(body, dict) or status != 200:
            continue
        cls: type[models.Model] = models.PlayerUpdate if "/players/" in path else models.SessionUpdate
        update = cls.from_dict(body)
        assert cls.from_dict(update.to_dict()) == update
        seen["same" if _with_defaults(update.to_dict(), body) else "tried"] += 1
    # The four that differ: an unknown key, the deprecated `encodedTrack` twice, and a filter that is null.
    assert seen == {"same": seen["same"], "tried": 4}
    assert seen["same"] > 100


def _with_defaults(encoded: Any, sent: Any) -> bool:
    """Whether `encoded` is `sent`, with nothing but more of a filter's defaults."""
    if isinstance(encoded, dict) and isinstance(sent, dict):
        return all(key in encoded and _with_defaults(encoded[key], value) for key, value in sent.items())
    if isinstance(encoded, list) and isinstance(sent, list):
        return len(encoded) == len(sent) and all(map(_with_defaults, encoded, sent))
    return bool(encoded == sent)


def test_every_recorded_frame_decodes_and_encodes_back() -> None:
    seen: Counter[str] = Counter()
    for frame in recordings.frames():
        message = models.decode_message(json.dumps(frame).encode())
        assert message.to_dict() == frame
        assert type(message).from_dict(frame) == message
        seen[type(message).__name__] += 1
    assert set(seen) == {
        "PlayerUpdateEvent", "Ready", "StatsMessage", "TrackEndEvent", "TrackExceptionEvent", "TrackStartEvent",
        "TrackStuckEvent", "WebSocketClosedEvent",
    }  # fmt: skip
    assert sum(seen.values()) > 400


@pytest.mark.parametrize("data", recordings.tracks()[:20], ids=lambda data: data["info"]["title"])
def test_a_recorded_track_goes_through_the_schema(data: dict[str, Any]) -> None:
    with pytest.warns(DeprecationWarning, match="marshmallow|deprecated"):
        schema = models.Track.schema()
    track = schema.load(data)
    assert track == models.Track.from_dict(data)
    assert schema.dump(track) == data
