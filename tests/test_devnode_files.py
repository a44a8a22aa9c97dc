"""Files that a development node opens: their kinds, what their tags tell, and what is damaged, huge or elsewhere."""

from __future__ import annotations

import io
import os
import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import mutagen
import pytest

from lavalink_sync.devnode import DevNode, sources, tracks
from lavalink_sync.devnode.material import inspect
from lavalink_sync.devnode.probe import probe

from .support.devnode_line import Line, line_of
from .support.devnode_raw import Raw, file_server, fill_music
from .support.recorded_music import fill

STREAM = 2**63 - 1
# The recorded lengths are in the replay; these are of the same kinds, over both sources.
KINDS = {
    "sine5.mp3": ("mp3", "Sine 440", "Tone Maker"),
    "flac12.flac": ("flac", "Flac Twelve", "Tone Maker"),
    "opus8.ogg": ("ogg", "Opus Eight", "Unknown artist"),
    "vorbis8.ogg": ("ogg", "Vorbis Eight", "Unknown artist"),
    "wav3.wav": ("wav", "Unknown title", "Unknown artist"),
    "aac10.m4a": ("mp4", "Aac Ten", "Tone Maker"),
    "webm10.webm": ("matroska/webm", "Unknown title", "Unknown artist"),
}
LENGTHS = [12_000, 8_006, 8_000, 3_000, 10_023, 10_008]


@pytest.fixture
def music(tmp_path: Path) -> Path:
    fill_music(tmp_path, 1)
    fill(tmp_path)
    return tmp_path


@pytest.fixture
def load(make_devnode: Callable[..., DevNode], music: Path) -> Iterator[Callable[[str], Any]]:
    """Load an identifier; the name of a file alone is one of the directory's."""
    raw = Raw(make_devnode(music=music))

    def load(identifier: str) -> Any:
        found = identifier if ":" in identifier else f"/music/{identifier}"
        return raw.ask("GET", "/v4/loadtracks", query={"identifier": found})[2]

    yield load
    raw.close()


