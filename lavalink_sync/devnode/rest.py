"""The REST endpoints but those of a player: which path is which, who may do what, and the recorded errors."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Protocol
from urllib.parse import unquote

from . import tracks
from .clock import Clock
from .fields import as_bool, as_int, as_object, as_text, path_id, query_flag
from .filters import FILTERS
from .handshake import is_password
from .http import Answer, Request, RestError, json_answer, text_answer
from .metrics import CONTENT_TYPE, exposition
from .negotiation import accepted, error_answer, json_body
from .offer import Offer
from .player_rest import Respond, patch_player
from .player_update import check_update, read_update
from .routeplanner import RoutePlanner
from .session import Session
from .sources import Sources

__all__ = ["Hub", "Rest"]

VERSION = "4.2.2"
_INFO = {
    "version": {"semver": VERSION, "major": 4, "minor": 2, "patch": 2, "preRelease": ""},
    "buildTime": 1_767_225_600_000,
    "git": {"branch": "master", "commit": "0000000", "commitTime": 1_767_225_600_000},
    "jvm": "17.0.15",
    "lavaplayer": "2.2.6",
    "sourceManagers": ["local", "http"],
    "filters": list(FILTERS),
    "plugins": [],
}
_ERRORS = "/error"
_LONGEST = 2**62 // 1000  # seconds; more are without an end for Kotlin, and told as the largest number there is
_NO_SESSION = "Session not found"
_NO_ROUTE_PLANNER = "Can't access disabled route planner"

_Handler = Callable[..., None]


class Hub(Protocol):
    """What the endpoints are about."""

    @property
    def clock(self) -> Clock: ...

    @property
    def sources(self) -> Sources: ...

    @property
    def offer(self) -> Offer: ...

    @property
    def sessions(self) -> dict[str, Session]: ...

    def stats(self) -> dict[str, Any]: ...


class Rest:
    """See the module. On the node's thread only."""

    def __init__(self, hub: Hub, password: str) -> None:
        self._hub = hub
        self._password = password
        player = "/v4/sessions/(.+)/players/(.+)"
        table: list[tuple[str, dict[str, _Handler]]] = [
            ("/", {"GET": self._root}),
            ("/v3/websocket", {"GET": self._root}),
            ("/version", {"GET": self._version}),
            ("/v4/info", {"GET": self._info}),
            ("/v4/stats", {"GET": self._stats}),
            ("/v4/loadtracks", {"GET": self._load}),
            ("/v4/decodetrack", {"GET": self._decode}),
            ("/v4/decodetracks", {"POST": self._decode_all}),
            ("/v4/routeplanner/status", {"GET": self._planner}),
            ("/v4/routeplanner/free/address", {"POST": self._free_address}),
            ("/v4/routeplanner/free/all", {"POST": self._free_all}),
            ("/v4/sessions/(.+)", {"PATCH": self._patch_session}),
            ("/v4/sessions/(.+)/players", {"GET": self._players}),
            (player, {"GET": self._player, "PATCH": self._patch_player, "DELETE": self._delete_player}),
        ]
        if hub.offer.metrics is not None:
            table.append((re.escape(hub.offer.metrics), {"GET": self._metrics}))
        self._routes = [([re.compile(part, re.DOTALL) for part in path.split("/")], methods) for path, methods in table]

    def handle(self, request: Request, respond: Callable[[Answer], None]) -> None:
        """Do what is asked and call `respond` with the answer, now or later."""

        def finish(found: Answer | RestError) -> None:
            respond(self._told(found, request))

        try:
            self._begin(request, finish)
        except RestError as error:
            finish(error)

    def _begin(self, request: Request, respond: Respond) -> None:
        if request.path == _ERRORS:
            respond(self._no_error())
            return
        # What is not there is 404 or 405 for anybody: only after that the password is looked at.
        handler, parts = self._find(request)
        denied = None if handler == self._metrics else self._denied(request)
        if denied is None:
            handler(request, respond, *parts)
        else:
            respond(denied)

    def _told(self, found: Answer | RestError, request: Request) -> Answer:
        """What was found, in a kind that the client takes."""
        try:
            if isinstance(found, RestError):
                raise found
            return accepted(found, request)
        except RestError as error:
            return error_answer(error, request, int(self._hub.clock.time() * 1000))

    def _denied(self, request: Request) -> Answer | None:
        given = request.headers.get("authorization")
        if given is None:
            return Answer(401)
        return None if is_password(given, self._password) else Answer(403)

    def _find(self, request: Request) -> tuple[_Handler, list[str]]:
        given = [unquote(part.partition(";")[0]) for part in request.path.split("/")]
        for wanted, methods in self._routes:
            matches = [part.fullmatch(text) for part, text in zip(wanted, given, strict=False)]
            if len(wanted) != len(given) or not all(matches):
                continue
            handler = methods.get("GET" if request.method == "HEAD" else request.method)
            if request.method == "OPTIONS":
                allowed = [*methods, *(["HEAD"] if "GET" in methods else []), "OPTIONS"]
                return partial(self._options, ",".join(allowed)), []
            if handler is None:
                allow = (("Allow", ",".join(methods)),)
                raise RestError(405, f"Method '{request.method}' is not supported.", allow)
            return handler, [group for match in matches if match is not None for group in match.groups()]
        raise RestError(404, f"No endpoint {request.method} {request.path}.")

    # --- the node

    def _options(self, allowed: str, request: Request, respond: Respond) -> None:
        respond(Answer(200, headers=(("Allow", allowed),)))

    def _root(self, request: Request, respond: Respond) -> None:
        respond(Answer(200))

    def _version(self, request: Request, respond: Respond) -> None:
        respond(text_answer(VERSION))

    def _info(self, request: Request, respond: Respond) -> None:
        offered = [name for name in FILTERS if name not in self._hub.offer.disabled_filters]
        respond(json_answer({**_INFO, "filters": offered}))

    def _stats(self, request: Request, respond: Respond) -> None:
        respond(json_answer(self._hub.stats()))

    def _no_error(self) -> Answer:
        """What the server's own page for errors tells of none. It is free of the password."""
        told = {"timestamp": int(self._hub.clock.time() * 1000), "status": 999, "error": "None"}
        return replace(json_answer({**told, "message": "No message available"}), status=500)

    def _metrics(self, request: Request, respond: Respond) -> None:
        names = request.query.get("name[]", "").split(",") if "name[]" in request.query else ()
        respond(Answer(200, exposition(self._hub.stats(), names).encode(), CONTENT_TYPE))

    def _planner(self, request: Request, respond: Respond) -> None:
        planner = self._hub.offer.route_planner
        respond(Answer(204) if planner is None else json_answer(planner.told()))

    def _free_address(self, request: Request, respond: Respond) -> None:
        address = as_text(as_object(json_body(request)).get("address"))
        self._existing_planner().free(address)
        respond(Answer(204))

    def _free_all(self, request: Request, respond: Respond) -> None:
        self._existing_planner().free_all()
        respond(Answer(204))

    def _existing_planner(self) -> RoutePlanner:
        planner = self._hub.offer.route_planner
        if planner is None:
            raise RestError(500, _NO_ROUTE_PLANNER)
        return planner

    # --- tracks

    def _load(self, request: Request, respond: Respond) -> None:
        if "identifier" not in request.query:
            raise RestError(400, "Required parameter 'identifier' is not present.")
        self._hub.sources.load(request.query["identifier"], lambda result: respond(json_answer(result)))

    def _decode(self, request: Request, respond: Respond) -> None:
        encoded = request.query.get("encodedTrack", request.query.get("track"))
        if encoded is None:
            raise RestError(400, "No track to decode provided")
        respond(json_answer(tracks.told(self._read(encoded))))

    def _decode_all(self, request: Request, respond: Respond) -> None:
        given = json_body(request)
        if not isinstance(given, list):
            raise RestError(400)
        encoded = [as_text(each) for each in given]
        if not encoded:
            raise RestError(400, "No tracks to decode provided")
        respond(json_answer([tracks.told(self._read(each)) for each in encoded]))

    def _read(self, encoded: str) -> tracks.Track:
        return tracks.read(encoded, self._hub.sources.catalogue.knows)

    # --- sessions

    def _session(self, session_id: str) -> Session:
        session = self._hub.sessions.get(session_id)
        if session is None or not session.connected:
            raise RestError(404, _NO_SESSION)
        return session

    def _patch_session(self, request: Request, respond: Respond, session_id: str) -> None:
        update = as_object(json_body(request))
        resuming = as_bool(update["resuming"]) if "resuming" in update else None
        timeout = _duration(as_int(update["timeout"])) if "timeout" in update else None
        session = self._session(session_id)
        session.resuming = session.resuming if resuming is None else resuming
        session.timeout = session.timeout if timeout is None else timeout
        respond(json_answer({"resuming": session.resuming, "timeout": session.timeout}))

    def _players(self, request: Request, respond: Respond, session_id: str) -> None:
        respond(json_answer([player.told() for player in self._session(session_id).in_order()]))

    def _player(self, request: Request, respond: Respond, session_id: str, guild: str) -> None:
        guild_id = path_id(guild)
        player = self._session(session_id).players.get(guild_id)
        if player is None:
            raise RestError(404, "Player not found")
        respond(json_answer(player.told()))

    def _patch_player(self, request: Request, respond: Respond, session_id: str, guild: str) -> None:
        update, guild_id = read_update(json_body(request)), path_id(guild)
        no_replace = query_flag(request.query.get("noReplace"))
        session = self._session(session_id)
        check_update(update, self._hub.offer.disabled_filters)
        patch_player(self._hub.sources, session, guild_id, update, no_replace, respond)

    def _delete_player(self, request: Request, respond: Respond, session_id: str, guild: str) -> None:
        guild_id = path_id(guild)
        player = self._session(session_id).players.pop(guild_id, None)
        if player is not None:
            player.destroy()
        respond(Answer(204))


def _duration(seconds: int) -> int:
    """So many seconds, as they come back out of a Kotlin `Duration`."""
    if abs(seconds) <= _LONGEST:
        return seconds
    return 2**63 - 1 if seconds > 0 else -(2**63)
