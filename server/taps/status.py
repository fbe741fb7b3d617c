"""What a tap is doing, as the rest of the server and its users see it.

A snapshot: the tap itself goes on changing, a `TapStatus` never does.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from server.audio import PacketCounts
from server.taps.verdict import TrackVerdict

ENDED_STATES = frozenset({"finished", "failed"})
"""The states that a tap never leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartTap:
    """A wish to tap one leg of a call."""

    call_id: str
    node_id: str
    direction: str | None = None
    """`speak`, `listen`, `both` or `stereo`; None takes what is configured."""
    transport: str | None = None
    """`ws` or `rtp`; None takes what the configured tap address says."""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ForwardStatus:
    """One forward of a tap at one moment; nothing in it is secret."""

    forward_id: str
    rule: str = ""
    """The rule of the configuration that it was begun by, if it was by one."""
    type: str
    url: str
    """With path and query left out."""
    framing: str
    state: str
    """`connecting`, `connected`, `waiting` to try again, `ended` or `failed`."""
    error: str = ""
    """What went wrong last; it may be long over."""
    connections: int = 0
    """How many were made."""
    sent_messages: int = 0
    sent_bytes: int = 0
    queued_ms: int = 0
    dropped_ms: int = 0
    replies: tuple[str, ...] = ()
    """The last texts that the other end sent, oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TapStatus:
    """One tap at one moment."""

    control_id: str
    call_id: str
    node_id: str
    direction: str
    transport: str
    origin: str
    """Who asked for it: `relay`, `api`, `static` or `foreign`."""
    state: str
    """`waiting`, `receiving`, `stalled`, `finished` or `failed`."""
    is_paused: bool = False
    """Whether nothing that is heard is kept or passed on, because somebody asked."""
    from_number: str = ""
    to_number: str = ""
    context: str = ""
    """The RELAY context of its inbound call."""
    tags: tuple[str, ...] = ()
    codec: str = ""
    """Empty until the first audio."""
    sample_rate: int | None = None
    """None until the first audio."""
    created_at: datetime
    """UTC."""
    started_at: datetime | None = None
    """When its first audio was heard, UTC."""
    duration_s: float = 0.0
    packets: PacketCounts = field(default_factory=PacketCounts)
    """A copy; nobody changes it any more."""
    drops: tuple[tuple[str, int], ...] = ()
    """What was not used and why: (reason, count)."""
    recording_ids: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """Names of what has sounded wrong so far, such as `byte_order`."""
    reason: str = ""
    """Why it is in this state, in words for people."""
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    """What a media stream says that it was started with."""
    forwards: tuple[ForwardStatus, ...] = ()
    verdict: TrackVerdict | None = None
    """What became of it, once all that it left is finished."""

    @property
    def has_ended(self) -> bool:
        """Whether nothing will come of this tap any more."""
        return self.state in ENDED_STATES
