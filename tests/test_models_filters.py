"""Filters: what is sent of them, and what is refused before it is sent."""

import math
from typing import Any

import pytest

from lavalink_sync.errors import InvalidArgumentError
from lavalink_sync.models import (
    ChannelMix,
    Distortion,
    Equalizer,
    Filters,
    Karaoke,
    LowPass,
    Rotation,
    Timescale,
    Tremolo,
    Vibrato,
)


def test_what_is_not_given_is_not_sent() -> None:
    assert Filters().to_dict() == {}
    assert Filters.from_dict({}) == Filters()
    assert Filters(volume=0.0, equalizer=[]).to_dict() == {"volume": 0.0, "equalizer": []}
    assert Filters(plugin_filters={"echo": {"delay": 1}}).to_dict() == {"pluginFilters": {"echo": {"delay": 1}}}


def test_a_filter_object_has_the_servers_defaults() -> None:
    filters = Filters(
        karaoke=Karaoke(),
        timescale=Timescale(speed=1.2),
        tremolo=Tremolo(),
        vibrato=Vibrato(),
        rotation=Rotation(),
        distortion=Distortion(),
        channel_mix=ChannelMix(),
        low_pass=LowPass(),
        equalizer=[Equalizer(0, 0.25)],
    )
    filters.validate()
    assert filters.to_dict() == {
        "equalizer": [{"band": 0, "gain": 0.25}],
        "karaoke": {"level": 1.0, "monoLevel": 1.0, "filterBand": 220.0, "filterWidth": 100.0},
        "timescale": {"speed": 1.2, "pitch": 1.0, "rate": 1.0},
        "tremolo": {"frequency": 2.0, "depth": 0.5},
        "vibrato": {"frequency": 2.0, "depth": 0.5},
        "rotation": {"rotationHz": 0.0},
        "distortion": {
            "sinOffset": 0.0,
            "sinScale": 1.0,
            "cosOffset": 0.0,
            "cosScale": 1.0,
            "tanOffset": 0.0,
            "tanScale": 1.0,
            "offset": 0.0,
            "scale": 1.0,
        },
        "channelMix": {"leftToLeft": 1.0, "leftToRight": 0.0, "rightToLeft": 0.0, "rightToRight": 1.0},
        "lowPass": {"smoothing": 20.0},
    }


@pytest.mark.parametrize(
    ("filters", "field"),
    [
        (Filters(equalizer=[Equalizer(0, 0), Equalizer(14, 0), Equalizer(15, 0)]), "filters.equalizer[2].band"),
        (Filters(equalizer=[Equalizer(-1, 0)]), "filters.equalizer[0].band"),
        (Filters(equalizer=[Equalizer(1, math.nan)]), "filters.equalizer[0].gain"),
        (Filters(volume=math.inf), "filters.volume"),
        (Filters(volume=-0.1), "filters.volume"),
        (Filters(volume=5.1), "filters.volume"),
        (Filters(timescale=Timescale(speed=0)), "filters.timescale.speed"),
        (Filters(timescale=Timescale(pitch=-1)), "filters.timescale.pitch"),
        (Filters(timescale=Timescale(rate=0)), "filters.timescale.rate"),
        (Filters(tremolo=Tremolo(frequency=0)), "filters.tremolo.frequency"),
        (Filters(vibrato=Vibrato(depth=-0.5)), "filters.vibrato.depth"),
        (Filters(low_pass=LowPass(math.nan)), "filters.lowPass.smoothing"),
        (Filters(plugin_filters={"echo": {"delays": [1, math.inf]}}), "filters.pluginFilters.echo.delays[1]"),
    ],
)
def test_what_a_server_cannot_take_is_refused_with_its_field(filters: Filters, field: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"must be") as caught:
        filters.validate()
    assert caught.value.field == field
    assert field in str(caught.value)


@pytest.mark.parametrize(
    "filters",
    [
        Filters(),
        Filters(volume=0.0),
        Filters(volume=5.0),
        Filters(equalizer=[Equalizer(14, 9.0)]),
        Filters(tremolo=Tremolo(depth=3.0)),
        Filters(vibrato=Vibrato(depth=0.0)),
        Filters(plugin_filters={"any": {"on": True, "name": "x", "none": None}}),
    ],
)
def test_what_a_server_was_seen_to_take_is_left_alone(filters: Filters) -> None:
    filters.validate()


@pytest.mark.parametrize("data", [{"timescale": {"speed": 0.0}}, {"equalizer": [{"band": 99, "gain": 1}]}])
def test_what_a_server_answers_is_not_judged(data: dict[str, Any]) -> None:
    assert Filters.from_dict(data)
