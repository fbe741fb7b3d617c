"""Where control and media meet: taps announced here, audio arriving there.

A tap is announced (by RELAY or the HTTP API) and its audio arrives on its own, before
or after the platform's reply and its `tapping` event. Audio finds its tap by what
cannot be confused, because the media itself names no call:

- a WebSocket by the token in its address, which is signed and names the tap;
- RTP by the local port opened for that tap alone, or by the source address that the
  platform named in `source_device` (the demultiplexer holds what comes before that).

Taps that nobody announced get half of the room at most, so that there is room for those
that were.

Pure: `now` is monotonic, `wall` is seconds since 1970; ids come from `new_id`.
"""

from __future__ import annotations

import hmac
from collections import Counter, deque
from collections.abc import Callable, Iterable

from server.audio import AudioFormat
from server.rtp.address import Address, network_of, normal_address
from server.rtp.demux import NewSource, RtpDemux
from server.rtp.ended import AFTER_END_TIME
from server.rtp.payload_types import PayloadFormats
from server.rtp.session import RtpSession
from server.taps.announcement import Announcement, PastTap, RendezvousOptions
from server.taps.limits import TapLimits
from server.taps.refusal import TapRefusedError
from server.taps.source_limit import SourceLimit
from server.taps.tap import (
    Tap,
    TapDirection,
    TapOrigin,
    Transport,
)
from server.taps.tokens import TokenClaims, TokenSigner
from server.taps.ws_session import WsSession

TOKEN_LIFE = 4 * 3600
"""Seconds a token opens a tap; a tap that is open is not closed by its expiry."""

MAX_GUESTS_OF_A_NETWORK = 20
"""Unannounced RTP taps that one sender may have at a time, unless a quarter of the room
for such taps is more."""

MAX_REMEMBERED = 10_000
"""Ended taps whose tokens are recognised as used up."""


