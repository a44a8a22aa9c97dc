"""The reader of a server's frames: right ones in any pieces, wrong ones refused before they cost anything."""

from __future__ import annotations

import random

import pytest

from lavalink_sync.core.frames import Close, FrameReader, Ping, Pong, Violation

from .support.sockets import BINARY, CLOSE, PING, PONG, TEXT, close_frame, frame, text

CONTINUATION = 0x0


def read(data: bytes, *, max_size: int = 1 << 24) -> tuple[list[bytes], list[object]]:
    reader = FrameReader(max_size)
    return reader.feed(data), list(reader.controls())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 200_000])
def test_a_text_of_any_size_comes_out_as_it_went_in(size: int) -> None:
    payload = random.Random(size).randbytes(size)
    assert read(frame(TEXT, payload)) == ([payload], [])


def test_many_messages_in_one_piece() -> None:
    assert read(b"".join(text(str(n)) for n in range(1000)))[0] == [str(n).encode() for n in range(1000)]


def stream_of_everything() -> tuple[bytes, list[bytes], list[object]]:
    data = b"".join(
        [
            text("one"),
            frame(PING, b"p"),
            frame(TEXT, b"x" * 300),
            frame(TEXT, b"a" * 130, fin=False),
            frame(PONG, b"between"),
            frame(CONTINUATION, b"b", fin=False),
            frame(CONTINUATION, b"", fin=True),
            frame(BINARY, b"{}"),
            frame(TEXT, b"y" * 70_000),
            close_frame(1001, "bye"),
        ]
    )
    messages = [b"one", b"x" * 300, b"a" * 130 + b"b", b"{}", b"y" * 70_000]
    return data, messages, [Ping(b"p"), Pong(b"between"), Close(1001, "bye")]


@pytest.mark.parametrize("seed", range(20))
def test_it_does_not_matter_where_the_network_cuts(seed: int) -> None:
    data, messages, controls = stream_of_everything()
    chance = random.Random(seed)
    reader = FrameReader()
    got: list[bytes] = []
    told: list[object] = []
    at = 0
    while at < len(data):
        size = chance.choice([1, 1, 2, 3, 7, 100, 5000])
        got += reader.feed(data[at : at + size])
        told += reader.controls()
        at += size
    assert got == messages
    assert told == controls


def test_single_bytes_are_enough() -> None:
    data = text("hello") + frame(TEXT, b"z" * 126)
    reader = FrameReader()
    assert [message for byte in data for message in reader.feed(bytes([byte]))] == [b"hello", b"z" * 126]


def test_a_large_message_is_not_copied_again_with_every_piece() -> None:
    reader = FrameReader()
    data = frame(TEXT, b"m" * 1_000_000)
    pieces = [data[at : at + 1000] for at in range(0, len(data), 1000)]
    for number, piece in enumerate(pieces[:-1]):
        assert reader.feed(piece) == []
        assert len(reader._held) == number + 1  # pieces are kept as they came until all are there
    assert reader.feed(pieces[-1]) == [b"m" * 1_000_000]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (frame(TEXT, b"secret", masked=True), "masked"),
        (frame(TEXT, b"x" * 200, masked=True), "masked"),
        (frame(TEXT, b"", rsv=4), "extension"),
        (frame(TEXT, b"x", rsv=1), "extension"),
        (frame(0x3, b""), "unknown kind 3"),
        (frame(0xB, b""), "unknown kind 11"),
        (frame(PING, b"", fin=False), "control frame"),
        (frame(PING, b"x" * 126), "control frame"),
        (frame(CLOSE, b"\x03\xe8" + b"x" * 124), "control frame"),
        (frame(CONTINUATION, b"x"), "fragment out of order"),
        (frame(TEXT, b"x", fin=False) + text("y"), "fragment out of order"),
        (frame(TEXT, b"x", fin=False) + frame(BINARY, b"y"), "fragment out of order"),
        (frame(CLOSE, b"\x03"), "close frame"),
        *[
            (frame(CLOSE, code.to_bytes(2, "big")), "close frame")
            for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)
        ],
    ],
)
def test_what_breaks_the_protocol_ends_the_reading_with_1002(data: bytes, problem: str) -> None:
    messages, controls = read(text("before") + data + text("after"))
    assert messages == [b"before"]
    [violation] = controls
    assert isinstance(violation, Violation)
    assert violation.code == 1002
    assert problem in violation.problem
    assert "secret" not in violation.problem


def test_nothing_is_read_after_the_end() -> None:
    reader = FrameReader()
    assert reader.feed(close_frame(1000) + text("x")) == []
    assert reader.controls() == [Close(1000, "")]
    assert reader.feed(text("y")) == []
    assert reader.controls() == []


def test_a_message_over_the_limit_is_refused_by_its_header() -> None:
    header = frame(TEXT, b"x" * 1001)[:4]
    assert read(header, max_size=1000) == ([], [Violation(1009, "a message of 1001 bytes, over the limit of 1000")])
    assert read(frame(TEXT, b"x" * 1000), max_size=1000) == ([b"x" * 1000], [])
    huge = b"\x81\x7f" + b"\xff" * 8
    [violation] = read(huge)[1]
    assert isinstance(violation, Violation)
    assert violation.code == 1009


def test_fragments_can_not_add_up_to_more_than_the_limit() -> None:
    part = frame(CONTINUATION, b"x" * 400, fin=False)
    messages, controls = read(frame(TEXT, b"x" * 400, fin=False) + part + part[:4], max_size=1000)
    assert messages == []
    assert controls == [Violation(1009, "a message of more than the limit of 1000 bytes")]


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1014, 3000, 4006, 4999])
def test_a_close_frame_tells_its_code_and_reason(code: int) -> None:
    assert read(close_frame(code, "häh"))[1] == [Close(code, "häh")]


def test_a_close_frame_may_be_empty_or_have_a_reason_that_is_no_text() -> None:
    assert read(frame(CLOSE))[1] == [Close(1005, "")]
    assert read(frame(CLOSE, b"\x03\xe8\xff!"))[1] == [Close(1000, "�!")]
