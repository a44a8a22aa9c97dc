"""Jobs on keepers about one guild's player: what they meet is told in the log, because nobody waits for a result."""

from __future__ import annotations

import logging
from collections.abc import Callable

from .errors import ClientClosedError, LavalinkError, PlayerNotFoundError, SessionNotFoundError
from .node import Node
from .player_fields import PlayerFields
from .transport.keepers import KeeperPool

log = logging.getLogger(__name__)

# How long a node that was left may take to delete what it still has of a player.
FAREWELL = 2.0


class KeeperJobs:
    """See the module. `voice`: these jobs are voice updates, of which only so many run at a time."""

    def __init__(self, keepers: KeeperPool, *, voice: bool = False) -> None:
        self._keepers = keepers
        self._voice = voice

    def submit(self, player: PlayerFields, job: Callable[[PlayerFields], None], *, delay: float = 0) -> None:
        """Run `job(player)` on a keeper, `delay` seconds from now; with a closed client nothing happens."""
        try:
            self._keepers.submit(lambda: _guarded(player, job), voice=self._voice, delay=delay)
        except ClientClosedError:
            log.debug("guild %s: the client was closed before a keeper's job", player.guild_id)


def _guarded(player: PlayerFields, job: Callable[[PlayerFields], None]) -> None:
    try:
        job(player)
    except ClientClosedError:
        log.debug("guild %s: the client was closed during a keeper's job", player.guild_id)
    except LavalinkError as error:
        log.warning("guild %s: a keeper's job failed: %s", player.guild_id, error)
    except Exception:
        # A fault of ours: nobody looks into a keeper's future.
        log.exception("guild %s: a keeper's job failed", player.guild_id)


def delete_player(node: Node, guild_id: int, session: str | None) -> bool:
    """Delete the player on `node`; False when that could not be had. In the guild's turn."""
    try:
        node.rest.destroy_player(guild_id, session_id=session, timeout=FAREWELL)
    except (SessionNotFoundError, PlayerNotFoundError):
        return True
    except LavalinkError as error:
        log.info("guild %s: not deleted on node %s: %s", guild_id, node.name, error)
        return False
    return True
