"""What decoding costs: the compiled decoder beside dataclasses-json's own `from_dict`, both in this run.

Usage: python benchmarks/decode.py [ROUNDS]

Prints CPU microseconds a track (15 fields, nested, about 600 bytes of JSON), median of ROUNDS (default 9) rounds that
take turns, with the range between the rounds, and the ratio of the medians. Only decoding is timed, of JSON that is
parsed already; the parsing itself and the messages of the hot path have lines of their own. Other work on the machine
makes single rounds slower, hence median and turns.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from dataclasses_json.core import _asdict, _decode_dataclass

from lavalink_sync.models import Track, decode_message, decoder, dumps, encoder, loads

TRACK: dict[str, Any] = {
    "encoded": "QAAA" + "jgMAIVJpY2sgQXN0bGV5" * 10 + "AAA=",
    "info": {
        "identifier": "dQw4w9WgXcQ",
        "isSeekable": True,
        "author": "RickAstleyVEVO",
        "length": 212000,
        "isStream": False,
        "position": 0,
        "title": "Rick Astley - Never Gonna Give You Up",
        "uri": "https://www.youtube.com/watch?v=dQw4w9WgXcQ",
        "artworkUrl": "https://i.ytimg.com/vi/dQw4w9WgXcQ/maxresdefault.jpg",
        "isrc": None,
        "sourceName": "youtube",
    },
    "pluginInfo": {"albumName": "Whenever You Need Somebody"},
    "userData": {"requester": "1234567890"},
}
PLAYER_UPDATE = (
    b'{"op":"playerUpdate","state":{"time":1795435114338,"position":5000,"connected":true,"ping":12},'
    b'"guildId":"817327181659111454"}'
)
TRACK_START = dumps({"op": "event", "type": "TrackStartEvent", "guildId": "817327181659111454", "track": TRACK})


def cost(work: Callable[[], object], times: int) -> float:
    """CPU microseconds a call."""
    begun = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - begun) / times * 1e6


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    text = dumps(TRACK)
    decode, encode, track = decoder(Track), encoder(Track), Track.from_dict(TRACK)
    works: dict[str, tuple[Callable[[], object], int]] = {
        "decode, compiled": (lambda: decode(TRACK), 20_000),
        "decode, dataclasses-json": (lambda: _decode_dataclass(Track, TRACK, False), 400),  # type: ignore[no-untyped-call]  # the library's own gap
        "encode, compiled": (lambda: encode(track), 20_000),
        "encode, dataclasses-json": (lambda: _asdict(track), 400),  # type: ignore[no-untyped-call]  # the library's own gap
        "parse JSON of a track": (lambda: loads(text), 20_000),
        "parse and decode a track": (lambda: decode(loads(text)), 20_000),
        "playerUpdate, from its frame": (lambda: decode_message(PLAYER_UPDATE), 20_000),
        "TrackStartEvent, from its frame": (lambda: decode_message(TRACK_START), 20_000),
    }
    figures: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, (work, times) in works.items():
            figures[name].append(cost(work, times))
    print(f"Python {sys.version.split()[0]}, a track of {len(text)} bytes, {rounds} rounds")
    print(f"{'CPU microseconds':<34}{'median':>9}{'range':>17}")
    for name, values in figures.items():
        print(f"{name:<34}{median(values):>9.2f}{f'{min(values):.2f}-{max(values):.2f}':>17}")
    for what in ("decode", "encode"):
        own, stock = median(figures[f"{what}, compiled"]), median(figures[f"{what}, dataclasses-json"])
        print(f"{what}: dataclasses-json takes {stock / own:.0f} times as long")


if __name__ == "__main__":
    main()
