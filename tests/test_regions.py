"""Where a node is and where a voice server is, and how far that is."""

from __future__ import annotations

import pytest

from lavalink_sync.core.regions import AREAS, distance, place_of


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rotterdam1234.discord.media:443", "rotterdam"),
        ("us-east42.discord.media", "us-east"),
        ("c-ams12-0a1b2c3d.discord.media:2053", "ams"),
        ("South_Korea", "south-korea"),
        (" EU ", "eu"),
        ("", ""),
        ("127.0.0.1:443", ""),
    ],
)
def test_a_place_is_read_from_names_and_endpoints(text: str, place: str) -> None:
    assert place_of(text) == place


@pytest.mark.parametrize(
    ("region", "wanted", "far"),
    [
        ("rotterdam", "rotterdam1234.discord.media:443", 0),
        ("eu", "rotterdam1234.discord.media:443", 0),
        ("rotterdam", "eu", 0),
        ("us", "us-east", 0),
        ("us-east", "us", 0),
        ("EU", "c-fra04-12ab34cd.discord.media:2053", 0),
        ("frankfurt", "rotterdam", 1),
        ("us-west", "c-iad10-12ab34cd.discord.media", 1),
        ("eu", "us-east", 2),
        ("rotterdam", "sydney", 2),
        ("my-cellar", "my-cellar", 0),
        ("my-cellar", "rotterdam", 2),
        ("my-cellar", "attic", 2),
        (None, "eu", 2),
        ("eu", "", 2),
        ("u", "us", 2),
    ],
)
def test_how_far_a_node_is_from_what_is_wanted(region: str | None, wanted: str, far: int) -> None:
    assert distance(region, wanted) == far


def test_every_place_is_in_one_area() -> None:
    places = [place for area in AREAS.values() for place in area.split()]
    assert len(places) == len(set(places))
    assert not set(places) & set(AREAS)
