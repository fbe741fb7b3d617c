"""What an RTP source says of itself over RTCP (RFC 3550 section 6).

Pure: clock and chance are given.
"""

from __future__ import annotations

from server.rtp.packet import RtpPacket
from server.rtp.rtcp import Bye, SenderReport, SourceDescription, ntp_time
from server.rtp.serial import add_to_timestamp

INTERVAL_S = 5.0
"""RFC 3550 section 6.2: the least there should be on average."""


class SenderReports:
    """Counts the packets of one source and says when a report is due.

    Args:
        ssrc: Of the source.
        cname: Its name, which is nobody's (RFC 7022 section 4.2).
    """

    def __init__(self, ssrc: int, cname: str) -> None:
        self._ssrc = ssrc
        self._cname = cname
        self._packets = 0
        self._octets = 0
        self._last: tuple[RtpPacket, int, float] | None = None
        """The last packet, with its clock rate and when it was sent."""
        self._due_at: float | None = None

    def sent(self, packet: RtpPacket, clock_rate: int, now: float) -> None:
        """Take note of a packet that was sent; the first makes a report due."""
        self._packets += 1
        self._octets += len(packet.payload)
        self._last = packet, clock_rate, now
        if self._due_at is None:
            self._due_at = now

    def wait_s(self, now: float) -> float | None:
        """Return in how many seconds a report is due; None without audio."""
        return None if self._due_at is None else max(0.0, self._due_at - now)

    def report(self, now: float, wall_clock: float, chance: float) -> bytes:
        """Return a compound packet with a report.

        Args:
            now: Monotonic seconds.
            wall_clock: The same instant, in seconds since 1970.
            chance: From 0 to 1: intervals vary by half (RFC 3550 section 6.2).
        """
        self._due_at = now + INTERVAL_S * (0.5 + chance)
        return self._compound(now, wall_clock)

    def goodbye(self, now: float, wall_clock: float) -> bytes:
        """Return a compound packet with a last report and a BYE (section 6.6)."""
        return self._compound(now, wall_clock) + Bye((self._ssrc,)).serialize()

    def _compound(self, now: float, wall_clock: float) -> bytes:
        assert self._last is not None
        packet, clock_rate, sent_at = self._last
        # Section 6.4.1: the timestamp of this very instant, whatever was sampled then.
        elapsed = round((now - sent_at) * clock_rate)
        report = SenderReport(
            self._ssrc,
            ntp_time(wall_clock),
            add_to_timestamp(packet.timestamp, elapsed),
            self._packets,
            self._octets,
        )
        name = SourceDescription(self._ssrc, self._cname)
        return report.serialize() + name.serialize()
