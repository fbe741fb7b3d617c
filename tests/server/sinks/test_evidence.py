"""Every moment of a track is accounted for exactly once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.audio import (
    AudioWarning,
    Digit,
    Gap,
    GapCause,
    Late,
    SourceChange,
    WarningName,
)
from server.library.evidence import Evidence, EvidenceKind
from server.sinks import evidence
from server.sinks.evidence import Accounts, cover

gaps = st.lists(
    st.builds(Gap, st.integers(0, 120), st.integers(1, 40), st.sampled_from(GapCause))
)


@given(st.integers(0, 100), gaps)
def test_the_cover_has_no_hole_and_no_overlap(
    length: int, given_gaps: list[Gap]
) -> None:
    at = 0
    for start, end, _ in cover(length, given_gaps):
        assert start == at < end
        at = end
    assert at == length


@given(st.integers(0, 100), gaps)
def test_audio_is_received_where_no_gap_is(length: int, given_gaps: list[Gap]) -> None:
    missing = {
        position
        for gap in given_gaps
        for position in range(gap.start, gap.start + gap.length)
    }
    for start, end, gap in cover(length, given_gaps):
        assert all((p in missing) == (gap is not None) for p in range(start, end))


def test_gaps_and_what_is_between_them_are_entries() -> None:
    accounts = Accounts(
        8000,
        24_000,
        [Gap(8000, 4000, GapCause.LOST), Gap(20_000, 4000, GapCause.MASKED)],
    )
    assert accounts.entries() == (
        (
            Evidence(0.0, 1.0, EvidenceKind.RECEIVED),
            Evidence(1.0, 0.5, EvidenceKind.LOST),
            Evidence(1.5, 1.0, EvidenceKind.RECEIVED),
            Evidence(2.5, 0.5, EvidenceKind.MASKED),
        ),
        0,
    )


def test_what_happened_lies_on_top() -> None:
    accounts = Accounts(8000, 8000, [])
    accounts.add_late([Late(1600, 160)])
    accounts.add_digits([Digit(800, "5", 400)])
    accounts.add_changes([SourceChange(0, "SSRC 0x00000001")])
    accounts.add_warnings(
        [
            AudioWarning(WarningName.LAW, 2000, "Sounds wrong.", 4000),
            AudioWarning(WarningName.NOISE, 6000, "Sounds like noise."),
        ]
    )
    assert accounts.entries()[0] == (
        Evidence(0.0, 1.0, EvidenceKind.RECEIVED),
        Evidence(0.0, 0.0, EvidenceKind.CHANGE, "SSRC 0x00000001"),
        Evidence(0.1, 0.05, EvidenceKind.DIGIT, "5"),
        Evidence(0.2, 0.02, EvidenceKind.LATE),
        Evidence(0.25, 0.25, EvidenceKind.WARNING, "law: Sounds wrong."),
        Evidence(0.75, 0.25, EvidenceKind.WARNING, "noise: Sounds like noise."),
    )


def test_a_list_without_end_is_cut_and_counted() -> None:
    late = [Late(n, 1) for n in range(evidence.MAX_ENTRIES + 5)]
    accounts = Accounts(8000, 8000, [])
    accounts.add_late(late)
    entries, omitted = accounts.entries()
    assert len(entries) == evidence.MAX_ENTRIES
    assert omitted == 6


def test_a_track_without_length_has_no_evidence() -> None:
    assert Accounts(8000, 0, [Gap(0, 5, GapCause.LOST)]).entries() == ((), 0)
