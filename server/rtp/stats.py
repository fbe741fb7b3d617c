"""Reception statistics (RFC 3550 sections 6.4.1 and A.8).

The number expected of RFC 3550 A.3 needs no code of its own: each sequence number of a
stream ends up in exactly one of `PacketCounts.received` and `.lost`, or was refused
and counted by name.
"""

from __future__ import annotations

JITTER_GAIN = 1 / 16
"""RFC 3550 section 6.4.1: "a good noise reduction ratio while maintaining a reasonable
rate of convergence"."""


def deviation(elapsed: float, ticks: int, clock_rate: int) -> float:
    """Return how far the arrival of two packets differs from their timestamps.

    In timestamp units. It is D(i,j) of RFC 3550 section 6.4.1 as a difference of
    differences, so a timestamp that wraps between the two does no harm.

    Args:
        elapsed: Seconds between the two arrivals.
        ticks: How far apart the two timestamps are.
        clock_rate: Ticks per second.
    """
    return elapsed * clock_rate - ticks


def smooth(jitter: float, deviation: float) -> float:
    """Return the new interarrival jitter: J + (|D| - J) / 16."""
    return jitter + (abs(deviation) - jitter) * JITTER_GAIN
