"""Filters: what the server takes, and what it tells of them afterwards, with its own defaults for what was left out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from .fields import as_double, as_float, as_int, as_object
from .http import RestError

__all__ = ["FILTERS", "check_bands", "disabled", "read", "speed"]

# In the order in which the server tells them.
_DEFAULTS: dict[str, dict[str, float]] = {
    "karaoke": {"level": 1.0, "monoLevel": 1.0, "filterBand": 220.0, "filterWidth": 100.0},
    "timescale": {"speed": 1.0, "pitch": 1.0, "rate": 1.0},
    "tremolo": {"frequency": 2.0, "depth": 0.5},
    "vibrato": {"frequency": 2.0, "depth": 0.5},
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
    "rotation": {"rotationHz": 0.0},
    "channelMix": {"leftToLeft": 1.0, "leftToRight": 0.0, "rightToLeft": 0.0, "rightToRight": 1.0},
    "lowPass": {"smoothing": 20.0},
}
# Theirs are numbers of 64 bits, those of the others are of 32.
_DOUBLES = ("timescale", "rotation")
FILTERS = ("volume", "equalizer", *_DEFAULTS)
_BANDS = 15


def read(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return a filters object as the server echoes it. Unknown ones are taken, and not told again.

    Raises `RestError` 400 for what is of another kind.
    """
    told: dict[str, Any] = {}
    if "volume" in given:
        told["volume"] = as_float(given["volume"])
    if "equalizer" in given:
        if not isinstance(given["equalizer"], list):
            raise RestError(400)
        told["equalizer"] = [_band(as_object(each)) for each in given["equalizer"]]
    if "pluginFilters" in given:
        as_object(given["pluginFilters"])
    for name, defaults in _DEFAULTS.items():
        if given.get(name) is not None:
            values, number = as_object(given[name]), as_double if name in _DOUBLES else as_float
            told[name] = {key: number(values.get(key, default)) for key, default in defaults.items()}
    return told


def check_bands(told: Mapping[str, Any]) -> None:
    """Raise the `RestError` 500 of a band that does not exist."""
    for band in told.get("equalizer", ()):
        if not 0 <= band["band"] < _BANDS:
            cause = f"java.lang.ArrayIndexOutOfBoundsException: Index {band['band']} out of bounds for length {_BANDS}"
            raise RestError.thrown(cause)


def disabled(given: Mapping[str, Any], off: Collection[str]) -> list[str]:
    """Which of the filters that are given are switched off, in the order in which the server names them."""
    names = [name for name in FILTERS if name in given]
    return [name for name in (*names, *(given.get("pluginFilters") or {})) if name in off]


def speed(filters: Mapping[str, Any]) -> float:
    """How many seconds of a track are used up in one."""
    timescale = filters.get("timescale", {})
    factor = float(timescale.get("speed", 1.0)) * float(timescale.get("rate", 1.0))
    return factor if factor > 0 else 1.0


def _band(band: Mapping[str, Any]) -> dict[str, Any]:
    if "band" not in band:
        raise RestError(400)
    return {"band": as_int(band["band"], 32), "gain": as_float(band.get("gain", 1.0))}
