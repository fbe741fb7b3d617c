"""Datagrams, and the network that loses, reorders and duplicates them.

Pure: a seed decides about every datagram.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from relay_client.simulator.options import MediaOptions
from relay_client.simulator.sent import AudioSpan

_MAX_PASSING = 3
"""Datagrams that overtake a reordered one, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """Something to send at a moment after the start."""

    at: float
    data: bytes
    """Empty if it was lost, or if this is only a moment in silence."""
    is_rtcp: bool = False
    span: AudioSpan | None = None
    """The audio in it, if there is any and this is not a duplicate."""


def nothing(at: float) -> Datagram:
    """Return a moment at which nothing is sent."""
    return Datagram(at=at, data=b"")


def impair(
    sent: Iterator[Datagram], options: MediaOptions, seed: str
) -> Iterator[Datagram]:
    """Yield datagrams as they come out of a network with the options' faults."""
    chance = random.Random(seed)
    held: list[tuple[int, Datagram]] = []
    at = 0.0
    for datagram in sent:
        at = datagram.at
        if datagram.is_rtcp or not datagram.data:
            yield datagram
            continue
        is_lost, is_reordered, is_duplicated = (
            chance.random() * 100 < percent
            for percent in (options.loss, options.reorder, options.duplicate)
        )
        if is_lost:
            yield replace(datagram, data=b"")
            continue
        if is_reordered:
            held.append((chance.randint(1, _MAX_PASSING), datagram))
            continue
        yield datagram
        if is_duplicated:
            yield replace(datagram, span=None)
        held = [(passing - 1, late) for passing, late in held]
        yield from (replace(late, at=at) for passing, late in held if passing == 0)
        held = [pair for pair in held if pair[0] > 0]
    yield from (replace(late, at=at) for _, late in held)
