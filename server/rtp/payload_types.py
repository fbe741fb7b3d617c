"""What a payload type means on one tap (RFC 3551 section 6, RFC 3389, RFC 4733)."""

from __future__ import annotations

import enum

from server.audio import OPUS_RATE, PCMA_8000, PCMU_8000, AudioFormat, Codec

PCMU = 0
PCMA = 8
G722 = 9
L16_STEREO = 10
L16_MONO = 11
COMFORT_NOISE = 13
FIRST_DYNAMIC = 96
USUAL_OPUS = 111
"""Dynamic, but nearly everybody's."""
USUAL_TELEPHONE_EVENT = 101

TELEPHONE_EVENT_BYTES = 4
"""RFC 4733 section 2.3: a report of one event."""


class Signal(enum.Enum):
    """Payloads that take a sequence number and carry no audio."""

    CN = "comfort noise"
    TELEPHONE_EVENT = "telephone-event"


PayloadKind = AudioFormat | Signal | None
"""None: unknown or unsupported (G722)."""


class PayloadFormats:
    """The meaning of each payload type, given what the tap was asked to send.

    RELAY never tells the number of a dynamic payload type, so it means whatever was
    asked for.
    """

    def __init__(self, asked: AudioFormat = PCMU_8000) -> None:
        self.asked = asked
        self._has_fixed_number = asked in (PCMU_8000, PCMA_8000)
        byte_order = asked.byte_order if asked.codec is Codec.L16 else "big"
        dynamic: PayloadKind = None
        if asked.codec is Codec.OPUS:
            dynamic = AudioFormat(Codec.OPUS, OPUS_RATE)
        elif not self._has_fixed_number:
            dynamic = asked
        self._kinds: list[PayloadKind] = [None] * FIRST_DYNAMIC + [dynamic] * 32
        self._kinds[PCMU] = PCMU_8000
        self._kinds[PCMA] = PCMA_8000
        self._kinds[L16_STEREO] = AudioFormat(Codec.L16, 44_100, 2, byte_order)
        self._kinds[L16_MONO] = AudioFormat(Codec.L16, 44_100, 1, byte_order)
        self._kinds[COMFORT_NOISE] = Signal.CN

    def kind_of(self, payload_type: int, payload_bytes: int) -> PayloadKind:
        """Return what a packet carries; None if it is unknown or unsupported."""
        if (
            payload_bytes == TELEPHONE_EVENT_BYTES
            and payload_type >= FIRST_DYNAMIC
            and (self._has_fixed_number or payload_type == USUAL_TELEPHONE_EVENT)
        ):
            return Signal.TELEPHONE_EVENT
        return self._kinds[payload_type]
