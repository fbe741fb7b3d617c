"""Every RELAY frame, both ways, with the secrets masked (section 1.9)."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from relay_client.simulator.wire import Json

MASK = "***"
MAX_ENTRIES = 10_000

_SECRET_KEYS = frozenset(
    {"token", "jwt_token", "authorization_state", "authorization_bearer_token"}
)
_URI_KEYS = frozenset({"uri", "url", "status_url"})


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One frame."""

    at: float
    """Monotonic seconds."""
    connection: int
    """1 for the first connection of all, and so on."""
    sender: Literal["client", "platform"]
    frame: Json

    @property
    def method(self) -> str:
        """The JSON-RPC method; empty for replies."""
        return str(self.frame.get("method", ""))

    @property
    def event_type(self) -> str:
        """The type of a `signalwire.event`; empty for everything else."""
        return str(self._params.get("event_type", ""))

    @property
    def event_params(self) -> Json:
        """The inner parameters of a `signalwire.event`."""
        found = self._params.get("params")
        return found if isinstance(found, dict) else {}

    @property
    def _params(self) -> Json:
        found = self.frame.get("params")
        return found if isinstance(found, dict) else {}


class Journal:
    """The last frames of all connections."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = set(secrets)
        self._entries: deque[JournalEntry] = deque(maxlen=MAX_ENTRIES)

    def add_secret(self, value: str) -> None:
        """Mask a value wherever it appears from now on."""
        if len(value) >= 8:
            self._secrets.add(value)

    def add(
        self,
        *,
        at: float,
        connection: int,
        sender: Literal["client", "platform"],
        frame: Json,
    ) -> None:
        """Keep a masked copy of one frame."""
        masked = mask(frame, tuple(self._secrets))
        self._entries.append(JournalEntry(at, connection, sender, masked))

    @property
    def entries(self) -> list[JournalEntry]:
        """A copy, oldest first."""
        return list(self._entries)


def mask(value: Any, secrets: tuple[str, ...]) -> Any:
    """Return a copy of a JSON value in which no secret can be read.

    A tap's address can carry a token in its path or query, so that only its scheme,
    host and port are kept.
    """
    if isinstance(value, dict):
        return {key: _mask_field(key, found, secrets) for key, found in value.items()}
    if isinstance(value, list):
        return [mask(found, secrets) for found in value]
    if isinstance(value, str):
        for secret in secrets:
            value = value.replace(secret, MASK)
    return value


def mask_uri(uri: str) -> str:
    """Return an address with its path and query hidden."""
    try:
        parts = urlsplit(uri)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        return MASK
    if not parts.scheme or not parts.hostname:
        return MASK
    return f"{parts.scheme}://{parts.hostname}{port}/{MASK}"


def _mask_field(key: str, value: Any, secrets: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        if key in _SECRET_KEYS:
            return MASK
        if key in _URI_KEYS:
            return mask_uri(value)
    return mask(value, secrets)