class Rendezvous:
    """All taps of this server, live and lately ended."""

    def __init__(
        self,
        *,
        signer: TokenSigner,
        demux: RtpDemux,
        limits: TapLimits,
        options: RendezvousOptions,
        new_id: Callable[[], str],
    ) -> None:
        self._signer = signer
        self._demux = demux
        self._limits = limits
        self._options = options
        self._new_id = new_id
        self._free_ports = deque(options.ports)
        self._ended: dict[str, None] = {}
        # Those over RTP whose source is to be named yet.
        self._awaiting: set[str] = set()
        # Those that nobody announced, and which network each came from over RTP.
        self._guests: dict[str, str] = {}
        self._demux.awaiting = 0
        self._sources = SourceLimit(options.max_taps_per_source)
        self._begun: deque[Tap] = deque()
        self._by_token: dict[str, Tap] = {}
        self.taps: dict[str, Tap] = {}
        """Live taps by control id."""
        self.refused: Counter[str] = Counter()
        """Connections and announcements not taken, by reason."""
        self.is_closed = False
        self.overload: str | None = None
        """Why another tap would put the audio of the others at risk, if it would."""

    @property
    def is_full(self) -> bool:
        """Whether there is room for no further tap."""
        return len(self.taps) >= self._options.max_taps

    @property
    def has_room(self) -> bool:
        """Whether a tap that is asked for now would be taken."""
        return not (self.is_closed or self.is_full or self.overload)

    def close(self) -> None:
        """Take no new taps; those that are live go on."""
        self.is_closed = True

    def announce(self, announcement: Announcement, *, now: float, wall: float) -> Tap:
        """Make room for a tap that is about to be asked for.

        Raises:
            TapRefusedError: There is no room.
        """
        self._check_room()
        # A call that we tap is its own source: the platform sends for all of them.
        self._check_source(announcement.call_id)
        tap = self._new_tap(announcement, self._new_id(), now)
        self._sources.add(tap.control_id, announcement.call_id)
        if announcement.transport is Transport.WS:
            tap.token = self._signer.issue(tap.control_id, int(wall) + TOKEN_LIFE)
            tap.is_returning = True
            self._by_token[tap.token] = tap
        elif self._options.ports:
            tap.port = self._take_port(now)
            self._demux.add_port(tap.port, self._rtp_session(tap))
        else:
            self._await_source(tap)
        return self._register(tap)

    def restore(self, past: PastTap, *, now: float, resume_by: float) -> Tap | None:
        """Expect the audio of a tap from before a restart, until `resume_by`.

        Its connection shows the token that it was given then, or its RTP comes from
        where it came from. None if that cannot be told here.
        """
        if past.port is not None and past.port not in self._free_ports:
            return None
        if past.transport is Transport.RTP and not (past.port or past.source):
            return None
        tap = self._new_tap(past.announcement, past.control_id, now)
        tap.is_control_lost = tap.is_returning = True
        tap.resume_by = resume_by
        tap.recorded_since = now - past.recorded_s
        self._sources.add(tap.control_id, past.network or tap.call_id)
        if past.network:
            self._guests[tap.control_id] = past.network
        tap.source, tap.port = past.source, past.port
        if tap.port is not None:
            self._free_ports.remove(tap.port)
            self._demux.add_port(tap.port, self._rtp_session(tap), tap.source)
        elif tap.source is not None:
            self._demux.add_source(tap.source, self._rtp_session(tap))
        return self._register(tap)

    def source_named(
        self, tap: Tap, source: Address, sent: AudioFormat | None = None
    ) -> None:
        """Take the audio of `tap` from where the platform says that it sends it.

        Args:
            tap: One over RTP.
            source: Where from.
            sent: The format that the platform says it sends, if that is not what it
                was asked for.
        """
        if sent is not None:
            self._rtp_session(tap).expect(PayloadFormats(sent))
        source = tap.source = normal_address(*source)
        self._stop_awaiting(tap)
        if tap.port is None:
            self._demux.add_source(source, self._rtp_session(tap))
        else:
            self._demux.add_port(tap.port, self._rtp_session(tap), source)

    def admit(self, token: str, *, now: float, wall: float, network: str = "") -> Tap:
        """Return the tap that a WebSocket with `token` in its address is for.

        Args:
            token: The secret in the address.
            now: The monotonic time.
            wall: The time of day, for the expiry of tokens.
            network: Where it comes from; empty if that says nothing, as of a proxy.

        Raises:
            TapRefusedError: It is for none.
        """
        # The expiry limits when a tap may begin, not how long it may last.
        if token and (tap := self._by_token.get(token)) is not None:
            return tap
        if self._is_static(token):
            return self._guest(TapOrigin.STATIC, now, network)
        claims = self._signer.verify(token, wall)
        if isinstance(claims, TokenClaims):
            return self._admit_signed(claims.tap_id, now)
        if self._options.accept_any:
            return self._guest(TapOrigin.FOREIGN, now, network)
        self.refused[f"token_{claims.reason.value}"] += 1
        raise TapRefusedError(403, "This is not the address of a tap.")

    def welcome_sources(self, now: float) -> None:
        """Begin a tap for each unknown RTP source that the demultiplexer reports."""
        while (source := self._demux.next_event()) is not None:
            self._welcome(source, now)

    def next_begun(self) -> Tap | None:
        """Return the next tap that was registered, once each."""
        return self._begun.popleft() if self._begun else None

    def take_due(self, now: float, taps: Iterable[Tap] | None = None) -> list[Tap]:
        """Look at these taps, or all, and return those whose end is to happen now."""
        due = []
        for tap in self.taps.values() if taps is None else taps:
            tap.observe(now)
            if tap.is_due(now):
                if isinstance(tap.session, RtpSession):
                    self._demux.settle(tap.session)
                due.append(tap)
        return due

    def remove(self, tap: Tap) -> None:
        """Forget a tap that is over; its token opens nothing any more."""
        self.taps.pop(tap.control_id, None)
        self._by_token.pop(tap.token, None)
        self._guests.pop(tap.control_id, None)
        self._sources.discard(tap.control_id)
        self._stop_awaiting(tap)
        self._ended[tap.control_id] = None
        if len(self._ended) > MAX_REMEMBERED:
            self._ended.pop(next(iter(self._ended)))
        if isinstance(tap.session, RtpSession):
            self._demux.remove(tap.session)
        if tap.port is not None:
            self._free_ports.append(tap.port)

    def _is_static(self, token: str) -> bool:
        given = token.encode(errors="surrogatepass")
        matches = [
            hmac.compare_digest(given, known.encode())
            for known in self._options.static_tokens
        ]
        return any(matches)

    def _admit_signed(self, control_id: str, now: float) -> Tap:
        if (tap := self.taps.get(control_id)) is not None:
            return tap
        if control_id in self._ended:
            self.refused["tap_is_over"] += 1
            raise TapRefusedError(410, "This tap is over.")
        # Ours from before a restart, or a sister's with the same secret.
        tap = self._unannounced(TapOrigin.FOREIGN, control_id, now)
        tap.is_returning = True
        return tap

    def _unannounced(self, origin: TapOrigin, control_id: str, now: float) -> Tap:
        self._check_room()
        announcement = Announcement(
            transport=Transport.WS,
            direction=TapDirection.BOTH,
            origin=origin,
            expected=self._options.expected,
        )
        return self._register(self._new_tap(announcement, control_id, now))

    def _guest(self, origin: TapOrigin, now: float, network: str) -> Tap:
        if not self.is_full and not self._has_guest_room():
            self.refused["too_many_foreign_taps"] += 1
            raise TapRefusedError(
                503, "As many taps are live as there may be that nobody announced."
            )
        self._check_source(network)
        tap = self._unannounced(origin, self._new_id(), now)
        self._sources.add(tap.control_id, network)
        self._guests[tap.control_id] = ""
        return tap

    def _has_guest_room(self, network: str = "") -> bool:
        room = (self._options.max_taps + 1) // 2
        if len(self._guests) >= room:
            return False
        of_network = list(self._guests.values()).count(network) if network else 0
        return of_network < max(MAX_GUESTS_OF_A_NETWORK, room // 4)

    def _welcome(self, source: NewSource, now: float) -> None:
        announcement = Announcement(
            transport=Transport.RTP,
            direction=TapDirection.BOTH,
            origin=TapOrigin.FOREIGN,
            expected=self._options.expected,
        )
        if self.is_closed or self.is_full:
            self.refused["too_many_taps"] += 1
            return
        if self.overload is not None:
            self.refused["overload"] += 1
            return
        network = network_of(source.addr[0])
        if not self._has_guest_room(network):
            self.refused["too_many_foreign_taps"] += 1
            return
        if self._sources.is_full(network):
            self.refused["too_many_taps_of_a_source"] += 1
            return
        tap = self._register(self._new_tap(announcement, self._new_id(), now))
        self._sources.add(tap.control_id, network)
        self._guests[tap.control_id] = network
        tap.source = source.addr
        self._demux.add_source(source.addr, self._rtp_session(tap))

    def _await_source(self, tap: Tap) -> None:
        self._awaiting.add(tap.control_id)
        self._demux.awaiting = len(self._awaiting)

    def _stop_awaiting(self, tap: Tap) -> None:
        self._awaiting.discard(tap.control_id)
        self._demux.awaiting = len(self._awaiting)

    def _check_room(self) -> None:
        if self.is_closed:
            self.refused["stopping"] += 1
            raise TapRefusedError(503, "This server is stopping.")
        if self.overload is not None:
            self.refused["overload"] += 1
            raise TapRefusedError(503, f"No room for another tap: {self.overload}.")
        if self.is_full:
            self.refused["too_many_taps"] += 1
            raise TapRefusedError(
                503, f"{self._options.max_taps} taps are live, which is the limit."
            )

    def _check_source(self, source: str) -> None:
        if self._sources.is_full(source):
            self.refused["too_many_taps_of_a_source"] += 1
            raise TapRefusedError(503, self._sources.reason)

    def _take_port(self, now: float) -> int:
        """Return the port that was not used for the longest time.

        One that was used just now rests: its last sender may not have stopped yet.
        """
        for port in self._free_ports:
            if not self._demux.is_resting(port, now):
                self._free_ports.remove(port)
                return port
        self.refused["no_free_port"] += 1
        raise TapRefusedError(
            503,
            f"All {len(self._options.ports)} RTP ports are in use, or were until "
            f"{AFTER_END_TIME:.0f} s ago.",
        )

    def _new_tap(self, announcement: Announcement, control_id: str, now: float) -> Tap:
        options = self._options
        session: RtpSession | WsSession
        if announcement.transport is Transport.RTP:
            session = RtpSession(
                PayloadFormats(announcement.expected),
                reorder_window=options.reorder_window,
            )
        else:
            session = WsSession(
                announcement.expected, l16_byte_order=options.l16_byte_order or "auto"
            )
        return Tap(
            control_id=control_id,
            transport=announcement.transport,
            direction=announcement.direction,
            origin=announcement.origin,
            session=session,
            created_at=now,
            limits=self._limits,
            call_id=announcement.call_id,
            node_id=announcement.node_id,
            from_number=announcement.from_number,
            to_number=announcement.to_number,
            context=announcement.context,
            tags=announcement.tags,
        )

    def _register(self, tap: Tap) -> Tap:
        self.taps[tap.control_id] = tap
        self._begun.append(tap)
        return tap

    def _rtp_session(self, tap: Tap) -> RtpSession:
        assert isinstance(tap.session, RtpSession)
        return tap.session
