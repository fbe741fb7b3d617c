"""From the timestamps of one source to positions on the track it plays on.

An anchor ties one timestamp to one position. As long as timestamps can be believed they
decide where audio goes, to the sample. When they cannot (they run backwards, jump for
no reason, or belong to a new stream) the arrival clock decides once, and a new anchor
is set there: that is what keeps hours of silence out of a file.
"""

from __future__ import annotations

from server.rtp.serial import TIMESTAMP_MODULUS

MAX_LEAD = 2.0
"""Seconds of silence that a sender may be ahead of the arrival clock. Covers a first
packet that was late and senders that deliver somewhat faster than real time."""

MIN_ARRIVAL_GAP = 0.06
"""Seconds. What is less than about three packets is network jitter, not a pause."""

MAX_PTIME = 0.12
"""Seconds of audio that one packet may hold."""

MAX_STEP_BACK = 12.0
"""Seconds that a late packet may be behind: MAX_MISORDER packets of MAX_PTIME."""

SNAP = 0.005
"""Seconds. Some senders derive timestamps from a wall clock, so that they tremble by a
few ticks; nobody pauses for so short a time."""


class Timeline:
    """Maps extended timestamps (which do not wrap) to positions of a track."""

    __slots__ = ("_position", "_timestamp", "clock_rate", "sample_rate", "slip")

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        """Of the track: the unit of positions."""
        self.clock_rate = sample_rate
        """Ticks per second."""
        self.slip = 0
        """Ticks by which audio has been moved to absorb trembling timestamps."""
        self._timestamp = 0
        self._position = 0

    def anchor(self, timestamp: int, position: int, clock_rate: int) -> None:
        """Let `timestamp` be at `position` from now on."""
        self.clock_rate = clock_rate
        self._timestamp = timestamp
        self._position = position
        self.slip = 0

    def move(self, samples: int) -> None:
        """Let every timestamp be at a position that is so much later."""
        self._position += samples

    def position_of(self, timestamp: int) -> int:
        """Return the position of an extended timestamp."""
        # Rounded from the anchor each time, so that nothing accumulates.
        return self._position + self.length_of(timestamp - self._timestamp)

    def length_of(self, ticks: int) -> int:
        """Return `ticks` in samples of the track; exact where the rates agree."""
        return ticks * self.sample_rate // self.clock_rate

    def wrap(self, timestamp: int) -> int:
        """Return an extended timestamp as the 32 bits on the wire."""
        if timestamp >= TIMESTAMP_MODULUS:
            timestamp -= TIMESTAMP_MODULUS
            self._timestamp -= TIMESTAMP_MODULUS
        return timestamp

    def absorb(self, ticks: int) -> bool:
        """Take in a jump that is too small to be a pause; tell whether it was.

        Jumps add up, so audio is never further than `SNAP` from its timestamp.
        """
        slip = self.slip + ticks
        if abs(slip) > SNAP * self.clock_rate:
            return False
        self.slip = slip
        self._timestamp += ticks
        return True

    def resume(self) -> None:
        """Go back to what the timestamps say, for the audio after a real pause."""
        self._timestamp -= self.slip
        self.slip = 0

    def believes(self, ticks: int, *, lost_ticks: int, lag: float) -> bool:
        """Tell whether a packet that follows in sequence can be at its timestamp.

        Args:
            ticks: How far its timestamp is after the end of the audio before it.
            lost_ticks: How much of that is accounted for by lost packets.
            lag: Seconds that the track is behind the arrival clock.
        """
        silence = ticks - lost_ticks
        if ticks < 0:
            return False
        return silence <= 0 or silence <= (lag + MAX_LEAD) * self.clock_rate

    def could_hold(self, ticks: int, packets: int, lag: float) -> bool:
        """Tell whether a packet out of sequence is of this stream at all.

        Args:
            ticks: How far its timestamp is after the end of the audio so far.
            packets: How many packets it is ahead; negative behind.
            lag: Seconds that the track is behind the arrival clock.
        """
        seconds = ticks / self.clock_rate
        ahead = max(packets, 0) * MAX_PTIME + max(lag, 0.0) + MAX_LEAD
        return -MAX_STEP_BACK <= seconds <= ahead
