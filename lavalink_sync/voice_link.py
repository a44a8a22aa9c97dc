"""Getting a guild's voice data to its server, and doing what helps when the connection fails or breaks.

A voice update that the server can't carry out is never answered, and neither is any later one of that guild until its
player is deleted. So each try takes its time in short jobs on keepers, which hold up no other guild: send; look whether
it connected; if not, make the player anew and send again, a few times with growing pauses, then tell of it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from .core.status import Status
from .core.voice import Remedy, after_close
from .errors import (
    ClientClosedError,
    ConnectError,
    LavalinkError,
    OutcomeUnknownError,
    RequestTimeoutError,
    RestError,
    SessionNotFoundError,
)
from .models import PlayerUpdate, VoiceState, WebSocketClosedEvent
from .node import Node
from .node_state import NodeView
from .player_fields import PlayerFields
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate
from .transport.keepers import KeeperPool

log = logging.getLogger(__name__)

# After this many seconds without an answer the guild's other calls go on.
ANSWER = 2.0
# How often the same data is tried, and the pause before the next try: this many seconds more each time.
TRIES = 3
PAUSE = 2.0
# After close code 4014: how long a move to another channel may take to be told before the bot counts as kicked.
MOVE = 5.0

Report = Callable[[int, str, "int | None"], None]


class VoiceLink:
    """See the module. `remake(player)` makes the player anew on its session; `report(guild_id, reason, code)` tells."""

    def __init__(
        self,
        keepers: KeeperPool,
        clock: Clock,
        gate: Callable[[int], GuildGate],
        remake: Callable[[PlayerFields], None],
        report: Report,
    ) -> None:
        self._keepers = keepers
        self._clock = clock
        self._gate = gate
        self._remake = remake
        self._report = report

    def send(self, player: PlayerFields) -> None:
        """Queue the sending of the player's voice data; a job that finds nothing new ends at once."""
        self._queue(player, self._send)

    def lost(self, player: PlayerFields, state: VoiceState) -> None:
        """The server has `state`, yet has told for a while that there is no connection. On the node's thread."""
        self._try_again(player, state, "the voice connection is gone, and no close code told why", None)

    def closed(self, player: PlayerFields, event: WebSocketClosedEvent) -> None:
        """The voice server closed the connection. On the node's thread."""
        close = after_close(event.code, event.by_remote)
        state = player.voice_side.merge.state
        if close is None or state is None:
            return
        what = f"Discord's voice server closed the connection with {event.code}: {close.meaning}"
        if close.remedy is Remedy.SEND_AGAIN:
            self._try_again(player, state, what, event.code)
        elif close.remedy is Remedy.GIVE_UP:
            self._fail(player, state, what, event.code)
        elif close.remedy is Remedy.NEW_DATA:
            left = player.voice_side.void(f"{what}; {close.remedy.value}")
            patience = player.voice_patience
            self._later(player, patience, lambda: self._still_void(player, left, what, event.code))
        elif player.voice_side.hold(state, f"{what}; {close.remedy.value}"):
            self._later(player, MOVE, lambda: self._still_held(player, state, what, event.code))

    # One try.

    def _send(self, player: PlayerFields) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return  # the call that finds a node, or the next `ready`, sends it
        with self._gate(player.guild_id).turn(
            Deadline(self._clock, node.config.timeouts.call), keeper=True, what="its voice update"
        ):
            voice, view = player.voice_side.unsent(), node.view
            if voice is None or player.node is not node or view.status is not Status.CONNECTED:
                return
            if player.session not in (None, view.session_id):
                return  # its rebuild sends it
            failures = player.voice_side.failures
            try:
                self._patch(player, node, view, voice)
                player.voice_side.was_sent(voice, failures)
                return
            except SessionNotFoundError:
                node.session_is_lost(view.session_id)
                return  # an outage; the next `ready` sends it
            except (OutcomeUnknownError, RequestTimeoutError):
                pass
            except ConnectError as error:
                self._try_again(player, voice, str(error), None)
                return
            except RestError as error:
                if error.status < 500:
                    self._fail(player, voice, str(error), None)
                else:
                    self._try_again(player, voice, str(error), None)
                return
        patience = max(node.config.timeouts.voice - ANSWER, 0)
        self._later(player, patience, lambda: self._look(player, node, view, voice))

    def _patch(self, player: PlayerFields, node: Node, view: NodeView, voice: VoiceState) -> None:
        patience = min(ANSWER, node.config.timeouts.voice)
        update = PlayerUpdate(voice=voice)
        node.rest.update_player(player.guild_id, update, session_id=view.session_id, timeout=patience)

    def _look(self, player: PlayerFields, node: Node, sent_on: NodeView, voice: VoiceState) -> None:
        """The update was not answered: has it led to a connection all the same?"""
        view = node.view
        if player.voice_side.unsent() != voice or player.node is not node or view.session_id != sent_on.session_id:
            return  # newer data, another node or another session: that has a try of its own
        failures = player.voice_side.failures
        try:
            connected = node.rest.player(player.guild_id, session_id=view.session_id).state.connected
        except LavalinkError as error:
            log.debug("guild %s: after its voice update it could not be read: %s", player.guild_id, error)
            connected = False
        if connected:
            player.voice_side.was_sent(voice, failures)
            return
        what = f"node {node.name} did not answer the voice update: the endpoint {voice.endpoint} may be unreachable"
        self._try_again(player, voice, what, None, remake=True)

    def _try_again(
        self, player: PlayerFields, voice: VoiceState, trouble: str, code: int | None, *, remake: bool = False
    ) -> None:
        tries = player.voice_side.has_failed(voice, trouble)
        if tries is None:
            return
        if tries >= TRIES:
            self._fail(player, voice, f"{trouble} (tried {tries} times)", code)
            return
        log.info("guild %s: %s; trying again", player.guild_id, trouble)
        # A connection that broke for the first time is mended at once.
        pause = PAUSE * (tries if remake or code is None else tries - 1)
        self._later(player, pause, partial(self._once_more, player, voice, remake))

    def _once_more(self, player: PlayerFields, voice: VoiceState, remake: bool) -> None:
        if player.voice_side.unsent() != voice:
            return
        if remake:
            # Until the player is deleted the server answers no voice update of its guild.
            self._remake(player)
        self._send(player)

    # The end of trying.

    def _still_held(self, player: PlayerFields, state: VoiceState, what: str, code: int) -> None:
        if player.voice_side.is_held(state):
            self._fail(player, state, f"{what}; it was not moved, so it was kicked", code)

    def _still_void(self, player: PlayerFields, left: object, what: str, code: int) -> None:
        if left is not None and player.voice_side.merge is left:
            self._tell(player, f"{what}; no new voice data came from Discord", code)

    def _fail(self, player: PlayerFields, voice: VoiceState, reason: str, code: int | None) -> None:
        if player.voice_side.hold(voice, reason):
            self._tell(player, reason, code)

    def _tell(self, player: PlayerFields, reason: str, code: int | None) -> None:
        log.warning("guild %s: no voice connection: %s", player.guild_id, reason)
        self._report(player.guild_id, reason, code)

    # Jobs on keepers.

    def _queue(self, player: PlayerFields, job: Callable[[PlayerFields], None]) -> None:
        self._later(player, 0, partial(job, player))

    def _later(self, player: PlayerFields, delay: float, job: Callable[[], None]) -> None:
        try:
            self._keepers.submit(lambda: self._guarded(player, job), voice=True, delay=delay)
        except ClientClosedError:
            log.debug("guild %s: the client was closed before its voice could be seen to", player.guild_id)

    def _guarded(self, player: PlayerFields, job: Callable[[], None]) -> None:
        try:
            job()
        except ClientClosedError:
            log.debug("guild %s: the client was closed during its voice update", player.guild_id)
        except LavalinkError as error:
            log.warning("guild %s: its voice update failed: %s", player.guild_id, error)
        except Exception:
            # A fault of ours: nobody looks into a keeper's future.
            log.exception("guild %s: its voice update failed", player.guild_id)
