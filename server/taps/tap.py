"""One tap and its life, from the announcement to the verdict.

Theory of operation. A tap has two sides that know nothing of each other: *control*
(RELAY, SWML or REST says that a tap begins and ends) and *media* (its audio arrives and
ceases). Either may come first, and either may be missing. The state below is about
media, because that is what a recording is made of:

    waiting --media--> receiving <--media/quiet--> stalled
    waiting --end--> failed        receiving, stalled --end--> finished

An end is first *due* (`end_reason` and `finish_at` are set, audio under way may still
arrive) and then *happens* (`close`). A sender that closes its stream and comes back
within the grace time takes the end back; an end told by control is never taken back.

Pure: every method takes `now`, monotonic seconds.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from server.rtp.address import Address
from server.taps.limits import TapLimits
from server.taps.media_session import MediaSession


class TapState(enum.StrEnum):
    """Where a tap is in its life."""

    WAITING = "waiting"
    """Asked for or announced; no audio yet."""
    RECEIVING = "receiving"
    STALLED = "stalled"
    """There was audio, and for some seconds there has been none."""
    FINISHED = "finished"
    """Over, with audio."""
    FAILED = "failed"
    """Over, without any."""


class TapInput(enum.Enum):
    """What moves a tap from state to state."""

    MEDIA = "media"
    QUIET = "quiet"
    END = "end"


TRANSITIONS: dict[TapState, dict[TapInput, TapState]] = {
    TapState.WAITING: {
        TapInput.MEDIA: TapState.RECEIVING,
        TapInput.END: TapState.FAILED,
    },
    TapState.RECEIVING: {
        TapInput.QUIET: TapState.STALLED,
        TapInput.END: TapState.FINISHED,
    },
    TapState.STALLED: {
        TapInput.MEDIA: TapState.RECEIVING,
        TapInput.END: TapState.FINISHED,
    },
    TapState.FINISHED: {},
    TapState.FAILED: {},
}


class TapDirection(enum.StrEnum):
    """Which half of the tapped leg (SWML and RELAY `tap`)."""

    SPEAK = "speak"
    """What the tapped party says."""
    LISTEN = "listen"
    """What the tapped party hears."""
    BOTH = "both"


class Transport(enum.StrEnum):
    """How the audio of a tap travels."""

    WS = "ws"
    RTP = "rtp"


class TapOrigin(enum.StrEnum):
    """Who asked for a tap."""

    RELAY = "relay"
    """This server, for a call of its contexts."""
    API = "api"
    """A caller of this server's HTTP API."""
    STATIC = "static"
    """Somebody who was given a fixed address of this server, in SWML for example."""
    FOREIGN = "foreign"
    """Nobody that this server knows of."""

    @property
    def is_controlled(self) -> bool:
        """Whether control will tell when such a tap ends."""
        return self in (TapOrigin.RELAY, TapOrigin.API)


class EndReason(enum.StrEnum):
    """Why a tap ended."""

    STOPPED = "stopped"
    HANGUP = "hangup"
    FINISHED = "finished"
    CLOSED = "closed"
    BYE = "bye"
    IDLE = "idle"
    SHUTDOWN = "shutdown"
    LIMIT = "limit"
    """The recording became as long or as large as one may be."""
    REFUSED = "refused"
    NO_AUDIO = "no_audio"
    INTERRUPTED = "interrupted"
    ERROR = "error"

    @property
    def is_from_media(self) -> bool:
        """Whether a returning sender takes this end back."""
        return self in (EndReason.CLOSED, EndReason.BYE)


