"""What connecting a node may cost: counted, not timed. Each count is the price of something that was left out."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from lavalink_sync import Client, NodeConfig
from lavalink_sync.core.status import Status
from lavalink_sync.devnode import DevNode
from lavalink_sync.node_state import NodeState, Run
from lavalink_sync.secret import Secret
from lavalink_sync.transport.clock import SystemClock
from lavalink_sync.transport.waker import Waker

from .support.cost import Cost
from .support.nodes import config_for


@pytest.fixture
def connecting(client: Client, devnode: DevNode) -> Cost:
    """What the thread of a node does until it is connected, where each of the server's two answers came in one read."""
    # The first has things to do that are done once a process.
    client.add_node(config_for(devnode, "first"), timeout=10)
    for number in range(50):
        cost = Cost()
        cost.between(
            "lavalink_sync.node_loop:run",
            "lavalink_sync.node_hooks:connected",
            partial(client.add_node, config_for(devnode, f"node {number}"), timeout=10),
        )
        if cost.system["recv"] == 2:
            return cost
    pytest.fail("the answers came in pieces, fifty times")


@pytest.mark.skipif(not hasattr(os, "eventfd"), reason="the calls are Linux's")
def test_the_system_is_asked_for_what_two_connections_need(connecting: Cost) -> None:
    asked = connecting.system
    assert asked["getaddrinfo"] == 0, "an address in numbers needs no resolver"
    assert (asked["connect_ex"], asked["send"]) == (2, 2)
    # Both sockets to a server on this machine are connected at once: nothing is waited for, and with, but answers.
    assert not {"getsockopt", "setblocking", "eventfd", "modify"} & asked.keys()
    assert asked["register"] <= 3, "the node's waker, and two sockets to read"


def test_the_library_gets_the_lines_that_it_compares(connecting: Cost) -> None:
    # The status, three headers, and the empty line; a server sends twice as many.
    assert connecting.functions["websocket._socket:recv_line"] == 5


def test_a_node_thread_runs_few_functions(connecting: Cost) -> None:
    ours = [count for name, count in connecting.functions.items() if name.startswith(("lavalink_sync.", "selectors:"))]
    assert sum(ours) <= 240


def test_adding_a_node_makes_only_what_is_its_own(client: Client, devnode: DevNode) -> None:
    cost, config = Cost(), config_for(devnode)
    cost.of(lambda: client.add_node(config, wait=False))
    assert client.nodes[0].wait_for(Status.CONNECTED, timeout=10)
    assert not {"requests.structures", "requests.sessions", "requests.utils", "urllib.parse"} & cost.modules
    assert not cost.functions["dataclasses:replace"]


def test_only_a_status_wakes_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    state, waker = NodeState(NodeConfig("main", "localhost:2333", "password"), SystemClock()), Waker()
    state.begin(lambda generation: Run(generation, threading.current_thread(), waker))
    waker.close()
    told: list[Status] = []
    monkeypatch.setattr(state._changed, "notify_all", lambda: told.append(state.view.status))
    state.write(1, attempt=1)
    state.write(1, session_id=Secret("one"))
    state.write(1, status=Status.CONNECTED)
    assert told == [Status.CONNECTED]
