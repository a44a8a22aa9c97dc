"""The pen of a recorder: the time, the numbers, the secrets and the file that all of its connections share."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from .clock import Clock
from .placeholders import Placeholders
from .recording import FORM, Writer

__all__ = ["Journal"]

_log = logging.getLogger(__name__)


class Journal:
    """See the module. `asked`: how many REST requests were asked so far. `limit`: bytes of a body that are written."""

    def __init__(self, writer: Writer, clock: Clock, secrets: Iterable[str], limit: int) -> None:
        self.secrets = Placeholders(secrets)
        self.limit = limit
        self.asked = 0
        self._writer = writer
        self._clock = clock
        self._began = clock.monotonic()
        self._warned = False
        self.write("recording", {"form": FORM, "time_ms": int(clock.time() * 1000)})

    def now(self) -> int:
        """Milliseconds since the recording began."""
        return int((self._clock.monotonic() - self._began) * 1000)

    def next_number(self) -> int:
        """Count one more request that was asked."""
        self.asked += 1
        return self.asked

    def write(self, kind: str, fields: dict[str, Any], t_ms: int | None = None) -> None:
        """Write a line, its secrets replaced."""
        line = {"kind": kind, "t_ms": self.now() if t_ms is None else t_ms, **self.secrets.hide(fields)}
        self._writer.write(line)
        if self._writer.error is not None and not self._warned:
            self._warned = True
            _log.warning("the recording ends here, it can't be written: %s", self._writer.error.strerror)

    def close(self) -> None:
        """No more."""
        self._writer.close()
