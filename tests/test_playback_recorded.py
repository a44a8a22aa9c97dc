"""The snapshot follows what a real server was recorded to say: right at every answer, and the position keeps pace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lavalink_sync.core.playback import (
    PlayerSnapshot,
    SendMark,
    before_send,
    on_event,
    on_player_update,
    on_read,
    on_reply,
)
from lavalink_sync.models import (
    Event,
    PlayerUpdate,
    PlayerUpdateEvent,
    ServerPlayer,
    decode_message,
    dumps,
)

from .support import recordings


def guild_of(line: dict[str, Any]) -> int | None:
    path = line["path"].partition("?")[0].split("/")
    return int(path[-1]) if path[-2] == "players" else None


def moments() -> Iterator[tuple[str, float, dict[str, Any]]]:
    """What happened, in order: `sent` and `answered` calls, and `frame`s; with the time in seconds."""
    lines = [line for line in recordings.lines("playback") if line["kind"] in ("ws", "rest")]
    sent = sorted((line for line in lines if line["kind"] == "rest"), key=lambda line: int(line["t_ms"]))
    for line in lines:
        while sent and (sent[0] is line or (line["kind"] == "ws" and sent[0]["t_ms"] < line["t_ms"])):
            yield "sent", sent[0]["t_ms"] / 1000, sent.pop(0)
        if line["kind"] == "ws":
            yield "frame", line["t_ms"] / 1000, line["body"]
        else:
            yield "answered", (line["t_ms"] + line["took_ms"]) / 1000, line


def name(of: PlayerSnapshot | ServerPlayer) -> str | None:
    return of.track.info.identifier if of.track else None


def test_the_snapshot_is_right_at_every_recorded_answer_and_its_position_keeps_pace() -> None:
    players: dict[int, PlayerSnapshot] = {}
    marks: dict[int, SendMark] = {}
    answers = updates = far_off = 0
    for kind, now, line in moments():
        guild = guild_of(line) if kind != "frame" else int(line.get("guildId", 0))
        if not guild:
            continue
        snapshot = players.setdefault(guild, PlayerSnapshot(guild))
        if kind == "sent":
            marks[line["t_ms"]] = before_send(snapshot)
        elif kind == "frame":
            message = decode_message(dumps(line))
            if isinstance(message, PlayerUpdateEvent):
                off = message.state.position - snapshot.position_at(now)
                updates += 1
                far_off += abs(off) > 1000
                players[guild] = on_player_update(snapshot, message.state, now)
            elif isinstance(message, Event):
                players[guild] = on_event(snapshot, message, now)
        elif line["method"] == "DELETE":
            del players[guild]
        elif line.get("status") == 200:
            answers += 1
            server, mark = ServerPlayer.from_dict(line["response"]), marks[line["t_ms"]]
            if line["method"] == "GET":
                players[guild] = on_read(snapshot, mark, server, now)
            else:
                update = PlayerUpdate.from_dict(line["request"])
                skip = "noReplace=true" in line["path"]
                players[guild], must_read = on_reply(snapshot, mark, update, server, now, skip)
                assert must_read == skip
            assert name(players[guild]) == name(server), line
    assert answers > 90
    assert updates > 300
    # Starts and seeks whose first update came before the reply, a file whose position starts again in its middle, and
    # the last second of a track.
    assert far_off <= 10
