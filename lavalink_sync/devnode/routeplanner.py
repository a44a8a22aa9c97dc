"""A route planner as the server tells of it: which of its addresses fail. No request of the node goes through one.

Tests say which address was used and which one failed; the endpoints tell it, and free what failed.
"""

from __future__ import annotations

import ipaddress
import re
import socket
import time
from typing import Any

from .http import RestError

__all__ = ["KINDS", "RoutePlanner"]

KINDS = ("RotatingIpRoutePlanner", "NanoIpRoutePlanner", "RotatingNanoIpRoutePlanner", "BalancingIpRoutePlanner")
_PLANNER = "com.sedmelluq.lava.extensions.youtuberotator.planner.RotatingIpRoutePlanner"
_UNUSED = (
    "java.lang.NullPointerException: "
    'Cannot invoke "java.net.InetAddress.toString()" because the return value of '
    f'"{_PLANNER}.getCurrentAddress()" is null'
)


class RoutePlanner:
    """See the module. `kind`: one of Lavalink's four classes. `block`: the addresses it has, as `10.0.0.0/8`.

    Give it to a development node as `route_planner`; its methods may be called from any thread.
    """

    def __init__(self, kind: str = KINDS[0], block: str = "127.0.0.0/8") -> None:
        if kind not in KINDS:
            raise ValueError(f"{kind!r} is no route planner of Lavalink's; there are {', '.join(KINDS)}")
        self.kind = kind
        self._block = ipaddress.ip_network(block)
        self._current: str | None = None
        self._used = 0
        self._failing: dict[str, int] = {}

    def use(self, address: str) -> None:
        """A request went out from `address`."""
        self._current = str(ipaddress.ip_address(address))
        self._used += 1

    def fail(self, address: str, at: float | None = None) -> None:
        """`address` is failing from now on, or since the unix time `at` in seconds. It was used for that."""
        self.use(address)
        self._failing[str(ipaddress.ip_address(address))] = int((time.time() if at is None else at) * 1000)

    # --- on the node's thread

    def told(self) -> dict[str, Any]:
        """Lavalink's RoutePlanner. Raises `RestError` where the server trips over an address that was never used."""
        failing = [
            {"failingAddress": f"/{address}", "failingTimestamp": at, "failingTime": _java_date(at)}
            for address, at in list(self._failing.items())
        ]
        block = {"type": f"Inet{self._block.version}Address", "size": str(self._block.num_addresses)}
        return {
            "class": self.kind,
            "details": {"ipBlock": block, "failingAddresses": failing, **self._own_details()},
        }

    def free(self, address: str) -> None:
        """Forget that an address fails, if it does. Raises `RestError` for what is none. Names are not looked up."""
        try:
            found = ipaddress.ip_address(_numeric(address))
        except (ValueError, OSError):
            why = "invalid IPv6 address" if ":" in address else "Name or service not known"
            raise RestError(400, f"Invalid address: {address}: {why}") from None
        self._failing.pop(str(found), None)

    def free_all(self) -> None:
        """Forget all that fail."""
        self._failing.clear()

    def _own_details(self) -> dict[str, str]:
        index = str(self._used)
        if self.kind == "RotatingIpRoutePlanner":
            if self._current is None:
                raise RestError.thrown(_UNUSED)
            return {"rotateIndex": str(len(self._failing)), "ipIndex": index, "currentAddress": f"/{self._current}"}
        if self.kind == "NanoIpRoutePlanner":
            return {"currentAddressIndex": index}
        if self.kind == "RotatingNanoIpRoutePlanner":
            return {"blockIndex": str(len(self._failing)), "currentAddressIndex": index}
        return {}


def _numeric(address: str) -> str:
    """An address as Java takes it: without one it is this machine, and an old one may have fewer than four parts."""
    if address in ("", "localhost"):
        return "127.0.0.1"
    if re.fullmatch(r"\d+(\.\d+){0,3}", address, re.ASCII):
        return socket.inet_ntoa(socket.inet_aton(".".join(str(int(part)) for part in address.split("."))))
    return address[1:-1] if address.startswith("[") and address.endswith("]") else address


def _java_date(milliseconds: int) -> str:
    return time.strftime("%a %b %d %H:%M:%S UTC %Y", time.gmtime(milliseconds / 1000))
