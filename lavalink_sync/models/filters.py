"""Audio filters. What is not given is not sent; a filter object's own fields have the server's defaults."""

import math
from dataclasses import dataclass, field
from typing import Any

from ..errors import InvalidArgumentError
from .base import Model, wire
from .server import ABSENT_IF_NONE

BANDS = 15


@dataclass(frozen=True)
class Equalizer(Model):
    """One band of the equalizer.

    `band`: 0 to 14, that is 25, 40, 63, 100, 160, 250, 400, 630, 1000, 1600, 2500, 4000, 6300, 10000 and 16000 Hz.
    `gain`: -0.25 (silent) over 0 (unchanged) to 1; 0.25 is twice as loud.
    """

    band: int
    gain: float


@dataclass(frozen=True)
class Karaoke(Model):
    """Takes out what is in the middle, mostly the singer. `level`, `mono_level`: how much, 0 to 1.

    `filter_band`, `filter_width`: which frequencies, in Hz.
    """

    level: float = 1.0
    mono_level: float = 1.0
    filter_band: float = 220.0
    filter_width: float = 100.0


@dataclass(frozen=True)
class Timescale(Model):
    """Changes `speed`, `pitch`, or with `rate` both; 1 is unchanged, all above 0."""

    speed: float = 1.0
    pitch: float = 1.0
    rate: float = 1.0


@dataclass(frozen=True)
class Tremolo(Model):
    """Trembling loudness: `frequency` in Hz, above 0; `depth` above 0, up to 1."""

    frequency: float = 2.0
    depth: float = 0.5


@dataclass(frozen=True)
class Vibrato(Model):
    """Trembling pitch: `frequency` in Hz, above 0, up to 14; `depth` above 0, up to 1."""

    frequency: float = 2.0
    depth: float = 0.5


@dataclass(frozen=True)
class Rotation(Model):
    """Moves the sound around the listener, `rotation_hz` times a second; 0.2 is what most use."""

    rotation_hz: float = 0.0


@dataclass(frozen=True)
class Distortion(Model):
    """Distorts each sample by its sine, cosine and tangent.

    `sin_offset`, `sin_scale`, `cos_offset`, `cos_scale`, `tan_offset`, `tan_scale`: what is added to each of the three
    and how much it counts. `offset`, `scale`: the same for the sum.
    """

    sin_offset: float = 0.0
    sin_scale: float = 1.0
    cos_offset: float = 0.0
    cos_scale: float = 1.0
    tan_offset: float = 0.0
    tan_scale: float = 1.0
    offset: float = 0.0
    scale: float = 1.0


@dataclass(frozen=True)
class ChannelMix(Model):
    """How much of each channel goes to each, 0 to 1; all at 0.5 makes it mono.

    `left_to_left`, `left_to_right`: of the left one. `right_to_left`, `right_to_right`: of the right one.
    """

    left_to_left: float = 1.0
    left_to_right: float = 0.0
    right_to_left: float = 0.0
    right_to_right: float = 1.0


@dataclass(frozen=True)
class LowPass(Model):
    """Takes out the high frequencies, more of them with a larger `smoothing` (above 1)."""

    smoothing: float = 20.0


def _is_empty(value: Any) -> bool:
    return not value


@dataclass(frozen=True)
class Filters(Model):
    """A player's filters. Protocol: `Filters`. Setting them replaces the whole set, so `Filters()` takes all away.

    `volume`: 0 to 5, 1 is unchanged; the player's own volume is apart. `equalizer`: the bands to change. `karaoke`,
    `timescale`, `tremolo`, `vibrato`, `rotation`, `distortion`, `channel_mix`, `low_pass`: see there. `plugin_filters`:
    by a plugin's name for it, any JSON.
    """

    volume: float | None = field(default=None, metadata=ABSENT_IF_NONE)
    equalizer: list[Equalizer] | None = field(default=None, hash=False, metadata=ABSENT_IF_NONE)
    karaoke: Karaoke | None = field(default=None, metadata=ABSENT_IF_NONE)
    timescale: Timescale | None = field(default=None, metadata=ABSENT_IF_NONE)
    tremolo: Tremolo | None = field(default=None, metadata=ABSENT_IF_NONE)
    vibrato: Vibrato | None = field(default=None, metadata=ABSENT_IF_NONE)
    rotation: Rotation | None = field(default=None, metadata=ABSENT_IF_NONE)
    distortion: Distortion | None = field(default=None, metadata=ABSENT_IF_NONE)
    channel_mix: ChannelMix | None = field(default=None, metadata=ABSENT_IF_NONE)
    low_pass: LowPass | None = field(default=None, metadata=ABSENT_IF_NONE)
    plugin_filters: dict[str, Any] = field(default_factory=dict, hash=False, metadata=wire(exclude=_is_empty))

    def validate(self) -> None:
        """Raise `InvalidArgumentError` for what the server answers with an error, or takes and then can't play.

        That is a band outside 0 to 14, a number that is none (NaN, infinite), a volume outside 0 to 5, a speed, pitch,
        rate or frequency that is not above 0, and a depth below 0. Other values out of the documented range are taken
        by the server and are left alone. `field` of the error is like `filters.equalizer[2].band`.
        """
        for path, value in _numbers(self.to_dict(), "filters"):
            if not math.isfinite(value):
                raise InvalidArgumentError(f"{path} must be a finite number, not {value}", field=path)
        if self.volume is not None and not 0 <= self.volume <= 5:
            raise InvalidArgumentError(f"filters.volume must be from 0 to 5, not {self.volume}", field="filters.volume")
        for index, entry in enumerate(self.equalizer or ()):
            if not 0 <= entry.band < BANDS:
                path = f"filters.equalizer[{index}].band"
                raise InvalidArgumentError(f"{path} must be from 0 to {BANDS - 1}, not {entry.band}", field=path)
        for model in (self.timescale, self.tremolo, self.vibrato):
            for path, value in _numbers(model.to_dict(), f"filters.{type(model).__name__.lower()}") if model else ():
                if value < 0 or (value == 0 and not path.endswith(".depth")):  # a depth of 0 switches the filter off
                    raise InvalidArgumentError(f"{path} must be above 0, not {value}", field=path)


def _numbers(value: Any, path: str) -> list[tuple[str, float]]:
    """Every number in a JSON value, with its path."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _numbers(item, f"{path}.{key}")]
    if isinstance(value, list):
        return [found for index, item in enumerate(value) for found in _numbers(item, f"{path}[{index}]")]
    return [(path, value)] if isinstance(value, (int, float)) else []
