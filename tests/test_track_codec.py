"""Encoded tracks: as a real server reads and writes them, byte for byte, and safe against anything."""

import base64
import contextlib
import random
import struct
import tracemalloc
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lavalink_sync.errors import InvalidArgumentError, TrackFormatError
from lavalink_sync.models import Track, TrackInfo, decode_track, encode_track, normalise_encoded
from lavalink_sync.models.modified_utf8 import decode_text, encode_text
from lavalink_sync.models.track_codec import MAX_ENCODED, pack, unpack

from .support import recordings

RECORDED = recordings.tracks()
INFO = TrackInfo("dQw4", True, "Rick", 212_000, False, 0, "Never", "youtube", "https://y/dQw4", None, None)


def utf(text: bytes) -> bytes:
    return struct.pack(">H", len(text)) + text


def nullable(text: bytes | None) -> bytes:
    return b"\0" if text is None else b"\1" + utf(text)


def build(
    version: int | None = 3,
    *,
    title: bytes = b"Never",
    length: int = 212_000,
    stream: bytes = b"\0",
    source: bytes = b"youtube",
    extras: bytes = b"",
    position: int = 0,
    header: int | None = None,
) -> str:
    """An encoded track made by hand, after the description of the format; `version` `None` has no version byte."""
    body = b"" if version is None else bytes([version])
    body += utf(title) + utf(b"Rick") + struct.pack(">q", length) + utf(b"dQw4") + stream
    if version is not None and version >= 2:
        body += nullable(b"https://y/dQw4")
    if version is not None and version >= 3:
        body += nullable(None) + nullable(None)
    body += utf(source) + extras + struct.pack(">q", position)
    flags = 0 if version is None else 1
    return base64.b64encode(struct.pack(">I", flags << 30 | len(body) if header is None else header) + body).decode()


@pytest.mark.parametrize("data", RECORDED, ids=lambda data: f"{data['info']['title']}-{data['info']['position']}")
def test_a_recorded_track_decodes_to_what_the_server_answered_and_encodes_back(data: dict[str, Any]) -> None:
    decoded = decode_track(data["encoded"])
    answered = Track.from_dict(data)
    assert replace(answered, user_data={}) == decoded
    assert encode_track(decoded) == encode_track(answered) == data["encoded"]
    assert pack(unpack(data["encoded"])) == data["encoded"]


def test_the_recordings_have_what_matters() -> None:
    answers = [item[4] for item in recordings.exchanges() if "decodetrack" in item[1] and item[3] == 200]
    assert len(answers) >= 8
    assert {"mp3", "m3u|hls-inner"} <= {track["pluginInfo"]["probeInfo"] for track in RECORDED}
    assert any(track["info"]["isStream"] and track["info"]["length"] == 2**63 - 1 for track in RECORDED)
    assert any(max(track["info"]["title"]) > "\uffff" for track in RECORDED)


@pytest.mark.parametrize("version", [None, 1, 2, 3])
def test_every_version_goes_both_ways(version: int | None) -> None:
    encoded = build(version, position=1234)
    track = decode_track(encoded)
    uri = "https://y/dQw4" if version in (2, 3) else None
    assert track == Track(encoded, replace(INFO, uri=uri, position=1234))
    assert encode_track(track) == encoded


@pytest.mark.parametrize("length", [0, 1, 2**63 - 1, -1, -(2**63)])
def test_length_and_position_are_signed(length: int) -> None:
    encoded = build(length=length, position=length)
    track = decode_track(encoded)
    assert (track.info.length, track.info.position) == (length, length)
    assert encode_track(track) == encoded


def test_a_stream_cannot_be_sought() -> None:
    info = decode_track(build(stream=b"\1", length=2**63 - 1)).info
    assert (info.is_stream, info.is_seekable) == (True, False)


TEXTS = [
    (b"", ""),
    (b"plain", "plain"),
    ("Größe 測試".encode(), "Größe 測試"),
    (b"\xc0\x80", "\0"),
    (b"a\xc0\x80b", "a\0b"),
    (b"\xed\xa0\xbc\xed\xbe\xb5", "\U0001f3b5"),
    (b"\xed\xa0\x80\xed\xb0\x80", "\U00010000"),
    (b"\xed\xaf\xbf\xed\xbf\xbf", "\U0010ffff"),
    (b"\xed\xa0\xbc", "\ud83c"),
    (b"\xed\xbe\xb5\xed\xa0\xbc", "\udfb5\ud83c"),
    (b"x\xed\xbe\xb5", "x\udfb5"),
]


@pytest.mark.parametrize(("raw", "text"), TEXTS)
def test_text_is_javas_modified_utf8(raw: bytes, text: str) -> None:
    assert decode_text(raw) == text
    assert encode_text(text) == raw
    track = decode_track(build(title=raw))
    assert track.info.title == text
    assert encode_track(track) == build(title=raw)
    assert encode_track(Track("", replace(INFO, title=text))) == build(title=raw)


