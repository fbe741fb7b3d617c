"""DTMF digits reported as RTP events (RFC 4733 sections 2.3 and 2.5).

A sender repeats the report of one event while the key is held, all with the timestamp
of its start and a growing duration, and sends the last one three times with its end bit
set. One digit comes out of that, even when every end packet is lost.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

_DIGITS = "0123456789*#ABCD"
_REPORT = struct.Struct("!BBH")
_END = 0x80


@dataclass(frozen=True, slots=True)
class TelephoneEvent:
    """One digit, complete."""

    digit: str
    timestamp: int
    """Of its start."""
    duration: int
    """In timestamp units."""


class TelephoneEventDecoder:
    """Turns the reports of one source into digits.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |     event     |E|R| volume    |          duration             |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    """

    __slots__ = ("_finished_timestamp", "_open")

    def __init__(self) -> None:
        self._open: TelephoneEvent | None = None
        self._finished_timestamp: int | None = None

    def receive(self, timestamp: int, payload: bytes) -> list[TelephoneEvent]:
        """Take one report of four bytes; return the digits that it completes."""
        event, flags, duration = _REPORT.unpack(payload)
        if timestamp == self._finished_timestamp:
            return []
        done: list[TelephoneEvent] = []
        if self._open is not None and self._open.timestamp != timestamp:
            done += self.finish()
        if event < len(_DIGITS):
            self._open = TelephoneEvent(_DIGITS[event], timestamp, duration)
            if flags & _END:
                done += self.finish()
        return done

    def finish(self) -> list[TelephoneEvent]:
        """Return the digit whose end was not seen, if there is one."""
        if self._open is None:
            return []
        done = [self._open]
        self._finished_timestamp = self._open.timestamp
        self._open = None
        return done
