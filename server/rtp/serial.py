"""Modulo arithmetic on sequence numbers (16 bits) and timestamps (32 bits).

Both start at random and wrap (RFC 3550 sections 5.1 and A.1), so neither may be
compared with `<` nor subtracted plainly. Every such operation is here.
"""

from __future__ import annotations

SEQUENCE_MODULUS = 1 << 16
TIMESTAMP_MODULUS = 1 << 32


def sequence_difference(a: int, b: int) -> int:
    """Return how many packets `a` is after `b`, from -32768 to 32767."""
    return ((a - b + 0x8000) & 0xFFFF) - 0x8000


def timestamp_difference(a: int, b: int) -> int:
    """Return how many ticks `a` is after `b`, from -2**31 to 2**31 - 1."""
    return ((a - b + 0x8000_0000) & 0xFFFF_FFFF) - 0x8000_0000


def add_to_sequence(sequence_number: int, count: int) -> int:
    """Return the sequence number `count` packets later."""
    return (sequence_number + count) & 0xFFFF


def add_to_timestamp(timestamp: int, ticks: int) -> int:
    """Return the timestamp `ticks` later."""
    return (timestamp + ticks) & 0xFFFF_FFFF