@pytest.mark.parametrize(
    "raw",
    [b"\0", b"\xf0\x9f\x8e\xb5", b"\xff", b"\xc0", b"\xc0\x81", b"\xc1\xbf", b"\xe0\x80\x80", b"\x80", b"\xe6\xb8"],
)
def test_text_that_java_never_writes_is_refused(raw: bytes) -> None:
    with pytest.raises(TrackFormatError) as caught:
        decode_track(build(title=raw))
    assert caught.value.path == "title"


@settings(derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_any_text_goes_both_ways_but_for_surrogates_that_make_a_pair(text: str) -> None:
    paired = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    assert decode_text(encode_text(text)) == paired


def test_what_http_and_local_add_is_their_probe_info() -> None:
    encoded = build(source=b"http", extras=utf(b"m3u|hls-inner"))
    track = decode_track(encoded)
    assert track.plugin_info == {"probeInfo": "m3u|hls-inner"}
    assert encode_track(track) == encoded
    by_hand = Track("", replace(INFO, source_name="http"), {"probeInfo": "m3u|hls-inner"})
    assert encode_track(by_hand) == encoded


ALBUM = [b"Album", b"https://album", None, b"https://picture", None]
LAVASRC = b"".join(map(nullable, ALBUM)) + b"\1"
LAVASRC_INFO = {
    "albumName": "Album",
    "albumUrl": "https://album",
    "artistUrl": None,
    "artistArtworkUrl": "https://picture",
    "previewUrl": None,
    "isPreview": True,
}


@pytest.mark.parametrize("source", [b"spotify", b"deezer", b"youtube", b"something-new"])
def test_what_lavasrc_adds_is_told_by_its_bytes(source: bytes) -> None:
    encoded = build(source=source, extras=LAVASRC)
    track = decode_track(encoded)
    assert track.plugin_info == LAVASRC_INFO
    assert encode_track(track) == encoded
    assert encode_track(Track("", replace(INFO, source_name=source.decode()), LAVASRC_INFO)) == encoded


def test_an_older_lavasrc_track_without_additions_stays_so() -> None:
    encoded = build(source=b"spotify")
    assert decode_track(encoded).plugin_info == {}
    answered = Track(encoded, decode_track(encoded).info, {**dict.fromkeys(LAVASRC_INFO), "isPreview": False})
    assert encode_track(answered) == encoded


@pytest.mark.parametrize(
    "extras", [b"\0", b"\xff" * 30, utf(b"https://media"), LAVASRC + b"!", LAVASRC[:-1], b"\1\xff"]
)
@pytest.mark.parametrize("source", [b"tumblr", b"http", b"local", b"spotify"])
def test_additions_that_nobody_knows_are_kept(source: bytes, extras: bytes) -> None:
    encoded = build(source=source, extras=extras)
    track = decode_track(encoded)
    if source in (b"tumblr", b"spotify") or extras != utf(b"https://media"):
        assert track.plugin_info == {}
    assert encode_track(track) == encoded


def test_a_change_of_what_is_known_keeps_the_rest() -> None:
    track = decode_track(build(source=b"tumblr", extras=utf(b"https://media")))
    moved = replace(track, info=replace(track.info, position=5000, title="Other"))
    assert encode_track(moved) == build(source=b"tumblr", extras=utf(b"https://media"), position=5000, title=b"Other")
    spotify = decode_track(build(source=b"spotify", extras=LAVASRC))
    renamed = replace(spotify, plugin_info={**spotify.plugin_info, "albumName": None, "other": 1})
    again = decode_track(encode_track(renamed))
    assert again.plugin_info == {**LAVASRC_INFO, "albumName": None}


def test_an_older_version_grows_when_it_must() -> None:
    for version in (None, 1, 2):
        track = decode_track(build(version))
        assert unpack(encode_track(replace(track, info=replace(track.info, isrc="X")))).version == 3
        assert unpack(encode_track(replace(track, info=replace(track.info, uri="u")))).version == 2
        assert encode_track(track) == build(version)


def test_a_track_made_by_hand_has_the_newest_version() -> None:
    assert encode_track(Track("", INFO)) == build(3)
    assert encode_track(Track("no track", INFO)) == build(3)


def test_bytes_after_the_end_are_kept() -> None:
    raw = base64.b64decode(build()) + b"more"
    encoded = base64.b64encode(raw).decode()
    assert decode_track(encoded).info == INFO
    assert encode_track(decode_track(encoded)) == encoded


@pytest.mark.parametrize("title", [b"Never", b"Never!", b"Never?>", b"\xc3\xbf\xc3\xbf\xc3\xbf\xc3\xbf"])
def test_the_base64_may_be_of_any_dialect(title: bytes) -> None:
    encoded = build(title=title)
    url_safe = encoded.replace("+", "-").replace("/", "_")
    for dialect in (
        encoded,
        encoded.rstrip("="),
        url_safe,
        url_safe.rstrip("="),
        f"  {encoded}\n",
        "\r\n".join(encoded[start : start + 16] for start in range(0, len(encoded), 16)),
    ):
        assert normalise_encoded(dialect) == encoded
        assert decode_track(dialect) == decode_track(encoded)
        assert decode_track(dialect).encoded == encoded


@pytest.mark.parametrize(
    "encoded", ["", "  ", "=", "A", "AAAAA", "ä", "Q=Q=", "****", "\ud800", "A" * (MAX_ENCODED + 1)]
)
def test_what_is_no_base64_is_refused(encoded: str) -> None:
    with pytest.raises(TrackFormatError, match="an encoded track"):
        normalise_encoded(encoded)
    with pytest.raises(TrackFormatError, match="an encoded track"):
        decode_track(encoded)


def test_what_is_no_text_is_refused() -> None:
    for value in (None, 5, b"QAAA"):
        with pytest.raises(TrackFormatError, match="an encoded track is text"):
            decode_track(value)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        ("QAA=", "at least its header of 4 bytes"),
        (build(header=0x7FFFFFFF), r"the header tells 1073741823 bytes, but \d+ follow"),
        (build(header=1 << 30), "version: the encoded track ends inside it"),
        (build(header=1 << 30 | 10), "title: the encoded track ends inside it"),
        (build(header=1 << 30 | 40), "uri: the encoded track ends inside it"),
        (build(version=0), "version 0 is not known"),
        (build(version=4), "version 4 is not known"),
        (build(stream=b"\2"), "isStream: 2 is no boolean"),
    ],
)
def test_a_damaged_track_says_where(encoded: str, message: str) -> None:
    with pytest.raises(TrackFormatError, match=message):
        decode_track(encoded)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"title": "x" * 65536}, "title"),
        ({"author": "\0" * 32768}, "author"),
        ({"uri": "ü" * 32768}, "uri"),
        ({"length": 2**63}, "length"),
        ({"position": 1.5}, "position"),
        ({"identifier": None}, "identifier"),
    ],
)
def test_what_the_format_cannot_hold_is_refused(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        encode_track(Track("", replace(INFO, **changes)))
    assert caught.value.field == field


def test_a_text_may_be_as_long_as_the_format_holds() -> None:
    info = replace(INFO, title="x" * 65535, isrc="\U0001f3b5" * 10922)
    assert decode_track(encode_track(Track("", info))).info == info


def damaged(count: int, seed: int) -> list[str]:
    """Random bytes, random text, and real tracks with bits turned, bytes cut, doubled and put in."""
    chance = random.Random(seed)
    originals = [base64.b64decode(track["encoded"]) for track in RECORDED]
    originals += [base64.b64decode(build(version)) for version in (None, 1, 2)]
    originals.append(base64.b64decode(build(source=b"spotify", extras=LAVASRC)))
    alphabet = "ABCDabcd0189+/-_= \n\u00e4\U0001f3b5\ud800"
    found = []
    for number in range(count):
        kind = number % 8
        if kind == 0:
            raw = chance.randbytes(chance.randrange(200))
        elif kind == 1:
            found.append("".join(chance.choices(alphabet, k=chance.randrange(40))))
            continue
        else:
            raw = damage(chance.choice(originals), chance, kind)
        found.append(base64.b64encode(raw).decode())
    return found


def damage(raw: bytes, chance: random.Random, kind: int) -> bytes:
    at = chance.randrange(len(raw))
    if kind == 2:
        return raw[:at]
    if kind == 3:
        return raw[:at] + chance.randbytes(chance.randrange(4)) + raw[at:]
    if kind == 4:
        # The header's size made to fit again, so that what comes after it is reached.
        body = raw[4 : max(at, 4)]
        return struct.pack(">I", 1 << 30 | len(body)) + body
    changed = bytearray(raw)
    for _ in range(chance.randrange(1, 4)):
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
    if kind == 5:
        changed[4 + chance.randrange(3)] = chance.choice((0, 1, 0x7F, 0x80, 0xFF))
    return bytes(changed)


def test_a_hundred_thousand_damaged_tracks_give_a_track_or_a_clear_error() -> None:
    outcomes: Counter[str] = Counter()
    for encoded in damaged(100_000, seed=4):
        try:
            track = decode_track(encoded)
        except TrackFormatError as error:
            outcomes["refused" if error.message else "silent"] += 1
        else:
            outcomes["decoded"] += 1
            # What is accepted is understood whole: it can be written again, to the byte. Every fourth will do.
            if outcomes["decoded"] % 4 == 0:
                assert encode_track(track) == track.encoded == normalise_encoded(encoded)
    assert outcomes["decoded"] > 10_000
    assert outcomes["refused"] > 10_000
    assert not outcomes["silent"]


def test_a_damaged_track_takes_no_more_memory_than_a_whole_one() -> None:
    samples = damaged(2000, seed=5)
    samples += [build(header=0x7FFFFFFF), build(header=0xFFFFFFFF), build(title=b"x" * 200)]
    tracemalloc.start()
    try:
        for encoded in samples:
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with contextlib.suppress(TrackFormatError):
                decode_track(encoded)
            assert tracemalloc.get_traced_memory()[1] - before < 8192
    finally:
        tracemalloc.stop()
