"""One RTP stream (one SSRC) as runs and gaps on a track.

RFC 3550 appendix A.1: what a sequence number may do. What timestamps do is the business
of `Placement`.

Theory of operation. In order, a packet takes the short path of `receive_in_order`: it
is what was expected to the bit, so its payload joins the open run and the expectation
moves on. Everything else takes `receive`:

    next in sequence          placed, and after it whatever was held and now follows
    ahead, below MAX_DROPOUT  held, until the hole is filled or given up
    behind, to MAX_MISORDER   late if its turn was given up, else a duplicate
    anything else             one is a stray; two in sequence are a restart

A packet that is next in sequence, and a second or more later than its timestamp says,
opens a `Stall`: all packets wait until it is known what that was.
"""

from __future__ import annotations

import struct
from collections import Counter

from server.audio import AudioFormat
from server.rtp.lanes import LANE_PACKETS, Collected, Expectation
from server.rtp.packet import HEADER_BYTES, RtpPacket
from server.rtp.payload_types import PayloadFormats
from server.rtp.placement import Placement
from server.rtp.reorder import MAX_HELD, Arrival, ReorderBuffer
from server.rtp.serial import (
    SEQUENCE_MODULUS,
    TIMESTAMP_MODULUS,
    add_to_sequence,
    sequence_difference,
    timestamp_difference,
)
from server.rtp.stall import MIN_STALL, Stall
from server.rtp.stats import JITTER_GAIN
from server.rtp.track import MAX_BACKLOG, Track

MAX_DROPOUT = 3000
MAX_MISORDER = 100

_NEVER = -1
"""A length that no datagram has: keeps packets off the short path."""

# First two octets together, sequence number, timestamp. The SSRC is how the caller
# found this receiver.
_unpack_start = struct.Struct("!HHI").unpack_from


