"""What is asked of who wants a WebSocket, in the order in which the server asks it, and what each refusal looks like.

Nothing here is the error JSON of the other endpoints: refusals have no body, or a line of text without a type.
"""

from __future__ import annotations

import hmac
import re
from urllib.parse import urlsplit

from .fields import java_long
from .http import Answer, Request

__all__ = ["PATH", "is_password", "refusal"]

PATH = "/v4/websocket"
_VERSIONS = ("13", "8", "7")
_HTTP_PORT = 80


def is_password(given: str, password: str) -> bool:
    """Whether a header has the password: the whole of it, and nothing around it."""
    return hmac.compare_digest(given.encode(), password.encode())


def refusal(request: Request, password: str, resumable: bool) -> Answer | None:
    """Return why a request to `PATH` gets no WebSocket, `None` if it does. `resumable`: its session can be resumed."""
    headers = request.headers
    if not is_password(headers.get("authorization", ""), password):
        return Answer(401)
    user = headers.get("user-id", "")
    if not user or java_long(user) == 0:
        return Answer(400)
    resumed = ("Session-Resumed", "true" if resumable else "false")
    if not _from_here(request):
        return Answer(403, headers=(resumed,))
    if request.method != "GET":
        return Answer(405, headers=(resumed, ("Allow", "GET")))
    if headers.get("upgrade", "").lower() != "websocket":
        return Answer(400, b'Can "Upgrade" only to "WebSocket".', headers=(resumed,))
    if not {"Upgrade", "upgrade"} & set(re.split(r"\s*,\s*", headers.get("connection", ""))):
        return Answer(400, b'"Connection" must be "upgrade".', headers=(resumed,))
    if headers.get("sec-websocket-version") not in _VERSIONS:
        return Answer(426, headers=(resumed, ("Sec-WebSocket-Version", ",".join(_VERSIONS))))
    if "sec-websocket-key" not in headers:
        return Answer(400, headers=(resumed,))
    return None


def _from_here(request: Request) -> bool:
    """Whether a page that asks comes from this very address. Behind a proxy that ends TLS it never does."""
    origin = request.headers.get("origin")
    if origin is None:
        return True
    try:
        page, here = urlsplit(origin), urlsplit(f"http://{request.headers.get('host', '')}")
        return page.scheme == "http" and page.hostname == here.hostname and _port(page.port) == _port(here.port)
    except ValueError:
        return False


def _port(given: int | None) -> int:
    return _HTTP_PORT if given is None else given
