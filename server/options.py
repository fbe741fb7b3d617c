"""What the settings say of which taps are taken."""

from __future__ import annotations

from server.settings import Settings
from server.tapper import asked_format
from server.taps.rendezvous import RendezvousOptions


def rendezvous_options(settings: Settings) -> RendezvousOptions:
    """Return what is taken, and how much of it."""
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
