"""The development node as a program uses it: start, close, and what can be seen and done in between."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any

from .catalogue import Catalogue
from .clock import Clock, RealClock
from .faults import Faults, Sockets
from .http import Request
from .loop import Loop, LoopEndedError
from .offer import Offer
from .playback import Playback
from .player import Player
from .port import OnPort, listen
from .races import Dice, Races
from .routeplanner import RoutePlanner
from .server import Server
from .session import Session
from .sources import Sources
from .voice import VoiceServers
from .world import World

__all__ = ["DevNode"]

_GRACE = 0.5
_REMEMBERED = 100_000


class DevNode(Faults, OnPort):
    """A Lavalink v4 node for development and tests, in a thread of its own. A context manager.

    `music`: a directory; its files are found as `/music/<name>` and by their absolute path, nothing else is.
    `host`, `port`: where it listens, port 0 chooses one. `password`: what clients must send.
    `player_update_interval`: seconds between `playerUpdate` messages. `clock`: a `ManualClock` to move by hand.
    `races`: which way it goes where a real server races, always the same by default.
    `voice`: its stand-in for Discord's voice servers: closes links, refuses them, plays dead.
    `route_planner`: what it tells of one, off by default. `disabled_filters`: names of filters that it refuses.
    `metrics`: a path, such as `/metrics`, at which Prometheus reads the statistics; off by default.
    `tracks`: what can be loaded beside files. `playback`: lets tracks get stuck or be torn.
    """

    def __init__(
        self,
        music: Path | str | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        password: str = "youshallnotpass",
        player_update_interval: float = 5.0,
        clock: Clock | None = None,
        races: Races | None = None,
        route_planner: RoutePlanner | None = None,
        disabled_filters: Collection[str] = (),
        metrics: str | None = None,
    ) -> None:
        super().__init__()
        if player_update_interval <= 0:
            raise ValueError("player_update_interval must be more than 0 seconds")
        if music is not None and not Path(music).is_dir():
            raise NotADirectoryError(f"{str(music)!r} is no directory")
        self.password = password
        self.clock = RealClock() if clock is None else clock
        self._music = None if music is None else Path(music)
        self._host = host
        self._port = port
        self._interval = player_update_interval
        self._offer = Offer(route_planner, frozenset(disabled_filters), metrics)
        self._dice = Dice(Races() if races is None else races)
        self.voice = VoiceServers(self._here_or_there, self._dice.voice_resumes)
        self.tracks = Catalogue()
        self.playback = Playback(self._with_players)
        self._lock = threading.Lock()
        self._server: Server | None = None
        self._requests: deque[Request] = deque(maxlen=_REMEMBERED)

    def start(self) -> DevNode:
        """Listen and serve; nothing if it does already. Raises `OSError` when the address can't be had.

        After `close` it may be started anew, on the same port: a node that was restarted.
        """
        with self._lock:
            if self._server is not None:
                return self
            listener = listen(self._host, self._port)
            self._port = listener.getsockname()[1]
            loop = Loop(self.clock, "lavalink-devnode")
            sources = Sources(self._music, loop.post, self.tracks)
            loop.pending = sources.pending
            world = World(loop, self._interval, self.voice, self._dice)
            server = Server(listener, loop, sources, self._plan, self._requests, self.password, world, self._offer)
            loop.post(server.open)
            loop.start()
            self._server = server
        return self

    def close(self) -> None:
        """Send close frames with code 1001, end all connections and threads. May be called again."""
        with self._lock:
            server, self._server = self._server, None
            if server is None:
                return
            server.loop.call(server.shut)
            server.loop.stop(server.idle, _GRACE, server.drop_all)
            server.sources.close()

    def heal(self) -> None:
        """End everything that lasts: muting, refusals, delays, scripted answers, statistics, trouble with voice."""
        super().heal()
        self.voice.heal()

    @property
    def sessions(self) -> list[Session]:
        """The sessions that are connected now, oldest first: `.session_id`, `.resuming`, `.players` are theirs."""

        def connected(server: Sockets | None) -> list[Session]:
            if not isinstance(server, Server):
                return []
            return [session for session in server.sessions.values() if session.connected]

        found: list[Session] = self._on_loop(connected)
        return found

    @property
    def requests(self) -> list[Request]:
        """Every request that was read, handshakes too, in order. Of very many the oldest are forgotten."""
        requests: list[Request] = self._on_loop(lambda server: list(self._requests))
        return requests

    @property
    def pings(self) -> int:
        """How many WebSocket pings of clients have come since it started."""

        def count(server: Sockets | None) -> int:
            return server.pings if isinstance(server, Server) else 0

        pings: int = self._on_loop(count)
        return pings

    @property
    def races(self) -> Races:
        """Which way it goes where the real server races. May be set at any time."""
        return self._dice.races

    @races.setter
    def races(self, races: Races) -> None:
        self._on_loop(lambda server: self._dice.use(races))

    def _here_or_there(self, job: Callable[[], Any]) -> Any:
        return self._on_loop(lambda server: job())

    def _with_players(self, job: Callable[[Iterable[Player]], Any]) -> Any:
        def run(server: Sockets | None) -> Any:
            sessions = server.sessions.values() if isinstance(server, Server) else ()
            return job(player for session in sessions for player in session.players.values())

        return self._on_loop(run)

    def _on_loop(self, job: Callable[[Sockets | None], Any]) -> Any:
        server = self._server
        if server is None:
            return job(None)
        try:
            return server.loop.call(lambda: job(server))
        except LoopEndedError:
            return job(None)
