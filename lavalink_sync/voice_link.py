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
from .core.voice import Remedy, VoiceMerge, VoiceStage, after_close
from .errors import (
    LavalinkError,
    OutcomeUnknownError,
    RequestTimeoutError,
    RestError,
    SessionNotFoundError,
)
from .keeper_jobs import KeeperJobs
from .models import PlayerUpdate, VoiceState, WebSocketClosedEvent
from .node import Node
from .node_state import NodeView
from .player_fields import PlayerFields
from .player_voice import VoiceTry
from .transport.clock import Clock, Deadline
from .transport.gate import GuildGate

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
        jobs: KeeperJobs,
        clock: Clock,
        gate: Callable[[int], GuildGate],
        remake: Callable[[PlayerFields], None],
        report: Report,
    ) -> None:
        self._jobs = jobs
        self._clock = clock
        self._gate = gate
        self._remake = remake
        self._report = report

    def send(self, player: PlayerFields) -> None:
        """Queue the sending of the player's voice data; a job that finds nothing new ends at once."""
        self._jobs.submit(player, self._send)

    def lost(self, player: PlayerFields, voice: VoiceState) -> None:
        """The server has `voice`, yet has told for a while that there is no connection. On the node's thread."""
        self._try_again(player, voice, "the voice connection is gone, and no close code told why", None)

    def left(self, player: PlayerFields, before: VoiceMerge) -> None:
        """Discord says that the bot has left its channel, unasked; `before` was known until then. On any thread."""
        if before.state is None or before.stage is VoiceStage.GIVEN_UP:
            return  # there was no connection, or its end was told already
        code = 4014 if before.stage is VoiceStage.HELD else None
        self._tell(player, "Discord says that the bot is in no voice channel any more: it was kicked, or left", code)

    def closed(self, player: PlayerFields, event: WebSocketClosedEvent) -> None:
        """The voice server closed the connection. On the node's thread."""
        close, merge = after_close(event.code, event.by_remote), player.voice_side.merge
        voice = merge.state
        if close is None or voice is None or merge.stage not in (VoiceStage.SENDING, VoiceStage.TAKEN):
            return  # what is not sent yet has not broken; for the rest, what helps is on its way already
        remedy = close.remedy
        if merge.stage is VoiceStage.SENDING and remedy is not Remedy.GIVE_UP:
            # It may have been the connection before this one: then the same again changes nothing.
            remedy = Remedy.SEND_AGAIN
        what = f"Discord's voice server closed the connection with {event.code}: {close.meaning}"
        if remedy is Remedy.SEND_AGAIN:
            self._try_again(player, voice, what, event.code)
        elif remedy is Remedy.GIVE_UP:
            self._fail(player, voice, what, event.code)
        elif remedy is Remedy.NEW_DATA:
            left = player.voice_side.void(voice, f"{what}; {remedy.value}")
            job = partial(self._still_void, left, what, event.code)
            self._jobs.submit(player, job, delay=player.voice_patience)
        elif player.voice_side.hold(voice, f"{what}; {remedy.value}"):
            self._jobs.submit(player, partial(self._still_held, voice, what, event.code), delay=MOVE)

    # One try.

    def _send(self, player: PlayerFields) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return  # the call that finds a node, or the next `ready`, sends it
        deadline = Deadline(self._clock, node.config.timeouts.call)
        try:
            with self._gate(player.guild_id).turn(deadline, keeper=True, what="its voice update"):
                self._send_in_turn(player, node)
        except RequestTimeoutError as error:
            log.info("guild %s: %s; trying again", player.guild_id, error)
            self._jobs.submit(player, self._send, delay=PAUSE)

    def _send_in_turn(self, player: PlayerFields, node: Node) -> None:
        view = node.view
        if player.node is not node or view.status is not Status.CONNECTED:
            return
        if player.session not in (None, view.session_id):
            return  # its rebuild sends it
        sent = player.voice_side.begin()
        if sent is None:
            return
        try:
            self._patch(player, node, view, sent.voice)
        except (OutcomeUnknownError, RequestTimeoutError):
            patience = max(node.config.timeouts.voice - ANSWER, 0)
            self._jobs.submit(player, partial(self._look, node, view, sent), delay=patience)
        except SessionNotFoundError:
            self._put_off(player, node, view, sent)
        except RestError as error:
            if error.status < 500:
                self._fail(player, sent.voice, str(error), None)
            else:
                self._try_again(player, sent.voice, str(error), None)
        except LavalinkError as error:
            self._try_again(player, sent.voice, str(error), None)
        else:
            player.voice_side.was_taken(sent)

    def _patch(self, player: PlayerFields, node: Node, view: NodeView, voice: VoiceState) -> None:
        patience = min(ANSWER, node.config.timeouts.voice)
        update = PlayerUpdate(voice=voice)
        node.rest.update_player(player.guild_id, update, session_id=view.session_id, timeout=patience)

    def _put_off(self, player: PlayerFields, node: Node, view: NodeView, sent: VoiceTry) -> None:
        """The session of `view` is gone, or its connection: the next `ready` sends it."""
        player.voice_side.was_not_sent(sent)
        node.session_is_lost(view.session_id)
        if node.view.readies != view.readies:
            self.send(player)  # it has come already

    def _look(self, node: Node, view: NodeView, sent: VoiceTry, player: PlayerFields) -> None:
        """The update was not answered: has it led to a connection all the same?"""
        if not player.voice_side.is_trying(sent):
            return
        if node.status is not Status.CONNECTED:
            self._put_off(player, node, view, sent)
            return
        try:
            connected = self._is_connected(player, node)
        except SessionNotFoundError:
            self._put_off(player, node, view, sent)
            return
        if connected:
            player.voice_side.was_taken(sent)
            return
        endpoint = sent.voice.endpoint
        what = f"node {node.name} did not answer the voice update: the endpoint {endpoint} may be unreachable"
        self._try_again(player, sent.voice, what, None, remake=True)

    def _is_connected(self, player: PlayerFields, node: Node) -> bool:
        try:
            return node.rest.player(player.guild_id).state.connected
        except SessionNotFoundError:
            raise
        except LavalinkError as error:
            log.debug("guild %s: whether it has a voice connection could not be read: %s", player.guild_id, error)
            return False

    def _try_again(
        self, player: PlayerFields, voice: VoiceState, trouble: str, code: int | None, *, remake: bool = False
    ) -> None:
        failures = player.voice_side.has_failed(voice, trouble)
        if failures is None:
            return
        if failures >= TRIES:
            self._fail(player, voice, f"{trouble} (tried {failures} times)", code)
            return
        log.info("guild %s: %s; trying again", player.guild_id, trouble)
        # A connection that broke for the first time is mended at once.
        pause = PAUSE * (failures if remake or code is None else failures - 1)
        self._jobs.submit(player, partial(self._once_more, voice, remake), delay=pause)

    def _once_more(self, voice: VoiceState, remake: bool, player: PlayerFields) -> None:
        merge = player.voice_side.merge
        if merge.stage is not VoiceStage.FAILED or merge.state != voice:
            return  # newer data came, which was sent meanwhile
        if remake:
            # Until the player is deleted the server answers no voice update of its guild.
            try:
                self._remake(player)
            except RequestTimeoutError as error:  # it did not get the guild's turn
                log.info("guild %s: %s; trying again", player.guild_id, error)
                self._jobs.submit(player, partial(self._once_more, voice, remake), delay=PAUSE)
                return
        if player.voice_side.retry(voice):
            self._send(player)

    # The end of trying.

    def _still_held(self, voice: VoiceState, what: str, code: int, player: PlayerFields) -> None:
        node = player.node
        if node is None or not player.voice_side.is_held(voice):
            return
        try:
            connected = self._is_connected(player, node)
        except SessionNotFoundError:
            return  # on a new session it is sent anew
        if connected:
            # The move had been told, and made, before the end of the old connection was.
            player.voice_side.release(voice)
        else:
            self._fail(player, voice, f"{what}; it was not moved, so it was kicked", code)

    def _still_void(self, left: VoiceMerge | None, what: str, code: int, player: PlayerFields) -> None:
        if left is not None and player.voice_side.merge is left:
            self._tell(player, f"{what}; no new voice data came from Discord", code)

    def _fail(self, player: PlayerFields, voice: VoiceState, reason: str, code: int | None) -> None:
        if player.voice_side.give_up(voice, reason):
            self._tell(player, reason, code)

    def _tell(self, player: PlayerFields, reason: str, code: int | None) -> None:
        log.warning("guild %s: no voice connection: %s", player.guild_id, reason)
        self._report(player.guild_id, reason, code)
