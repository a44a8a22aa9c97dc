"""What a server tells of itself: errors, information, load, sessions, its route planner."""

from dataclasses import dataclass, field
from typing import Any

from .base import UNSET, Model, OpenEnum, Unset, given, wire


def _is_none(value: object) -> bool:
    return value is None


# Metadata of a field that is absent, not null, when there is nothing to say.
ABSENT_IF_NONE: dict[str, Any] = wire(exclude=_is_none)


class Severity(OpenEnum):
    """How bad an exception is. Protocol: `Severity`."""

    COMMON = "common"
    """The cause is known and expected: the track is not available, say. Nothing is wrong with the server."""
    SUSPICIOUS = "suspicious"
    """The cause may be outside, or not: the source answered something odd."""
    FAULT = "fault"
    """Something is wrong with the server, or with its way to the source."""


@dataclass(frozen=True)
class ExceptionInfo(Model):
    """What went wrong while a track was loaded or played. Protocol: `Exception`.

    `message`: for people, may be `None`. `severity`: see there. `cause`: the Java exception; of a load error the
    exception itself, of a playing track its root. `cause_stack_trace`: where, from server 4.1 on, else `None`.
    """

    message: str | None
    severity: Severity
    cause: str
    cause_stack_trace: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class ErrorResponse(Model):
    """The body of a REST answer of status 400 and above. Protocol: `Error`.

    `timestamp`: unix milliseconds. `status`: HTTP status. `error`: its text. `path`: of the request; a session's id may
    be in it. `message`: the reason, may be `None`. `trace`: the stack trace, where `?trace=true` was asked.
    """

    timestamp: int
    status: int
    error: str
    trace: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    message: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    path: str = ""


@dataclass(frozen=True)
class Memory(Model):
    """The memory of the server's Java, in bytes: `free`, `used`, `allocated`, and at most `reservable`."""

    free: int
    used: int
    allocated: int
    reservable: int


@dataclass(frozen=True)
class Cpu(Model):
    """The load of the server's processors: `cores` of them, `system_load` and `lavalink_load` from 0 to 1."""

    cores: int
    system_load: float
    lavalink_load: float


@dataclass(frozen=True)
class FrameStats(Model):
    """Audio frames of the last minute, averaged over the players; 3,000 are expected.

    `sent`: to Discord. `nulled`: had no audio. `deficit`: positive when too few were sent.
    """

    sent: int
    nulled: int
    deficit: int


@dataclass(frozen=True)
class Stats(Model):
    """How busy a server is. Protocol: op `stats`, and `GET /v4/stats`.

    `players`: on the server, of all clients. `playing_players`: of these play. `uptime`: milliseconds. `memory`, `cpu`:
    see there. `frame_stats`: `None` when nothing plays, and over REST.
    """

    players: int
    playing_players: int
    uptime: int
    memory: Memory
    cpu: Cpu
    frame_stats: FrameStats | None = None


@dataclass(frozen=True)
class Version(Model):
    """A server's version: `semver` as text, and in it `major`, `minor`, `patch`, maybe `pre_release` and `build`."""

    semver: str
    major: int
    minor: int
    patch: int
    pre_release: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    build: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class Git(Model):
    """What a server was built from: `branch`, `commit`, and `commit_time` in unix milliseconds."""

    branch: str
    commit: str
    commit_time: int


@dataclass(frozen=True)
class PluginInfo(Model):
    """A plugin of the server: `name` and `version`."""

    name: str
    version: str


@dataclass(frozen=True)
class Info(Model):
    """What a server is and can do. Protocol: `GET /v4/info`.

    `version`: see there. `build_time`: unix milliseconds. `git`: see there. `jvm`, `lavaplayer`: their versions.
    `source_managers`: names of the enabled sources. `filters`: names of the enabled filters. `plugins`: see there.
    """

    version: Version
    build_time: int
    git: Git
    jvm: str
    lavaplayer: str
    source_managers: list[str]
    filters: list[str]
    plugins: list[PluginInfo]


@dataclass(frozen=True)
class Session(Model):
    """A session's settings. `resuming`: whether it outlives its socket, then for `timeout` seconds."""

    resuming: bool
    timeout: int


@dataclass(frozen=True)
class SessionUpdate(Model):
    """The body of `PATCH /v4/sessions/{s}`; what is `UNSET` stays as it is. `resuming`, `timeout`: see `Session`."""

    resuming: bool | Unset = field(default=UNSET, metadata=given("resuming"))
    timeout: int | Unset = field(default=UNSET, metadata=given("timeout"))


class RoutePlannerClass(OpenEnum):
    """How a server chooses its outgoing address."""

    ROTATING_IP = "RotatingIpRoutePlanner"
    """Changes to another address when one fails."""
    NANO_IP = "NanoIpRoutePlanner"
    """Changes with the clock, inside one /64 block."""
    ROTATING_NANO_IP = "RotatingNanoIpRoutePlanner"
    """Changes with the clock, and to another /64 block when one fails."""
    BALANCING_IP = "BalancingIpRoutePlanner"
    """A random address for each request."""


@dataclass(frozen=True)
class IpBlock(Model):
    """A block of addresses: `type` is `Inet4Address` or `Inet6Address`, `size` how many, as text."""

    type: str
    size: str


@dataclass(frozen=True)
class FailingAddress(Model):
    """An address that failed: `failing_address` at `failing_timestamp` (unix milliseconds), as text `failing_time`."""

    failing_address: str
    failing_timestamp: int
    failing_time: str


@dataclass(frozen=True)
class RoutePlannerDetails(Model):
    """The state of a route planner. Which of the indices are there depends on its class; they are texts of digits.

    `ip_block`: the addresses it has. `failing_addresses`: those it avoids. `rotate_index`, `ip_index` and
    `current_address`: of a rotating one. `block_index`: of a rotating nano one. `current_address_index`: of both nanos.
    """

    ip_block: IpBlock
    failing_addresses: list[FailingAddress] = field(default_factory=list)
    rotate_index: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    ip_index: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    current_address: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    block_index: str | None = field(default=None, metadata=ABSENT_IF_NONE)
    current_address_index: str | None = field(default=None, metadata=ABSENT_IF_NONE)


@dataclass(frozen=True)
class RoutePlannerStatus(Model):
    """Which route planner a server has, `class_`, and how it is, `details`. Protocol: `GET /v4/routeplanner/status`."""

    class_: RoutePlannerClass = field(metadata=wire("class"))
    details: RoutePlannerDetails
