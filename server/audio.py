"""The vocabulary of audio: formats, and runs of audio at absolute positions.

Everything that carries audio here carries the absolute position of its first sample
on the track it belongs to: 0 is the first sample heard, positions never wrap, and the
unit is one sample instant of the track's sampling rate. Whatever happens to the audio
on its way becomes a `Gap`: no samples from `start` for `length`, because of `cause`.

Pure: no input or output, no clock.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

ByteOrder = Literal["little", "big"]
Samples = npt.NDArray[np.int16]

OPUS_RATE = 48_000
"""Opus is always clocked at 48 kHz (RFC 7587 section 4.1)."""

# RFC 6716 section 3.1, table 2: frame length of each group of four configurations,
# in samples at 48 kHz.
_OPUS_SILK = (480, 960, 1920, 2880)
_OPUS_HYBRID = (480, 960)
_OPUS_CELT = (120, 240, 480, 960)


class Codec(enum.StrEnum):
    """An encoding, by the name registered for RTP (RFC 3551, RFC 7587)."""

    PCMU = "PCMU"
    PCMA = "PCMA"
    L16 = "L16"
    OPUS = "OPUS"


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How encoded bytes are to be read."""

    codec: Codec
    sample_rate: int = 8000
    """Samples per second of the decoded audio, per channel."""
    channels: int = 1
    byte_order: ByteOrder = "big"
    """Of L16 only; network order unless a sender is known to differ."""

    @property
    def clock_rate(self) -> int:
        """Ticks per second of an RTP timestamp (RFC 3551 section 4.1)."""
        return OPUS_RATE if self.codec is Codec.OPUS else self.sample_rate

    @property
    def bytes_per_sample(self) -> int:
        """Bytes for one sample instant, all channels; 0 when it is not constant."""
        if self.codec is Codec.OPUS:
            return 0
        return self.channels * (2 if self.codec is Codec.L16 else 1)

    def samples_in(self, payload: bytes) -> int:
        """Return how many sample instants `payload` decodes to; 0 if it is unusable."""
        if self.codec is Codec.OPUS:
            return opus_samples(payload)
        return len(payload) // self.bytes_per_sample


PCMU_8000 = AudioFormat(Codec.PCMU)
PCMA_8000 = AudioFormat(Codec.PCMA)


def opus_samples(packet: bytes) -> int:
    """Return the samples at 48 kHz in an Opus packet, 0 if it is malformed.

    RFC 6716 section 3.1: the TOC byte gives the frame length and how many frames
    follow; a packet holds at most 120 ms.
    """
    if not packet:
        return 0
    toc = packet[0]
    config = toc >> 3
    if config < 12:
        frame = _OPUS_SILK[config & 3]
    elif config < 16:
        frame = _OPUS_HYBRID[config & 1]
    else:
        frame = _OPUS_CELT[config & 3]
    code = toc & 3
    if code < 3:
        return frame * (1 if code == 0 else 2)
    count = packet[1] & 0x3F if len(packet) > 1 else 0
    total = frame * count
    return total if total <= OPUS_RATE * 120 // 1000 else 0


class GapCause(enum.StrEnum):
    """Why there is no audio at some positions."""

    LOST = "lost"
    """Packets were sent, as their sequence numbers show, and did not arrive in time."""
    SILENCE = "silence"
    """The sender sent nothing: its clock, or ours, went on without audio."""
    DROPPED = "dropped"
    """It arrived and we could not keep it."""
    DISCONNECTED = "disconnected"
    """There was no connection, or no server, to receive it."""
    MASKED = "masked"
    """It was kept out on request: recording was paused."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Positions with no audio."""

    start: int
    length: int
    cause: GapCause
    detail: str = ""
    """More about the cause in a few plain words, such as `disk full`."""


