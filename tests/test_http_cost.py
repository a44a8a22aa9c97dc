"""What a REST call may cost: counted, not timed. Each count is the price of something that was left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from lavalink_sync.models import PlayerUpdate, TrackLoaded, codec
from lavalink_sync.rest import RestClient
from lavalink_sync.secret import Secret
from lavalink_sync.transport.clock import SystemClock

from .support.connections import SESSION
from .support.cost import Cost
from .support.http_server import Calls, Replies, as_json, chunked
from .support.recordings import lines
from .support.sockets import ScriptedServer

RECORDED = {line["name"]: line for line in lines("rest") if "status" in line}
TRACK = RECORDED["load_local:sine5.mp3"]["response_body"]
PLAYER = RECORDED["patch:stop"]["response_body"]

_CHECKED_SENT_AWAITED_RECEIVED = {"poll": 2, "send": 1, "recv": 1}


@pytest.fixture
def replies() -> Replies:
    return Replies(as_json(TRACK))


@pytest.fixture
def rest(replies: Replies) -> Iterator[RestClient]:
    """A client whose connection has carried calls before, so that nothing is done for the first time any more."""
    with ScriptedServer(replies) as server:
        calls = Calls(server.address, SystemClock())
        client = RestClient(calls.config, calls.transport, lambda: Secret(SESSION), calls.clock)
        for _ in range(2):
            client.load_tracks("warm up")
        yield client
        calls.close()
    assert replies.connections == 1


def load(rest: RestClient) -> Cost:
    cost = Cost()
    assert isinstance(cost.of(lambda: rest.load_tracks("ytsearch:never gonna")), TrackLoaded)
    return cost


def test_a_call_asks_the_system_for_four_things(rest: RestClient) -> None:
    assert load(rest).system == _CHECKED_SENT_AWAITED_RECEIVED


@pytest.mark.parametrize("replies", [Replies(as_json(TRACK), as_json(TRACK), as_json(PLAYER))])
def test_a_body_goes_out_with_its_head(rest: RestClient) -> None:
    cost = Cost()
    cost.of(lambda: rest.update_player(7, PlayerUpdate(volume=80)))
    assert cost.system == _CHECKED_SENT_AWAITED_RECEIVED


@pytest.mark.parametrize("replies", [Replies(chunked(as_json(TRACK).partition(b"\r\n\r\n")[2]))])
def test_an_answer_in_chunks_that_came_together_is_received_at_once(rest: RestClient) -> None:
    assert load(rest).system["recv"] == 1


def test_a_call_runs_no_http_library(rest: RestClient) -> None:
    roots = {module.partition(".")[0] for module in load(rest).modules}
    assert not roots & {"http", "urllib3", "email", "ssl", "socket", "charset_normalizer", "idna"}
    assert "requests" in roots, "the session carries the call"


def test_nothing_to_wait_with_is_made_for_a_call(rest: RestClient) -> None:
    functions = load(rest).functions
    made = {name for name in functions if name.startswith(("lavalink_sync.transport.waker:", "threading:"))}
    made |= {name for name in functions if name.startswith("selectors:")}
    assert not made


def test_headers_are_checked_and_written_once_a_node(rest: RestClient) -> None:
    cost = load(rest)
    assert cost.functions["lavalink_sync.transport.http_request:request"] == 1
    assert not cost.functions["lavalink_sync.transport.http_request:of"]
    assert "requests.structures" not in cost.modules


def test_an_answer_in_one_piece_is_taken_without_a_reader(rest: RestClient) -> None:
    functions = load(rest).functions
    assert functions["lavalink_sync.transport.http_answer:whole_answer"] == 1
    assert not functions["lavalink_sync.transport.http_answer:feed"]


def test_a_head_like_the_one_before_is_not_read_again(rest: RestClient) -> None:
    assert not load(rest).functions["lavalink_sync.transport.http_head:read_head"]


def test_a_connection_is_taken_and_given_back_with_the_counting_of_the_call(rest: RestClient) -> None:
    assert load(rest).functions["tests.support.locks:__enter__"] == 2


def test_an_identifier_is_quoted_by_a_table(rest: RestClient) -> None:
    assert "urllib.parse" not in load(rest).modules


def test_what_only_an_error_says_is_made_for_an_error(rest: RestClient) -> None:
    assert not load(rest).functions["lavalink_sync.secret:scrub"]


PLAYLIST = {"loadType": "playlist", "data": {"info": {"name": "all"}, "tracks": [TRACK["data"]] * 3}}


@pytest.mark.parametrize("replies", [Replies(as_json(TRACK), as_json(TRACK), as_json(PLAYLIST))])
def test_a_playlist_is_decoded_where_it_is(rest: RestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    decode_list, lists = codec.decode_list, []

    def noted(cls: type[Any], data: Any, *rest: Any, **options: Any) -> list[Any]:
        lists.append(data)
        return decode_list(cls, data, *rest, **options)

    monkeypatch.setattr(codec, "decode_list", noted)
    tracks = rest.load_tracks("all").tracks
    assert len(tracks) == 3
    assert [tracks is data for data in lists] == [True]


def test_a_load_is_short(rest: RestClient) -> None:
    # 59 functions of Python when this was written, 410 over http.client: room for a few, not for another layer.
    assert load(rest).of_ours <= 62


@pytest.mark.parametrize("replies", [Replies(as_json(TRACK), as_json(TRACK), as_json(PLAYER))])
def test_an_update_is_short(rest: RestClient) -> None:
    cost = Cost()
    cost.of(lambda: rest.update_player(7, PlayerUpdate(volume=80)))
    # 84 when this was written.
    assert cost.of_ours <= 87
