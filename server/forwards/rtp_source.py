"""One RTP source of ours while it sends: packets, their pace, reports, its sockets."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Callable

from server.forwards.pacing import Pacer
from server.forwards.packetizer import Packetizer, TimedPacket
from server.forwards.request import RtpForwardRequest
from server.forwards.rtp_reports import SenderReports
from server.forwards.rtp_socket import Peer, connect


class RtpSource:
    """Sends to sockets that are open."""

    def __init__(
        self, request: RtpForwardRequest, media: Peer, control: Peer | None
    ) -> None:
        self._media = media
        self._control = control
        ssrc = secrets.randbits(32)
        self.packetizer = Packetizer(
            request,
            ssrc=ssrc,
            sequence_number=secrets.randbits(16),
            timestamp=secrets.randbits(32),
        )
        # RFC 7022 section 4.2: 96 random bits, so that it says nothing about us.
        cname = base64.b64encode(secrets.token_bytes(12)).decode("ascii")
        self._reports = SenderReports(ssrc, cname)
        self._pacer = Pacer()

    @classmethod
    async def open(
        cls, address: str, request: RtpForwardRequest, on_error: Callable[[], None]
    ) -> RtpSource:
        """Open the sockets to an IP address.

        Raises:
            OSError: There is no way there.
        """
        media = await connect(address, request.port, on_error)
        control = None
        if request.rtcp == "mux":
            control = media
        elif request.rtcp == "next_port":
            try:
                control = await connect(address, request.port + 1, on_error)
            except BaseException:
                media.close()
                raise
        return cls(request, media, control)

    @property
    def error(self) -> OSError | None:
        """What the system said of the port for audio; reports may find nobody."""
        return self._media.error

    @property
    def heard(self) -> int:
        """Datagrams that came back."""
        control = self._control
        return self._media.heard + (
            0 if control is None or control is self._media else control.heard
        )

    @property
    def wait_s(self) -> float:
        """For how long the next packet has to wait."""
        return self._pacer.wait_s(_now())

    @property
    def report_wait_s(self) -> float | None:
        """In how many seconds a report is due; None if none is."""
        return None if self._control is None else self._reports.wait_s(_now())

    def send(self, timed: TimedPacket) -> bool:
        """Send a packet, and a report if one is due.

        Returns:
            Whether the system had room for the packet.
        """
        now, audio = _now(), self.packetizer.format
        self._pacer.sent(timed.length_s, now)
        has_room = self._media.send(timed.packet.serialize())
        if has_room and audio is not None:
            self._reports.sent(timed.packet, audio.clock_rate, now)
            self.report_if_due()
        return has_room

    def report_if_due(self) -> None:
        """Send a report if it is time."""
        if self._control is not None and self.report_wait_s == 0:
            chance = secrets.randbits(16) / 65_536
            self._control.send(self._reports.report(_now(), time.time(), chance))

    def close(self) -> None:
        """Say goodbye, as far as there were reports, and close the sockets."""
        if self._control is not None:
            if self.report_wait_s is not None:
                self._control.send(self._reports.goodbye(_now(), time.time()))
            self._control.close()
        self._media.close()


def _now() -> float:
    return asyncio.get_running_loop().time()
