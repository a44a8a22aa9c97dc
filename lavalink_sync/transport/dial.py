"""From a `NodeConfig` to a connected `Stream`: addresses, TCP, a proxy's tunnel, TLS.

Everything here can be interrupted and is bounded by the attempt's deadline, except the system's resolving of names.
No variable of the environment has a say.
"""

from __future__ import annotations

import base64
import errno
import os
import socket
import ssl
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from ..config import NodeConfig
from ..errors import CertificateError, ConfigError, ConnectError, LavalinkError, NodeClosedError
from ..secret import Secret
from .stream import Attempt, Stream

# Linux makes a socket that never blocks in one call. At each one that is left out, threads would change places.
_NON_BLOCKING = getattr(socket, "SOCK_NONBLOCK", 0)
_IN_PROGRESS = {0, errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN}
_LARGEST_HEAD = 64 * 1024
# A peer that dies without a word is noticed by the system too, where it has such options.
_OPTIONS = [
    (level, getattr(socket, name), value)
    for level, name, value in (
        (socket.IPPROTO_TCP, "TCP_NODELAY", 1),
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", 30),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", 10),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", 3),
    )
    if hasattr(socket, name)
]


class Proxy(NamedTuple):
    """An HTTP proxy, and the value of the header that lets us use it, if it wants one."""

    host: str
    port: int
    authorization: Secret | None


def dial(config: NodeConfig, attempt: Attempt) -> Stream:
    """Connect to the node's address, through its proxy if it has one, with TLS if it wants it.

    Whom the stream is to watch from now on is the caller's affair: it may watch the attempt's waker, or nobody.
    Raises `ConnectError`, `CertificateError`, `NodeClosedError`, and `ConfigError` for a proxy that can't be used.
    """
    proxy = proxy_of(config)
    first = (config.host, config.port) if proxy is None else (proxy.host, proxy.port)
    stream = _connect(*first, attempt)
    try:
        if proxy is not None or config.secure:
            stream.watch(attempt.waker())
        if proxy is not None:
            _tunnel(stream, proxy, config, attempt)
        if config.secure:
            _start_tls(stream, config, attempt)
    except BaseException:
        stream.close()
        raise
    return stream


def proxy_of(config: NodeConfig) -> Proxy | None:
    """Return the proxy for the node's WebSocket: that of its scheme, of the scheme of its REST calls, or of `all`."""
    url = _proxy_entry(config)
    proxy = None if url is None else _parse_proxy(url.reveal())
    if url is not None and proxy is None:
        # Without the entry itself: it may have a password in it, also where it is misspelt.
        raise ConfigError("proxies must be like http://host:port or http://user:password@host:port for a WebSocket")
    return proxy


def _proxy_entry(config: NodeConfig) -> Secret | None:
    proxies = config.proxies
    if not proxies:
        return None
    ours, rest = ("wss", "https") if config.secure else ("ws", "http")
    keys = [f"{ours}://{config.host}", ours, f"{rest}://{config.host}", rest, f"all://{config.host}", "all"]
    url = next((proxies[key] for key in keys if proxies.get(key)), None)
    return None if url is None else Secret(url if "://" in url else f"http://{url}")


def _parse_proxy(url: str) -> Proxy | None:
    try:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            return None
        authorization = None
        if parts.username is not None:
            user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = Secret("Basic " + base64.b64encode(user.encode("latin-1")).decode())
        return Proxy(parts.hostname, parts.port or 80, authorization)
    except ValueError:
        return None


