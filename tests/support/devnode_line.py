"""A session with a development node on a clock that is moved by hand, and what is said on it as short texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lavalink_sync.devnode import DevNode
from lavalink_sync.devnode.clock import ManualClock

from .devnode_raw import Raw, next_message

__all__ = ["GUILD", "VOICE", "Line", "line_of"]

VOICE = {"token": "t", "endpoint": "voice.example:443", "sessionId": "s", "channelId": "5"}
GUILD = 7


@contextmanager
def line_of(make_devnode: Callable[..., DevNode], **options: Any) -> Iterator[Line]:
    """A session with a node made for it, whose updates come every five seconds."""
    clock = ManualClock()
    line = Line(make_devnode(**{"clock": clock, "player_update_interval": 5.0, **options}), clock)
    try:
        yield line
    finally:
        line.raw.close()


class Line:
    """A session on a manual clock, and what is said on it."""

    def __init__(self, devnode: DevNode, clock: ManualClock) -> None:
        self.devnode = devnode
        self.clock = clock
        self.raw = Raw(devnode, timeout=5)
        self.socket, self.session = self.raw.open_session()
        self.said()

    def ask(self, method: str, body: Any = None, guild: int = GUILD, **query: str) -> tuple[int, Any]:
        status, _, answer = self.raw.ask(method, f"/v4/sessions/{self.session}/players/{guild}", body, query=query)
        return status, answer

    def patch(self, **body: Any) -> Any:
        """An update of the guild's player that is taken; returns the player."""
        status, answer = self.ask("PATCH", body)
        assert status == 200, answer
        return answer

    def at(self) -> int:
        """Where the guild's player is."""
        return int(self.ask("GET")[1]["state"]["position"])

    def join(self, guild: int = GUILD, **changes: str) -> tuple[int, Any]:
        return self.ask("PATCH", {"voice": {**VOICE, **changes}}, guild)

    def play(self, guild: int = GUILD, name: str = "flac12.flac", **more: Any) -> Any:
        return self.ask("PATCH", {"track": {"identifier": f"/music/{name}"}, **more}, guild)[1]

    def unanswered(self, body: Any, guild: int = GUILD) -> bool:
        """Whether nothing comes within a moment of an update, on a connection of its own."""
        raw = Raw(self.devnode, timeout=0.2)
        try:
            raw.ask("PATCH", f"/v4/sessions/{self.session}/players/{guild}", body)
        except TimeoutError:
            return True
        finally:
            raw.close()
        return False

    def said(self) -> list[str]:
        """What has come since the last call, as short texts without stats."""
        self.devnode.send_raw('{"op":"mark"}')
        found = []
        while (message := next_message(self.socket))["op"] != "mark":
            if message["op"] == "playerUpdate":
                state = message["state"]
                found.append(f"{'on' if state['connected'] else 'off'} {state['ping']} at {state['position']}")
            elif message.get("type") == "WebSocketClosedEvent":
                where = "remote" if message["byRemote"] else "own"
                found.append(f"closed {message['code']} {message['reason']} {where}")
            elif message["op"] == "event":
                found.append(f"{message['type']} {message.get('reason', '')}".strip())
        return found
