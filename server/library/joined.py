"""Several recordings of one call as one, with a channel for each; pure.

Speak is always the first channel and listen the second. Where each part begins is told
by the senders' own clock if all of them told it (RTCP sender reports), to the sample;
otherwise by when their audio arrived, to within a packet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from server.audio import WORST_FIRST, GapCause
from server.library.evidence import Evidence, EvidenceKind, Quality
from server.library.recording import Packets, Part, Recording, TimedGap, Verdict

STEREO = ("speak", "listen")

NOT_BEGUN = "this tap had not begun"
OVER = "this tap was over"

MAX_CLOCK_DIFFERENCE_S = 1.0
"""Between what the senders' clocks say of two beginnings and what their arrival says.
Clocks that are further apart are not one clock."""


def in_order(parts: Sequence[Recording]) -> list[Recording]:
    """Return parts by channel."""

    def rank(part: Recording) -> tuple[int, int, str]:
        side = STEREO.index(part.direction) if part.direction in STEREO else 0
        return side, part.track, part.id

    return sorted(parts, key=rank)


def fit_together(parts: Sequence[Recording]) -> bool:
    """Return whether parts can be channels of one file."""
    shapes = {(part.sample_rate, part.encoding) for part in parts}
    codecs = {part.codec for part in parts if part.encoding == "native"}
    return (
        len(parts) > 1
        and len(shapes) == 1
        and len(codecs) <= 1
        and all(part.has_audio and part.channels == 1 for part in parts)
    )


def are_sides(one: Recording, other: Recording) -> bool:
    """Return whether two are tracks of one tap, or both sides of one call at a time."""
    if not fit_together([one, other]):
        return False
    if one.control_id == other.control_id:
        return one.track != other.track
    if {one.direction, other.direction} != set(STEREO):
        return False
    begun = max(one.started_at, other.started_at)
    return all(
        each.started_at + timedelta(seconds=each.duration_s) > begun
        for each in (one, other)
    )


def offsets(parts: Sequence[Recording]) -> list[int]:
    """Return where each part begins in the file, in samples; the first at 0."""
    arrived = [
        part.started_at.timestamp()
        if part.arrival_clock_s is None
        else part.arrival_clock_s
        for part in parts
    ]
    clocks = [part.sender_clock_s for part in parts]
    begun = arrived
    if None not in clocks:
        told = [clock for clock in clocks if clock is not None]
        errors = [one - other for one, other in zip(told, arrived, strict=True)]
        if max(errors) - min(errors) <= MAX_CLOCK_DIFFERENCE_S:
            begun = told
    first, rate = min(begun), parts[0].sample_rate
    return [round((at - first) * rate) for at in begun]


def describe_joined(recording_id: str, parts: Sequence[Recording]) -> Recording:
    """Return the document of one file made of these parts, which are in order."""
    starts, rate = offsets(parts), parts[0].sample_rate
    channels = list(zip(starts, parts, strict=True))
    length = max(start + part.samples for start, part in channels)
    ended = [part.ended_at for part in parts if part.ended_at is not None]
    return replace(
        parts[starts.index(0)],
        id=recording_id,
        call_id=next((part.call_id for part in parts if part.call_id), ""),
        control_id=parts[0].control_id,
        direction=_direction(parts),
        track=0,
        channels=len(parts),
        ended_at=max(ended, default=None),
        duration_s=round(length / rate, 6),
        samples=length,
        state=min((part.state for part in parts), key=WORST_FIRST.index),
        verdict=_verdict(parts),
        end_reason=parts[0].end_reason,
        tags=tuple(dict.fromkeys(tag for part in parts for tag in part.tags)),
        packets=_sum(parts),
        undecodable=sum(part.undecodable for part in parts),
        jitter_ms=max(part.jitter_ms for part in parts),
        gaps=tuple(_gaps(channels, length)),
        gaps_omitted=sum(part.gaps_omitted for part in parts),
        digits=tuple(
            replace(each, start_s=_later(each.start_s, start, rate))
            for start, part in channels
            for each in part.digits
        ),
        changes=tuple(
            replace(each, start_s=_later(each.start_s, start, rate))
            for start, part in channels
            for each in part.changes
        ),
        evidence=tuple(_evidence(channels, length)),
        evidence_omitted=sum(part.evidence_omitted for part in parts),
        quality=_worst(parts),
        warnings=tuple(dict.fromkeys(w for part in parts for w in part.warnings)),
        channel_map=channel_map(parts),
        parts=tuple(_part(at, part) for at, part in enumerate(parts)),
    )


def channel_map(parts: Sequence[Recording]) -> tuple[str, ...]:
    """Return what each channel is."""
    sides = [part.direction for part in parts]
    if len(set(sides)) == len(sides) and set(sides) <= set(STEREO):
        return tuple(sides)
    return tuple(f"track {at + 1}" for at in range(len(parts)))


def comment(parts: Sequence[Recording]) -> str:
    """Return what the file itself says of its channels."""
    names = channel_map(parts)
    return ", ".join(f"channel {at + 1}: {name}" for at, name in enumerate(names))


def _direction(parts: Sequence[Recording]) -> str:
    return "stereo" if channel_map(parts) == STEREO else parts[0].direction


def _verdict(parts: Sequence[Recording]) -> Verdict:
    reasons = [part.verdict.reason for part in parts]
    is_complete = all(part.verdict.complete for part in parts)
    if len(set(reasons)) == 1:
        return Verdict(is_complete, reasons[0])
    told = zip(channel_map(parts), reasons, strict=True)
    text = " ".join(f"{name.capitalize()}: {reason}" for name, reason in told)
    return Verdict(is_complete, text)


def _sum(parts: Sequence[Recording]) -> Packets:
    counts = [part.packets for part in parts]
    return Packets(
        received=sum(each.received for each in counts),
        lost=sum(each.lost for each in counts),
        late=sum(each.late for each in counts),
        duplicate=sum(each.duplicate for each in counts),
        reordered=sum(each.reordered for each in counts),
    )


def _later(seconds: float, start: int, rate: int) -> float:
    return round(seconds + start / rate, 6)


def _edges(
    start: int, part: Recording, length: int
) -> Iterator[tuple[float, float, str]]:
    """Yield (start_s, length_s, why) of what is silent around a part."""
    rate, end = part.sample_rate, start + part.samples
    if start:
        yield 0.0, round(start / rate, 6), NOT_BEGUN
    if end < length:
        yield round(end / rate, 6), round((length - end) / rate, 6), OVER


def _gaps(channels: Sequence[tuple[int, Recording]], length: int) -> list[TimedGap]:
    found = []
    for channel, (start, part) in enumerate(channels):
        for at_s, length_s, _ in _edges(start, part, length):
            found.append(TimedGap(at_s, length_s, GapCause.SILENCE, channel))
        for gap in part.gaps:
            at_s = _later(gap.start_s, start, part.sample_rate)
            found.append(replace(gap, start_s=at_s, channel=channel))
    return sorted(found, key=lambda gap: gap.start_s)


def _evidence(channels: Sequence[tuple[int, Recording]], length: int) -> list[Evidence]:
    found = []
    for channel, (start, part) in enumerate(channels):
        for at_s, length_s, why in _edges(start, part, length):
            found.append(Evidence(at_s, length_s, EvidenceKind.SILENCE, why, channel))
        for entry in part.evidence:
            at_s = _later(entry.start_s, start, part.sample_rate)
            found.append(replace(entry, start_s=at_s, channel=channel))
    return sorted(found, key=lambda entry: entry.start_s)


def _worst(parts: Sequence[Recording]) -> Quality | None:
    """Return the worse of each figure; each part has its own as well."""
    known = [part.quality for part in parts if part.quality is not None]
    if not known:
        return None
    estimates = [each.mos_estimate for each in known if each.mos_estimate is not None]
    peaks = [each.peak_dbfs for each in known if each.peak_dbfs is not None]
    levels = [each.level_dbfs for each in known if each.level_dbfs is not None]
    return Quality(
        loss_percent=max(each.loss_percent for each in known),
        jitter_ms=max(each.jitter_ms for each in known),
        reordered_percent=max(each.reordered_percent for each in known),
        late_percent=max(each.late_percent for each in known),
        level_dbfs=min(levels, default=None),
        peak_dbfs=max(peaks, default=None),
        clipped_samples=sum(each.clipped_samples for each in known),
        mos_estimate=min(estimates, default=None),
    )


def _part(channel: int, recording: Recording) -> Part:
    return Part(
        channel=channel,
        control_id=recording.control_id,
        direction=recording.direction,
        transport=recording.transport,
        codec=recording.codec,
        started_at=recording.started_at,
        duration_s=recording.duration_s,
        state=recording.state,
        end_reason=recording.end_reason,
        packets=recording.packets,
        undecodable=recording.undecodable,
        quality=recording.quality,
    )