@pytest.fixture
def line(make_devnode: Callable[..., DevNode], music: Path) -> Iterator[Line]:
    """A session on a clock that is moved by hand."""
    with line_of(make_devnode, music=music) as line:
        yield line


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_told_by_its_tags_over_both_sources(load: Callable[[str], Any], music: Path, name: str) -> None:
    kind, title, author = KINDS[name]
    with file_server(music) as port:
        for identifier, source in ((f"/music/{name}", "local"), (f"http://127.0.0.1:{port}/{name}", "http")):
            found = load(identifier)["data"] if source == "http" else load(name)["data"]
            assert found["pluginInfo"] == {"probeInfo": kind}
            info = found["info"]
            assert (info["title"], info["author"], info["sourceName"]) == (title, author, source)
            assert (info["identifier"], info["uri"], info["artworkUrl"]) == (identifier, identifier, None)
            assert (info["isSeekable"], info["isStream"], info["position"]) == (True, False, 0)
            assert info["length"] in LENGTHS or kind == "mp3"


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_is_cut_off_is_a_track_or_an_error_and_plays_to_an_end(
    load: Callable[[str], Any], line: Line, music: Path, name: str
) -> None:
    whole = (music / name).read_bytes()
    line.join()
    for size in (0, 1, 4, 30, 100, 1000, len(whole) // 2, len(whole) - 1):
        (music / name).write_bytes(whole[:size])
        found = load(name)
        if found["loadType"] == "error":
            assert list(found["data"]) == ["message", "severity", "cause", "causeStackTrace"]
            continue
        assert found["loadType"] == "track", size
        line.said()
        line.play(name=name)
        line.clock.advance(40)
        ends = [each for each in line.said() if each.startswith("TrackEnd")]
        assert ends in (["TrackEndEvent finished"], ["TrackEndEvent loadFailed"]), size


@pytest.mark.parametrize("name", KINDS)
def test_whatever_is_damaged_can_be_told_as_a_track_or_is_none(music: Path, name: str) -> None:
    whole, dice = (music / name).read_bytes(), random.Random(name)
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(dice.randint(1, 30)):
            reach = dice.choice([64, 600, len(data)])  # most of what tells something stands at the beginning
            data[dice.randrange(reach)] = dice.choice([0, 255, dice.randrange(256)])
        found = probe(io.BytesIO(data))
        if found is not None:
            assert tracks.made(found, "/a", "local").encoded
            inspect(bytes(data), found.kind, whole=True)


@pytest.mark.parametrize("size", [8, 100])
def test_a_length_beyond_all_numbers_is_the_largest_there_is(size: int) -> None:
    scale = b"\x2a\xd7\xb1" + bytes([0x80 | size]) + b"\xff" * size
    duration = b"\x44\x89\x88" + struct.pack(">d", 2.0**52)
    found = probe(io.BytesIO(b"\x1a\x45\xdf\xa3" + scale + duration + bytes(20)))
    assert found is not None
    assert found.length == STREAM - 1


@pytest.mark.parametrize("name", KINDS)
def test_a_huge_file_is_not_read_to_its_end(load: Callable[[str], Any], music: Path, name: str) -> None:
    os.truncate(music / name, 2**42)  # with a hole of four terabytes, which nobody could read
    assert load(name)["loadType"] in ("track", "error")


def test_an_mp3_is_as_long_as_its_tag_says_beyond_what_is_looked_into(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "_MAX_SIZE", 50_000)  # of 240,000
    line.join()
    line.play(name="long.mp3")
    line.said()
    line.clock.advance(29.5)
    assert {each.split()[0] for each in line.said()} == {"on"}
    line.clock.advance(0.5)
    assert line.said()[-1] == "TrackEndEvent finished"


def test_the_frame_of_a_tag_and_the_one_behind_it_are_not_heard(line: Line) -> None:
    line.join()
    line.play(name="tone.mp3")
    line.said()
    # 251 frames of 24 ms, 249 of them sound: 298 whole frames of 20 ms, the first after 20 ms, the last 400 ms ahead.
    line.clock.advance(5.579)
    assert "TrackEndEvent finished" not in line.said()
    line.clock.advance(0.002)
    assert line.said() == ["TrackEndEvent finished"]


def test_what_is_served_is_as_long_as_its_server_says(
    load: Callable[[str], Any], music: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_server(music) as port:
        address = f"http://127.0.0.1:{port}/sine5.mp3"
        whole = load(address)["data"]["info"]["length"]
        monkeypatch.setattr(sources, "_MAX_SIZE", 5_000)  # of 20,000
        assert load(address)["data"]["info"]["length"] == whole


def test_bare_aac_is_a_stream_that_nobody_knows_the_end_of(load: Callable[[str], Any], music: Path) -> None:
    frame = bytes((0xFF, 0xF1, 0x50, 0x80, 0x04, 0x1F, 0xFC)).ljust(32, b"\0")
    (music / "bare.aac").write_bytes(frame * 50)
    found = load("bare.aac")["data"]
    assert found["pluginInfo"] == {"probeInfo": "adts"}
    told = [found["info"][name] for name in ("isStream", "isSeekable", "length", "title")]
    assert told == [True, False, STREAM, "Unknown title"]


@pytest.mark.parametrize(("name", "told"), [("sine5.mp3", True), ("opus8.ogg", True), ("flac12.flac", False)])
def test_an_isrc_is_told_where_the_server_looks_for_it(
    load: Callable[[str], Any], music: Path, name: str, told: bool
) -> None:
    tagged = mutagen.File(music / name, easy=True)
    assert tagged is not None
    tagged["isrc"] = ["GBAYE0601498"]
    tagged.save()
    assert load(name)["data"]["info"]["isrc"] == ("GBAYE0601498" if told else None)


def test_a_directory_and_what_is_outside_are_nothing(load: Callable[[str], Any], music: Path) -> None:
    (music / "inside").mkdir()
    (music / "out").symlink_to("/etc/passwd")
    for name in ("inside", "inside/", "", "out", "../passwd", "none.mp3", "sine5.mp3\0"):
        assert load(name) == {"loadType": "empty", "data": None}


# --- over HTTP


@contextmanager
def answering(
    answers: dict[str, tuple[int, dict[str, str], bytes]], before: Callable[[], object] = lambda: None
) -> Iterator[str]:
    """Serve fixed answers by path, and do something before each; gives the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            before()
            status, headers, body = answers[self.path]
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(10)


def test_a_track_is_where_a_redirect_leads(load: Callable[[str], Any], music: Path) -> None:
    sound = (music / "wav3.wav").read_bytes()
    answers = {"/a": (302, {"Location": "/b"}, b""), "/b": (200, {"Content-Length": str(len(sound))}, sound)}
    with answering(answers) as address:
        for scheme in ("http", "icy"):
            info = load(f"{scheme}://{address}/a")["data"]["info"]
            assert (info["identifier"], info["uri"], info["length"]) == (f"http://{address}/b",) * 2 + (3000,)
        assert load(f"icy://{address}/b")["data"]["info"]["identifier"] == f"http://{address}/b"


def test_a_clock_that_is_moved_by_hand_stands_still_while_a_file_is_looked_for(line: Line, music: Path) -> None:
    asked, moved = threading.Event(), threading.Event()
    seen: list[bool] = []

    def linger() -> None:
        asked.set()
        seen.append(moved.wait(0.2))

    sound = (music / "wav3.wav").read_bytes()
    with answering({"/a": (200, {"Content-Length": str(len(sound))}, sound)}, linger) as address:
        host, _, port = line.devnode.address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=10) as plain:
            head = f"Host: x\r\nAuthorization: {line.devnode.password}"
            plain.sendall(f"GET /v4/loadtracks?identifier=http://{address}/a HTTP/1.1\r\n{head}\r\n\r\n".encode())
            assert asked.wait(10)
            line.clock.advance(5)
            moved.set()
            assert plain.recv(100).startswith(b"HTTP/1.1 200")
    assert seen == [False]


STATUSES = [(404, "empty"), (403, "error"), (410, "error"), (500, "error"), (204, "error")]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
def test_what_is_not_found_is_empty_and_any_other_failure_an_error(
    load: Callable[[str], Any], status: int, kind: str
) -> None:
    with answering({"/a": (status, {"Content-Length": "0"}, b"")}) as address:
        found = load(f"http://{address}/a")
    assert found["loadType"] == kind
    if kind == "error":
        assert (found["data"]["message"], found["data"]["severity"]) == (sources.FAILED, "fault")


def test_a_file_that_vanishes_from_its_server_breaks_its_track(
    line: Line, music: Path, load: Callable[[str], Any]
) -> None:
    with file_server(music) as port:
        track = load(f"http://127.0.0.1:{port}/wav3.wav")["data"]
        (music / "wav3.wav").unlink()
        line.join()
        line.said()
        line.patch(track={"encoded": track["encoded"]})
        line.clock.advance(0)  # it stands still until the file was looked for
        assert line.said()[-2:] == ["TrackExceptionEvent", "TrackEndEvent loadFailed"]
