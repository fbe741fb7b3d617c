"""What the parts that know taps, calls and events are made of."""

from __future__ import annotations

import logging
import secrets
import uuid

from pydantic import SecretStr

from relay_client import RelayClient
from server.events.history import History
from server.events.hub import EventHub
from server.rtp.demux import RtpDemux
from server.settings import Settings
from server.tapper import asked_format
from server.taps.announcement import RendezvousOptions
from server.taps.limits import TapLimits
from server.taps.rendezvous import Rendezvous
from server.taps.tokens import TokenSigner
from server.transports.http_access import Access

log = logging.getLogger(__name__)


def make_rendezvous(settings: Settings, demux: RtpDemux) -> Rendezvous:
    """Return where the audio of all taps is to meet its announcements."""
    return Rendezvous(
        signer=TokenSigner(_secret(settings)),
        demux=demux,
        limits=TapLimits(
            idle=settings.idle_timeout_s,
            reconnect=settings.reconnect_grace_s,
            duration=settings.max_duration_s,
            recording_bytes=settings.max_recording_bytes,
        ),
        options=_options(settings),
        new_id=lambda: str(uuid.uuid4()),
    )


def make_relay_client(settings: Settings) -> RelayClient | None:
    """Return the client that asks for taps; None without credentials."""
    if settings.project_id is None or settings.relay_token is None:
        return None
    return RelayClient(
        project=settings.project_id,
        token=settings.relay_token.get_secret_value(),
        host=settings.space,
        contexts=list(settings.contexts),
        scheme=settings.relay_scheme,
        ca_file=None if settings.relay_ca_file is None else str(settings.relay_ca_file),
        allow_private_rtp=settings.allow_private_rtp,
        max_active_calls=2 * settings.max_taps,
    )


def make_event_hub() -> EventHub:
    """Return what events are told by, with a history of a name of its own.

    An id that an earlier run of the server gave is then never taken for one of this.
    """
    return EventHub(History(secrets.token_hex(4)))


def make_access(settings: Settings) -> Access:
    """Return who may use API and pages; says so where that is nobody elsewhere."""
    if settings.api_token is None:
        # Only who listens to other machines can have meant to answer them.
        level = logging.INFO if settings.http_listen.is_loopback else logging.WARNING
        log.log(
            level,
            "no API token is set: pages and API answer to this machine only "
            "(set TAPDECK_API_TOKEN)",
        )
    return Access(
        _text(settings.api_token),
        listen_token=_text(settings.listen_token),
        download_token=_text(settings.download_token),
    )


def _text(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _secret(settings: Settings) -> bytes:
    if settings.secret is not None:
        return settings.secret.get_secret_value().encode()
    if settings.transport == "ws" and settings.has_credentials:
        log.warning(
            "no secret is set: addresses of taps made before a restart will be "
            "refused after it (set TAPDECK_SECRET)"
        )
    return secrets.token_bytes(32)


def _options(settings: Settings) -> RendezvousOptions:
    ports = settings.rtp_listen
    order = settings.l16_byte_order
    return RendezvousOptions(
        accept_any=settings.accept == "any",
        static_tokens=frozenset(
            token.get_secret_value() for token in settings.static_tokens
        ),
        ports=() if ports.is_single else tuple(ports.ports),
        max_taps=settings.max_taps,
        max_taps_per_source=settings.max_taps_per_source,
        expected=asked_format(settings),
        l16_byte_order=None if order == "auto" else order,
        reorder_window=settings.reorder_window_ms / 1000,
    )
