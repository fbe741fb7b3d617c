"""How audio is put into WebSocket messages: as a tap, as a media stream, or bare.

`tap` is what the platform sends (section 6.2 of its reference), `media-streams` what
`calling.stream` sends (section 7.2), so whatever takes those takes this. A codec of
bytes is continuous: what is missing becomes silence. Opus packets are sent as they are.

Pure: no input or output, no clock.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from server.audio import AudioFormat, Codec, StreamInfo
from server.codecs.convert import Converter, silence
from server.forwards.buffer import Piece
from server.forwards.request import WebSocketForwardRequest

Message = str | bytes

MESSAGE_MS = 20
"""Audio in a message of ours; the platform's own packets are as long."""

MAX_SILENCE_S = 30
"""Put into one gap at most; beyond that time is skipped."""

_ENCODINGS = {
    Codec.PCMU: "audio/x-mulaw",
    Codec.PCMA: "audio/x-alaw",
    Codec.L16: "audio/x-L16",
    Codec.OPUS: "audio/x-opus",
}
_CONTENT_TYPES = {
    Codec.PCMU: "mulaw",
    Codec.PCMA: "alaw",
    Codec.L16: "l16",
    Codec.OPUS: "opus",
}


class Framing:
    """The messages of one connection."""

    def __init__(self, request: WebSocketForwardRequest) -> None:
        self._request = request
        self._format: AudioFormat | None = None
        """What is announced."""
        self._converter: Converter | None = None
        self._bridge: Converter | None = None
        """For what comes in another format than was announced."""
        self._position = 0
        self._stream = _MediaStream()

    @property
    def is_heavy(self) -> bool:
        """Whether the messages take long enough to make to belong on a thread."""
        wanted = self._request.format
        return wanted is not None and wanted.codec == "OPUS"

    def opening(self) -> list[Message]:
        """Return what is sent before there is audio."""
        if self._request.framing == "media-streams":
            return [_json(event="connected", protocol="Call", version="0.2.0")]
        first = self._request.first_message
        return [first] if first else []

    def messages(self, piece: Piece) -> Iterator[Message]:
        """Yield the messages of a piece; the first is preceded by an announcement."""
        if self._format is None:
            yield from self._begin(piece)
        assert self._format is not None
        if self._request.framing == "tap" and self._converter is None:
            yield from self._follow_format(piece)
        gap = min(
            piece.run.start - self._position, MAX_SILENCE_S * piece.info.sample_rate
        )
        if gap > 0:
            for data in self._silence(gap, piece):
                yield from self._cut(data)
        self._position = piece.run.start + piece.run.length
        for payload in self._payloads(piece):
            yield self._message(payload)

    def closing(self) -> Iterator[Message]:
        """Yield what is sent when the tap is over."""
        for converter in filter(None, (self._converter, self._bridge)):
            for data in converter.finish():
                yield from self._cut(data)
        if self._request.framing == "media-streams":
            yield self._stream.stop()
        elif self._request.last_message:
            yield self._request.last_message

    def _begin(self, piece: Piece) -> Iterator[Message]:
        wanted = self._request.format
        self._position = piece.run.start
        if wanted is None:
            self._format = piece.run.format
        else:
            self._format = wanted.audio_format()
            self._converter = Converter(
                piece.info.sample_rate, self._format, wanted.encoded_rate
            )
        if self._request.framing == "tap":
            yield _announcement(self._format)
        elif self._request.framing == "media-streams":
            yield self._stream.start(piece.info, self._format)

    def _follow_format(self, piece: Piece) -> Iterator[Message]:
        """Announce a format anew where the sender changed it, as the platform would."""
        if piece.run.format != self._format:
            self._format = piece.run.format
            yield _announcement(self._format)

    def _payloads(self, piece: Piece) -> Iterator[bytes]:
        if self._converter is None and piece.run.format == self._format:
            yield from piece.run.payloads
        else:
            for data in self._converting(piece).convert(piece.samples):
                yield from self._pieces(data)

    def _converting(self, piece: Piece) -> Converter:
        if self._converter is not None:
            return self._converter
        if self._bridge is None:
            assert self._format is not None
            self._bridge = Converter(piece.info.sample_rate, self._format)
        return self._bridge

    def _silence(self, length: int, piece: Piece) -> list[bytes]:
        if self._converter is not None:
            zeros = np.zeros((length, piece.info.channels), np.int16)
            return self._converter.convert(zeros)
        assert self._format is not None
        rate_in, rate_out = piece.info.sample_rate, self._format.sample_rate
        return [silence(length * rate_out // rate_in, self._format)]

    def _cut(self, data: bytes) -> Iterator[Message]:
        for payload in self._pieces(data):
            yield self._message(payload)

    def _pieces(self, data: bytes) -> Iterator[bytes]:
        """Cut bytes into messages of MESSAGE_MS; a packet of Opus is one already."""
        assert self._format is not None
        if not self._format.bytes_per_sample:
            yield from filter(None, [data])
            return
        samples = self._format.sample_rate * MESSAGE_MS // 1000
        size = samples * self._format.bytes_per_sample
        for at in range(0, len(data), size):
            yield data[at : at + size]

    def _message(self, payload: bytes) -> Message:
        if self._request.framing == "media-streams":
            assert self._format is not None
            return self._stream.media(payload, self._format)
        return payload


class _MediaStream:
    """The numbers of one media stream."""

    def __init__(self) -> None:
        self._sequence_number = 0
        self._chunk = 0
        self._sent = 0
        """Samples sent so far."""
        self._sid = ""
        self._call_id = ""
        self._track = "inbound"

    def start(self, info: StreamInfo, wanted: AudioFormat) -> str:
        self._sid = info.recording_id
        self._call_id = info.call_id
        # What a party hears is what the platform sends out to it.
        self._track = "outbound" if info.direction == "listen" else "inbound"
        start = {
            "streamSid": self._sid,
            "accountSid": "",
            "callSid": info.call_id,
            "tracks": [self._track],
            "customParameters": {
                "control_id": info.control_id,
                "direction": info.direction,
                "from": info.from_number,
                "to": info.to_number,
            },
            "mediaFormat": {
                "encoding": _ENCODINGS[wanted.codec],
                "sampleRate": wanted.sample_rate,
                "channels": wanted.channels,
            },
        }
        return self._numbered("start", start=start)

    def media(self, payload: bytes, wanted: AudioFormat) -> str:
        self._chunk += 1
        media = {
            "track": self._track,
            "chunk": str(self._chunk),
            "timestamp": str(1000 * self._sent // wanted.sample_rate),
            "payload": base64.b64encode(payload).decode("ascii"),
        }
        self._sent += wanted.samples_in(payload)
        return self._numbered("media", media=media)

    def stop(self) -> str:
        stop = {"accountSid": "", "callSid": self._call_id}
        return self._numbered("stop", stop=stop)

    def _numbered(self, event: str, **body: Any) -> str:
        self._sequence_number += 1
        number = str(self._sequence_number)
        return _json(event=event, sequenceNumber=number, streamSid=self._sid, **body)


def _announcement(wanted: AudioFormat) -> str:
    content_type = f"audio/{_CONTENT_TYPES[wanted.codec]};rate={wanted.sample_rate}"
    if wanted.channels > 1:
        content_type += f";channels={wanted.channels}"
    return json.dumps({"content-type": content_type})


def _json(**message: Any) -> str:
    return json.dumps(message)
