"""What became of each moment of a recording, and how good it was.

The evidence is what a verdict rests on: one timeline that accounts for the whole file.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass

from server.library.fields import Fields, JsonObject


class EvidenceKind(enum.StrEnum):
    """What an entry of the evidence says about its time."""

    RECEIVED = "received"
    """Audio that arrived is here."""
    LOST = "lost"
    SILENCE = "silence"
    DROPPED = "dropped"
    DISCONNECTED = "disconnected"
    MASKED = "masked"
    LATE = "late"
    """A packet of here came after its place had been given up."""
    CHANGE = "change"
    """SSRC, codec, address or connection of the sender changed."""
    DIGIT = "digit"
    WARNING = "warning"
    """The audio sounds wrong; see `cause`."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry of the evidence timeline, in order of `start_s`.

    Entries of the first six kinds cover the recording from its start to its end, each
    moment exactly once. The others lie on top of them.
    """

    start_s: float
    length_s: float
    """0 for what happened at one moment."""
    kind: EvidenceKind
    cause: str = ""
    """A few plain words, such as `SSRC 0x1234abcd` or `disk full`."""
    channel: int | None = None
    """Of the file, counting from 0; None: all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a track was. None: it could not be told."""

    loss_percent: float = 0.0
    """Audio time lost on the way, of the time that audio was sent."""
    jitter_ms: float = 0.0
    """Interarrival jitter (RFC 3550 section 6.4.1) at the end."""
    reordered_percent: float = 0.0
    late_percent: float = 0.0
    drift_ppm: float | None = None
    """How much faster the sender's clock ran than ours, in millionths."""
    level_dbfs: float | None = None
    """Mean power of the audio that arrived, in dB of full scale."""
    peak_dbfs: float | None = None
    clipped_samples: int = 0
    mos_estimate: float | None = None
    """Listening quality, 1 to 4.5: an estimate by the E-model (ITU-T G.107)."""


def evidence_json(evidence: Sequence[Evidence]) -> list[JsonObject]:
    """Return the entries as a document has them."""
    return [
        {
            "start_s": one.start_s,
            "length_s": one.length_s,
            "kind": one.kind.value,
            "cause": one.cause,
            **channel_json(one.channel),
        }
        for one in evidence
    ]


def channel_json(channel: int | None) -> JsonObject:
    """Return the key that says which channel is meant, if not all are."""
    return {} if channel is None else {"channel": channel}


def parse_evidence(fields: Fields) -> Evidence:
    """Read one entry.

    Raises:
        FieldError: A field is missing or of the wrong type.
    """
    return Evidence(
        fields.number("start_s"),
        fields.number("length_s"),
        EvidenceKind(fields.one_of("kind", tuple(EvidenceKind))),
        fields.text("cause"),
        fields.optional_whole("channel"),
    )


def parse_quality(fields: Fields | None) -> Quality | None:
    """Read how good a track was; a document from before that was told has None.

    Raises:
        FieldError: A field is missing or of the wrong type.
    """
    if fields is None:
        return None
    return Quality(
        loss_percent=fields.number("loss_percent"),
        jitter_ms=fields.number("jitter_ms"),
        reordered_percent=fields.number("reordered_percent"),
        late_percent=fields.number("late_percent"),
        drift_ppm=fields.optional_real("drift_ppm"),
        level_dbfs=fields.optional_real("level_dbfs"),
        peak_dbfs=fields.optional_real("peak_dbfs"),
        clipped_samples=fields.whole("clipped_samples"),
        mos_estimate=fields.optional_real("mos_estimate"),
    )
