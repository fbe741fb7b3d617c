"""The RELAY session: what identifies it, and what resumes it on a new connection.

A session outlives its connections. The platform names it (`protocol`) in its reply to
`signalwire.connect` and sends a sealed `authorization_state` from time to time; both go
into the next `signalwire.connect`, always beside the credentials, because the platform
falls back to those when it no longer likes the rest.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from relay_client.jsonrpc import JsonObject, as_object
from relay_client.redact import mask_values

_VERSION = {"major": 2, "minor": 0, "revision": 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who we are to the platform: a project and its token, or a JWT."""

    project: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    jwt_token: str = field(default="", repr=False)

    def authentication(self) -> JsonObject:
        """Return the `authentication` member of `signalwire.connect`."""
        if self.jwt_token:
            return {"jwt_token": self.jwt_token}
        return {"project": self.project, "token": self.token}

    def secrets(self) -> tuple[str, ...]:
        """Return the values that no log may show."""
        return (self.project, self.token, self.jwt_token)


class RelaySession:
    """One RELAY session over any number of connections."""

    def __init__(
        self, credentials: Credentials, *, agent: str, contexts: Iterable[str]
    ) -> None:
        self.contexts = list(dict.fromkeys(contexts))
        self.protocol = ""
        """The platform's name for the session."""
        self.has_been_accepted = False
        """True once these credentials have worked."""
        self._credentials = credentials
        self._agent = agent
        self._authorization_state = ""
        self._is_resumable = False

    def connect_params(self) -> JsonObject:
        """Return the parameters of `signalwire.connect`."""
        params: JsonObject = {
            "version": _VERSION,
            "agent": self._agent,
            "event_acks": True,
            "authentication": self._credentials.authentication(),
        }
        if self.contexts:
            params["contexts"] = list(self.contexts)
        if self._is_resumable:
            params["protocol"] = self.protocol
        if self._authorization_state:
            params["authorization_state"] = self._authorization_state
        return params

    def accept(self, result: JsonObject) -> bool:
        """Take in the result of `signalwire.connect`.

        Returns:
            Whether the platform replaced the session that we had by another one.
        """
        self.has_been_accepted = True
        authorization = as_object(result.get("authorization"))
        self.keep_authorization(authorization.get("authorization_state"))
        given = result.get("protocol")
        if not isinstance(given, str) or not given:
            return False
        previous, self.protocol = self.protocol, given
        self._is_resumable = True
        return previous not in ("", given)

    def keep_authorization(self, sealed: object) -> None:
        """Store the newest sealed state."""
        if isinstance(sealed, str) and sealed:
            self._authorization_state = sealed

    def restart(self) -> None:
        """Do not resume: the platform wants a fresh session next time.

        The old name is kept to compare with, so that its replacement is noticed.
        """
        self._is_resumable = False
        self._authorization_state = ""

    def forget(self) -> None:
        """Start from nothing, as after a deliberate disconnect."""
        self.restart()
        self.protocol = ""

    def secrets(self) -> tuple[str, ...]:
        """Return the values that no log may show."""
        return (*self._credentials.secrets(), self._authorization_state)

    def mask(self, text: str) -> str:
        """Return `text` without the secrets."""
        return mask_values(text, self.secrets())
