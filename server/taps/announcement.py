"""What a tap is said to be before it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.audio import AudioFormat, ByteOrder
from server.rtp.address import Address
from server.taps.tap import TapDirection, TapOrigin, Transport


@dataclass(frozen=True, slots=True, kw_only=True)
class RendezvousOptions:
    """What is taken, and how much of it."""

    accept_any: bool = False
    static_tokens: frozenset[str] = frozenset()
    ports: Sequence[int] = ()
    """UDP ports to open for one tap each; empty when all taps share one port."""
    max_taps: int = 4000
    max_taps_per_source: int = 0
    """Of one call, or from one network that nobody announced; 0 for no limit."""
    expected: AudioFormat
    """What a tap that nobody announced is taken to carry."""
    l16_byte_order: ByteOrder | None = None
    """None: found out by listening."""
    reorder_window: float = 0.4
    """Seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """A tap about to be asked for."""

    transport: Transport
    direction: TapDirection
    origin: TapOrigin
    expected: AudioFormat
    call_id: str = ""
    node_id: str = ""
    from_number: str = ""
    to_number: str = ""
    context: str = ""
    """The RELAY context of its inbound call."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTap:
    """A tap that was live when a server ended."""

    control_id: str
    announcement: Announcement
    port: int | None = None
    """The local UDP port that was opened for it alone."""
    source: Address | None = None
    """Where its RTP came from."""
    network: str = ""
    """Of one over RTP that nobody announced: whose it is."""
    recorded_s: float = 0.0
    """How long ago its recording began, in seconds."""

    @property
    def transport(self) -> Transport:
        """How its audio travels."""
        return self.announcement.transport
