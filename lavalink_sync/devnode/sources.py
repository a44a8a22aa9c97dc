"""The node's two sources: files of one directory, looked into at once, and HTTP, in a few threads of their own.

Nothing outside the directory is ever opened, whatever a path or a link says.
"""

from __future__ import annotations

import io
import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from . import tracks
from .catalogue import Catalogue
from .material import INSPECTED, NO_MATERIAL, Material, inspect
from .probe import first_entry, linked_entry, probe

__all__ = ["FAILED", "Sources", "nothing"]

FAILED = "Something went wrong while looking up the track."
_FRIENDLY = "com.sedmelluq.discord.lavaplayer.tools.FriendlyException"
_ROOT = "/music/"
_HTTP = ("http://", "https://")
_ICY = "icy://"
_TIMEOUT = 3.0
_MAX_SIZE = 32 * 2**20  # is looked into; what is behind is taken on trust
_CHUNK = 65_536
_THREADS = 4

_Done = Callable[[dict[str, Any]], None]


class _Fetched(NamedTuple):
    """What is at an address, up to a limit. `url`: where it is in the end. `size`: of all of it."""

    content: bytes
    url: str
    size: int


class Sources:
    """Finds tracks. `deliver` brings a call onto the node's thread. What `catalogue` has goes first."""

    def __init__(
        self, music: Path | None, deliver: Callable[[Callable[[], None]], bool], catalogue: Catalogue | None = None
    ) -> None:
        self.catalogue = Catalogue() if catalogue is None else catalogue
        self._music = None if music is None else os.path.realpath(music)
        self._deliver = deliver
        self._closing = threading.Event()
        self._pool: ThreadPoolExecutor | None = None
        self._jobs: list[Future[None]] = []
        # Without proxies: what a test loads must not leave the machine because of an environment variable.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def load(self, identifier: str, done: _Done) -> None:
        """Call `done` with a load result on the node's thread, now or later."""
        scripted = self.catalogue.find(identifier)
        if scripted is not None:
            done(scripted)
            return
        if identifier.startswith(_ICY):
            identifier = "http://" + identifier.removeprefix(_ICY)
        if identifier.startswith(_HTTP):
            self._in_pool(lambda: self._load_http(identifier), done)
            return
        result = self._load_file(identifier)
        if isinstance(result, str):
            self.load(result, done)
        else:
            done(result)

    def check(self, track: tracks.Track, broken: Callable[[str], None], met: Callable[[Material], None]) -> None:
        """See whether a track can be played: call `broken` with the cause if not, else `met`, now or later."""
        identifier, kind = track.info.identifier, str(track.plugin_info.get("probeInfo", ""))

        def done(result: str | Material) -> None:
            if isinstance(result, str):
                broken(result)
            else:
                met(result)

        trouble = self.catalogue.trouble(identifier)
        if trouble is not None or track.info.source_name not in tracks.SOURCES or self.catalogue.has(identifier):
            done(NO_MATERIAL if trouble is None else trouble)
        elif track.info.source_name == "http":
            self._in_pool(lambda: self._check_http(identifier, kind), done)
        else:
            done(self._check_file(identifier, kind))

    def pending(self) -> list[Future[None]]:
        """What is being looked for over HTTP. On the node's thread."""
        return [job for job in self._jobs if not job.done()]

    def close(self) -> None:
        """End the threads; a load in progress gives up at its next chunk. Not from the node's thread."""
        self._closing.set()
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)

    def _in_pool(self, job: Callable[[], Any], done: Callable[[Any], None]) -> None:
        def run() -> None:
            result = job()
            self._deliver(lambda: done(result))

        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="lavalink-devnode-load")
        if not self._closing.is_set():
            self._jobs = [*self.pending(), self._pool.submit(run)]

    # --- files

    def _resolve(self, identifier: str) -> str | None:
        """The real path of a file under the directory, `None` for everything else."""
        if self._music is None or not identifier.startswith("/") or "\0" in identifier:
            return None
        plain = "/" + os.path.normpath(identifier).lstrip("/")
        candidates = [plain]
        if plain.startswith(_ROOT):
            candidates.insert(0, os.path.join(self._music, plain.removeprefix(_ROOT)))
        for candidate in candidates:
            path = os.path.realpath(candidate)
            if Path(path).is_relative_to(self._music) and os.path.isfile(path):
                return path
        return None

    def _load_file(self, identifier: str) -> dict[str, Any] | str:
        """A load result, or the address that a list points at."""
        path = self._resolve(identifier)
        if path is None:
            return nothing()
        try:
            with open(path, "rb") as file:
                return _looked_into(file, identifier, "local")
        except OSError as error:
            return _failed(f"java.io.IOException: {error.strerror}")

    def _check_file(self, identifier: str, kind: str) -> str | Material:
        path = self._resolve(identifier)
        if path is None:
            return f"java.io.FileNotFoundException: {identifier} (No such file or directory)"
        try:
            with open(path, "rb") as file:
                return _inspected(file.read(_MAX_SIZE + 1), kind)
        except OSError as error:
            return f"java.io.FileNotFoundException: {identifier} ({error.strerror})"

    # --- HTTP

    def _load_http(self, url: str, hops: int = 3) -> dict[str, Any]:
        try:
            found = self._fetch(url, _MAX_SIZE + 1)
        except urllib.error.HTTPError as error:
            error.close()
            return nothing() if error.code == 404 else _failed(f"Invalid status code: {error.code}")
        except (OSError, ValueError, HTTPException) as error:
            return _failed(f"java.io.IOException: {error}")
        result = _looked_into(io.BytesIO(found.content), found.url, "http", found.size)
        if not isinstance(result, str):
            return result
        return self._load_http(result, hops - 1) if hops else _failed("the lists lead nowhere")

    def _check_http(self, url: str, kind: str) -> str | Material:
        try:
            self._fetch(url, 1)
        except urllib.error.HTTPError as error:
            error.close()
            return f"java.lang.RuntimeException: Not success status code: {error.code}"
        except (OSError, ValueError, HTTPException) as error:
            return f"java.io.IOException: {error}"
        try:
            return _inspected(self._fetch(url, _MAX_SIZE + 1).content, kind) if kind in INSPECTED else NO_MATERIAL
        except (OSError, ValueError, HTTPException):
            return NO_MATERIAL  # it began well: what it is like further on stays unknown

    def _fetch(self, url: str, limit: int) -> _Fetched:
        content = bytearray()
        with self._opener.open(url, timeout=_TIMEOUT) as response:
            while len(content) < limit and not self._closing.is_set():
                chunk = response.read1(min(_CHUNK, limit))
                if not chunk:
                    break
                content += chunk
            size = response.headers.get("Content-Length", "")
            return _Fetched(bytes(content), str(response.url), int(size) if size.isdecimal() else len(content))


