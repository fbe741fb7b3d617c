"""A source that has yet to show that it is one (RFC 3550 appendix A.1).

One stray packet must not open a track, so a source counts once `MIN_SEQUENTIAL` packets
came in sequence. Its packets wait here meanwhile; none is lost by it.
"""

from __future__ import annotations

from functools import cmp_to_key

from server.audio import AudioFormat
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadKind
from server.rtp.reorder import Arrival
from server.rtp.serial import add_to_sequence, sequence_difference

MIN_SEQUENTIAL = 2

MAX_HELD = 64
"""Packets; 0.6 s of 10 ms packets, twice what settling a new source takes."""

PROBATION_TIMEOUT = 5.0
"""Seconds after which a packet that nothing followed says nothing any more."""


class SequenceProbation:
    """Counts packets in sequence."""

    __slots__ = ("_sequential", "next_sequence")

    def __init__(self) -> None:
        self.next_sequence = -1
        """After the latest packet; once valid, the latest that continues from it."""
        self._sequential = 0

    def receive(self, sequence_number: int) -> bool:
        """Take a sequence number; tell whether the source has been valid since."""
        if sequence_number == self.next_sequence:
            self._sequential += 1
        elif not self.is_valid:
            self._sequential = 1
        elif not self._is_ahead(sequence_number):
            return True
        self.next_sequence = add_to_sequence(sequence_number, 1)
        return self.is_valid

    @property
    def is_valid(self) -> bool:
        """Whether enough packets came in sequence."""
        return self._sequential >= MIN_SEQUENTIAL

    def _is_ahead(self, sequence_number: int) -> bool:
        return 0 < sequence_difference(sequence_number, self.next_sequence) <= MAX_HELD


class Candidate:
    """The packets of a source from its first until it gets a track."""

    __slots__ = ("_held", "_probation", "audio_format")

    def __init__(self) -> None:
        self.audio_format: AudioFormat | None = None
        """Of its first audio; None until there was some."""
        self._held: list[Arrival] = []
        self._probation = SequenceProbation()

    def __len__(self) -> int:
        return len(self._held)

    def receive(self, packet: RtpPacket, kind: PayloadKind, now: float) -> int:
        """Hold a packet; return how many older ones had to go for it."""
        if self._held and now - self._held[-1].at > PROBATION_TIMEOUT:
            stale = len(self._held)
            self._held.clear()
            self._probation = SequenceProbation()
        else:
            stale = max(0, len(self._held) + 1 - MAX_HELD)
            del self._held[:stale]
        self._held.append(Arrival(packet, now))
        if self.audio_format is None and isinstance(kind, AudioFormat):
            self.audio_format = kind
        self._probation.receive(packet.sequence_number)
        return stale

    @property
    def is_ready(self) -> bool:
        """Whether it is valid and the sampling rate of a track can be told."""
        return self._probation.is_valid and self.audio_format is not None

    @property
    def first_at(self) -> float:
        """When the first packet that is held came."""
        return self._held[0].at

    @property
    def last_at(self) -> float:
        """When the last packet that is held came."""
        return self._held[-1].at

    def settle(self) -> list[Arrival]:
        """Return what is held and belongs together, by sequence number.

        What is far from the packets that made it valid is some other source's; it is
        what is left.
        """
        expected = self._probation.next_sequence
        mine: list[Arrival] = []
        left: list[Arrival] = []
        for arrival in self._held:
            offset = sequence_difference(arrival.packet.sequence_number, expected)
            (mine if abs(offset) <= MAX_HELD else left).append(arrival)
        if not mine:
            mine, left = left, mine
        self._held = left
        return sorted(mine, key=cmp_to_key(_compare))


def _compare(a: Arrival, b: Arrival) -> int:
    return sequence_difference(a.packet.sequence_number, b.packet.sequence_number)
