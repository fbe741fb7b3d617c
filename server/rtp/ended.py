"""Sources and ports of taps that have just ended: what still comes is not for others.

A datagram is a straggler of an ended tap if it has an SSRC of that tap, comes from its
source, and follows that SSRC's last datagram without a pause. Whatever else comes from
there is new: an SSRC that the tap had not, because one socket may send many taps, or
one that starts again after `PAUSE`, because a sender on hold may outlast its tap. One
that goes on for `AFTER_END_TIME` is no straggler any more for whoever wants it.

A port is more particular, as it is given to one tap after another: a source of an
earlier tap never gets it again unless signalling names it, and the port rests until
`AFTER_END_TIME` after the end and after the last that such a source sent.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from server.rtp.address import Address

AFTER_END_TIME = 10.0
"""Seconds for which a tap's stragglers are known as such."""

PAUSE = 2.0
"""Seconds; far more than any datagram is under way."""

MAX_FORMER = 16
"""Sources of earlier taps that are remembered of one port."""


@dataclass(slots=True)
class _Ended:
    until: float
    heard_at: dict[int, float]
    """By SSRC."""


class EndedSources:
    """The source addresses of taps that have just ended."""

    def __init__(self) -> None:
        self._sources: dict[Address, _Ended] = {}

    def __contains__(self, addr: Address) -> bool:
        return addr in self._sources

    def add(
        self, addr: Address, heard_at: dict[int, float], now: float, until: float
    ) -> None:
        """Remember the SSRCs of a source, and when each was last heard."""
        ended = self._sources.setdefault(addr, _Ended(until, {}))
        ended.until = until
        known = ended.heard_at | heard_at
        # One socket may send thousands of taps one after another.
        ended.heard_at = {ssrc: at for ssrc, at in known.items() if now - at <= PAUSE}

    def shorten(self, addr: Address, until: float) -> None:
        """Remember a source no longer than until then: it is wanted again."""
        ended = self._sources.get(addr)
        if ended is not None:
            ended.until = min(ended.until, until)

    def is_straggler(
        self, addr: Address, ssrc: int, now: float, *, is_wanted: bool
    ) -> bool:
        """Tell whether a datagram that has just come is of a tap that has ended.

        Args:
            addr: Where from.
            ssrc: Which it has.
            now: When it came.
            is_wanted: Whether it could be the beginning of another tap.
        """
        ended = self._sources.get(addr)
        if ended is None or ssrc not in ended.heard_at:
            return False
        if now - ended.heard_at[ssrc] > PAUSE or (is_wanted and now >= ended.until):
            del ended.heard_at[ssrc]
            return False
        ended.heard_at[ssrc] = now
        return True

    def get_timer(self) -> float | None:
        """Return when the next source is forgotten."""
        return min((_forget_at(each) for each in self._sources.values()), default=None)

    def handle_timer(self, now: float) -> None:
        """Forget what was remembered long enough."""
        for addr in [a for a, e in self._sources.items() if _forget_at(e) <= now]:
            del self._sources[addr]


def _forget_at(ended: _Ended) -> float:
    last = max(ended.heard_at.values(), default=0.0)
    return max(ended.until, last + PAUSE)


class PortPast:
    """The taps that a port was open for."""

    __slots__ = ("_former", "rests_until")

    def __init__(self) -> None:
        self.rests_until = 0.0
        """When the port may be opened again."""
        self._former: dict[tuple[Address, int], None] = {}

    def add(self, addr: Address, ssrcs: Iterable[int]) -> None:
        """Remember the source of a tap that has ended."""
        for ssrc in ssrcs:
            self._former[addr, ssrc] = None
        while len(self._former) > MAX_FORMER:
            del self._former[next(iter(self._former))]

    def is_former(self, addr: Address, ssrc: int) -> bool:
        """Tell whether this is a source of an earlier tap."""
        return (addr, ssrc) in self._former
