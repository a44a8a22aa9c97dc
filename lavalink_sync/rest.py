"""`RestClient`: one blocking method for each of the server's REST endpoints, and `request` for those of plugins.

What the server could not make sense of is refused before it is sent (`core/checks.py`), what it answers becomes a
value or an error (`core/answers.py`), and how it gets there is `transport/http.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from .config import NodeConfig
from .core import answers, checks, endpoints
from .core.answers import Answer, Asked
from .core.endpoints import QueryValue
from .errors import NodeNotReadyError, ProtocolError
from .models import (
    UNSET,
    Info,
    LoadResult,
    Model,
    PlayerUpdate,
    RoutePlannerStatus,
    ServerPlayer,
    Session,
    SessionUpdate,
    Stats,
    Track,
    Unset,
    codec,
    decode_load_result,
)
from .secret import Secret, SecretBytes
from .transport.clock import Clock, Deadline
from .transport.http import HttpTransport

T = TypeVar("T")

# What has just been parsed is nobody else's.
_decode_own_load_result = partial(decode_load_result, own=True)
_decode_player = partial(codec.decode, ServerPlayer)


class RestClient:
    """A node's REST endpoints. Any thread may call; every call blocks.

    `timeout`, everywhere, is the seconds that all of the call may take, sending again included: `timeouts.call` by
    default, `timeouts.load` where something is loaded. `session_id` is the node's current one by default.

    Raises, everywhere: `ConnectError` when it could not be sent (or, of what may be sent twice without harm, when the
    connection broke both times), `CertificateError`, `RequestTimeoutError`, `OutcomeUnknownError` when a change was
    sent and not answered, `AnswerTooLargeError`, `RestError` by status (`BadRequestError`, `UnauthorizedError`,
    `ForbiddenError`, `SessionNotFoundError`, `PlayerNotFoundError`, `ServerError`, `UnexpectedAnswerError` for what is
    no JSON), `ProtocolError` for JSON of the wrong shape, `InvalidArgumentError` before anything is sent, and
    `NodeClosedError` or `ClientClosedError` when that happens meanwhile. No error shows the password, a session's id or
    a voice token.
    """

    def __init__(
        self, config: NodeConfig, transport: HttpTransport, session_id: Callable[[], str | None], clock: Clock
    ) -> None:
        self._config = config
        self._transport = transport
        self._session_id = session_id
        self._clock = clock

    # The server.

    def version(self, *, timeout: float | None = None) -> str:
        """The server's version, a text such as `4.2.2`. `GET /version`."""
        answer, asked = self._call("GET", endpoints.VERSION, timeout=timeout)
        return answers.version_of(answer, asked)

    def info(self, *, timeout: float | None = None) -> Info:
        """What the server is: version, sources, filters, plugins. `GET /v4/info`."""
        return self._get(Info, endpoints.INFO, timeout=timeout)

    def stats(self, *, timeout: float | None = None) -> Stats:
        """How busy the server is; without `frame_stats`, which only the WebSocket has. `GET /v4/stats`."""
        return self._get(Stats, endpoints.STATS, timeout=timeout)

    # Tracks.

    def load_tracks(self, identifier: str, *, timeout: float | None = None) -> LoadResult:
        """Resolve a URL, a search such as `ytsearch:...`, or a path. `GET /v4/loadtracks`.

        What can't be loaded is a `LoadFailed`, no exception.
        """
        query = endpoints.load_query(checks.identifier(identifier))
        timeout = self._config.timeouts.load if timeout is None else timeout
        answer, asked = self._call("GET", endpoints.LOAD_TRACKS, query=query, timeout=timeout, patient=True)
        return self._decoded(_decode_own_load_result, answer, asked)

    def decode_track(self, encoded: str, *, timeout: float | None = None) -> Track:
        """Have the server decode a track; its base64 is put right first. `GET /v4/decodetrack`.

        Raises `ServerError` for what the server can't decode.
        """
        query = {"encodedTrack": checks.encoded(encoded)}
        return self._get(Track, endpoints.DECODE_TRACK, query=query, timeout=timeout)

    def decode_tracks(self, encoded: Sequence[str], *, timeout: float | None = None) -> list[Track]:
        """Have the server decode tracks; one that it can't decode fails all. `POST /v4/decodetracks`."""
        body = SecretBytes(codec.dumps(checks.encoded_list(encoded)))
        # A question like any GET, only too long for a URL.
        answer, asked = self._call("POST", endpoints.DECODE_TRACKS, body=body, timeout=timeout, idempotent=True)
        return self._decoded(lambda data: codec.decode_list(Track, data), answer, asked)

    # Players.

    def players(self, *, session_id: str | None = None, timeout: float | None = None) -> list[ServerPlayer]:
        """All players of the session. `GET /v4/sessions/{s}/players`."""
        path = endpoints.players(self._session(session_id))
        answer, asked = self._call("GET", path, timeout=timeout)
        return self._decoded(lambda data: codec.decode_list(ServerPlayer, data), answer, asked)

    def player(self, guild_id: int, *, session_id: str | None = None, timeout: float | None = None) -> ServerPlayer:
        """A guild's player. `GET /v4/sessions/{s}/players/{g}`. Raises `PlayerNotFoundError` when there is none."""
        guild_id = checks.guild_id(guild_id)
        return self._get(ServerPlayer, endpoints.player(self._session(session_id), guild_id), timeout=timeout)

    def update_player(
        self,
        guild_id: int,
        update: PlayerUpdate,
        *,
        no_replace: bool = False,
        session_id: str | None = None,
        timeout: float | Deadline | None = None,
    ) -> ServerPlayer:
        """Change a guild's player, which is made if there is none. `PATCH /v4/sessions/{s}/players/{g}`.

        With `no_replace` a track that plays goes on, and what belongs to the new one is skipped. An encoded track's
        base64 is put right. Volume is 0 to 1000: beyond that the server would silently take the nearest. `timeout` may
        be the `Deadline` of what the call is a part of.
        """
        guild_id, update = checks.guild_id(guild_id), checks.player_update(update)
        voice, track = update.voice, update.track
        answer, asked = self._call(
            "PATCH",
            endpoints.player(self._session(session_id), guild_id),
            query=endpoints.NO_REPLACE[bool(no_replace)],
            body=SecretBytes(codec.dumps(update.to_dict())),
            timeout=timeout,
            # The server loads an identifier before it answers.
            patient=not isinstance(track, Unset) and not isinstance(track.identifier, Unset),
            secrets=() if isinstance(voice, Unset) else (voice.token, voice.session_id),
        )
        return self._decoded(_decode_player, answer, asked)

    def destroy_player(self, guild_id: int, *, session_id: str | None = None, timeout: float | None = None) -> None:
        """Remove a guild's player; fine if there is none. `DELETE /v4/sessions/{s}/players/{g}`."""
        guild_id = checks.guild_id(guild_id)
        self._tell("DELETE", endpoints.player(self._session(session_id), guild_id), timeout=timeout)

    # The session.

    def update_session(
        self, update: SessionUpdate, *, session_id: str | None = None, timeout: float | None = None
    ) -> Session:
        """Change whether the session can be resumed, and for how many seconds. `PATCH /v4/sessions/{s}`.

        An empty `SessionUpdate()` reads the settings.
        """
        body = SecretBytes(codec.dumps(checks.session_update(update).to_dict()))
        path = endpoints.session(self._session(session_id))
        answer, asked = self._call("PATCH", path, body=body, timeout=timeout)
        return self._decoded(codec.decoder(Session), answer, asked)

    # The route planner.

    def route_planner_status(self, *, timeout: float | None = None) -> RoutePlannerStatus | None:
        """How the server chooses its addresses; `None` if it does not. `GET /v4/routeplanner/status`."""
        answer, asked = self._call("GET", endpoints.ROUTE_PLANNER, timeout=timeout)
        answers.check(answer, asked)
        return None if answer.status == 204 else self._decoded(codec.decoder(RoutePlannerStatus), answer, asked)

    def free_address(self, address: str, *, timeout: float | None = None) -> None:
        """Have the server use a failing address again, also one as its status lists it (`/127.0.0.1`).

        `POST /v4/routeplanner/free/address`. Raises `ServerError` when it has no route planner.
        """
        body = SecretBytes(codec.dumps({"address": checks.address(address)}))
        self._tell("POST", endpoints.FREE_ADDRESS, body=body, timeout=timeout)

    def free_all_addresses(self, *, timeout: float | None = None) -> None:
        """Have the server use all failing addresses again. `POST /v4/routeplanner/free/all`."""
        self._tell("POST", endpoints.FREE_ALL_ADDRESSES, timeout=timeout)

    # Everything else.

    def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        body: Any = UNSET,
        timeout: float | None = None,
        trace: bool = False,
    ) -> Any:
        """Call any endpoint, a plugin's for example; returns its JSON, text for `text/plain`, `None` for no content.

        `path` begins with a slash (`/v4/lyrics`); it is quoted where needed, what is quoted already stays, and it can't
        lead upwards or carry a query: that is `query`, where `True` becomes `true` and a `None` is left out. `body` is
        a JSON value or a model. `trace` asks the server for a stack trace, which is in the error's `trace`.
        """
        query = {**(query or {}), **({"trace": True} if trace else {})}
        payload = None
        if isinstance(body, Model):
            payload = SecretBytes(codec.dumps(body.to_dict()))
        elif body is not UNSET:
            payload = SecretBytes(codec.dumps(checks.json_value(body, "body")))
        answer, asked = self._call(
            endpoints.checked_method(method), endpoints.checked_path(path), query=query, body=payload, timeout=timeout
        )
        return answers.anything_of(answer, asked)

    # Inside.

    def _get(
        self,
        model: type[T],
        path: str,
        *,
        query: Mapping[str, QueryValue] | None = None,
        timeout: float | None,
    ) -> T:
        answer, asked = self._call("GET", path, query=query, timeout=timeout)
        return self._decoded(codec.decoder(model), answer, asked)

    def _tell(self, method: str, path: str, *, body: SecretBytes | None = None, timeout: float | None) -> None:
        answer, asked = self._call(method, path, body=body, timeout=timeout)
        answers.check(answer, asked)

    def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, QueryValue] | str | None = None,
        body: SecretBytes | None = None,
        timeout: float | Deadline | None = None,
        idempotent: bool | None = None,
        patient: bool = False,
        secrets: tuple[str, ...] = (),
    ) -> tuple[Answer, Asked]:
        """Send, and return the answer with what its errors have to know of the question."""
        config = self._config
        if not isinstance(timeout, Deadline):
            timeout = Deadline(self._clock, config.timeouts.call if timeout is None else timeout)
        answer = self._transport.send(
            method, path, query=query, body=body, deadline=timeout, idempotent=idempotent, patient=patient
        )
        return answer, Asked(config.name, method, path, self._secrets, secrets)

    def _secrets(self) -> tuple[str | None, ...]:
        return self._config.password, self._config.session_id, self._session_id()

    def _decoded(self, decode: Callable[[Any], T], answer: Answer, asked: Asked) -> T:
        try:
            return decode(answers.json_of(answer, asked))
        except ProtocolError as error:
            what, path = error.message, error.path
        raise ProtocolError(f"{asked.where}: the answer is not what Lavalink v4 sends: {what}", path=path)

    def _session(self, session_id: str | None) -> Secret:
        current = self._session_id() if session_id is None else session_id
        if current is None:
            raise NodeNotReadyError(
                f"node {self._config.name} has no session yet: wait until it is connected (node.wait_for)"
            )
        return current if isinstance(current, Secret) else Secret(current)
