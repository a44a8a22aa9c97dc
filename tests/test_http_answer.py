"""HTTP answers out of bytes, however these were cut; http.client says what they mean."""

from __future__ import annotations

import http.client
import io
import random
import socket
from typing import Any

import pytest

from lavalink_sync.transport.http_answer import AnswerReader, TooLargeError, whole_answer
from lavalink_sync.transport.http_head import NoHttpError

from .support.http_server import chunked
from .support.sockets import answer

LENGTH = answer("200 OK", b'{"a":1}', "Content-Type: application/json", "Lavalink-Api-Version: 4")
CHUNKS = chunked(b'{"a"', b":1}")
NO_CONTENT = answer("204 No Content", length=False)

# Each says by itself where it ends.
WHOLE = [
    LENGTH,
    CHUNKS,
    NO_CONTENT,
    answer("200 OK"),
    answer("404 Not Found", b"x" * 70_000),
    chunked(b"x" * 70_000, b"y", end=b"0\r\nTrailer: 1\r\nMore: 2\r\n\r\n"),
    answer("200 OK", b"5;name=value\r\nhello\r\n0\r\n\r\n", "Transfer-Encoding: Chunked", length=False),
    answer("304 Not Modified", b"", "Content-Length: 12", length=False),
    answer("100 Continue", length=False) + answer("103 Early Hints", length=False) + LENGTH,
    LENGTH.replace(b"\r\n", b"\n"),
    b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx",
    b"HTTP/1.1 200 OK\r\nX-Long: one\r\n  two\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 200 OK\r\nX:\r\nContent-Length:2\r\nno colon\r\n\r\nok",
    answer("200 OK", b"ok", "Connection: close"),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    answer("101 Switching Protocols", b"", "Upgrade: websocket", length=False),
]


def read(data: bytes, size: int, **options: Any) -> AnswerReader:
    reader = AnswerReader(options.pop("max_body", 1 << 20), **options)
    for start in range(0, len(data), size):
        assert not reader.whole
        reader.feed(data[start : start + size])
    return reader


