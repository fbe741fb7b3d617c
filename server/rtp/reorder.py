"""Packets that arrived before their turn, and which turns were given up.

A hole opens when a packet arrives whose predecessor has not. What follows is held until
the hole is filled or until the first packet to arrive after it has waited long enough.
"""

from __future__ import annotations

from typing import NamedTuple

from server.rtp.packet import RtpPacket
from server.rtp.serial import add_to_sequence, sequence_difference

MAX_HELD = 512
"""Packets behind holes; about 10 s of 20 ms packets, far beyond any reorder window."""

MAX_REMEMBERED = 1024
"""Given-up sequence numbers that are remembered to tell late from duplicate."""


class Arrival(NamedTuple):
    """A packet and the time at which it came."""

    packet: RtpPacket
    at: float


class ReorderBuffer:
    """Holds what is behind the next expected packet of one source."""

    __slots__ = ("_given_up", "_held", "_highest")

    def __init__(self) -> None:
        # In order of arrival, which is what deadlines go by.
        self._held: dict[int, Arrival] = {}
        self._given_up: dict[int, None] = {}
        self._highest = 0

    def __len__(self) -> int:
        return len(self._held)

    @property
    def first_at(self) -> float | None:
        """When the first of the held packets to arrive did so."""
        for arrival in self._held.values():
            return arrival.at
        return None

    def __contains__(self, sequence_number: int) -> bool:
        return sequence_number in self._held

    def hold(self, packet: RtpPacket, at: float) -> bool:
        """Keep a packet; tell whether one that comes after it was here before it."""
        number = packet.sequence_number
        overtaken = bool(self._held) and sequence_difference(number, self._highest) < 0
        if not overtaken:
            self._highest = number
        self._held[number] = Arrival(packet, at)
        return overtaken

    def pop(self, sequence_number: int) -> Arrival | None:
        """Return the packet with that number, if it is here, and forget it."""
        return self._held.pop(sequence_number, None)

    def give_up(self, next_sequence: int) -> int:
        """Return how many packets from `next_sequence` on are missing, as given up."""
        missing = min(sequence_difference(n, next_sequence) for n in self._held)
        for offset in range(max(0, missing - MAX_REMEMBERED), missing):
            self._given_up[add_to_sequence(next_sequence, offset)] = None
        while len(self._given_up) > MAX_REMEMBERED:
            del self._given_up[next(iter(self._given_up))]
        return missing

    def was_given_up(self, sequence_number: int, *, peek: bool = False) -> bool:
        """Tell whether that packet's turn was given up; once each unless `peek`."""
        if sequence_number not in self._given_up:
            return False
        if not peek:
            del self._given_up[sequence_number]
        return True
