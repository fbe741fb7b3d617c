"""What is known about one recording: the document beside each WAV.

Names that came from the wire (call ids, numbers, reasons) are only data here: they
never become part of a path, and whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from server.audio import GapCause, Outcome, PacketCounts
from server.library.evidence import (
    Evidence,
    Quality,
    channel_json,
    evidence_json,
    parse_evidence,
    parse_quality,
)
from server.library.fields import Fields, JsonObject, time_text


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether everything is there, and why we say so."""

    complete: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Packets:
    """What became of the packets (RTP) or messages (WebSocket) of a recording."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    reordered: int = 0

    @classmethod
    def of(cls, counts: PacketCounts) -> Packets:
        """Return the counts as they are now."""
        return cls(
            received=counts.received,
            lost=counts.lost,
            late=counts.late,
            duplicate=counts.duplicate,
            reordered=counts.reordered,
        )


@dataclass(frozen=True, slots=True)
class TimedGap:
    """A part of the file that is silent because no audio was there to write."""

    start_s: float
    length_s: float
    cause: GapCause
    channel: int | None = None
    """Of the file, counting from 0; None: all of them."""


@dataclass(frozen=True, slots=True)
class TimedDigit:
    """A DTMF digit reported beside the audio."""

    start_s: float
    digit: str
    length_s: float


@dataclass(frozen=True, slots=True)
class TimedChange:
    """Something about the sender changed here."""

    start_s: float
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One track of a recording that was made of several."""

    channel: int
    control_id: str
    direction: str
    transport: str
    codec: str
    started_at: datetime
    """Of its own first sample."""
    duration_s: float
    state: Outcome
    end_reason: str
    packets: Packets
    undecodable: int
    quality: Quality | None

    def to_json(self) -> JsonObject:
        """Return it as the document has it."""
        return {
            "channel": self.channel,
            "control_id": self.control_id,
            "direction": self.direction,
            "transport": self.transport,
            "codec": self.codec,
            "started_at": time_text(self.started_at),
            "duration_s": self.duration_s,
            "state": self.state.value,
            "end_reason": self.end_reason,
            "packets": _packets_json(self.packets),
            "undecodable": self.undecodable,
            "quality": None if self.quality is None else asdict(self.quality),
        }

    @classmethod
    def from_json(cls, fields: Fields) -> Part:
        """Read it.

        Raises:
            FieldError: A field is missing or of the wrong type.
        """
        return cls(
            channel=fields.whole("channel"),
            control_id=fields.text("control_id"),
            direction=fields.text("direction"),
            transport=fields.text("transport"),
            codec=fields.text("codec"),
            started_at=fields.time("started_at"),
            duration_s=fields.number("duration_s"),
            state=Outcome(fields.one_of("state", tuple(Outcome))),
            end_reason=fields.text("end_reason"),
            packets=_packets(fields.inner("packets")),
            undecodable=fields.whole("undecodable"),
            quality=parse_quality(fields.optional_inner("quality")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One track of one tap, as it is kept."""

    id: str
    call_id: str
    node_id: str
    control_id: str
    direction: str
    transport: str
    origin: str = ""
    """Who asked for the tap: `relay`, `api`, `static` or `foreign`."""
    track: int = 0
    codec: str = ""
    """As it arrived; the WAV is always 16-bit. Empty if no audio ever came."""
    sample_rate: int = 0
    """0 if no audio ever came; so is `channels`."""
    channels: int = 0
    started_at: datetime
    """Wall clock of the first sample, UTC."""
    ended_at: datetime | None = None
    duration_s: float = 0.0
    samples: int = 0
    """Sample instants in the file, gaps included."""
    has_audio: bool = True
    """Whether there is a WAV beside this document."""
    state: Outcome
    verdict: Verdict
    end_reason: str = ""
    """What ended the tap."""
    from_number: str = ""
    to_number: str = ""
    packets: Packets = field(default_factory=Packets)
    undecodable: int = 0
    """Packets that came and could not be turned into sound; silent in the file."""
    jitter_ms: float = 0.0
    gaps: tuple[TimedGap, ...] = ()
    gaps_omitted: int = 0
    """Gaps that there were too many of to list."""
    digits: tuple[TimedDigit, ...] = ()
    changes: tuple[TimedChange, ...] = ()
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    """What a media stream says that it was started with."""
    evidence: tuple[Evidence, ...] = ()
    evidence_omitted: int = 0
    quality: Quality | None = None
    """None if no audio ever came."""
    warnings: tuple[str, ...] = ()
    """Names of what sounded wrong, such as `byte_order`."""
    channel_map: tuple[str, ...] = ()
    """What each channel is, if there is more than one: `speak`, `listen` or `track N`.
    The WAV says the same in its comment."""
    parts: tuple[Part, ...] = ()
    """The taps of a recording that was made of several, by channel."""
    arrival_clock_s: float | None = None
    """When the first sample was, told by many arrivals, seconds since 1970."""
    sender_clock_s: float | None = None
    """When the first sample was by the sender's clock (RTCP), seconds since 1970."""
    encoding: str = "pcm16"
    """How samples are kept in the WAV: `pcm16`, or `native` as the codec sent them."""
    sha256: str = ""
    """Of the WAV, in hexadecimal; empty without audio."""
    size_bytes: int = 0
    """Of the WAV."""
    tags: tuple[str, ...] = ()
    """Given by users, as are `note` and `legal_hold`."""
    note: str = ""
    legal_hold: bool = False
    """Nothing deletes the recording while this is set."""

    def to_json(self) -> JsonObject:
        """Return the document, ready for `json.dumps`."""
        return {
            "id": self.id,
            "call_id": self.call_id,
            "node_id": self.node_id,
            "control_id": self.control_id,
            "direction": self.direction,
            "transport": self.transport,
            "origin": self.origin,
            "track": self.track,
            "codec": self.codec,
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "started_at": time_text(self.started_at),
            "ended_at": None if self.ended_at is None else time_text(self.ended_at),
            "duration_s": self.duration_s,
            "samples": self.samples,
            "has_audio": self.has_audio,
            "state": self.state.value,
            "verdict": {
                "complete": self.verdict.complete,
                "reason": self.verdict.reason,
            },
            "end_reason": self.end_reason,
            "from": self.from_number,
            "to": self.to_number,
            "packets": _packets_json(self.packets),
            "undecodable": self.undecodable,
            "jitter_ms": self.jitter_ms,
            "gaps": _gaps_json(self.gaps),
            "gaps_omitted": self.gaps_omitted,
            "digits": _digits_json(self.digits),
            "changes": _changes_json(self.changes),
            "custom_parameters": dict(self.custom_parameters),
            "evidence": evidence_json(self.evidence),
            "evidence_omitted": self.evidence_omitted,
            "quality": None if self.quality is None else asdict(self.quality),
            "warnings": list(self.warnings),
            "channel_map": list(self.channel_map),
            "parts": [part.to_json() for part in self.parts],
            "arrival_clock_s": self.arrival_clock_s,
            "sender_clock_s": self.sender_clock_s,
            "encoding": self.encoding,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "tags": list(self.tags),
            "note": self.note,
            "legal_hold": self.legal_hold,
        }

    @classmethod
    def from_json(cls, raw: object) -> Recording:
        """Read a document. Unknown keys are passed over.

        Raises:
            FieldError: A field is missing or of the wrong type.
        """
        fields = Fields(raw)
        verdict = fields.inner("verdict")
        samples = fields.whole("samples")
        return cls(
            id=fields.text("id"),
            call_id=fields.text("call_id"),
            node_id=fields.text("node_id"),
            control_id=fields.text("control_id"),
            direction=fields.text("direction"),
            transport=fields.text("transport"),
            origin=fields.text("origin", ""),
            track=fields.whole("track", 0),
            codec=fields.text("codec"),
            sample_rate=fields.whole("sample_rate"),
            channels=fields.whole("channels"),
            started_at=fields.time("started_at"),
            ended_at=fields.optional_time("ended_at"),
            duration_s=fields.number("duration_s"),
            samples=samples,
            has_audio=fields.flag("has_audio", samples > 0),
            state=Outcome(fields.one_of("state", tuple(Outcome))),
            verdict=Verdict(verdict.flag("complete"), verdict.text("reason")),
            end_reason=fields.text("end_reason", ""),
            from_number=fields.text("from"),
            to_number=fields.text("to"),
            packets=_packets(fields.inner("packets")),
            undecodable=fields.whole("undecodable", 0),
            jitter_ms=fields.number("jitter_ms", 0.0),
            gaps=tuple(map(_gap, fields.each("gaps"))),
            gaps_omitted=fields.whole("gaps_omitted", 0),
            digits=tuple(map(_digit, fields.each("digits"))),
            changes=tuple(map(_change, fields.each("changes"))),
            custom_parameters=fields.texts("custom_parameters"),
            evidence=tuple(map(parse_evidence, fields.each("evidence"))),
            evidence_omitted=fields.whole("evidence_omitted", 0),
            quality=parse_quality(fields.optional_inner("quality")),
            warnings=fields.text_list("warnings"),
            channel_map=fields.text_list("channel_map"),
            parts=tuple(map(Part.from_json, fields.each("parts"))),
            arrival_clock_s=fields.optional_real("arrival_clock_s"),
            sender_clock_s=fields.optional_real("sender_clock_s"),
            encoding=fields.text("encoding", "pcm16"),
            sha256=fields.text("sha256", ""),
            size_bytes=fields.whole("size_bytes", 0),
            tags=fields.text_list("tags"),
            note=fields.text("note", ""),
            legal_hold=fields.flag("legal_hold", False),
        )


def _packets_json(packets: Packets) -> JsonObject:
    return {
        "received": packets.received,
        "lost": packets.lost,
        "late": packets.late,
        "duplicate": packets.duplicate,
        "reordered": packets.reordered,
    }


def _gaps_json(gaps: Sequence[TimedGap]) -> list[JsonObject]:
    return [
        {
            "start_s": gap.start_s,
            "length_s": gap.length_s,
            "cause": gap.cause.value,
            **channel_json(gap.channel),
        }
        for gap in gaps
    ]


def _digits_json(digits: Sequence[TimedDigit]) -> list[JsonObject]:
    return [
        {"start_s": one.start_s, "digit": one.digit, "length_s": one.length_s}
        for one in digits
    ]


def _changes_json(changes: Sequence[TimedChange]) -> list[JsonObject]:
    return [{"start_s": one.start_s, "what": one.what} for one in changes]


def _packets(fields: Fields) -> Packets:
    return Packets(
        received=fields.whole("received"),
        # RFC 3550 A.3: expected minus received, which duplicates can turn negative.
        lost=fields.integer("lost"),
        late=fields.whole("late"),
        duplicate=fields.whole("duplicate"),
        reordered=fields.whole("reordered"),
    )


def _gap(fields: Fields) -> TimedGap:
    return TimedGap(
        fields.number("start_s"),
        fields.number("length_s"),
        GapCause(fields.one_of("cause", tuple(GapCause))),
        fields.optional_whole("channel"),
    )


def _digit(fields: Fields) -> TimedDigit:
    return TimedDigit(
        fields.number("start_s"), fields.text("digit"), fields.number("length_s")
    )


def _change(fields: Fields) -> TimedChange:
    return TimedChange(fields.number("start_s"), fields.text("what"))
