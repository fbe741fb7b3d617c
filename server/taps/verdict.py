"""The verdict on one track of a tap: what became of it, in words a person understands.

Pure. The evidence is what the track kept (`TrackEvidence`) and how the tap ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from server.audio import WORST_FIRST, GapCause, Outcome
from server.taps.tap import EndReason, TapOrigin

SILENCE_PEAK = 8
"""Largest absolute sample of digital silence: A-law 0xD5 decodes to 8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackEvidence:
    """What a verdict is based on."""

    sample_rate: int
    samples: int
    """Length of the track."""
    missing: dict[GapCause, int]
    """Samples without audio, by cause."""
    lost_packets: int
    undecodable_packets: int = 0
    """Came, and could not be turned into sound."""
    peak: int
    """Largest absolute sample."""
    drop_details: tuple[str, ...] = ()
    """Why audio that arrived could not be kept, as far as that is known."""


@dataclass(frozen=True, slots=True)
class TrackVerdict:
    """What became of a track."""

    outcome: Outcome
    reason: str
    """A sentence or two."""

    @property
    def is_complete(self) -> bool:
        """Whether nothing that was sent is missing."""
        return self.outcome is Outcome.COMPLETE


_ENDINGS = {
    EndReason.STOPPED: "Stopped on request.",
    EndReason.HANGUP: "The call ended.",
    EndReason.FINISHED: "The platform ended the tap.",
    EndReason.CLOSED: "The sender closed its stream.",
    EndReason.BYE: "The sender said goodbye (RTCP BYE).",
    EndReason.IDLE: "No more audio came, which was taken as the end.",
    EndReason.SHUTDOWN: "This server was stopped while the tap went on.",
    EndReason.LIMIT: "The limit for one recording was reached.",
    EndReason.REFUSED: "The platform refused the tap.",
    EndReason.NO_AUDIO: "The platform agreed to tap, and no audio came.",
    EndReason.INTERRUPTED: ("This server ended while the tap went on (interrupted)."),
    EndReason.ERROR: "This server could not go on with the tap.",
}

# Ends after which audio may still have followed.
_UNCERTAIN = frozenset(
    {
        EndReason.SHUTDOWN,
        EndReason.LIMIT,
        EndReason.INTERRUPTED,
        EndReason.ERROR,
    }
)


def verdict_with_audio(
    evidence: TrackEvidence, reason: EndReason, origin: TapOrigin, detail: str = ""
) -> TrackVerdict:
    """Judge a track that has audio."""
    verdict = _verdict_with_audio(evidence, reason, origin, _sentence(reason, detail))
    masked = evidence.missing.get(GapCause.MASKED, 0) / evidence.sample_rate
    if not masked:
        return verdict
    kept_out = f"{masked:.2f} s were kept out on request."
    return TrackVerdict(verdict.outcome, f"{verdict.reason} {kept_out}")


def _verdict_with_audio(
    evidence: TrackEvidence, reason: EndReason, origin: TapOrigin, ending: str
) -> TrackVerdict:
    losses = _losses(evidence)
    dropped = evidence.missing.get(GapCause.DROPPED, 0)
    if dropped and sum(evidence.missing.values()) >= evidence.samples:
        return TrackVerdict(Outcome.FAILED, f"{ending} {losses} Nothing else came.")
    if losses:
        return TrackVerdict(Outcome.PARTIAL, f"{ending} {losses}")
    if evidence.peak <= SILENCE_PEAK:
        return TrackVerdict(
            Outcome.SILENT, f"{ending} There was no sound in the audio."
        )
    if reason in _UNCERTAIN or (reason is EndReason.IDLE and origin.is_controlled):
        return TrackVerdict(
            Outcome.PARTIAL, f"{ending} Later audio is not in the file."
        )
    return TrackVerdict(Outcome.COMPLETE, f"{ending} Nothing was lost.")


def verdict_without_audio(
    reason: EndReason, detail: str = "", unsupported: str = ""
) -> TrackVerdict:
    """Judge a tap of which no audio ever came.

    Args:
        reason: Why it ended.
        detail: More about that, if there is more.
        unsupported: The format that the sender announced and we cannot decode.
    """
    if reason is EndReason.REFUSED:
        return TrackVerdict(Outcome.FAILED, _sentence(reason, detail))
    if unsupported:
        return TrackVerdict(Outcome.FAILED, unsupported_sentence(unsupported))
    if reason is EndReason.NO_AUDIO:
        return TrackVerdict(Outcome.MISSING, _sentence(reason, detail))
    return TrackVerdict(Outcome.MISSING, f"{_sentence(reason, detail)} No audio came.")


def verdict_of_tap(verdicts: Sequence[TrackVerdict]) -> TrackVerdict | None:
    """Return what became of a tap: of its tracks, the worst; None if it left nothing.

    Nothing is left by a tap that was given up, or that a later server goes on with.
    """
    if not verdicts:
        return None
    worst = min((each.outcome for each in verdicts), key=WORST_FIRST.index)
    reasons = dict.fromkeys(each.reason for each in verdicts)
    return TrackVerdict(worst, " ".join(reasons))


def unsupported_sentence(stated: str) -> str:
    """Return what is wrong with a sender of a format that we cannot decode."""
    return f"The sender sends {stated}, which cannot be decoded."


def _sentence(reason: EndReason, detail: str) -> str:
    sentence = _ENDINGS[reason]
    return f"{sentence[:-1]}: {detail}." if detail else sentence


def _losses(evidence: TrackEvidence) -> str:
    parts = []
    lost = evidence.missing.get(GapCause.LOST, 0) / evidence.sample_rate
    dropped = evidence.missing.get(GapCause.DROPPED, 0) / evidence.sample_rate
    if evidence.lost_packets or lost:
        packets = _packets(evidence.lost_packets)
        parts.append(f"{packets} ({lost:.2f} s) lost on the way.")
    if evidence.undecodable_packets:
        packets = _packets(evidence.undecodable_packets)
        parts.append(f"{packets} could not be decoded.")
    if broken := evidence.missing.get(GapCause.DISCONNECTED, 0):
        seconds = broken / evidence.sample_rate
        parts.append(f"{seconds:.2f} s passed without a connection.")
    if dropped:
        because = ", ".join(evidence.drop_details)
        because = f" ({because})" if because else ""
        parts.append(f"{dropped:.2f} s arrived and could not be kept{because}.")
    return " ".join(parts)


def _packets(count: int) -> str:
    return f"{count} packet" if count == 1 else f"{count} packets"
