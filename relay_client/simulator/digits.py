"""DTMF digits among the packets of a tap (RFC 4733)."""

from __future__ import annotations

from relay_client.simulator.packets import AudioPacket
from relay_client.simulator.rtp_packet import telephone_event

_DIGIT_S = 0.1
_END_PACKETS = 3
"""RFC 4733 section 2.5.1.4: the end of an event is sent three times."""


class DigitEvents:
    """Which packets are replaced by telephone-events."""

    def __init__(self, digits: str, first_at: float) -> None:
        self._waiting = [
            (first_at + number * 2 * _DIGIT_S, digit)
            for number, digit in enumerate(digits)
        ]
        self._end: float | None = None
        self.start = 0
        """Where the current event began, in samples."""

    def payloads(self, packet: AudioPacket) -> list[bytes] | None:
        """Return the events that replace a packet; None if it is not replaced."""
        if not self._waiting or packet.start_s < self._waiting[0][0]:
            return None
        if self._end is None:
            self.start = packet.start
            self._end = packet.start_s + _DIGIT_S
        digit = self._waiting[0][1]
        duration = packet.start + packet.samples - self.start
        is_end = packet.end_s >= self._end - 1e-9
        payload = telephone_event(digit, duration, is_end=is_end)
        if not is_end:
            return [payload]
        self._waiting.pop(0)
        self._end = None
        return [payload] * _END_PACKETS
