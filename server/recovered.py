"""The documents of what a server that was killed left behind; pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from server.audio import Codec, GapCause, Outcome, PacketCounts, StreamInfo
from server.library.journal import JournalFacts, facts_within
from server.library.layout import started_at_of
from server.library.recording import Recording, Verdict
from server.library.wav_layout import Encoding, WavLayout
from server.sinks.base import StreamSummary
from server.sinks.recorder import describe

INTERRUPTED = "interrupted"
"""The end reason of whatever a server did not live to finish."""

_WITH_AUDIO = (
    "This server ended while the tap went on (interrupted). "
    "Audio up to then is in the file."
)
_WITHOUT_AUDIO = "This server ended before any audio was on the disk (interrupted)."
UNREADABLE = "This server ended (interrupted), and what it left cannot be read."

_CODECS = {
    Encoding.MULAW: Codec.PCMU,
    Encoding.ALAW: Codec.PCMA,
    Encoding.PCM16: Codec.L16,
}


def document_of_interrupted(
    info: StreamInfo, facts: JournalFacts, samples: int
) -> Recording:
    """Return the document of a recording with so many samples in its file.

    What the journal calls no gap arrived. Its packets are those that were noted last.
    """
    facts = facts_within(facts, samples)
    length_s = samples / info.sample_rate
    reason = _WITH_AUDIO if samples else _WITHOUT_AUDIO
    if missing_s := _seconds(facts, info, is_masked=False):
        reason += f" {missing_s:.2f} s of it are missing, as the gaps tell."
    if masked_s := _seconds(facts, info, is_masked=True):
        reason += f" {masked_s:.2f} s were kept out on request."
    if (counted := facts.counted) is not None:
        counted_s = min(counted.start / info.sample_rate, length_s)
        reason += f" Packets were last counted at {counted_s:.2f} s."
    summary = StreamSummary(
        length=samples,
        ended_at=datetime.fromtimestamp(info.started_at, UTC)
        + timedelta(seconds=length_s),
        outcome=Outcome.PARTIAL if samples else Outcome.FAILED,
        is_complete=False,
        reason=reason,
        end_reason=INTERRUPTED,
        origin=info.origin,
        counts=PacketCounts() if counted is None else counted.counts,
        gaps=facts.gaps,
        digits=facts.digits,
        changes=facts.changes,
        late=facts.late,
    )
    return replace(describe(info, summary), has_audio=samples > 0)


def _seconds(facts: JournalFacts, info: StreamInfo, *, is_masked: bool) -> float:
    """Return how long the gaps are that are masks, or those that are none."""
    lengths = [
        gap.length for gap in facts.gaps if (gap.cause is GapCause.MASKED) is is_masked
    ]
    return sum(lengths) / info.sample_rate


def document_of_unknown(recording_id: str, reason: str) -> Recording:
    """Return the document of something of which only the id is known."""
    return Recording(
        id=recording_id,
        call_id="",
        node_id="",
        control_id="",
        direction="",
        transport="",
        started_at=started_at_of(recording_id),
        has_audio=False,
        state=Outcome.FAILED,
        verdict=Verdict(False, reason),
        end_reason=INTERRUPTED,
    )


def info_from_header(recording_id: str, layout: WavLayout) -> StreamInfo:
    """Return as much of a track as its audio alone tells."""
    return StreamInfo(
        recording_id=recording_id,
        control_id="",
        call_id="",
        node_id="",
        direction="",
        transport="",
        codec=_CODECS[layout.encoding],
        sample_rate=layout.sample_rate,
        channels=layout.channels,
        track=0,
        started_at=started_at_of(recording_id).timestamp(),
        encoding="pcm16" if layout.encoding is Encoding.PCM16 else "native",
    )
