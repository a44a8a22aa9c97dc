"""How true the development node plays: the recorded scenarios of a real 4.2.2 with voice, at their recorded times."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from lavalink_sync.devnode import DevNode

from .support.devnode_raw import file_server
from .support.masks import NEAR, left_out, unequal
from .support.playback_replay import Frame, Replay, SteppingClock, scenario_of
from .support.recorded_music import fill
from .support.recordings import lines

# Milliseconds within which two frames are of one moment.
MOMENT = 30

# All of them have to be met. 62 scenarios, and what comes before the first.
FRAMES, CALLS, CONTROLS, SCENARIOS = 422, 127, 14, 62


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    music, clock = tmp_path_factory.mktemp("music"), SteppingClock()
    fill(music)
    with file_server(music) as port, DevNode(music=music, clock=clock, player_update_interval=1.0) as devnode:
        devnode.voice.dead("localhost:7999")
        devnode.voice.no_tls("127.0.0.1:7445")
        found = Replay(devnode, clock, music, port)
        found.run()
        yield found


def signature(frame: Frame) -> tuple[Any, ...]:
    """What of a frame has to be the same whatever the time."""
    body = frame.body
    if body["op"] == "playerUpdate":
        return "playerUpdate", body["state"]["connected"], body["state"]["ping"] >= 0
    if body["op"] == "event":
        track = (body.get("track") or {"info": {"title": None}})["info"]["title"]
        return body["type"], body.get("reason"), body.get("code"), body.get("byRemote"), track
    return (body["op"], body.get("resumed"))


def lane(frames: list[Frame]) -> dict[str, list[Frame]]:
    """Frames by guild, where the recorded orders differ put into one: an event goes before an update of its moment."""
    found: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        found[frame.body.get("guildId", "")].append(frame)
    for each in found.values():
        for _ in range(3):  # no moment has more
            for index in range(len(each) - 1):
                first, second = each[index : index + 2]
                if races(first.body, second.body) and second.at - first.at <= MOMENT:
                    each[index : index + 2] = [second, first]
    return found


def races(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether two frames of one moment come in either order, and these in the one that is not kept."""
    if first["op"] == "stats":
        return bool(second["op"] == "ready")
    starts = second.get("type") == "TrackStartEvent" or second.get("reason") == "replaced"
    return bool(first["op"] == "playerUpdate" and starts)


def recorded() -> list[Frame]:
    return [
        Frame(each["t_ms"], each["body"], number)
        for number, each in enumerate(lines("playback"), 1)
        if each["kind"] == "ws"
    ]


def test_every_recorded_frame_comes(replay: Replay) -> None:
    wrong, equal = compare(recorded(), replay.frames, replay)
    assert not wrong, f"{equal} of {FRAMES} frames are equal\n" + "\n".join(wrong)
    assert equal == len(recorded()) == FRAMES


def compare(wanted: list[Frame], found: list[Frame], replay: Replay) -> tuple[list[str], int]:
    """What differs, and how many of the recorded frames have their like."""
    wrong: list[str] = []
    equal = 0
    lanes = lane(found)
    for guild, frames in lane(wanted).items():
        ours = lanes.pop(guild, [])
        matcher = difflib.SequenceMatcher(
            None, [signature(each) for each in frames], [signature(each) for each in ours], autojunk=False
        )
        for tag, begin, end, low, high in matcher.get_opcodes():
            if tag != "equal":
                wrong += [f"{each.line} never came: {shown(each)}" for each in frames[begin:end]]
                wrong += [f"was never recorded: {shown(each)}" for each in ours[low:high]]
                continue
            for one, other in zip(frames[begin:end], ours[low:high], strict=True):
                problems = list(unequal("playback", replay.adapt(one.body), other.body))
                if abs(one.at - other.at) > NEAR:
                    problems.append(f"came at {other.at} instead of {one.at}")
                equal += not problems
                wrong += [f"{one.line} ({scenario_of(one.line)}): {problem}" for problem in problems]
    wrong += [f"was never recorded: {shown(each)}" for frames in lanes.values() for each in frames]
    return wrong, equal


def shown(frame: Frame) -> str:
    return f"guild {frame.body.get('guildId')} at {frame.at}: {signature(frame)}"


def test_every_recorded_call_is_answered_alike(replay: Replay) -> None:
    wrong: list[str] = []
    equal = 0
    calls = [(number, each) for number, each in enumerate(lines("playback"), 1) if each["kind"] == "rest"]
    for number, each in calls:
        status, body = replay.answers[number]
        problems = list(unequal("playback", replay.adapt(each.get("response")), body))
        if status != each.get("status"):
            problems.append(f"status {each.get('status')} became {status}")
        equal += not problems
        wrong += [f"{number} ({scenario_of(number)}): {problem}" for problem in problems]
    assert not wrong, f"{equal} of {CALLS} answers are equal\n" + "\n".join(wrong)
    assert equal == len(calls) == CALLS


def test_the_voice_controls_do_what_the_recorded_ones_did(replay: Replay) -> None:
    recorded = {n: e["response"] for n, e in enumerate(lines("playback"), 1) if e["kind"] == "voice_control"}
    assert replay.controls == recorded
    assert len(recorded) == CONTROLS


def test_nothing_of_the_recording_is_skipped_silently() -> None:
    compared = {"ws", "rest", "voice_control", "ws_open", "ws_end"}
    assert {each["kind"] for each in lines("playback")} == compared | left_out("playback")
    assert len([each for each in lines("playback") if each["kind"] == "step"]) == SCENARIOS
