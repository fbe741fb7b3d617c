"""Where the platform is and who we are to it, from arguments and environment.

The environment variables are those of the official SDKs. Everything that is missing or
cannot work is refused here, by the name under which it can be set.

Pure: the environment is a parameter.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relay_client.errors import ConfigurationError
from relay_client.relay_session import Credentials

DEFAULT_HOST = "relay.signalwire.com"
_DOMAIN = ".signalwire.com"
_SCHEMES = ("wss", "ws")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(:\d{1,5})?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where the platform's WebSocket is."""

    host: str
    """Name, with `:port` if it is not the default one."""
    scheme: str = "wss"
    path: str = ""
    ca_file: str | None = None
    """PEM file of the authorities to trust beside the system's own."""

    @property
    def url(self) -> str:
        """The address of the WebSocket."""
        return f"{self.scheme}://{self.host}{self.path}"


def resolve_credentials(
    environ: Mapping[str, str],
    *,
    project: str | None = None,
    token: str | None = None,
    jwt_token: str | None = None,
) -> Credentials:
    """Return the credentials from arguments, or else from the environment.

    Raises:
        ConfigurationError: one is missing.
    """
    project = project or environ.get("SIGNALWIRE_PROJECT_ID", "")
    token = token or environ.get("SIGNALWIRE_API_TOKEN", "")
    jwt_token = jwt_token or environ.get("SIGNALWIRE_JWT_TOKEN", "")
    if not jwt_token and not project:
        raise ConfigurationError(
            "project", "is missing: pass project=... or set SIGNALWIRE_PROJECT_ID"
        )
    if not jwt_token and not token:
        raise ConfigurationError(
            "token", "is missing: pass token=... or set SIGNALWIRE_API_TOKEN"
        )
    return Credentials(project=project, token=token, jwt_token=jwt_token)


def resolve_endpoint(
    environ: Mapping[str, str],
    *,
    host: str | None = None,
    scheme: str | None = None,
    path: str = "",
    ca_file: str | None = None,
) -> Endpoint:
    """Return the endpoint from arguments, or else from the environment.

    Raises:
        ConfigurationError: a value cannot work.
    """
    scheme = scheme or environ.get("SIGNALWIRE_RELAY_SCHEME") or "wss"
    if scheme not in _SCHEMES:
        raise ConfigurationError("scheme", f"must be wss or ws, not {scheme!r}")
    if path and not path.startswith("/"):
        raise ConfigurationError("path", f"must start with a slash, not {path!r}")
    return Endpoint(
        host=_full_host(host or environ.get("SIGNALWIRE_SPACE") or DEFAULT_HOST),
        scheme=scheme,
        path=path,
        ca_file=ca_file or environ.get("SIGNALWIRE_RELAY_CA_FILE") or None,
    )


def _full_host(host: str) -> str:
    if not _HOST.fullmatch(host):
        # The value is not repeated: credentials before an `@` are a usual mistake.
        raise ConfigurationError(
            "host", "must be a bare host name (SIGNALWIRE_SPACE), with :port at most"
        )
    if "." in host or ":" in host or host == "localhost":
        return host
    return host + _DOMAIN