class RtpReceiver(Placement):
    """Puts the packets of one SSRC in order and on its track."""

    __slots__ = (
        "_first_sequence",
        "_heard_at",
        "_length",
        "_next_sequence",
        "_reorder",
        "_reorder_window",
        "_stall",
        "_suspect",
        "said_bye",
        "ssrc",
    )

    def __init__(
        self,
        first: RtpPacket,
        track: Track,
        *,
        audio_format: AudioFormat,
        formats: PayloadFormats,
        drops: Counter[str],
        reorder_window: float,
    ) -> None:
        super().__init__(track, audio_format=audio_format, formats=formats, drops=drops)
        self.ssrc = first.ssrc
        self.said_bye = False
        self._reorder_window = reorder_window
        self._reorder = ReorderBuffer()
        self._suspect: Arrival | None = None
        self._stall: Stall | None = None
        self._heard_at = self.last_at
        self._first_sequence = first.sequence_number
        # Not wrapped on the short path: a value past the end matches no packet, which
        # is then taken by `receive`, where differences are modulo.
        self._next_sequence = first.sequence_number
        # Of the datagram that the short path takes.
        self._length = _NEVER

    def receive_in_order(self, data: bytes, now: float) -> bool:
        """Take a datagram if it is exactly the one expected; tell whether it was.

        Nothing is parsed or allocated beyond the payload, which makes it five times as
        fast as parsing and `receive`.
        """
        payloads = self._payloads
        if (
            len(data) != self._length
            or len(payloads) >= MAX_BACKLOG
            or now - self.last_at > MIN_STALL
        ):
            return False
        head, sequence_number, timestamp = _unpack_start(data)
        if (
            timestamp != self._next_timestamp
            or sequence_number != self._next_sequence
            or head != self._head
        ):
            return False
        payloads.append(data[HEADER_BYTES:])
        samples = self._samples
        self._next_sequence = sequence_number + 1
        self._next_timestamp = timestamp + samples
        # stats.deviation and stats.smooth, written out: two calls are 0.2 µs.
        jitter = (now - self.last_at) * self._clock_rate - samples
        if jitter < 0:
            jitter = -jitter
        self._jitter += (jitter - self._jitter) * JITTER_GAIN
        self.last_at = now
        return True

    @property
    def expectation(self) -> Expectation | None:
        """What a lane may take for this receiver, if that can be foretold."""
        backlog = self.track.backlog + len(self._payloads)
        if (
            self._length == _NEVER
            or self._next_sequence >= SEQUENCE_MODULUS
            or self._next_timestamp >= TIMESTAMP_MODULUS
            or backlog + LANE_PACKETS >= MAX_BACKLOG
        ):
            return None
        sequence_and_timestamp = self._next_sequence << 32 | self._next_timestamp
        return Expectation(
            start=self._head << 48 | sequence_and_timestamp,
            ssrc=self.ssrc,
            length=self._length,
            samples=self._samples,
            clock_rate=self._clock_rate,
            last_at=self.last_at,
            jitter=self._jitter,
        )

    def advance(self, collected: Collected) -> None:
        """Take what a lane has taken, as if by `receive_in_order`."""
        count = len(collected.payloads)
        self._payloads += collected.payloads
        self._next_sequence += count
        self._next_timestamp += count * self._samples
        self._jitter = collected.jitter
        self.last_at = collected.last_at

    def receive(self, packet: RtpPacket, now: float) -> None:
        """Take any packet of this SSRC."""
        self._heard_at = now
        self.said_bye = False
        if self._stall is None and self._is_stalled(packet, now):
            timestamp = self._next_timestamp - self._samples
            self._stall = Stall(timestamp, self.last_at, self._clock_rate, now)
        if self._stall is None:
            self._receive(packet, now)
        else:
            self._stall.receive(packet, now)
            if self._stall.is_over:
                self._settle_stall()
        self._expect()

    def _is_stalled(self, packet: RtpPacket, now: float) -> bool:
        """Tell whether a packet is next in sequence and comes long after its time."""
        elapsed = now - self.last_at
        if elapsed <= MIN_STALL or not self._is_anchored:
            return False
        jump = timestamp_difference(packet.timestamp, self._next_timestamp)
        lag = elapsed - (jump + self._samples) / self._clock_rate
        is_next = packet.sequence_number == self._next_sequence % SEQUENCE_MODULUS
        return is_next and jump >= 0 and not self._missing and lag > MIN_STALL

    def _settle_stall(self) -> None:
        """Take what waited, behind a pause if it was one."""
        assert self._stall is not None
        stall, self._stall = self._stall, None
        first = stall.waiting[0]
        if stall.pause:
            self.resume_after(stall.pause, first.packet.timestamp, first.at)
        for packet, at in stall.waiting:
            self._receive(packet, at)

    def _receive(self, packet: RtpPacket, now: float) -> None:
        offset = sequence_difference(packet.sequence_number, self._next_sequence)
        if not self._fits(packet, offset, now):
            self._consider_restart(packet, now)
        elif offset > 0:
            self._hold(packet, now)
        elif offset < 0:
            self._refuse_old(packet)
        else:
            if self._reorder:
                self.track.counts.reordered += 1
            self._place_next(packet, now)
            self._release()

    def receive_bye(self) -> None:
        """Take the source's word that it has ended (RFC 3550 section 6.6)."""
        self.flush()
        self.said_bye = True

    def expire(self, now: float) -> bool:
        """Give up the holes whose time has come; tell whether there were any."""
        has_expired = False
        if self._stall is not None and self._stall.settle_at <= now:
            self._settle_stall()
            has_expired = True
        while self._reorder and self._hole_deadline <= now:
            self._give_up()
            has_expired = True
        if has_expired:
            self._expect()
        return has_expired

    def flush(self) -> None:
        """Make everything held due, because nothing more is coming.

        The short path is closed: should there be more after all, `receive` has to
        notice it first.
        """
        if self._stall is not None:
            self._settle_stall()
        while self._reorder:
            self._give_up()
        if self._suspect is not None:
            self._drops["sequence_jump"] += 1
            self._suspect = None
        self.finish_digits()
        self.close_run()
        self._length = _NEVER

    def is_behind(self, packet: RtpPacket) -> bool:
        """Tell whether a packet belongs before what has been placed."""
        offset = sequence_difference(packet.sequence_number, self._next_sequence)
        return -MAX_MISORDER <= offset < 0

    @property
    def deadline(self) -> float | None:
        """When the oldest hole is given up, or a stall settled."""
        if self._stall is not None:
            return self._stall.settle_at
        return self._hole_deadline if self._reorder else None

    @property
    def heard_at(self) -> float:
        """When the source was last heard, placed or not."""
        return max(self._heard_at, self.last_at)

    @property
    def held_packets(self) -> int:
        """Packets that wait for others before them."""
        waiting = 0 if self._stall is None else len(self._stall.waiting)
        return len(self._reorder) + waiting + (self._suspect is not None)

    @property
    def _hole_deadline(self) -> float:
        first_at = self._reorder.first_at
        assert first_at is not None  # something is held
        return first_at + self._reorder_window

    def _fits(self, packet: RtpPacket, offset: int, now: float) -> bool:
        """Tell whether a packet can be of the stream as it has been so far."""
        if offset == 0:
            return True
        if not -MAX_MISORDER <= offset < MAX_DROPOUT:
            return self._reorder.was_given_up(packet.sequence_number, peek=True)
        if not self._is_anchored or packet.payload_type != self._head & 0x7F:
            return True
        # A sender that restarts can by chance land near its old sequence numbers; its
        # timestamps then show it.
        ticks = timestamp_difference(packet.timestamp, self._next_timestamp)
        if offset < 0 <= ticks:
            # What is old by its number and new by its timestamp is not old.
            return False
        return self._timeline.could_hold(ticks, offset, self._lag(now))

    def _hold(self, packet: RtpPacket, now: float) -> None:
        if packet.sequence_number in self._reorder:
            self.track.counts.duplicate += 1
            return
        self.track.counts.reordered += self._reorder.hold(packet, now)
        while len(self._reorder) > MAX_HELD:
            self._give_up()

    def _refuse_old(self, packet: RtpPacket) -> None:
        number = packet.sequence_number
        since_first = sequence_difference(self._next_sequence, self._first_sequence)
        came_before_first = (
            0 <= since_first < MAX_MISORDER
            and sequence_difference(number, self._first_sequence) < 0
        )
        if came_before_first and self.prepend(packet):
            self._first_sequence = number
        elif came_before_first or self._reorder.was_given_up(number):
            self.track.counts.late += 1
            self.note_late(packet)
        else:
            self.track.counts.duplicate += 1

    def _consider_restart(self, packet: RtpPacket, now: float) -> None:
        # RFC 3550 A.1: "Two sequential packets -- assume that the other side restarted
        # without telling us so just re-sync".
        suspect, self._suspect = self._suspect, Arrival(packet, now)
        if suspect is None:
            return
        number = suspect.packet.sequence_number
        if packet.sequence_number != add_to_sequence(number, 1):
            self._drops["sequence_jump"] += 1
            return
        self._suspect = None
        self.flush()
        self.restart()
        self._first_sequence = number
        self._place_next(*suspect)
        self._place_next(packet, now)

    def _give_up(self) -> None:
        missing = self._reorder.give_up(self._next_sequence)
        self.track.counts.lost += missing
        self._missing += missing
        self._next_sequence = add_to_sequence(self._next_sequence, missing)
        self._release()

    def _place_next(self, packet: RtpPacket, at: float) -> None:
        self._next_sequence = add_to_sequence(packet.sequence_number, 1)
        self.place(packet, at)

    def _release(self) -> None:
        while (arrival := self._reorder.pop(self._next_sequence)) is not None:
            self._place_next(*arrival)

    def _expect(self) -> None:
        """Open the short path if the next packet can be foretold, else close it."""
        is_foreseeable = (
            self._is_anchored
            and not self._reorder
            and not self._missing
            and not self._refused
            and self._stall is None
            and self.format.bytes_per_sample
            and self.track.backlog < MAX_BACKLOG
        )
        self._length = HEADER_BYTES + self._payload_bytes if is_foreseeable else _NEVER
