"""One tap over WebSocket: messages in, track events out.

Theory of operation (RELAY reference, sections 6.2 to 6.4 and 7). The first message
says how the rest is to be read, or is already audio:

    waiting --text with a content type--> waiting, format known
    waiting --binary--> audio             waiting --JSON with "event"--> media stream

Each connection begins in `waiting`; the tracks and their clocks go on over all
connections of the tap. A content type behind audio changes the format: what the old
framing holds is flushed, and the track keeps its rate. Every message is either used or
counted in `drops` by the reason why not, and nothing that a sender does raises.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from server.audio import PCMU_8000, AudioFormat, PacketCounts, TrackEvent
from server.taps.byte_order import ByteOrderSetting
from server.taps.media_stream import (
    MediaStream,
    StreamAudio,
    StreamDigit,
    StreamStart,
    StreamStop,
)
from server.taps.rate_budget import TrackLimits
from server.taps.ws_format import Preamble, PreambleKind, parse_preamble
from server.taps.ws_framing import (
    Chunk,
    Framing,
    OggFraming,
    RefusedFraming,
    SniffingFraming,
    framing_for,
)
from server.taps.ws_receiver import BinaryMessages, TextMessage, WsMessage
from server.taps.ws_track import WsTrack


class WsInlet(Protocol):
    """A connection's messages, which wait there until somebody asks for them."""

    @property
    def last_binary_at(self) -> float | None:
        """When the last binary message of those that wait came, if any do."""
        ...

    def take(self) -> list[WsMessage]:
        """Return the messages since the last call, in order."""
        ...


class _Mode(enum.Enum):
    WAITING = enum.auto()
    AUDIO = enum.auto()
    MEDIA_STREAM = enum.auto()


@dataclass(slots=True)
class _Source:
    """Where the audio of one track comes from, connection after connection."""

    framing: Framing | None = None
    track: WsTrack | None = None
    """From the first audio on."""
    lost: int = 0
    """Messages that are missing before the next chunk."""


