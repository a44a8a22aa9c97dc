"""What is done for players beside their calls: making them anew on a new session of their node.

What rebuilds share with moves is in `remaking.py`; voice and syncing have files of their own, `voice_link.py` and
`syncing.py`; which player goes where when a node is lost is decided in `failover.py`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

from .core.status import Status
from .errors import LavalinkError, RequestTimeoutError, RestError, SessionNotFoundError
from .keeper_jobs import KeeperJobs, delete_player
from .node import Node
from .node_state import RETRY_PAUSE
from .player import Player
from .player_fields import PlayerFields
from .remaking import Remaking, is_refusal, state_to_send
from .syncing import Syncing
from .transport.clock import Deadline
from .transport.keepers import KeeperPool
from .voice_link import VoiceLink

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecoveryReports:
    """Where it is told what was done. `lost` is called on keepers, `synced` on the node's thread, the others on any.

    `voice_failed(guild_id, reason, code)`; `restored(guild_id, how)` with `resumed`, `rebuilt` or `moved`;
    `lost(guild_id, reason)`: the server refused to make the player anew; `synced(node, kept, changed, created, ended)`.
    """

    voice_failed: Callable[[int, str, int | None], None]
    restored: Callable[[int, str], None]
    lost: Callable[[int, str], None]
    synced: Callable[[Node, list[int], list[int], list[int], list[int]], None]


class Recovery:
    """The keepers' work. Made once a client."""

    def __init__(self, keepers: KeeperPool, remaking: Remaking, reports: RecoveryReports) -> None:
        self._jobs = remaking.jobs
        self._clock = remaking.clock
        self._remaking = remaking
        self._reports = reports
        voice_jobs = KeeperJobs(keepers, voice=True)
        self.voice = VoiceLink(voice_jobs, remaking.clock, remaking.gate, self._remake, reports.voice_failed)
        self.syncing = Syncing(remaking, self.voice.send, reports.synced, reports.restored)

    # After a `ready`.

    def connected(self, node: Node, resumed: bool, players: Iterable[Player]) -> None:
        """The node is CONNECTED. A new session knows no player: each one that had something is made anew on it."""
        if not resumed:
            self._remaking.pop_left(node)  # gone with their session
        for player in players:
            if player.node is not node:
                continue
            if not resumed:
                player.voice_side.forget_sent()
            if player.session not in (None, node.session_id):
                self.rebuild(player)
            elif player.voice_side.is_new:
                self.voice.send(player)

    def rebuild(self, player: PlayerFields) -> None:
        """Queue making the player anew on its node's session, which does not know it."""
        self._jobs.submit(player, self._rebuild)

    def _rebuild(self, player: PlayerFields, refusals: int = 0) -> None:
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        try:
            with self._remaking.turn(player, deadline, "its rebuild"):
                done = self._rebuild_in_turn(player, node, deadline, refusals)
        except RequestTimeoutError as error:
            self._rebuild_later(player, node, error, refusals)
            return
        if done:
            self._reports.restored(player.guild_id, "rebuilt")
            self.voice.send(player)

    def _rebuild_in_turn(self, player: PlayerFields, node: Node, deadline: Deadline, refusals: int) -> bool:
        view = node.view
        old = player.session
        if player.node is not node or old in (None, view.session_id) or player.is_destroyed:
            return False
        # The server may not have noticed yet that the old socket is dead.
        delete_player(node, player.guild_id, old)
        try:
            self._remaking.make(player, node, view, deadline)
        except SessionNotFoundError:
            node.session_is_lost(view.session_id)  # an outage: the next `ready` begins anew
        except RestError as error:
            if is_refusal(error, refusals + 1):
                self._refused(player, error)
                # What is played next is to be heard.
                self.voice.send(player)
            else:
                self._rebuild_later(player, node, error, refusals + 1)
        except LavalinkError as error:
            self._rebuild_later(player, node, error, refusals)
        else:
            return True
        return False

    def _rebuild_later(self, player: PlayerFields, node: Node, error: LavalinkError, refusals: int) -> None:
        log.info("guild %s: not made anew on node %s yet: %s", player.guild_id, node.name, error)
        self._jobs.submit(player, partial(self._rebuild, refusals=refusals), delay=RETRY_PAUSE)

    def _remake(self, player: PlayerFields) -> None:
        """Delete the player and make it anew on its session: what clears a voice update that was never answered."""
        node = player.node
        if node is None or node.status is not Status.CONNECTED:
            return
        deadline = Deadline(self._clock, node.config.timeouts.call)
        with self._remaking.turn(player, deadline, "its rebuild"):
            view = node.view
            if player.node is not node or player.session not in (None, view.session_id) or player.is_destroyed:
                return
            # Noted before the deletion, whose events would empty it.
            before, mark, update = player.snapshot, player.mark(), state_to_send(player, self._clock.monotonic())
            delete_player(node, player.guild_id, view.session_id)
            try:
                reply = node.rest.update_player(
                    player.guild_id, update, session_id=view.session_id, timeout=deadline.remaining()
                )
            except LavalinkError as error:
                if isinstance(error, RestError) and is_refusal(error, 1):
                    self._refused(player, error)
                    return
                log.info("guild %s: not made anew on node %s yet: %s", player.guild_id, node.name, error)
                player.was_interrupted(before)
                self._jobs.submit(player, self._rebuild)
                return
            player.take_reply(view.session_id, mark, update, reply)
        self._reports.restored(player.guild_id, "rebuilt")

    def _refused(self, player: PlayerFields, error: RestError) -> None:
        player.was_not_rebuilt()
        log.warning("guild %s: the server did not take the player: %s", player.guild_id, error)
        self._reports.lost(player.guild_id, str(error))
