"""`python -m lavalink_sync.devnode`: a development node in the foreground, until SIGINT or SIGTERM."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from .node import DevNode

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until a signal comes. Returns the exit code."""
    options = _parser().parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        node = DevNode(
            music=options.music,
            host=options.host,
            port=options.port,
            password=options.password,
            player_update_interval=options.player_update_interval,
        )
        node.start()
    except (OSError, OverflowError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        where = "" if isinstance(error, (NotADirectoryError, ValueError)) else f"{options.host}:{options.port}: "
        print(f"lavalink_sync.devnode: {where}{reason}", file=sys.stderr)
        return 1
    with node:
        print(f"ready on {node.address}", flush=True)
        # In slices, because on Windows a wait without an end hears no signal.
        while not stop.wait(1.0):
            pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lavalink_sync.devnode", description="A Lavalink v4 node to develop with."
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=2333, help="port, 0 chooses one (default: %(default)s)")
    parser.add_argument("--password", default="youshallnotpass", help="what clients must send (default: %(default)s)")
    parser.add_argument("--music", type=Path, metavar="DIR", help="directory that is found as /music/")
    parser.add_argument(
        "--player-update-interval",
        type=float,
        default=5.0,
        metavar="SECONDS",
        help="how often a player tells its position (default: %(default)s)",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
