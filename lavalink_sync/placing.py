"""Which node a player is put on: the penalty rule as users give it to a client, and players that no stats count yet.

Stats come once a minute, and players are often made many at a time: each choice has to see the ones before it, also
where they are made by several threads at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from .core.balance import lowest_penalty
from .node import Node
from .transport.locks import new_lock


def by_penalty(nodes: Sequence[Node]) -> Node | None:
    """The node with the lowest penalty: `Client(user_id, selector=by_penalty)`.

    Counted, in players: those that play; those that this client has put there since the last stats (`new_players`); the
    load of the CPU, little at first and steeply more above a half; and audio frames that were late or empty, 1 % of
    them as much as 96 players. Of equals the first. Without stats a node has only its new players.
    """
    return lowest_penalty([(node, node.stats, node.new_players) for node in nodes])


class Placements:
    """The guilds whose players were put on a node, by its name, and are not in its stats yet.

    `is_known(guild_id)`: whether a server knows the guild's player by now, or there is none any more; it takes no lock.
    """

    def __init__(self, is_known: Callable[[int], bool]) -> None:
        self._is_known = is_known
        # Guards those below.
        self._lock = new_lock()
        self._where: dict[int, str] = {}
        self._counts: Counter[str] = Counter()
        self._moves = 0

    @property
    def moves(self) -> int:
        """How often anything was put anywhere: to be noted before a choice, and handed to `claim`."""
        return self._moves

    def count(self, name: str) -> int:
        """How many players the node has that its stats do not count."""
        return self._counts[name]

    def claim(self, name: str, guild_id: int, moves: int) -> bool:
        """Put the player on the node, unless anything was put anywhere since `moves`: then choose again."""
        with self._lock:
            if self._moves != moves:
                return False
            self._put_locked(name, guild_id)
            return True

    def put(self, name: str | None, guild_id: int) -> None:
        """Put the player on the node, or on none."""
        with self._lock:
            if name is None:
                self._leave_locked(guild_id)
            elif self._where.get(guild_id) != name:
                self._put_locked(name, guild_id)

    def leave(self, guild_id: int) -> None:
        """There is no such player any more."""
        with self._lock:
            self._leave_locked(guild_id)

    def counted(self, name: str) -> None:
        """The node has told its stats: they count every player that it knew of. On the node's thread."""
        with self._lock:
            for guild_id in [guild_id for guild_id, where in self._where.items() if where == name]:
                if self._is_known(guild_id):
                    self._leave_locked(guild_id)

    def _put_locked(self, name: str, guild_id: int) -> None:
        self._leave_locked(guild_id)
        self._where[guild_id] = name
        self._counts[name] += 1
        self._moves += 1

    def _leave_locked(self, guild_id: int) -> None:
        where = self._where.pop(guild_id, None)
        if where is not None:
            self._counts[where] -= 1
