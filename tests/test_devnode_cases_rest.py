"""What the protocol's sections 3.3, 3.4 and 3.11 say of tracks and sessions, line by line, as tables of cases."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode
from lavalink_sync.models import TrackInfo
from lavalink_sync.models.track_codec import PackedTrack, pack, unpack

from .support.devnode_raw import EXAMPLES, Raw
from .support.plain_http import ask
from .support.recorded_music import fill

THROWN = "Request processing failed: java.lang."
ILLEGAL = f"{THROWN}IllegalArgumentException: "
UNKNOWN_SOURCE = (
    f"{THROWN}IllegalStateException: Failed to decode track due to a mismatching version or missing source manager"
)
NO_MESSAGE = "No message available"


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    fill(folder)
    (folder / "flac12.flac").write_bytes((EXAMPLES / "flac12.flac").read_bytes())
    return folder


@pytest.fixture(scope="module")
def devnode(music: Path) -> Iterator[DevNode]:
    with DevNode(music=music) as found:
        yield found


@pytest.fixture
def raw(devnode: DevNode) -> Iterator[Raw]:
    found = Raw(devnode)
    yield found
    found.close()


@pytest.fixture(scope="module")
def track(devnode: DevNode) -> dict[str, Any]:
    found: dict[str, Any] = ask(devnode, "GET", "/v4/loadtracks?identifier=/music/flac12.flac").json["data"]
    return found


# --- 3.3 decodetrack: what is decoded is answered as it was sent, what is not is 500


def info(**changes: Any) -> TrackInfo:
    known = {"identifier": "/a", "is_seekable": True, "author": "A", "length": 5, "is_stream": False, "position": 0}
    return TrackInfo(**{**known, "title": "T", "source_name": "local", **changes})


def probed(kind: str, **changes: Any) -> str:
    return pack(PackedTrack(info(**changes), extras=len(kind).to_bytes(2, "big") + kind.encode()))


def wrong_text() -> str:
    """A title that is no UTF-8."""
    sound = base64.b64decode(probed("mp3", title="\u00fc\u00fc"))
    return base64.b64encode(sound.replace(b"\xc3\xbc\xc3\xbc", b"\xc3\xbc\xff\xbc")).decode()


UNDECODABLE = {
    "empty": ("", NO_MESSAGE),
    "three bytes": ("AAAA", NO_MESSAGE),
    "a message of no size": (
        "AAAAAA==",
        f'{THROWN}NullPointerException: Cannot read field "decodedTrack" because the return value of '
        '"com.sedmelluq.discord.lavaplayer.player.AudioPlayerManager.decodeTrack('
        'com.sedmelluq.discord.lavaplayer.tools.io.MessageInput)" is null',
    ),
    "cut off": (probed("mp3")[:40], NO_MESSAGE),
    "half a last unit": (probed("mp3")[:41], f"{ILLEGAL}Last unit does not have enough valid bits"),
    "one letter": ("A", f"{ILLEGAL}Input byte[] should at least have 2 bytes for base64 bytes"),
    "the url-safe alphabet": ("QAA_", f"{ILLEGAL}Illegal base64 character 5f"),
    "a space": ("QA AA", f"{ILLEGAL}Illegal base64 character 20"),
    "a line end": ("QAAA\n", f"{ILLEGAL}Illegal base64 character a"),
    "the first letter that is none": ("Q!A=-", f"{ILLEGAL}Illegal base64 character 21"),
    "a letter of Latin-1": ("QAü", f"{ILLEGAL}Illegal base64 character -4"),
    "a letter beyond": ("QA🎵", f"{ILLEGAL}Illegal base64 character 3f"),
    "padding too early": ("QAAA=", f"{ILLEGAL}Input byte array has wrong 4-byte ending unit"),
    "half the padding": ("QA=", f"{ILLEGAL}Input byte array has wrong 4-byte ending unit"),
    "more after the padding": ("QAA=A", f"{ILLEGAL}Input byte array has incorrect ending byte at 4"),
    "no UTF-8": (wrong_text(), "malformed input around byte 2"),
    "an unknown source": (pack(PackedTrack(info(source_name="youtube"))), UNKNOWN_SOURCE),
    "an unknown kind of file": (probed("mp9"), UNKNOWN_SOURCE),
}


@pytest.mark.parametrize("name", UNDECODABLE)
def test_3_3_what_is_undecodable_is_500(devnode: DevNode, raw: Raw, name: str) -> None:
    encoded, message = UNDECODABLE[name]
    answers = [raw.ask("GET", "/v4/decodetrack", query={"encodedTrack": encoded})]
    answers.append(raw.ask("POST", "/v4/decodetracks", [probed("mp3"), encoded]))
    _, session = raw.open_session()
    answers.append(raw.ask("PATCH", f"/v4/sessions/{session}/players/1", {"track": {"encoded": encoded}}))
    assert [(status, body["message"]) for status, _, body in answers] == [(500, message)] * 3


def test_3_11_padding_may_be_missing_and_what_was_sent_is_answered(raw: Raw) -> None:
    padded = next(each for each in (probed("mp3", title="T" * size) for size in range(3)) if each.endswith("=="))
    for encoded in (padded, padded.rstrip("="), probed("m3u|hls-inner", is_seekable=False, is_stream=True)):
        for name in ("encodedTrack", "track"):
            assert raw.ask("GET", "/v4/decodetrack", query={name: encoded})[2]["encoded"] == encoded


def test_3_3_of_both_names_encodedtrack_counts(raw: Raw, track: dict[str, Any]) -> None:
    both = {"track": "AAAA", "encodedTrack": track["encoded"]}
    assert raw.ask("GET", "/v4/decodetrack", query=both)[2] == track
    assert raw.ask("GET", "/v4/decodetrack", query={"track": track["encoded"]})[2] == track
    assert raw.ask("GET", "/v4/decodetrack")[2]["message"] == "No track to decode provided"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_3_9_a_track_of_an_older_version_is_played_as_the_server_writes_it(raw: Raw, version: int) -> None:
    now = unpack(probed("mp3", uri=None if version == 1 else "/a", position=7))
    old = pack(PackedTrack(now.info, version, 1 if version > 1 else 0, now.extras))
    assert raw.ask("GET", "/v4/decodetrack", query={"encodedTrack": old})[2]["encoded"] == old
    _, session = raw.open_session()
    played = raw.ask("PATCH", f"/v4/sessions/{session}/players/1", {"track": {"encoded": old.rstrip("=")}})[2]
    assert played["track"]["encoded"] == pack(now)
    assert played["track"]["info"]["position"] == 7


KINDS_OF_LISTS = [
    "{}",
    '"a"',
    "null",
    "1",
    "[1]",
    "[null]",
    "[[]]",
    "[true]",
    '["a"',
    "[1.5]",
    "",
    "\ufeff[]",
    '["a",]',
]


@pytest.mark.parametrize("body", KINDS_OF_LISTS)
def test_3_3_decodetracks_takes_a_list_of_texts(devnode: DevNode, body: str) -> None:
    reply = ask(devnode, "POST", "/v4/decodetracks", body)
    assert (reply.status, reply.json["message"]) == (400, "Bad Request")


def test_3_3_a_body_of_another_coding_is_400(devnode: DevNode) -> None:
    assert ask(devnode, "POST", "/v4/decodetracks", "[]".encode("utf-16")).json["message"] == "Bad Request"


# --- 3.3 loadtracks

LOADS = [("", "empty"), ("hello", "empty"), ("/music", "empty"), ("/music/../music/flac12.flac", "track")]
LOADS += [
    ("/etc/passwd", "empty"),
    ("/music/../../etc/passwd", "empty"),
    ("//music//flac12.flac", "track"),
    ("flac12.flac", "empty"),
]
LOADS += [
    ("flac12.flac", "empty"),
    ("icy://127.0.0.1:1/x", "error"),
    ("http://", "error"),
    ("HTTP://127.0.0.1:1/x", "empty"),
]


@pytest.mark.parametrize(("identifier", "kind"), LOADS)
def test_3_3_load_problems_are_200(
    make_devnode: Callable[..., DevNode], music: Path, identifier: str, kind: str
) -> None:
    raw = Raw(make_devnode(music=music))
    status, _, body = raw.ask("GET", "/v4/loadtracks", query={"identifier": identifier})
    raw.close()
    assert (status, body["loadType"]) == (200, kind)
    if kind == "error":
        assert list(body["data"]) == ["message", "severity", "cause", "causeStackTrace"]


def test_3_4_load_results_have_their_shapes_and_may_have_no_tracks(make_devnode: Callable[..., DevNode]) -> None:
    devnode = make_devnode()
    song = devnode.tracks.add("song")
    for tracks in ([], [song]):
        devnode.tracks.playlist("list", "A list", tracks, selected=len(tracks) - 1, plugin_info={"type": "album"})
        devnode.tracks.search("found", tracks)
        info = {"name": "A list", "selectedTrack": len(tracks) - 1}
        playlist = {"info": info, "pluginInfo": {"type": "album"}, "tracks": tracks}
        for identifier, kind, data in (("list", "playlist", playlist), ("found", "search", tracks)):
            told = ask(devnode, "GET", f"/v4/loadtracks?identifier={identifier}").text
            wanted = json.dumps({"loadType": kind, "data": data}, separators=(",", ":"), ensure_ascii=False)
            assert told == wanted, "the order of keys is the server's, too"
    assert list(song) == ["encoded", "info", "pluginInfo", "userData"]


# --- 3.3 sessions

TIMEOUTS: list[tuple[str, int | None]] = [
    ("0", 0),
    ("-5", -5),
    ('"30"', 30),
    ("3e1", 30),
    ("4611686018427387", 4611686018427387),
    ("4611686018427388", 2**63 - 1),
    (str(2**63 - 1), 2**63 - 1),
    ("-4611686018427388", -(2**63)),
    (str(2**63), None),
    ("1.5", None),
    ("30.0", None),
    ("null", None),
    ("true", None),
    ('"soon"', None),
    ('" 30"', None),
    ("{}", None),
]


@pytest.mark.parametrize(("given", "told"), TIMEOUTS)
def test_3_11_a_timeout_is_any_number_of_64_bits(raw: Raw, given: str, told: int | None) -> None:
    _, session = raw.open_session()
    status, _, body = raw.ask("PATCH", f"/v4/sessions/{session}", f'{{"timeout": {given}, "other": NaN}}')
    if told is None:
        assert (status, body["message"]) == (400, "Bad Request")
    else:
        assert (status, body) == (200, {"resuming": False, "timeout": told})


@pytest.mark.parametrize(
    ("given", "told"),
    [("true", True), ('"TRUE"', True), ('"false"', False), ("1", None), ("null", None), ('"1"', None)],
)
def test_3_11_resuming_is_true_or_false_or_such_a_text(raw: Raw, given: str, told: bool | None) -> None:
    _, session = raw.open_session()
    status, _, body = raw.ask("PATCH", f"/v4/sessions/{session}", f'{{"resuming": {given}}}')
    assert (status, body.get("resuming")) == (400 if told is None else 200, told)


@pytest.mark.parametrize("body", ["[]", "null", "1", '"a"', "", "{", "{}{}", '{"a": 1,}', "{'a': 1}", "{a: 1}", "[{}]"])
def test_3_3_a_session_takes_an_object(raw: Raw, body: str) -> None:
    _, session = raw.open_session()
    status, _, error = raw.ask("PATCH", f"/v4/sessions/{session}", body)
    assert (status, error["message"]) == (400, "Bad Request")


# What is wrong with the request is found before it is known that there is no such session.
ORDER = [
    ("PATCH", "/v4/sessions/x", '{"timeout": "soon"}', 400),
    ("PATCH", "/v4/sessions/x", "{}", 404),
    ("PATCH", "/v4/sessions/x/players/1", '{"volume": "loud"}', 400),
    ("PATCH", "/v4/sessions/x/players/1", '{"filters": {"karaoke": 1}}', 400),
    ("PATCH", "/v4/sessions/x/players/abc", "{}", 400),
    ("PATCH", "/v4/sessions/x/players/1?noReplace=maybe", "{}", 400),
    ("PATCH", "/v4/sessions/x/players/1", '{"endTime": 0}', 404),
    ("PATCH", "/v4/sessions/x/players/1", '{"track": {"encoded": "a", "identifier": "b"}}', 404),
    ("GET", "/v4/sessions/x/players/abc", None, 400),
    ("DELETE", "/v4/sessions/x/players/abc", None, 400),
    ("DELETE", "/v4/sessions/x/players/1", None, 404),
]


@pytest.mark.parametrize(("method", "path", "body", "status"), ORDER)
def test_3_3_kinds_are_looked_at_before_the_session(
    devnode: DevNode, method: str, path: str, body: str | None, status: int
) -> None:
    reply = ask(devnode, method, path, body)
    assert (reply.status, reply.json["message"]) == (status, "Session not found" if status == 404 else "Bad Request")


GUILDS = [("0", "0"), ("-1", "-1"), ("+5", "5"), ("007", "7"), ("0x1F", "31"), ("-0X1f", "-31"), ("%23ff", "255")]
GUILDS += [("%204%202", "42"), (str(2**63 - 1), str(2**63 - 1)), (str(-(2**63)), str(-(2**63)))]


@pytest.mark.parametrize(("given", "told"), GUILDS)
def test_3_11_guild_ids_are_numbers_of_64_bits(raw: Raw, given: str, told: str) -> None:
    _, session = raw.open_session()
    assert raw.ask("PATCH", f"/v4/sessions/{session}/players/{given}", {})[2]["guildId"] == told


@pytest.mark.parametrize("given", ["abc", "1.0", "1e3", str(2**63), "0x", "+0x5", "--1", "1_0", "%D9%A3a", "12a"])
def test_3_3_a_guild_that_is_no_number_is_400(raw: Raw, given: str) -> None:
    _, session = raw.open_session()
    for method in ("GET", "PATCH", "DELETE"):
        status, _, body = raw.ask(method, f"/v4/sessions/{session}/players/{given}", {} if method == "PATCH" else None)
        assert (status, body["message"]) == (400, "Bad Request")
