"""Which datagrams an RTP tap sends, when, and which of them get lost on the way.

Pure and reproducible: feed, options and a seed give the same datagrams. Faults are
those of section 10.2 of the protocol notes; two tracks are merged by time.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.network import Datagram, impair
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.rtp_packet import bye
from relay_client.simulator.rtp_track import RtpTrack


class RtpPlan:
    """All datagrams of one tap."""

    def __init__(
        self,
        feed: AudioFeed,
        direction: Direction,
        first_format: MediaFormat,
        options: MediaOptions,
        *,
        seed: int,
        wall_clock: float = 0.0,
    ) -> None:
        self._options = options
        self._seed = seed
        directions: tuple[Direction, ...] = (direction,)
        if options.ssrcs == "two":
            directions = ("speak", "listen")
        self._tracks = [
            RtpTrack(
                number=number,
                direction=direction,
                feed=feed,
                first_format=first_format,
                options=options,
                seed=seed,
                wall_clock=wall_clock,
            )
            for number, direction in enumerate(directions)
        ]

    def datagrams(self) -> Iterator[Datagram]:
        """Yield what is sent, in order of time; may never end."""
        impaired = [
            impair(track.datagrams(), self._options, f"{self._seed} network {number}")
            for number, track in enumerate(self._tracks)
        ]
        return heapq.merge(*impaired, key=lambda datagram: datagram.at)

    def farewell(self) -> list[Datagram]:
        """Return what is sent when the tap stops."""
        if not self._options.bye or self._options.rtcp == "none":
            return []
        data = bye(tuple(track.ssrc for track in self._tracks))
        return [Datagram(at=0.0, data=data, is_rtcp=True)]