def tls_context(verify: bool | str) -> ssl.SSLContext:
    """Return a TLS context that trusts what requests would trust for the same `verify`.

    `True`: the authorities that requests comes with; a text: a file or directory of certificates; `False`: anybody.
    Raises `CertificateError` if there are no certificates to be found at that place.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    path = DEFAULT_CA_BUNDLE_PATH if verify is True else verify
    cause: OSError
    try:
        if os.path.isdir(path):
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
        return context
    except OSError as error:
        cause = error
    raise CertificateError(f"verify={path!r}: no certificates can be read from there ({text_of(cause)})") from cause


def read_head(stream: Stream, attempt: Attempt, doing: str) -> tuple[bytes, bytes]:
    """Read an HTTP head; return it with its empty line, and what came behind it.

    Raises `EOFError` if the stream ends before, `ValueError` if it is no HTTP or has no end.
    """
    got = b""
    while True:
        attempt.check(doing)
        stream.wait(attempt.deadline.at)
        data = stream.read()
        if data is None:
            continue
        if not data:
            raise EOFError(f"the connection ended after {len(got)} bytes")
        got += data
        if not got.startswith(b"HTTP/1."[: len(got)]):
            raise ValueError("what came is no HTTP/1 answer")
        head, empty_line, rest = got.partition(b"\r\n\r\n")
        if empty_line:
            return head + empty_line, rest
        if len(got) > _LARGEST_HEAD:
            raise ValueError(f"the answer's head is larger than {_LARGEST_HEAD} bytes")


def _connect(host: str, port: int, attempt: Attempt) -> Stream:
    """Try one address of `host` after the other. Each gets an equal part of the time that is left."""
    addresses = _resolve(host, port, attempt)
    failures: dict[str, OSError] = {}
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        left, others = attempt.deadline.remaining(), len(addresses) - index - 1
        share = attempt if left is None or not others else attempt.within(left / (others + 1))
        try:
            return _connect_to(family, kind, protocol, address, share)
        except NodeClosedError:
            raise
        except ConnectError:
            failures[address[0]] = TimeoutError(errno.ETIMEDOUT, "no answer in time")
        except OSError as error:
            failures[address[0]] = error.with_traceback(None)
    told = [
        text_of(error) if len(failures) == 1 else f"{number}: {text_of(error)}" for number, error in failures.items()
    ]
    cause = list(failures.values())[-1]
    raise ConnectError(f"node {attempt.node}: no connection to {host}:{port}: {'; '.join(told)}") from cause


def _resolve(host: str, port: int, attempt: Attempt) -> list[tuple[Any, Any, int, str, Any]]:
    attempt.check(f"connecting to {host}:{port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if _is_number(family, host):
        return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]
    cause: Exception
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        attempt.check(f"resolving the name {host}")
        return list(addresses)
    except (socket.gaierror, UnicodeError) as error:
        cause = error.with_traceback(None)
    raise ConnectError(f"node {attempt.node}: the name {host!r} does not resolve: {text_of(cause)}") from cause


def _is_number(family: int, host: str) -> bool:
    """Whether `host` is an address already: then there is nothing to resolve."""
    try:
        return bool(socket.inet_pton(family, host))
    except (OSError, UnicodeError):
        return False


def _connect_to(family: int, kind: int, protocol: int, address: Any, attempt: Attempt) -> Stream:
    sock = socket.socket(family, kind | _NON_BLOCKING, protocol)
    stream: Stream | None = None
    try:
        if sock.gettimeout() != 0:  # without that flag, and with gevent's sockets, which take no notice of it
            sock.setblocking(False)
        for option in _OPTIONS:
            sock.setsockopt(*option)
        state = sock.connect_ex(address)
        if state not in _IN_PROGRESS:
            raise OSError(state, os.strerror(state))
        stream = Stream(sock, attempt.clock)
        if not _is_connected(sock):
            stream.watch(attempt.waker())
            stream.wait_connected(attempt, f"connecting to {address[0]}:{address[1]}")
        return stream
    except BaseException:
        if stream is not None:
            stream.close()
        sock.close()
        raise


def _is_connected(sock: socket.socket) -> bool:
    """Whether the connecting is over at once, as it is to a server on this machine: there is nothing to wait for."""
    try:
        return bool(sock.getpeername())
    except OSError:
        return False


def _tunnel(stream: Stream, proxy: Proxy, config: NodeConfig, attempt: Attempt) -> None:
    """Ask the proxy for a connection to the node."""
    doing = f"the way through the proxy {proxy.host}:{proxy.port}"
    problem: str | None = None
    cause: OSError | None = None
    try:
        stream.write(_connect_request(proxy, config.address))
        head, rest = read_head(stream, attempt, doing)
        status = head[9:12].decode("latin-1")
        if not status.startswith("2"):
            problem = f"the proxy answered {status}"
        elif rest:
            problem = "the proxy sent more than its answer"
    except LavalinkError:
        raise
    except (EOFError, ValueError) as error:
        problem = str(error)
    except OSError as error:
        problem, cause = text_of(error), error.with_traceback(None)
    if problem is not None:
        raise ConnectError(
            f"node {attempt.node}: no connection through {proxy.host}:{proxy.port}: {problem}"
        ) from cause


def _connect_request(proxy: Proxy, address: str) -> bytes:
    lines = [f"CONNECT {address} HTTP/1.1", f"Host: {address}"]
    if proxy.authorization is not None:
        lines.append("Proxy-Authorization: " + proxy.authorization.reveal())
    return "\r\n".join([*lines, "", ""]).encode()


def _start_tls(stream: Stream, config: NodeConfig, attempt: Attempt) -> None:
    context = tls_context(config.verify)
    where = f"node {attempt.node}: TLS with {config.address}"
    failure: ConnectError
    cause: Exception
    try:
        # A zone (fe80::1%eth0) is this machine's affair, and in no certificate.
        stream.start_tls(context, config.host.partition("%")[0], attempt, f"the TLS handshake with {config.address}")
        return
    except LavalinkError:
        raise
    except ssl.SSLCertVerificationError as error:
        failure, cause = CertificateError(f"{where}: the certificate does not verify: {error.verify_message}"), error
    except (OSError, ValueError) as error:
        failure, cause = ConnectError(f"{where} failed: {text_of(error)}; is there TLS at that port?"), error
    raise failure from cause.with_traceback(None)


def text_of(error: Exception) -> str:
    """Return what the system says, without its numbers."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "the connection ended").replace("_", " ").lower()
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