@dataclass(slots=True, eq=False, kw_only=True)
class Tap:
    """One tap: who and what it is, and where it is in its life."""

    control_id: str
    transport: Transport
    direction: TapDirection
    origin: TapOrigin
    session: MediaSession
    created_at: float
    limits: TapLimits
    call_id: str = ""
    node_id: str = ""
    from_number: str = ""
    to_number: str = ""
    context: str = ""
    tags: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    """The secret of its WebSocket address; empty over RTP."""
    is_returning: bool = False
    """Whether the token of a new connection shows that it is of this tap."""
    port: int | None = None
    """The local UDP port opened for this tap alone, if there is one."""
    source: Address | None = None
    """Where its RTP comes from, if that is known."""
    resume_by: float | None = None
    """Of one from before a restart: when its audio must have come back."""
    recorded_since: float | None = None
    """Of one from before a restart: when its recording began."""
    state: TapState = TapState.WAITING
    accepted_at: float | None = None
    is_confirmed: bool = False
    """Whether control said that the tap runs."""
    is_control_over: bool = False
    """Whether control said that it is over, so that there is nothing left to stop."""
    is_control_lost: bool = False
    """Whether control goes on without us, so that its end will not be told."""
    connections: int = 0
    """WebSockets open for it."""
    end_reason: EndReason | None = None
    end_detail: str = ""
    ended_at: float | None = None
    """When it ended; audio and silence count up to here."""
    told_at: float | None = None
    """When control said so, which may be later."""
    finish_at: float | None = None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen."""
        return not TRANSITIONS[self.state]

    def accepted(self, now: float) -> None:
        """Note that the platform agreed to tap."""
        self.accepted_at = now

    def confirmed(self) -> None:
        """Note that the platform says it is tapping."""
        self.is_confirmed = True

    def control_lost(self) -> None:
        """Note that control is out of reach; the audio may go on."""
        self.is_control_lost = True

    def connected(self) -> None:
        """Note a WebSocket for this tap; it takes back an end that media had told."""
        self.connections += 1
        self._take_back_media_end()

    def disconnected(self, now: float, detail: str = "") -> None:
        """Note that a WebSocket of this tap is gone."""
        self.connections -= 1
        if self.connections == 0:
            ended_at = self._last_sign(now, detail)
            self._media_over(EndReason.CLOSED, ended_at, now, detail)

    def control_ended(
        self,
        reason: EndReason,
        now: float,
        detail: str = "",
        *,
        ended_at: float | None = None,
    ) -> None:
        """Note that control says it is over.

        Args:
            reason: Why.
            now: When it was told.
            detail: More about why.
            ended_at: When it ended, if that was told late.
        """
        self.is_control_over = True
        if self.is_over:
            # It ended for another reason; this only answers our own stop after it.
            return
        if self.end_reason is not None and not self.end_reason.is_from_media:
            if (self.end_reason, reason) == (EndReason.FINISHED, EndReason.HANGUP):
                # The tap's own event came first; this one says why.
                self.end_reason = reason
            return
        media_is_over = self.end_reason is not None
        self.end_reason, self.end_detail = reason, detail
        if self.ended_at is None:
            self.ended_at = now if ended_at is None else ended_at
        self.told_at = now
        self.finish_at = now if media_is_over else now + self.limits.drain

    def end(self, reason: EndReason, now: float, detail: str = "") -> None:
        """End it now; what control already ended is left to drain."""
        if self.told_at is not None:
            return
        self.end_reason, self.end_detail = reason, detail
        self.ended_at = now if self.ended_at is None else self.ended_at
        self.finish_at = now

    def observe(self, now: float) -> None:
        """Compare the media session with the clock and move the state."""
        last = self.session.last_media_at
        if last is not None and now - last <= self.limits.stall:
            self._move(TapInput.MEDIA)
            if self.end_reason is EndReason.BYE and self.session.ended is None:
                self._take_back_media_end()
        elif last is not None:
            # Audio may have come and gone between two looks.
            self._move(TapInput.MEDIA)
            self._move(TapInput.QUIET)
        if self.session.ended is not None and self.end_reason is None:
            reason = EndReason.BYE if self.session.ended == "bye" else EndReason.CLOSED
            said_at = self.session.ended_at
            self._media_over(reason, now if said_at is None else said_at, now)
        self._check_deadlines(now, last)

    def is_due(self, now: float) -> bool:
        """Return whether its end should happen now."""
        if self.finish_at is None:
            return False
        if now >= self.finish_at:
            return True
        if self.told_at is None:
            return False
        last = self.session.last_media_at
        if last is None or self.transport is Transport.WS:
            quiet = self.limits.quiet_ws
        else:
            quiet = self.limits.quiet
        return now - max(self.told_at, last or 0.0) >= quiet

    def is_quiet(self, now: float, seconds: float) -> bool:
        """Tell whether control told the end and no audio has come for so long."""
        if self.told_at is None:
            return False
        return now - max(self.told_at, self.session.last_media_at or 0.0) >= seconds

    def close(self) -> None:
        """Let the end happen."""
        self._move(TapInput.MEDIA if self.session.track_count else TapInput.QUIET)
        self._move(TapInput.END)

    def _move(self, what: TapInput) -> None:
        self.state = TRANSITIONS[self.state].get(what, self.state)

    def _recorded(self, now: float) -> float:
        if not self.session.track_count:
            return 0.0
        if self.recorded_since is not None:
            return now - self.recorded_since
        return now - self.session.track_started_at(0)

    def _last_sign(self, now: float, detail: str) -> float:
        """Return when a WebSocket ended that was found to be gone.

        A peer that vanishes is noticed late, and what it did not send is no silence.
        """
        last = self.session.last_media_at
        is_clean = not detail
        if is_clean or last is None or now - last <= self.limits.stall:
            return now
        return last

    def _media_over(
        self, reason: EndReason, ended_at: float, now: float, detail: str = ""
    ) -> None:
        if self.end_reason is not None:
            # After the sender's word alone, control may still say why.
            if self.is_control_over:
                self.finish_at = now
            return
        self.end_reason, self.end_detail = reason, detail
        self.ended_at = ended_at
        is_broken = reason is EndReason.CLOSED and self.session.ended is None
        may_return = is_broken and self.is_returning
        limits = self.limits
        self.finish_at = now + (limits.reconnect if may_return else limits.grace)

    def _take_back_media_end(self) -> None:
        if self.end_reason is not None and self.end_reason.is_from_media:
            self.end_reason = self.ended_at = self.finish_at = None
            self.end_detail = ""

    def _check_deadlines(self, now: float, last: float | None) -> None:
        if self.end_reason is not None:
            return
        longest = self.limits.duration
        if longest and self._recorded(now) >= longest:
            self.end(EndReason.LIMIT, now, f"{longest:g} s")
            return
        if last is None and self.resume_by is not None:
            if now >= self.resume_by:
                self.end(EndReason.INTERRUPTED, now)
            return
        if last is None and not self.is_confirmed and self.accepted_at is not None:
            if now - self.accepted_at >= self.limits.sign:
                self.end(EndReason.NO_AUDIO, now)
            return
        is_controlled = self.origin.is_controlled and not self.is_control_lost
        is_attended = is_controlled or self.connections > 0
        limit = self.limits.forgotten if is_attended else self.limits.idle
        since = self.created_at if last is None else last
        if now - since >= limit:
            # The tap ended with its last audio, not when that was noticed.
            self.end(EndReason.IDLE, since if last is not None else now)
