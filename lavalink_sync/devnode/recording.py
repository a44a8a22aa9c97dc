r"""The form of a recording: one JSON object a line, in order of time, with placeholders where secrets stood.

Every line has `kind` and `t_ms`, milliseconds since the recording began. Connections of clients are numbered from 1.

- `recording`: the first line. `form` (1), `time_ms`: unix time of the beginning.
- `ws_open`: a handshake was answered. `connection`, `path`, `request_headers`, `status`, `response_headers`, `response`
  where it was refused, `took_ms`; or `failed` instead of an answer. `t_ms` is when it was asked.
- `ws`: a message. `connection`, `body` if it is JSON, else `text`, else `omitted`; `from` is `client` for what the
  client sent (Lavalink's clients send none). `after`: how many REST requests had been asked by then.
- `ws_ping`, `ws_pong`: `connection`, `from` (`client` or `server`), `size` of the payload; `after`.
- `ws_close`: a close frame. `connection`, `from`, `code` (null without), `reason`; `after`.
- `ws_end`: the connection is no WebSocket any more. `connection`, `from` (`client`, `server`, or `recorder` when that
  was closed), `how` (`end` or `reset`); `after`.
- `rest`: an exchange, written when the answer is whole. `connection`, `n`: it was the n-th request asked, `method`,
  `path` with its query, `request_headers`, `request`, `status`, `response_headers`, `response`, `took_ms`; `failed`
  instead of the answer where none came, one of `FAILURES`. `t_ms` is when it was asked.
- `unparsed`: what passed on a connection was not understood from there on, and was relayed all the same. `connection`,
  `from`, `error`.

Bodies are parsed JSON where they are JSON, else text, null where there is none. What can't be written as such has
`request_omitted` (or `response_omitted`, `omitted`) beside it: `size` in bytes, `type` as declared, and `why`. A header
that came more than once has a list. JSON is kept as values, not byte by byte.
"""

from __future__ import annotations

import contextlib
import json
import threading
from pathlib import Path
from typing import Any

__all__ = ["FAILURES", "FORM", "Line", "Writer", "read_lines"]

FORM = 1
# No answer came, because:
FAILURES = (
    "the client left",
    "the server ended the connection",
    "the server reset the connection",
    "the server can't be reached",
    "the recorder was closed",
    "what passed was not understood",
)
Line = dict[str, Any]


class Writer:
    """Writes a recording, a whole line at a time. What is there already is replaced.

    Raises `OSError` when the file can't be made. When it can't be written later, `error` says why and nothing more is.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        self.error: OSError | None = None
        self._lock = threading.Lock()
        # Unbuffered: a line is in the file when `write` returns, whatever becomes of this process.
        self._file = open(self.path, "wb", buffering=0)  # noqa: SIM115  (closed by `close`)
        self._whole = 0

    def write(self, line: Line) -> None:
        """Add a line. Raises `ValueError` for what is no JSON."""
        text = json.dumps(line, ensure_ascii=False, allow_nan=False)
        # A lone half of a surrogate pair can't be written as UTF-8, but as JSON's own escape, which looks the same.
        data = memoryview(text.encode("utf-8", "backslashreplace") + b"\n")
        with self._lock:
            if self.error is not None or self._file.closed:
                return
            try:
                while data:
                    data = data[self._file.write(data) or 0 :]
                self._whole = self._file.tell()
            except OSError as error:
                self.error = error
                with contextlib.suppress(OSError):
                    self._file.truncate(self._whole)  # no half lines

    def close(self) -> None:
        """Write nothing more. May be called again."""
        with self._lock:
            self._file.close()


def read_lines(path: Path | str) -> list[Line]:
    """Return the lines of a recording. Raises `ValueError` that names the line which is none, `OSError` as `open` does.

    A last line without its end is left out: it is just being written, or its writer was killed.
    """
    found: list[Line] = []
    whole = Path(path).read_bytes().split(b"\n")
    for number, raw in enumerate(whole, 1):
        if not raw.strip():
            continue
        try:
            line = json.loads(raw)
        except ValueError:
            if number == len(whole):
                break
            raise ValueError(f"{str(path)!r} is no recording: line {number} is no JSON") from None
        if not isinstance(line, dict):
            raise ValueError(f"{str(path)!r} is no recording: line {number} is no JSON object")
        found.append(line)
    return found