@dataclass(slots=True)
class Run:
    """Encoded audio without a hole in it: payloads that follow each other exactly."""

    start: int
    """Position of the first sample, in samples of the track."""
    length: int
    """Samples of the track that the payloads decode to."""
    payloads: Sequence[bytes]
    """Codec bytes as received, one entry a packet or message."""
    format: AudioFormat


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF digit that the sender reported beside the audio (RFC 4733)."""

    start: int
    digit: str
    """One of 0-9, *, #, A-D."""
    length: int
    """In samples of the track."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """Something about the sender changed; the audio goes on on the same track."""

    start: int
    what: str
    """A few plain words, such as `SSRC 0x1234abcd` or `format PCMA 8000 Hz`."""


@dataclass(frozen=True, slots=True)
class Late:
    """Audio that came after its place had been given up; it is not in the track."""

    start: int
    length: int


class WarningName(enum.StrEnum):
    """What audio may sound as if."""

    BYTE_ORDER = "byte_order"
    """16-bit samples read with their bytes the wrong way round."""
    LAW = "law"
    """µ-law read as A-law, or the reverse."""
    RATE = "rate"
    """More or less audio a second than its sampling rate says."""
    INTERLEAVED = "interleaved"
    """Two channels taken for one."""
    NOISE = "noise"
    """Loud noise without a structure, as encrypted audio is."""


@dataclass(frozen=True, slots=True)
class AudioWarning:
    """Audio of a track sounds wrong from some position on."""

    name: WarningName
    start: int
    sentence: str
    """What is the matter, for a person."""
    end: int | None = None
    """Where it began to sound right again; None if it has not."""


def warning_names(warnings: Sequence[AudioWarning]) -> tuple[str, ...]:
    """Return the name of each kind of warning once, in order of first appearance."""
    return tuple(dict.fromkeys(warning.name.value for warning in warnings))


@dataclass(frozen=True, slots=True)
class Counted:
    """How many packets there had been of a track at some position."""

    start: int
    counts: PacketCounts


TrackEvent = Run | Gap | Digit | SourceChange | Late
"""What a media session says about one track, in order of `start`."""

TrackNote = Gap | Digit | SourceChange | Late | Counted
"""What there is to tell of a track beside its audio."""


@dataclass(slots=True)
class AudioBlock:
    """Decoded audio without a hole in it."""

    start: int
    samples: Samples
    """Shape (samples, channels)."""
    encoded: bytes | None = None
    """The same as bytes of the track's own codec, where a recorder keeps those."""


class Outcome(enum.StrEnum):
    """What a tap that was asked for ended as; exactly one of these."""

    COMPLETE = "complete"
    """Everything that was sent is in the file."""
    PARTIAL = "partial"
    """Some of it is missing, as the gaps say, or the end is uncertain."""
    SILENT = "silent"
    """Audio came, and there was never a sound in it."""
    MISSING = "missing"
    """The platform agreed to tap and no audio came."""
    FAILED = "failed"
    """The tap did not come about, or its audio could not be kept."""


WORST_FIRST = (
    Outcome.FAILED,
    Outcome.MISSING,
    Outcome.PARTIAL,
    Outcome.SILENT,
    Outcome.COMPLETE,
)
"""What several tracks are together is what the worst of them is."""


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """What a sink is told of the track that it is about to receive."""

    recording_id: str
    control_id: str
    call_id: str
    node_id: str
    direction: str
    transport: str
    codec: Codec
    sample_rate: int
    channels: int
    track: int
    """0 for the first track of a tap, counting up."""
    started_at: float
    """Wall clock of position 0, seconds since 1970-01-01 UTC."""
    from_number: str = ""
    to_number: str = ""
    origin: str = ""
    """Who asked for the tap."""
    encoding: str = "pcm16"
    """How it is to be recorded: `pcm16`, or `native` as the codec sends it."""
    announced_id: str = ""
    """Under which the library was told of the tap before there was audio."""
    source: str = ""
    """Where its RTP comes from, as `IP:PORT`, if that is known."""
    port: int = 0
    """The local UDP port opened for this tap alone, if there is one."""
    is_returning: bool = False
    """Whether the token of a new connection shows that it is of this tap."""
    context: str = ""
    """The RELAY context of its inbound call."""
    tags: tuple[str, ...] = ()


@dataclass(slots=True)
class PacketCounts:
    """Packets (RTP) or messages (WebSocket) of one track so far."""

    received: int = 0
    lost: int = 0
    """Places given up on and never filled."""
    late: int = 0
    """Arrived after their place was given up."""
    duplicate: int = 0
    reordered: int = 0
    """Arrived out of order but in time."""
    jitter_ms: float = 0.0
    """Interarrival jitter (RFC 3550 section 6.4.1); 0 over WebSocket."""

    def __add__(self, later: PacketCounts) -> PacketCounts:
        """Return the counts of two parts of one track; the later one has the jitter."""
        return PacketCounts(
            self.received + later.received,
            self.lost + later.lost,
            self.late + later.late,
            self.duplicate + later.duplicate,
            self.reordered + later.reordered,
            later.jitter_ms,
        )
