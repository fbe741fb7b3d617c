"""The JSON dialect of `calling.stream`: audio as base64 in messages that have events.

RELAY reference, section 7. Unlike a tap it names its call, keeps the two directions
apart as tracks, and numbers its messages. Numbers may come as strings.
"""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass
from typing import Any

from server.audio import AudioFormat
from server.taps.ws_format import format_named, load_object, printable

_MAX_TRACKS = 2
_MAX_PARAMETERS = 32
_MAX_TEXT = 256
_MAX_JUMP = 3000
"""RFC 3550 A.1 takes a greater jump for a restart; so is every step back."""
_MAX_DIGIT_MS = 60_000
_DIGITS = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class StreamStart:
    """A `start` message."""

    call_id: str | None
    custom_parameters: dict[str, str]
    format: AudioFormat | None
    """None if it cannot be decoded here."""
    stated_format: str


@dataclass(frozen=True, slots=True)
class StreamAudio:
    """A `media` message."""

    track: int
    data: bytes
    lost: int
    """Messages missing before this one, as the sequence numbers show."""


@dataclass(frozen=True, slots=True)
class StreamDigit:
    """A `dtmf` message."""

    digit: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class StreamStop:
    """A `stop` message: the stream says that it is over."""


StreamMessage = StreamStart | StreamAudio | StreamDigit | StreamStop


class MediaStream:
    """One media stream, over all the connections that it takes.

    Args:
        expected: The format of a stream that does not state one.
        drops: Where what could not be used is counted, by a name.
    """

    def __init__(self, expected: AudioFormat, drops: Counter[str]) -> None:
        self._expected = expected
        self._drops = drops
        self._tracks: list[str] = []
        """Their names, in order of first appearance."""
        self._sequence_number: int | None = None
        self._lost = 0

    def reconnected(self) -> None:
        """Expect the numbers of a new connection."""
        self._sequence_number = None
        self._lost = 0

    def receive(self, text: str) -> StreamMessage | None:
        """Return what a message means for the audio, None if nothing."""
        message = load_object(text)
        if message is None:
            self._drops["media_not_json"] += 1
            return None
        self._count_lost(_to_int(message.get("sequenceNumber")))
        event = message.get("event")
        body = message.get(event) if isinstance(event, str) else None
        body = body if isinstance(body, dict) else {}
        match event:
            case "media":
                return self._read_media(body)
            case "dtmf":
                return self._read_dtmf(body)
            case "stop":
                return StreamStop()
            case "start":
                return self._read_start(body)
            case "connected":
                pass
            case "mark":
                self._drops["mark_ignored"] += 1
            case _:
                self._drops["media_event_ignored"] += 1
        return None

    def _count_lost(self, sequence_number: int | None) -> None:
        if sequence_number is None:
            return
        before, self._sequence_number = self._sequence_number, sequence_number
        if before is not None and 1 < sequence_number - before <= _MAX_JUMP:
            self._lost += sequence_number - before - 1

    def _read_start(self, start: dict[str, Any]) -> StreamStart:
        # It is not certain that `media` goes on counting where `start` began.
        self._sequence_number = None
        call_id = start.get("callSid")
        parameters = start.get("customParameters")
        stated = start.get("mediaFormat")
        format: AudioFormat | None = self._expected
        encoding = ""
        if isinstance(stated, dict):
            encoding = printable(stated.get("encoding", "audio/x-mulaw"), 64)
            format = _read_format(encoding, stated)
        return StreamStart(
            call_id=printable(call_id, _MAX_TEXT) if isinstance(call_id, str) else None,
            custom_parameters=_read_parameters(parameters),
            format=format,
            stated_format=encoding,
        )

    def _read_media(self, media: dict[str, Any]) -> StreamAudio | None:
        payload = media.get("payload")
        if not isinstance(payload, str):
            self._drops["media_without_payload"] += 1
            return None
        try:
            data = base64.b64decode(payload, validate=True)
        except ValueError:
            self._drops["media_bad_base64"] += 1
            return None
        track = self._track(str(media.get("track", "inbound"))[:_MAX_TEXT])
        if track is None:
            self._drops["media_unknown_track"] += 1
            return None
        lost, self._lost = self._lost, 0
        return StreamAudio(track, data, lost)

    def _track(self, name: str) -> int | None:
        if name not in self._tracks:
            if len(self._tracks) == _MAX_TRACKS:
                return None
            self._tracks.append(name)
        return self._tracks.index(name)

    def _read_dtmf(self, dtmf: dict[str, Any]) -> StreamDigit | None:
        digit = str(dtmf.get("digit", "")).upper()
        if digit not in _DIGITS:
            self._drops["dtmf_malformed"] += 1
            return None
        duration_ms = _to_int(dtmf.get("duration", 0)) or 0
        return StreamDigit(digit, min(duration_ms, _MAX_DIGIT_MS))


def _read_format(encoding: str, stated: dict[str, Any]) -> AudioFormat | None:
    name = encoding.lower().removeprefix("audio/")
    sample_rate = _to_int(stated.get("sampleRate", 8000))
    channels = _to_int(stated.get("channels", 1))
    return format_named(name, sample_rate or 0, channels or 0)


def _read_parameters(parameters: object) -> dict[str, str]:
    if not isinstance(parameters, dict):
        return {}
    return {
        printable(name, _MAX_TEXT): printable(value, _MAX_TEXT)
        for name, value in list(parameters.items())[:_MAX_PARAMETERS]
    }


def _to_int(value: object) -> int | None:
    """Return a number that is not negative, also if it comes as a string."""
    if isinstance(value, str) and len(value) < 20 and value.isascii():
        return int(value) if value.isdigit() else None
    if isinstance(value, int) and value >= 0:
        return value
    return None
