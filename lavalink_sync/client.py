"""`Client`: the nodes, the players and the listeners of one bot, and the threads they share.

It only wires: what an event does is in `dispatch.py`, what a call does in `player_calls.py` and `node.py`, what happens
without a call in `node_life.py` and what that calls, and how it all ends in `closing.py`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from types import TracebackType
from typing import Any
from weakref import WeakValueDictionary

import requests

from ._version import __version__
from .client_options import check_numbers, check_options
from .closing import close_everything
from .config import Timeouts
from .core import checks
from .dispatch import Dispatcher
from .errors import ClientClosedError, ForkError
from .failover import Failover, MoveLimits
from .keeper_jobs import KeeperJobs
from .keeping import Keeping
from .listening import Listening
from .moving import Moving
from .node import Node
from .node_events import PlayerCreated, PlayerDestroyed
from .node_life import NodeLife
from .placing import Placements
from .player import Player
from .player_fields import PlayerFields, PlayerServices
from .plugin import Plugin
from .recovery import Recovery
from .remaking import Remaking
from .roster import Roster, Selector
from .stores import Store
from .transport.clock import Clock, Deadline, SystemClock
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool
from .transport.locks import new_lock
from .transport.workers import KeyedExecutor, current_key
from .voice_intake import VoiceIntake

SendVoiceState = Callable[[int, int | None, bool, bool], object]


class Client(Roster, Listening, VoiceIntake):
    """All of one bot: `with Client(user_id) as client: node = client.add_node(NodeConfig(...))`.

    `user_id` is the bot's. `workers` threads run listeners and load handlers; an `executor` of yours replaces them.
    `listeners`: pairs of event type and function, added at once. `store` keeps session ids and players, so that a
    process that is started again goes on with the music; it is read when the first node is added. `selector(nodes)`
    replaces the rule of `best_node`, also for players; it gets the connected nodes, and may be `by_penalty`. It
    must not block: it runs on the threads that call, and for the players of lost nodes on one of the client's.
    `send_voice_state(guild_id, channel_id, self_mute, self_deaf)` sends Discord's gateway op 4, for `Player.connect`.
    `timeouts` are those of calls that have no node yet. `session`: a `requests.Session` of yours for all REST calls:
    its adapters, proxies, TLS and response hooks count; its headers, cookies, `auth` and redirects don't.
    `max_pending`: events kept for slow listeners a guild. `move_limits`: how many players of a lost node are brought to
    others at a time. `clock` is for tests.
    `coalesce` (seconds, such as 0.005; 1 at most): a change of a player's volume, position or filters waits that long,
    and for half of its call's time at most, for others of that player, made by other threads, and goes out with them as
    one `PATCH`, the last of each kind counting. All of its callers get that call's answer, or raise its error. Other
    calls of the player (`play`, `pause`, ...) end the waiting and keep their place in the order.

    Making one does no I/O. Every method may be called from any thread. A client does not survive `fork`.
    Raises `InvalidArgumentError`, or `ConfigError` for times, that names the option that can't be used.
    """

    def __init__(
        self,
        user_id: int,
        *,
        workers: int = 4,
        executor: Executor | None = None,
        listeners: Iterable[tuple[type[Any], Callable[[Any, Any], object]]] = (),
        plugins: Iterable[Plugin] = (),
        store: Store | None = None,
        selector: Selector | None = None,
        send_voice_state: SendVoiceState | None = None,
        timeouts: Timeouts | None = None,
        session: requests.Session | None = None,
        max_pending: int = 10_000,
        coalesce: float | None = None,
        move_limits: MoveLimits | None = None,
        client_name: str = f"lavalink_sync/{__version__}",
        clock: Clock | None = None,
    ) -> None:
        check_numbers(user_id=user_id, workers=workers, max_pending=max_pending, coalesce=coalesce)
        check_options(executor=executor, store=store, selector=selector, session=session, client_name=client_name)
        check_options(send_voice_state=send_voice_state, timeouts=timeouts, move_limits=move_limits, clock=clock)
        self.user_id = user_id
        self._coalesce = coalesce
        self._timeouts = timeouts or Timeouts()
        self._clock = clock or SystemClock()
        self._selector = selector
        self._session = session
        self._client_name = client_name
        self._pid = os.getpid()
        # Guards the maps and `_closing`; `_changed` tells of every change of a node's status.
        self._lock = new_lock()
        self._changed = threading.Condition(self._lock)
        self._changes = 0
        self._closing = False
        self._closed = False
        # The thread that closes: a callback that it runs meanwhile must not wait for it.
        self._closer: int | None = None
        self._nodes: dict[str, Node] = {}
        self._players: dict[int, Player] = {}
        self._placements = Placements(self._is_known)
        # A gate outlives its player as long as a call holds it.
        self._gates: WeakValueDictionary[int, GuildGate] = WeakValueDictionary()
        self._workers = KeyedExecutor(
            workers,
            max_pending=max_pending,
            executor=executor,
            on_drop=lambda lane, count: self._dispatcher.dropped(lane, count),
            clock=self._clock,
        )
        self._keepers = KeeperPool(clock=self._clock)
        super().__init__(self._clock, self._check)
        self._wire(store, move_limits or MoveLimits(), send_voice_state)
        for kind, function in listeners:
            self.add_listener(kind, function)
        for plugin in plugins:
            self.add_plugin(plugin)

    def _wire(self, store: Store | None, move_limits: MoveLimits, send_voice_state: SendVoiceState | None) -> None:
        """Make what works without a call, and join it to the nodes, the players and the listeners."""
        self._dispatcher = Dispatcher(
            self._registry,
            self._workers,
            self._players.get,
            voice_closed=lambda player, event: self._recovery.voice.closed(player, event),
            counted=self._placements.counted,
        )
        reports = self._dispatcher.recovery_reports()
        remaking = Remaking(KeeperJobs(self._keepers), self._clock, self._gate, self._players.get)
        self._recovery = Recovery(self._keepers, remaking, reports)
        self._failover = Failover(
            self._keepers,
            Moving(remaking, self._recovery.voice, reports),
            available=self._available,
            choose=self._place_near,
            players=lambda: self.players,
            changed=self._tell_change,
            wait_until=self._wait_until,
            limits=move_limits,
        )
        self._keeping = None
        if store is not None:
            self._keeping = Keeping(
                store, self.user_id, self._clock, lambda: self.players, self._players.get, self._nodes.get
            )
        self._services = self._make_services(send_voice_state)
        life = NodeLife(
            self._dispatcher,
            self._recovery,
            self._failover,
            self._keeping,
            players=lambda: self.players,
            player_on_node=self.player_on_node,
        )
        self._hooks = life.hooks(self._check, self._tell_change, self._placements.count)

    def __repr__(self) -> str:
        return f"<Client of {self.user_id}: {len(self._nodes)} nodes, {len(self._players)} players>"

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    # Players.

    def player(self, guild_id: int) -> Player:
        """The guild's player, made on the best node if there is none yet. No I/O; its calls wait for a node."""
        player = self.existing_player(guild_id)
        return player if player is not None else self._make_player(lambda: self._place(guild_id, None), guild_id)

    def player_on_node(self, node: Node, guild_id: int) -> Player:
        """The guild's player, made on `node` if there is none yet; one that is on another node stays there."""
        self._check_ours(node, "player_on_node")
        player = self.existing_player(guild_id)
        return player if player is not None else self._make_player(lambda: node, guild_id)

    def existing_player(self, guild_id: int) -> Player | None:
        """The guild's player, if there is one."""
        return self._players.get(checks.guild_id(guild_id))

    @property
    def players(self) -> list[Player]:
        """All players."""
        with self._lock:
            return list(self._players.values())

    def remove_player(self, guild_id: int) -> None:
        """Forget the guild's player without asking its server; `Player.destroy` removes it there too."""
        player = self.existing_player(guild_id)
        if player is not None:
            player.detach()

    def _make_player(self, choose: Callable[[], Node | None], guild_id: int) -> Player:
        self._check()
        player = Player(self._services, guild_id, choose())
        with self._lock:
            present = self._players.setdefault(guild_id, player)
        # Of two threads the slower one has counted it where it would have made it.
        self._placements.put(None if present.node is None else present.node.name, guild_id)
        if present is player:
            self._dispatcher.guild_event(guild_id, player, PlayerCreated(guild_id))
        return present

    def _forget(self, player: PlayerFields) -> None:
        with self._lock:
            if self._players.get(player.guild_id) is not player:
                return
            del self._players[player.guild_id]
        self._placements.leave(player.guild_id)
        self._dispatcher.guild_event(player.guild_id, player, PlayerDestroyed(player.guild_id))

    def _gate(self, guild_id: int) -> GuildGate:
        with self._lock:
            gate = self._gates.get(guild_id)
            if gate is None:
                gate = self._gates[guild_id] = GuildGate(self._clock)
            return gate

    # The end.

    def close(self, timeout: float | None = None, *, keep_sessions: bool = False) -> None:
        """Close everything: connections (close frame 1000), calls in flight, threads. Final and idempotent.

        Resuming is switched off first, so that the servers drop the players, and the store forgets them, unless
        `keep_sessions`. Calls in flight and waits raise `ClientClosedError`; events that came already still reach their
        listeners. All of it takes at most `timeout` seconds (`timeouts.close`); user code that is stuck then is named
        in one warning. Called from a listener or a handler it starts the closing and returns; a second caller waits for
        the first.
        """
        if os.getpid() != self._pid:
            # A forked child shares the sockets, and has none of the threads: what is here is its parent's to close.
            return
        deadline = Deadline(self._clock, self._timeouts.close if timeout is None else timeout)
        with self._changed:
            first, self._closing = not self._closing, True
            self._changed.notify_all()
        ours = current_key() is not None
        if first and ours:
            threading.Thread(
                target=self._close, args=(deadline, keep_sessions), name="lavalink-closer", daemon=True
            ).start()
        elif first:
            self._close(deadline, keep_sessions)
        elif not ours and self._closer != threading.get_ident():
            with self._changed:
                while not self._closed and not deadline.expired:
                    self._clock.wait(self._changed, deadline.at)

    def _close(self, deadline: Deadline, keep_sessions: bool) -> None:
        self._closer = threading.get_ident()
        with self._lock:
            gates = list(self._gates.values())
        try:
            close_everything(
                self.nodes,
                self.players,
                gates,
                self._end_waits,
                self._keepers,
                self._workers,
                self._keeping,
                deadline,
                keep_sessions=keep_sessions,
            )
        finally:
            with self._changed:
                self._closed = True
                self._changed.notify_all()

    # Inside.

    def _check(self) -> None:
        if os.getpid() != self._pid:
            raise ForkError("this client was made before fork(), without its threads: make a Client in each process")
        if self._closing:
            raise ClientClosedError("this client is closed; make a new one")

    def _move(self, player: PlayerFields, node: Node, deadline: Deadline) -> None:
        self._check_ours(node, "move_to")
        self._failover.move(player, node, deadline)
        self._placements.put(node.name, player.guild_id)

    def _is_known(self, guild_id: int) -> bool:
        """Whether a server knows the guild's player, or there is none."""
        player = self._players.get(guild_id)
        return player is None or player.session is not None

    def _make_services(self, send_voice_state: SendVoiceState | None) -> PlayerServices:
        return PlayerServices(
            clock=self._clock,
            gate=self._gate,
            has_node=lambda: self._choose(self._available(), None) is not None,
            pick_node=lambda player: self._place(player.guild_id, player.voice_side.merge.endpoint),
            wait_until=self._wait_until,
            changed=self._tell_change,
            touched=None if self._keeping is None else self._keeping.touch,
            reread=self._recovery.syncing.reread,
            send_voice=self._recovery.voice.send,
            voice_lost=self._recovery.voice.lost,
            voice_left=self._recovery.voice.left,
            forget=self._forget,
            move=self._move,
            check=self._check,
            coalesce=self._coalesce,
            call_timeout=self._timeouts.call,
            voice_timeout=self._timeouts.voice,
            send_voice_state=send_voice_state,
        )

    def _tell_change(self) -> None:
        """A node's status changed, or where a player is: whoever waits for such a thing looks again."""
        with self._changed:
            self._changes += 1
            self._changed.notify_all()

    def _wait_until(self, ready: Callable[[], bool], deadline: Deadline) -> None:
        """Block until `ready()` or the deadline. It may ask a selector, which is user code: never under the lock."""
        while True:
            seen = self._changes
            if ready() or deadline.expired:
                return
            with self._changed:
                while self._changes == seen and not deadline.expired and not self._closing:
                    self._clock.wait(self._changed, deadline.at)
            self._check()
