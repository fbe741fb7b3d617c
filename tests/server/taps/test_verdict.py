"""One verdict for each track, with a reason a person understands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.audio import GapCause, Outcome
from server.taps.tap import EndReason, TapOrigin
from server.taps.verdict import (
    TrackEvidence,
    TrackVerdict,
    verdict_of_tap,
    verdict_with_audio,
    verdict_without_audio,
)


def evidence(
    *,
    lost: int = 0,
    packets: int = 0,
    undecodable: int = 0,
    dropped: int = 0,
    peak: int = 9000,
) -> TrackEvidence:
    return TrackEvidence(
        sample_rate=8000,
        samples=80_000,
        missing={GapCause.LOST: lost, GapCause.DROPPED: dropped},
        lost_packets=packets,
        undecodable_packets=undecodable,
        peak=peak,
    )


@pytest.mark.parametrize("reason", EndReason)
def test_every_end_has_a_verdict_with_and_without_audio(reason: EndReason) -> None:
    for origin in TapOrigin:
        verdict = verdict_with_audio(evidence(), reason, origin)
        assert verdict.reason.endswith(".")
        assert verdict.outcome in (Outcome.COMPLETE, Outcome.PARTIAL)
    without = verdict_without_audio(reason)
    assert without.outcome in (Outcome.MISSING, Outcome.FAILED)
    assert not without.is_complete


def test_nothing_lost_is_complete() -> None:
    verdict = verdict_with_audio(evidence(), EndReason.STOPPED, TapOrigin.RELAY)
    assert verdict.is_complete
    assert verdict.reason == "Stopped on request. Nothing was lost."


def test_losses_are_told_with_their_length() -> None:
    verdict = verdict_with_audio(
        evidence(lost=160, packets=1), EndReason.HANGUP, TapOrigin.RELAY
    )
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.reason == "The call ended. 1 packet (0.02 s) lost on the way."


def test_what_we_dropped_is_told_too() -> None:
    verdict = verdict_with_audio(
        evidence(lost=320, packets=2, dropped=4000), EndReason.HANGUP, TapOrigin.RELAY
    )
    assert "2 packets (0.04 s) lost" in verdict.reason
    assert "0.50 s arrived and could not be kept." in verdict.reason


def test_audio_without_a_sound_is_silent() -> None:
    verdict = verdict_with_audio(evidence(peak=8), EndReason.HANGUP, TapOrigin.RELAY)
    assert verdict.outcome is Outcome.SILENT


def test_silence_on_the_wire_ends_only_an_uncontrolled_tap_completely() -> None:
    foreign = verdict_with_audio(evidence(), EndReason.IDLE, TapOrigin.FOREIGN)
    assert foreign.is_complete
    controlled = verdict_with_audio(evidence(), EndReason.IDLE, TapOrigin.RELAY)
    assert controlled.outcome is Outcome.PARTIAL


def test_a_shutdown_leaves_the_rest_out() -> None:
    verdict = verdict_with_audio(evidence(), EndReason.SHUTDOWN, TapOrigin.RELAY)
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.reason.endswith("Later audio is not in the file.")


def test_a_refusal_says_why() -> None:
    verdict = verdict_without_audio(EndReason.REFUSED, "400 bad device")
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reason == "The platform refused the tap: 400 bad device."


def test_no_audio_is_missing() -> None:
    assert verdict_without_audio(EndReason.NO_AUDIO).outcome is Outcome.MISSING
    verdict = verdict_without_audio(EndReason.HANGUP)
    assert verdict.reason == "The call ended. No audio came."


@pytest.mark.parametrize(("count", "words"), [(1, "1 packet"), (3, "3 packets")])
def test_what_could_not_be_decoded_is_missing_too(count: int, words: str) -> None:
    verdict = verdict_with_audio(
        evidence(undecodable=count), EndReason.HANGUP, TapOrigin.RELAY
    )
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.reason == f"The call ended. {words} could not be decoded."


def test_a_format_that_cannot_be_decoded_is_the_reason_for_no_audio() -> None:
    verdict = verdict_without_audio(EndReason.CLOSED, unsupported="audio/g729")
    assert verdict.outcome is Outcome.FAILED
    assert verdict.reason == "The sender sends audio/g729, which cannot be decoded."


def test_a_refusal_counts_more_than_what_the_sender_announced() -> None:
    verdict = verdict_without_audio(EndReason.REFUSED, unsupported="audio/g729")
    assert verdict.reason == "The platform refused the tap."


def test_it_is_told_why_audio_could_not_be_kept() -> None:
    verdict = verdict_with_audio(
        replace(evidence(dropped=8000), drop_details=("disk full",)),
        EndReason.STOPPED,
        TapOrigin.RELAY,
    )
    assert verdict.outcome is Outcome.PARTIAL
    assert "1.00 s arrived and could not be kept (disk full)." in verdict.reason


def test_a_tap_of_which_nothing_could_be_kept_has_failed() -> None:
    verdict = verdict_with_audio(
        evidence(dropped=70_000, lost=10_000), EndReason.STOPPED, TapOrigin.RELAY
    )
    assert verdict.outcome is Outcome.FAILED


def test_a_tap_that_was_cut_off_is_not_complete() -> None:
    verdict = verdict_with_audio(evidence(), EndReason.LIMIT, TapOrigin.RELAY, "3600 s")
    assert verdict.outcome is Outcome.PARTIAL
    assert verdict.reason == (
        "The limit for one recording was reached: 3600 s. "
        "Later audio is not in the file."
    )


def test_a_tap_is_what_the_worst_of_its_tracks_is() -> None:
    complete = TrackVerdict(Outcome.COMPLETE, "The call ended. Nothing was lost.")
    partial = TrackVerdict(Outcome.PARTIAL, "The call ended. 1 packet lost.")
    assert verdict_of_tap([complete, complete]) == complete
    assert verdict_of_tap([complete, partial]) == TrackVerdict(
        Outcome.PARTIAL, f"{complete.reason} {partial.reason}"
    )
    assert verdict_of_tap([]) is None