class WsSession:
    """What a tap says over WebSocket, as events of one or two tracks.

    Args:
        expected: The format asked for when the tap was started, if any.
        l16_byte_order: Of L16; `auto` finds it out from the audio.
        limits: What each track may take.
    """

    def __init__(
        self,
        expected: AudioFormat | None,
        *,
        l16_byte_order: ByteOrderSetting = "auto",
        limits: TrackLimits | None = None,
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.ended: str | None = None
        """`stop` once a media stream has said that it is over."""
        self.ended_at: float | None = None
        """When it said so."""
        self.unsupported: str | None = None
        """What the sender says it sends, if that cannot be decoded here."""
        self.call_id: str | None = None
        """The call that a media stream says it belongs to; a tap says none."""
        self.custom_parameters: dict[str, str] = {}
        """What a media stream was started with."""
        self._expected = expected or PCMU_8000
        self._byte_order = l16_byte_order
        self._limits = limits or TrackLimits()
        self._mode = _Mode.WAITING
        self._preamble: Preamble | None = None
        self._stream = MediaStream(self._expected, self.drops)
        self._stream_format: AudioFormat | None = self._expected
        self._sources: dict[int, _Source] = {0: _Source()}
        self._tracks: list[WsTrack] = []
        self._connections = 1
        self._inlet: WsInlet | None = None
        self._last_media_at: float | None = None
        self._is_finished = False

    @property
    def last_media_at(self) -> float | None:
        """Return when audio last came."""
        if self._inlet is not None and self._tracks and self._mode is _Mode.AUDIO:
            # Looking must not cost what taking costs.
            return self._inlet.last_binary_at or self._last_media_at
        return self._last_media_at

    @property
    def track_count(self) -> int:
        """Return how many tracks have had audio."""
        return len(self._tracks)

    def track_format(self, track: int) -> AudioFormat:
        """Return the format of the track's first audio, which fixes its rate."""
        return self._tracks[track].format

    def track_started_at(self, track: int) -> float:
        """Return when position 0 of the track was heard, in monotonic seconds."""
        return self._tracks[track].started_at

    def sender_started_at(self, track: int) -> float | None:  # noqa: ARG002 - as RTP
        """Return None: no clock comes over WebSocket."""
        return None

    def counts(self, track: int) -> PacketCounts:
        """Return the messages of the track so far."""
        return replace(self._tracks[track].counts)

    def attach(self, inlet: WsInlet) -> None:
        """Read from a connection whenever something is asked for, until `detach`."""
        self._inlet = inlet

    def detach(self) -> None:
        """Take what still waits on the connection, and forget it."""
        self.receive_waiting()
        self._inlet = None

    def receive_waiting(self) -> None:
        """Take in what waits on the connection."""
        for message in () if self._inlet is None else self._inlet.take():
            if isinstance(message, TextMessage):
                self.receive_text(message.text, message.now)
            elif not self._receive_at_once(message):
                for data, now in zip(message.split(), message.times, strict=True):
                    self.receive_bytes(data, now)

    def receive_text(self, text: str, now: float) -> None:
        """Take in a text message."""
        if self._is_over():
            return
        if self._mode is _Mode.MEDIA_STREAM:
            self._receive_media(text, now)
            return
        preamble = parse_preamble(text)
        is_stream = preamble and preamble.kind is PreambleKind.MEDIA_STREAM
        if preamble is None or (is_stream and self._mode is _Mode.AUDIO):
            self.drops["text_ignored"] += 1
        elif is_stream:
            self._mode = _Mode.MEDIA_STREAM
            self._receive_media(text, now)
        elif preamble != self._preamble:
            self._flush_framings()
            self._preamble = preamble
            is_refused = preamble.kind is PreambleKind.UNSUPPORTED
            self.unsupported = preamble.stated if is_refused else None

    def receive_bytes(self, data: bytes, now: float) -> None:
        """Take in a binary message."""
        if self._is_over():
            return
        if self._mode is _Mode.WAITING:
            # `{` is an audio byte as well, so the whole message has to be JSON.
            is_stream = data[:1] == b"{" and _is_stream_message(data)
            self._mode = _Mode.MEDIA_STREAM if is_stream else _Mode.AUDIO
        if self._mode is _Mode.MEDIA_STREAM:
            self._receive_media(data.decode(errors="replace"), now)
            return
        source = self._sources[0]
        if source.framing is None:
            source.framing = self._audio_framing()
        self._receive_audio(source, source.framing, data, now)

    def reconnected(self, now: float) -> None:
        """Go on with a new connection of the same tap, which may announce anew.

        What was missed meanwhile becomes a gap, `DISCONNECTED`, when the arrival clock
        sees the new connection's audio.
        """
        self.handle_timer(now)
        self._flush_framings()
        self._connections += 1
        for track in self._tracks:
            track.receive_break()
            track.receive_change(f"connection {self._connections}")
        self._mode = _Mode.WAITING
        self._preamble = None
        self._stream.reconnected()
        self._stream_format = self._expected
        self.ended = self.ended_at = None

    def take(self, now: float) -> list[tuple[int, TrackEvent]]:
        """Return the events that are due, with the number of their track."""
        self.receive_waiting()
        return [
            (number, event)
            for number, track in enumerate(self._tracks)
            for event in track.take(now)
        ]

    def finish(self, now: float, *, pad: bool) -> None:
        """Make everything due; with `pad` each track goes on, silent, until `now`."""
        if self._is_finished:
            return
        self.receive_waiting()
        self._is_finished = True
        self._flush_framings()
        for track in self._tracks:
            track.finish(now, pad=pad)

    def get_timer(self) -> float | None:
        """Return when `handle_timer` has something to decide."""
        timers = [track.get_timer() for track in self._tracks]
        return min((timer for timer in timers if timer is not None), default=None)

    def handle_timer(self, now: float) -> None:
        """Decide what is due."""
        self.receive_waiting()
        for track in self._tracks:
            track.handle_timer(now)

    def _receive_at_once(self, messages: BinaryMessages) -> bool:
        """Take in messages as one if they are plain audio and nothing is unusual."""
        source = self._sources[0]
        if (
            self._mode is not _Mode.AUDIO
            or self._is_finished
            or self.ended
            or source.framing is None
            or source.track is None
            or source.lost
            or not messages.length
        ):
            return False
        format = source.framing.plain_format(messages.length)
        if format is None or not source.track.receive_plain(
            messages.data,
            messages.length // format.bytes_per_sample,
            format,
            messages.times,
        ):
            return False
        self._last_media_at = messages.times[-1]
        return True

    def _is_over(self) -> bool:
        """Return whether the message just received is to be ignored, and count it."""
        if self._is_finished:
            self.drops["after_finish"] += 1
        elif self.ended:
            self.drops["after_stop"] += 1
        else:
            return False
        return True

    def _receive_audio(
        self, source: _Source, framing: Framing, data: bytes, now: float
    ) -> None:
        if not data:
            self.drops["empty_message"] += 1
            return
        chunks = framing.receive(data, now)
        if chunks or framing.is_holding:
            self._last_media_at = now
        self._deliver(source, chunks)

    def _deliver(self, source: _Source, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            if source.track is None:
                source.track = WsTrack(chunk.format, self._limits, self.drops)
                self._tracks.append(source.track)
            source.track.receive(chunk, source.lost)
            source.lost = 0
            self.unsupported = None

    def _flush_framings(self) -> None:
        for source in self._sources.values():
            if source.framing is not None:
                self._deliver(source, source.framing.finish())
                source.framing = None

    def _audio_framing(self) -> Framing:
        preamble = self._preamble
        if preamble is not None and preamble.kind is PreambleKind.OGG:
            return OggFraming(self.drops)
        format = preamble.format if preamble is not None else self._expected
        return SniffingFraming(self._codec_framing(format), self.drops)

    def _codec_framing(self, format: AudioFormat | None) -> Framing:
        if format is None:
            return RefusedFraming(self.drops)
        return framing_for(format, self._byte_order, self.drops)

    def _receive_media(self, text: str, now: float) -> None:
        message = self._stream.receive(text)
        match message:  # None has been counted where it was read.
            case StreamAudio():
                source = self._sources.setdefault(message.track, _Source())
                source.lost += message.lost
                if source.framing is None:
                    source.framing = self._codec_framing(self._stream_format)
                self._receive_audio(source, source.framing, message.data, now)
            case StreamStart():
                self._start_stream(message)
            case StreamDigit() if self._tracks:
                self._tracks[0].receive_digit(message.digit, message.duration_ms)
            case StreamDigit():
                self.drops["dtmf_before_audio"] += 1
            case StreamStop():
                self.ended, self.ended_at = "stop", now

    def _start_stream(self, start: StreamStart) -> None:
        self._flush_framings()
        self.call_id = start.call_id or self.call_id
        self.custom_parameters = start.custom_parameters
        self._stream_format = start.format
        self.unsupported = None if start.format else start.stated_format


def _is_stream_message(data: bytes) -> bool:
    preamble = parse_preamble(data.decode(errors="replace"))
    return preamble is not None and preamble.kind is PreambleKind.MEDIA_STREAM
