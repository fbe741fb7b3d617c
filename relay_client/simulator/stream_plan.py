"""A tap sent as JSON media-stream messages (section 7.2 of the protocol notes)."""

from __future__ import annotations

import base64
import heapq
import json
from collections.abc import Iterator

from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.pacing import Pace
from relay_client.simulator.packets import AudioPacket, cut_packets
from relay_client.simulator.sent import AudioSpan
from relay_client.simulator.ws_plan import Message, nothing

_TRACK_NAMES: dict[Direction, str] = {"speak": "inbound", "listen": "outbound"}
"""Inbound is what the platform receives from the call: what the party says."""
_ENCODINGS = {"PCMU": "audio/x-mulaw", "PCMA": "audio/x-alaw", "L16": "audio/x-L16"}


class StreamPlan:
    """All messages of one tap; both directions come as separate tracks."""

    def __init__(
        self,
        feed: AudioFeed,
        direction: Direction,
        media_format: MediaFormat,
        options: MediaOptions,
        *,
        seed: int,
        call_id: str,
        project: str,
    ) -> None:
        self._feed = feed
        self._directions: tuple[Direction, ...] = (
            ("speak", "listen") if direction == "both" else (direction,)
        )
        self._format = media_format
        self._options = options
        self._seed = seed
        self._call_id = call_id
        self._project = project
        self._number = 0

    def preamble(self) -> list[str]:
        """Return `connected` and `start`."""
        self._number = 1
        start = {
            "event": "start",
            "sequenceNumber": "1",
            "start": {
                "streamSid": f"stream-{self._call_id}",
                "accountSid": self._project,
                "callSid": self._call_id,
                "tracks": [_TRACK_NAMES[found] for found in self._directions],
                "mediaFormat": {
                    "encoding": _ENCODINGS.get(self._format.codec, "audio/opus"),
                    "sampleRate": self._format.sample_rate,
                    "channels": 1,
                },
            },
        }
        connected = {"event": "connected", "protocol": "Call", "version": "0.2.0"}
        return [json.dumps(connected), json.dumps(start)]

    def messages(self) -> Iterator[Message]:
        """Yield `media` messages of all tracks, in order of time; may never end."""
        tracks = [
            self._track(number, direction)
            for number, direction in enumerate(self._directions)
        ]
        for at, number, packet, chunk in heapq.merge(
            *tracks, key=lambda found: found[0]
        ):
            if packet.is_silent:
                yield nothing(at)
                continue
            self._number += 1
            yield self._message(at, number, packet, chunk)

    def farewell(self) -> list[str]:
        """Return `stop`."""
        self._number += 1
        return [json.dumps({"event": "stop", "sequenceNumber": str(self._number)})]

    def _track(
        self, number: int, direction: Direction
    ) -> Iterator[tuple[float, int, AudioPacket, int]]:
        pace = Pace(self._options, self._seed)
        chunk = 0
        for packet in cut_packets(self._feed, direction, self._format, self._options):
            at = pace.due(packet.end_s)
            chunk += not packet.is_silent
            if packet.is_moment or not packet.is_silent:
                yield at, number, packet, chunk

    def _message(
        self, at: float, number: int, packet: AudioPacket, chunk: int
    ) -> Message:
        text = json.dumps(
            {
                "event": "media",
                "sequenceNumber": str(self._number),
                "media": {
                    "track": _TRACK_NAMES[self._directions[number]],
                    "chunk": str(chunk),
                    "timestamp": str(round(packet.start_s * 1000)),
                    "payload": base64.b64encode(packet.payload).decode("ascii"),
                },
            }
        )
        span = AudioSpan(
            track=number,
            ssrc=None,
            start=packet.start,
            samples=packet.samples,
            sample_rate=packet.format.sample_rate,
            payload=packet.payload,
        )
        return Message(at=at, data=text, span=span)
