"""`Quiet`: a borrowed library logs nothing while it works for us, as what it logs of our calls has secrets in it."""

from __future__ import annotations

import logging
import threading


class Quiet(logging.Filter):
    """In `with quiet:` these loggers say nothing on this thread. What others do with the library is logged as ever.

    A filter of a parent does not see what its children log, so each logger is to be named.
    """

    def __init__(self, *loggers: str) -> None:
        super().__init__()
        self._here = threading.local()
        for name in loggers:
            logging.getLogger(name).addFilter(self)

    def filter(self, record: logging.LogRecord) -> bool:
        return not getattr(self._here, "quiet", False)

    def __enter__(self) -> None:
        self._here.quiet = True

    def __exit__(self, *error: object) -> None:
        self._here.quiet = False
