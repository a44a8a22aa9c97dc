"""What a user sets: `NodeConfig`, `Timeouts` and `ReconnectPolicy`; frozen, and checked when made.

Whatever can't work (an address without a port, a password that would break out of its header) is refused here, so that
nothing below has to check again. All times are seconds.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from .errors import ConfigError
from .secret import Secret

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\s:/?#\[\]@]+):(?P<port>\d{1,5})", re.ASCII)
_HEADER_VALUE = re.compile(r"[\x21-\x7e\x80-\xff]([\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)*")


def check_seconds(name: str, value: float, *, zero: bool = False) -> None:
    """Raise `ConfigError` unless `value` is a finite number of seconds above 0 (`zero`: of at least 0)."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or value < 0 or (value == 0 and not zero):
        raise ConfigError(f"{name} must be a number of seconds {'of at least' if zero else 'above'} 0, not {value!r}")


def is_header_value(value: object) -> bool:
    """Whether it is text that can be sent as a header, and comes out of it as it went in."""
    return isinstance(value, str) and _HEADER_VALUE.fullmatch(value) is not None


@dataclass(frozen=True)
class Timeouts:
    """How long each kind of call may take, in seconds.

    `connect`: TCP and TLS; `read`: between two pieces of an answer; `call`: a whole REST call, waiting included;
    `load`: the same for track loading; `voice`: a voice connection; `close`: closing a node or the client.
    """

    connect: float = 5
    read: float = 10
    call: float = 30
    load: float = 60
    voice: float = 10
    close: float = 10

    def __post_init__(self) -> None:
        for name in ("connect", "read", "call", "load", "voice", "close"):
            check_seconds(f"timeouts.{name}", getattr(self, name))


@dataclass(frozen=True)
class ReconnectPolicy:
    """How long to wait before a new try: `min(n * step, cap)` seconds, n from 0, without limit by default.

    n begins anew once a connection has lasted as long as one `step`: it is made again at once. `jitter` (0 to 1)
    takes up to that part of each delay away at random, so that many clients do not come back at once. `limit` is the
    number of tries of one outage, `None` for no limit.
    """

    step: float = 2
    cap: float = 30
    jitter: float = 0
    limit: int | None = None

    def __post_init__(self) -> None:
        check_seconds("reconnect.step", self.step, zero=True)
        check_seconds("reconnect.cap", self.cap, zero=True)
        check_seconds("reconnect.jitter", self.jitter, zero=True)
        if self.jitter > 1:
            raise ConfigError(f"reconnect.jitter must be between 0 and 1, not {self.jitter!r}")
        if self.limit is not None and (
            not isinstance(self.limit, int) or isinstance(self.limit, bool) or self.limit < 1
        ):
            raise ConfigError(f"reconnect.limit must be None or a whole number of at least 1, not {self.limit!r}")


@dataclass(frozen=True)
class NodeConfig:
    """One Lavalink server: where it is, how to get in, and how patient to be.

    `name` is unique in a client. `address` is `host:port`, `[::1]:port` for IPv6. `secure` means `https` and `wss`.
    `session_id` is an earlier session to resume; `resume_timeout` (seconds) switches resuming on after each connect.
    `path` is the prefix behind a reverse proxy. `heartbeat` is the seconds of silence after which the server is pinged.
    `proxies` and `verify` are those of requests; proxy variables of the environment are not looked at.
    """

    name: str
    address: str
    password: str = field(repr=False)
    secure: bool = False
    session_id: str | None = field(default=None, repr=False)
    resume_timeout: int | None = field(default=None, kw_only=True)
    region: str | None = field(default=None, kw_only=True)
    path: str = field(default="", kw_only=True)
    timeouts: Timeouts = field(default=Timeouts(), kw_only=True)
    reconnect: ReconnectPolicy = field(default=ReconnectPolicy(), kw_only=True)
    heartbeat: float = field(default=15.0, kw_only=True)
    proxies: Mapping[str, str] | None = field(default=None, repr=False, kw_only=True)
    verify: bool | str = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise ConfigError("name must be a text that is not empty: nodes are told apart by it")
        self._check_address()
        self._take_secrets()
        self._check_path()
        check_seconds("heartbeat", self.heartbeat)
        if self.region is not None and not isinstance(self.region, str):
            raise ConfigError(f"region must be a place such as rotterdam, or an area such as eu, not {self.region!r}")
        if self.resume_timeout is not None and (
            not isinstance(self.resume_timeout, int) or isinstance(self.resume_timeout, bool) or self.resume_timeout < 1
        ):
            raise ConfigError(
                f"resume_timeout must be None or a whole number of seconds of at least 1, not {self.resume_timeout!r}"
            )

    def _check_address(self) -> None:
        match = _ADDRESS.fullmatch(self.address) if isinstance(self.address, str) else None
        if match is None or not 1 <= int(match["port"]) <= 65535:
            raise ConfigError(
                f"address must be host:port with a port from 1 to 65535 (IPv6: [::1]:2333), not {self.address!r}; "
                "give https with secure=True and a prefix with path="
            )

    def _take_secrets(self) -> None:
        for name in ("password", "session_id"):
            value = getattr(self, name)
            if value is None and name == "session_id":
                continue
            if not is_header_value(value):
                raise ConfigError(
                    f"{name} can't be sent as a header: it must be a text of Latin-1 characters that is not empty, "
                    "without line breaks or other control characters, and without spaces at its ends"
                )
            object.__setattr__(self, name, Secret(value))

    def _check_path(self) -> None:
        path = "/" + self.path.strip("/") if self.path.strip("/") else ""
        if not _PATH.fullmatch(path) or any(part in (".", "..") for part in path.split("/")):
            raise ConfigError(
                f"path must be a prefix such as /lavalink, percent-encoded where needed, not {self.path!r}"
            )
        object.__setattr__(self, "path", path)

    @property
    def host(self) -> str:
        """The host's name or number, an IPv6 one without its brackets."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The TCP port."""
        return int(self.address.rpartition(":")[2])

    @property
    def rest_url(self) -> str:
        """Where REST paths start: `http://host:port/prefix`."""
        return f"{'https' if self.secure else 'http'}://{self.address}{self.path}"

    @property
    def ws_url(self) -> str:
        """The WebSocket: `ws://host:port/prefix/v4/websocket`."""
        return f"{'wss' if self.secure else 'ws'}://{self.address}{self.path}/v4/websocket"
