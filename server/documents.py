"""What is told of a tap: its status while it lives, its document when it left no audio.

A tap with audio leaves one document for each track, written by its recorder; what a
server that was killed left unfinished gets its document from `server.recovery`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from server.audio import Outcome, PacketCounts, warning_names
from server.library.announced import AnnouncedTap
from server.library.recording import Recording, Verdict
from server.sinks.base import StreamSummary
from server.sinks.recorder import describe
from server.streams import Clock, TapStream
from server.taps.media_facts import media_facts
from server.taps.status import TapStatus
from server.taps.tap import EndReason, Tap
from server.taps.verdict import unsupported_sentence, verdict_without_audio
from server.track import Track


def describe_tap(
    tap: Tap, tracks: Sequence[Track], clock: Clock, *, is_paused: bool = False
) -> TapStatus:
    """Return what a tap is and does at this moment."""
    session = tap.session
    has_audio = session.track_count > 0
    audio_format = session.track_format(0) if has_audio else None
    first = tracks[0] if tracks else None
    counts = session.counts(0) if has_audio else PacketCounts()
    facts = media_facts(tap)
    return TapStatus(
        control_id=tap.control_id,
        call_id=facts.call_id,
        node_id=tap.node_id,
        direction=tap.direction.value,
        transport=tap.transport.value,
        origin=tap.origin.value,
        state=tap.state.value,
        is_paused=is_paused,
        from_number=tap.from_number,
        to_number=tap.to_number,
        codec="" if audio_format is None else audio_format.codec.value,
        sample_rate=None if audio_format is None else audio_format.sample_rate,
        created_at=clock.at(tap.created_at),
        started_at=_started_at(tap, first, clock),
        duration_s=0.0 if first is None else first.length / first.info.sample_rate,
        packets=counts if first is None else first.total(counts),
        drops=tuple(sorted(session.drops.items())),
        warnings=warning_names([each for track in tracks for each in track.warnings]),
        recording_ids=tuple(track.info.recording_id for track in tracks),
        context=tap.context,
        tags=facts.tags,
        reason=_reason(tap, facts.unsupported),
        custom_parameters=facts.custom_parameters,
    )


def announced_tap(tap: Tap, record_id: str, clock: Clock) -> AnnouncedTap:
    """Return what the library is told of a tap before there is audio."""
    return AnnouncedTap(
        id=record_id,
        control_id=tap.control_id,
        call_id=media_facts(tap).call_id,
        node_id=tap.node_id,
        direction=tap.direction.value,
        transport=tap.transport.value,
        origin=tap.origin.value,
        created_at=clock.at(tap.created_at),
        from_number=tap.from_number,
        to_number=tap.to_number,
        tags=tap.tags,
    )


def documents_left(stream: TapStream) -> list[Recording]:
    """Return what there is to tell of a tap that is over, and no recorder told."""
    tap, clock = stream.tap, stream.clock
    documents = [
        failed_document(tap, track, track.error, clock)
        for track in stream.tracks
        if track.error is not None
    ]
    if not (stream.tracks or stream.interrupted):
        documents.append(empty_document(tap, stream.announced_id, clock))
    return documents


def empty_document(tap: Tap, recording_id: str, clock: Clock) -> Recording:
    """Return the document of a tap of which no audio ever came."""
    facts = media_facts(tap)
    reason = tap.end_reason or EndReason.ERROR
    verdict = verdict_without_audio(reason, tap.end_detail, facts.unsupported)
    return Recording(
        id=recording_id,
        call_id=facts.call_id,
        node_id=tap.node_id,
        control_id=tap.control_id,
        direction=tap.direction.value,
        transport=tap.transport.value,
        origin=tap.origin.value,
        started_at=clock.at(tap.created_at),
        ended_at=None if tap.ended_at is None else clock.at(tap.ended_at),
        has_audio=False,
        state=verdict.outcome,
        verdict=Verdict(False, verdict.reason),
        end_reason=reason.value,
        from_number=tap.from_number,
        to_number=tap.to_number,
        custom_parameters=facts.custom_parameters,
        tags=facts.tags,
    )


def failed_document(
    tap: Tap, track: Track, error: Exception, clock: Clock
) -> Recording:
    """Return the document of a track whose recorder broke."""
    ended_at = tap.created_at if tap.ended_at is None else tap.ended_at
    counts = track.total(tap.session.counts(track.info.track))
    summary = StreamSummary(
        length=0,
        ended_at=clock.at(ended_at),
        outcome=Outcome.FAILED,
        is_complete=False,
        reason=(
            f"The recording could not be written: {error}. "
            "What was written before is kept under .partial."
        ),
        end_reason=EndReason.ERROR.value,
        origin=tap.origin.value,
        counts=counts,
        undecodable=track.undecodable,
        quality=track.describe_quality(counts),
        warnings=tuple(track.warnings),
        custom_parameters=media_facts(tap).custom_parameters,
    )
    return replace(describe(track.info, summary), has_audio=False)


def _reason(tap: Tap, unsupported: str) -> str:
    if unsupported and not tap.session.track_count:
        return unsupported_sentence(unsupported)
    return tap.end_detail or (tap.end_reason.value if tap.end_reason else "")


def _started_at(tap: Tap, first: Track | None, clock: Clock) -> datetime | None:
    """Return when the first audio was heard, be it before a restart."""
    if first is not None:
        return datetime.fromtimestamp(first.info.started_at, UTC)
    if not tap.session.track_count:
        return None
    return clock.at(tap.session.track_started_at(0))