class Replayed(socket.socket):
    """A socket for http.client to read `data` from."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data

    def makefile(self, *_: Any, **__: Any) -> Any:
        return io.BytesIO(self._data)


def by_the_library(data: bytes) -> tuple[int, bytes, bool]:
    with Replayed(data) as sock, http.client.HTTPResponse(sock) as response:
        response.begin()
        return response.status, response.read(), not response.will_close


@pytest.mark.parametrize("data", WHOLE)
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000, 1 << 20])
def test_it_is_read_as_http_client_reads_it_whatever_came_together(data: bytes, size: int) -> None:
    if size < 7 and len(data) > 10_000:
        size = 999
    reader = read(data, size)
    status, body, kept = by_the_library(data.replace(b"HTTP/1.1 103 Early Hints\r\n\r\n", b""))
    assert reader.whole
    assert (reader.status, reader.body) == (status, body)
    assert reader.can_follow == (kept and status != 101)


@pytest.mark.parametrize("data", WHOLE)
@pytest.mark.parametrize("beyond", [b"", b"H"])
def test_an_answer_that_came_whole_is_what_a_reader_makes_of_it(data: bytes, beyond: bytes) -> None:
    taken = whole_answer(data + beyond, 1 << 20)
    if taken is not None:
        reader = AnswerReader(1 << 20)
        reader.feed(data + beyond)
        head, body = taken
        assert (head.status, head.headers, body) == (reader.status, reader.headers, reader.body)
        assert reader.whole
        assert head.kept == reader.can_follow


@pytest.mark.parametrize("data", [LENGTH, NO_CONTENT, chunked(b'{"a":1}'), answer("200 OK", b"", "Connection: close")])
def test_the_usual_answers_come_whole(data: bytes) -> None:
    assert whole_answer(data, 7) is not None
    assert not any(whole_answer(part, 7) for part in (data[:-1], data + b"H", data[:20], b""))


@pytest.mark.parametrize("line", [b"", b"0", b"+1", b"1_0", b"0x1", b"2", b"01", b"1;a=b", b"A"])
def test_a_body_in_other_than_one_plain_chunk_is_left_to_a_reader(line: bytes) -> None:
    size = {b"1_0": 16, b"A": 10}.get(line, 1)
    body = line + b"\r\n" + b"x" * size + b"\r\n0\r\n\r\n"
    assert whole_answer(answer("200 OK", body, "Transfer-Encoding: chunked", length=False), 100) is None


def test_a_whole_answer_over_the_limit_is_left_to_a_reader() -> None:
    assert whole_answer(LENGTH, 7) is not None
    assert whole_answer(LENGTH, 6) is None


def test_names_of_headers_are_in_lower_case_and_a_name_that_came_twice_has_both_values() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\nContent-Type:  text/plain \r\nVia: a\r\nvia: b\r\nContent-Length: 0\r\n\r\n", 9)
    assert reader.headers == {"content-type": "text/plain", "via": "a, b", "content-length": "0"}


def test_a_head_answer_has_no_body_whatever_it_says() -> None:
    reader = read(answer("200 OK", b"", "Content-Length: 99", length=False), 1 << 20, bodiless=True)
    assert reader.whole
    assert reader.can_follow
    assert reader.body == b""


@pytest.mark.parametrize("data", [LENGTH, CHUNKS, NO_CONTENT])
@pytest.mark.parametrize("together", [True, False])
def test_bytes_beyond_the_answer_are_nobodys_and_end_the_use_of_the_connection(data: bytes, together: bool) -> None:
    reader = read(data + b"H", 1 << 20) if together else read(data, 1 << 20)
    if not together:
        reader.feed(b"H")
    assert reader.whole
    assert not reader.can_follow
    assert reader.body == by_the_library(data)[1]


def test_chunks_are_put_together_wherever_they_were_cut() -> None:
    chosen = random.Random(20)
    for _ in range(2000):
        chunks = [bytes(chosen.choices(b"\r\n0a5", k=chosen.randint(1, 12))) for _ in range(chosen.randint(0, 4))]
        data = chunked(*chunks, end=chosen.choice([b"0\r\n\r\n", b"0\r\nA: b\r\n\r\n", b"0;x\r\n\r\n"]))
        beyond = chosen.choice([b"", b"", b"HTTP"])
        cuts = sorted(chosen.sample(range(1, len(data)), chosen.randint(0, 6)))
        parts = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        reader = AnswerReader(1000)
        for part in [*parts[:-1], parts[-1] + beyond]:
            reader.feed(part)
        assert (reader.whole, reader.body) == (True, b"".join(chunks)), parts
        assert reader.can_follow == (not beyond)


@pytest.mark.parametrize("head", ["", "Transfer-Encoding: gzip", "Connection: keep-alive"])
def test_a_body_without_an_end_of_its_own_ends_with_the_connection(head: str) -> None:
    reader = read(answer("200 OK", b"all of it", *([head] if head else []), length=False), 5)
    assert not reader.whole
    assert reader.end()
    assert reader.body == b"all of it"
    assert not reader.can_follow


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200 OK\r\nCo", LENGTH[:-1], CHUNKS[:-1], CHUNKS[:-9], CHUNKS[:-6]])
def test_an_answer_that_is_cut_off_is_not_whole(data: bytes) -> None:
    reader = read(data, 1 << 20)
    assert reader.begun == bool(data)
    assert not reader.end()


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 000 Odd\r\n\r\n",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * 70_000,
        chunked(end=b"-5\r\nhello\r\n"),
        chunked(end=b"0x5\r\nhello\r\n"),
        chunked(end=b"\r\n"),
        chunked(end=b"2\r\nhello\r\n"),
        chunked(end=b"3\r\n{}\r\n0\r\n\r\n"),
        chunked(end=b"5" * 70_000),
    ],
)
@pytest.mark.parametrize("size", [999, 1 << 20])
def test_what_is_no_http_is_told_from_an_answer(data: bytes, size: int) -> None:
    with pytest.raises(NoHttpError):
        read(data, size)


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n",
        chunked(b"123456", end=b"5\r\n"),
        answer("200 OK", b"12345678901", length=False),
    ],
)
def test_a_body_over_the_limit_is_refused_as_soon_as_that_is_known(data: bytes) -> None:
    with pytest.raises(TooLargeError):
        read(data, 1 << 20, max_body=10)
