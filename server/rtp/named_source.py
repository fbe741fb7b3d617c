"""A source address that signalling named, and the taps that it sends.

Usually that is one tap. A sender that uses one socket for several leaves only the SSRC
to tell them apart, and no SSRC is ever announced. So they are dealt out: each new one
goes to the tap that has none yet, in the order of naming. Once all have one, it goes to
the tap that was not heard for the longest time, whose source it most likely follows.
"""

from __future__ import annotations

from collections.abc import Callable

from server.rtp.session import RtpSession

Route = Callable[[bytes, float], None]

MAX_SSRCS = 64
"""Remembered for each tap, before those are forgotten of which nothing was kept."""


class NamedSource:
    """The taps of one source address, in the order of naming."""

    __slots__ = ("_owners", "_without", "routes", "sessions")

    def __init__(self) -> None:
        self.sessions: list[RtpSession] = []
        self.routes: dict[bytes, Route] = {}
        """By the four bytes of each SSRC that has been dealt out."""
        self._owners: dict[bytes, RtpSession] = {}
        # Taps that have no SSRC yet; a dict for its order.
        self._without: dict[RtpSession, None] = {}

    @property
    def is_complete(self) -> bool:
        """Whether every tap has an SSRC."""
        return not self._without

    def add(self, session: RtpSession) -> None:
        """Let a tap be sent from here, too; what others have been sent stays theirs."""
        if len(self.sessions) == 1:
            # Until now it got everything without being dealt anything.
            (first,) = self.sessions
            for ssrc in first.heard():
                self._give(ssrc.to_bytes(4, "big"), first)
        self.sessions.append(session)
        self._without[session] = None

    def remove(self, session: RtpSession) -> None:
        """Let a tap be sent from here no more."""
        self.sessions.remove(session)
        self._without.pop(session, None)
        self._forget([k for k, owner in self._owners.items() if owner is session])

    def deal(self, ssrc: bytes) -> Route:
        """Return where a new SSRC goes from now on."""
        if len(self._owners) >= MAX_SSRCS * len(self.sessions):
            self._forget([k for k, owner in self._owners.items() if not _has(owner, k)])
        session = next(iter(self._without), None)
        if session is None:
            session = min(self.sessions, key=lambda each: each.last_media_at or 0.0)
        return self._give(ssrc, session)

    def _give(self, ssrc: bytes, session: RtpSession) -> Route:
        self._without.pop(session, None)
        self._owners[ssrc] = session
        self.routes[ssrc] = session.receive_datagram
        return self.routes[ssrc]

    def _forget(self, ssrcs: list[bytes]) -> None:
        for ssrc in ssrcs:
            del self._owners[ssrc], self.routes[ssrc]


def _has(session: RtpSession, ssrc: bytes) -> bool:
    return int.from_bytes(ssrc, "big") in session.heard()