def _inspected(data: bytes, kind: str) -> Material:
    return inspect(data, kind, whole=len(data) <= _MAX_SIZE) if kind in INSPECTED else NO_MATERIAL


def nothing() -> dict[str, Any]:
    """The load result of what is not there."""
    return {"loadType": "empty", "data": None}


def _looked_into(file: BinaryIO, identifier: str, source: str, size: int | None = None) -> dict[str, Any] | str:
    head = file.read(_CHUNK)
    file.seek(0)
    link = linked_entry(head)
    if link is not None:
        return link
    entry = first_entry(head)
    if entry is not None:
        # A file's list is followed to its first address; one that came over HTTP stays what it is.
        inner = source == "local" and entry.startswith(_HTTP)
        track = tracks.made_stream(
            entry if inner else identifier, "http" if inner else source, "m3u|hls-inner" if inner else "m3u|hls-outer"
        )
        return {"loadType": "track", "data": tracks.told(track)}
    found = probe(file, size)
    if found is None:
        return _failed(f"{_FRIENDLY}: Unknown file format.")
    return {"loadType": "track", "data": tracks.told(tracks.made(found, identifier, source))}


def _failed(reason: str) -> dict[str, Any]:
    """What a load that fails answers: for loads the cause is the outer exception itself."""
    cause = f"{_FRIENDLY}: {FAILED}"
    stack = f"{cause}\n\tat lavalink.devnode.sources(sources.py)\nCaused by: {reason}\n"
    data = {"message": FAILED, "severity": "fault", "cause": cause, "causeStackTrace": stack}
    return {"loadType": "error", "data": data}
