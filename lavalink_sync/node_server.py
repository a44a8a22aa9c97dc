"""What a node's thread asks its server while it connects: whether it is a Lavalink v4, and what it can do."""

from __future__ import annotations

import logging

from .config import NodeConfig
from .core.version import check_major, major_of
from .errors import (
    AuthenticationError,
    CertificateError,
    ConfigError,
    LavalinkError,
    RestError,
    UnsupportedServerError,
)
from .models import Info
from .rest import RestClient

log = logging.getLogger(__name__)

# How long a new session waits to hear what its server can do, in seconds.
_INFO_PATIENCE = 2.0


def is_final(error: LavalinkError) -> bool:
    """Whether trying again while CONNECTING is pointless: the password, the certificate, the settings, the server."""
    if isinstance(error, RestError) and isinstance(error, AuthenticationError):
        return error.status == 401 or not error.server_message
    return isinstance(error, (AuthenticationError, CertificateError, ConfigError, UnsupportedServerError))


def check_version(config: NodeConfig, rest: RestClient) -> None:
    """Find out whether the handshake was refused because this is no Lavalink v4 at all, which is raised.

    An answer that says nothing (a proxy's page, a plugin's odd version text), or none, leaves it at the refusal.
    """
    try:
        version = rest.version(timeout=config.timeouts.connect + config.timeouts.read)
    except LavalinkError as error:
        if is_final(error):
            raise
        return
    check_major(config.name, config.address, major_of(version), version)


def ask_info(config: NodeConfig, rest: RestClient) -> Info | None:
    """What the server can do, for the choice of nodes; `None` where it does not say: no reason not to connect.

    It is one that the server refuses the password, or is of another major version: both are raised.
    """
    try:
        info = rest.info(timeout=min(_INFO_PATIENCE, config.timeouts.read))
    except LavalinkError as error:
        if is_final(error):
            raise
        log.info("node %s: the server did not say what it can do: %s", config.name, error)
        return None
    check_major(config.name, config.address, info.version.major, info.version.semver)
    return info
