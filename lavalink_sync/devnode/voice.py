"""A stand-in for Discord's voice servers, inside the node: who can be connected to, and what becomes of the links.

Nothing goes over a network. A development node has one as `voice`; its methods may be called from any thread.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

__all__ = ["Link", "RefusedError", "VoiceServers"]

_T = TypeVar("_T")

_REASONS = {
    4001: "Unknown opcode.",
    4002: "Failed to decode payload.",
    4003: "Not authenticated.",
    4004: "Authentication failed.",
    4005: "Already authenticated.",
    4006: "Session is no longer valid.",
    4009: "Session timeout.",
    4011: "Server not found.",
    4012: "Unknown protocol.",
    4014: "Disconnected.",
    4015: "Voice server crashed.",
    4016: "Unknown encryption mode.",
    4017: "E2EE/DAVE protocol required",
    4020: "Bad request.",
    4021: "Disconnected: Rate Limited.",
    4022: "Disconnected: Call Terminated.",
}
# The server's voice client answers these by connecting again, and says nothing. The rest it reports.
_RESUMED = frozenset({1001, 1006, 4000, 4001, 4002, 4003, 4005, 4009, 4012, 4015, 4016, 4020})
_CUT = 1006
_TRIES = 4
_MAX_PORT = 65_535


class RefusedError(Exception):
    """There is something at the endpoint, but no voice server."""


@dataclass(eq=False)
class Link:
    """A voice connection of one player. `data`: what the client sent. `open`: what the player tells as `connected`.

    `refused`: the code and reason that end it right away. `closed`: called when the voice server has closed it.
    """

    guild_id: int
    data: Mapping[str, str]
    closed: Callable[[int, str], None]
    open: bool = True
    refused: tuple[int, str] | None = None


@dataclass(eq=False)
class _Refusal:
    code: int
    reason: str
    endpoint: str
    left: int | None


class VoiceServers:
    """See the module. `run`: calls a job on the node's thread and returns what it returns.

    An endpoint is meant by its exact text or by a beginning of it. `resumes` asks whether a cut link comes back.
    """

    def __init__(self, run: Callable[[Callable[[], Any]], Any], resumes: Callable[[], bool]) -> None:
        self._run = run
        self._resumes = resumes
        self._dead: list[str] = []
        self._no_tls: list[str] = []
        self._refusals: list[_Refusal] = []
        self._lame: int | None = 0
        self._links: dict[Link, None] = {}

    # --- from any thread

    def dead(self, endpoint: str) -> None:
        """Nothing answers at `endpoint`: an update to it is never answered, nor a later one of that guild."""
        self._do(lambda: self._dead.append(endpoint))

    def no_tls(self, endpoint: str) -> None:
        """What answers at `endpoint` speaks no TLS: an update to it is answered with 500."""
        self._do(lambda: self._no_tls.append(endpoint))

    def refuse(
        self, code: int, reason: str | None = None, endpoint: str | None = None, times: int | None = None
    ) -> None:
        """Close the next `times` links, or all, with `code` as soon as they are open; at `endpoint`, or anywhere."""
        told = _REASONS.get(code, "") if reason is None else reason
        self._do(lambda: self._refusals.append(_Refusal(code, told, endpoint or "", times)))

    def close(self, guild_id: int, code: int, reason: str | None = None) -> int:
        """Close a guild's links with `code`. Returns how many there were."""
        told = _REASONS.get(code, "") if reason is None else reason
        return self._do(lambda: self._close(guild_id, code, told))

    def drop(self, guild_id: int) -> int:
        """Cut a guild's links without a close frame. Returns how many there were."""
        return self._do(lambda: self._close(guild_id, _CUT, ""))

    def lame(self, on: bool = True, times: int | None = None) -> None:
        """Let links that are cut, or closed with a code that is resumed, stay `connected: false`; the next `times`."""
        self._do(lambda: setattr(self, "_lame", (times if on else 0)))

    def heal(self) -> None:
        """Forget all of it but what has happened: a guild that waits for a dead endpoint waits on until DELETE."""
        self._do(self._heal)

    @property
    def links(self) -> list[int]:
        """The guild ids that are connected now, oldest first."""
        return self._do(lambda: [link.guild_id for link in self._links if link.open])

    def _do(self, job: Callable[[], _T]) -> _T:
        found: _T = self._run(job)
        return found

    # --- on the node's thread

    def join(self, guild_id: int, data: Mapping[str, str], closed: Callable[[int, str], None]) -> Link | None:
        """Connect. `None` when nobody will ever answer. Raises `RefusedError`."""
        endpoint = data["endpoint"]
        if _unreachable(endpoint) or _meant(self._dead, endpoint):
            return None
        if _meant(self._no_tls, endpoint):
            raise RefusedError(endpoint)
        link = Link(guild_id, data, closed)
        for _ in range(_TRIES):
            refusal = self._refusal(endpoint)
            link.refused = None if refusal is None else (refusal.code, refusal.reason)
            if refusal is None or refusal.code not in _RESUMED:
                break
        self._links[link] = None
        return link

    def leave(self, link: Link) -> None:
        """The player has left."""
        link.open = False
        self._links.pop(link, None)

    def _close(self, guild_id: int, code: int, reason: str) -> int:
        found = [link for link in self._links if link.guild_id == guild_id and link.open]
        for link in found:
            if code not in _RESUMED:
                link.open = False
                link.closed(code, reason)
            elif self._stays_away():
                link.open = False
        return len(found)

    def _stays_away(self) -> bool:
        if self._lame == 0:
            return not self._resumes()
        if self._lame is not None:
            self._lame -= 1
        return True

    def _refusal(self, endpoint: str) -> _Refusal | None:
        for refusal in reversed(self._refusals):
            if endpoint.startswith(refusal.endpoint):
                if refusal.left is not None:
                    refusal.left -= 1
                    if refusal.left <= 0:
                        self._refusals.remove(refusal)
                return refusal
        return None

    def _heal(self) -> None:
        self._dead.clear()
        self._no_tls.clear()
        self._refusals.clear()
        self._lame = 0


def _meant(endpoints: list[str], endpoint: str) -> bool:
    return any(endpoint.startswith(each) for each in endpoints)


def _unreachable(endpoint: str) -> bool:
    """Whether no network could reach it: with a scheme, under `.invalid`, or at a port where nothing can be."""
    if "://" in endpoint:
        return True
    host, _, port = endpoint.rpartition(":")
    if not host:
        host, port = endpoint, "443"
    if host.rstrip(".").lower().endswith(".invalid"):
        return True
    return re.fullmatch(r"-?\d+", port) is not None and not 1 < int(port) <= _MAX_PORT
