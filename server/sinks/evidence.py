"""The evidence timeline of a track: every moment accounted for, exactly once.

Gaps say why there is no audio at some positions; everything else was received. What
happened at a moment (a digit, a change of the sender, a packet that came too late, a
sound that was wrong) lies on top of that.

Pure: positions in, seconds out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from server.audio import AudioWarning, Digit, Gap, Late, SourceChange
from server.library.evidence import Evidence, EvidenceKind

MAX_ENTRIES = 20_000
"""That one document lists; the rest are only counted."""


def cover(length: int, gaps: Iterable[Gap]) -> Iterator[tuple[int, int, Gap | None]]:
    """Yield (start, end, gap) from 0 to `length`; None where audio was received.

    Where gaps overlap, the one that begins first counts.
    """
    at = 0
    for gap in sorted(gaps, key=lambda gap: gap.start):
        start, end = max(gap.start, at), min(gap.start + gap.length, length)
        if end <= start:
            continue
        if start > at:
            yield at, start, None
        yield start, end, gap
        at = end
    if at < length:
        yield at, length, None


class Accounts:
    """What is known of one track, as entries of its evidence.

    Args:
        sample_rate: Of the positions.
        length: Of the track, in samples.
        gaps: Where there is no audio, and why.
    """

    def __init__(self, sample_rate: int, length: int, gaps: Sequence[Gap]) -> None:
        self._rate = sample_rate
        self._length = length
        self._entries = [
            self._entry(
                start, end - start, _kind(gap), "" if gap is None else gap.detail
            )
            for start, end, gap in cover(length, gaps)
        ]

    def add_late(self, late: Iterable[Late]) -> None:
        """Add packets that came after their place had been given up."""
        self._entries += [
            self._entry(each.start, each.length, EvidenceKind.LATE) for each in late
        ]

    def add_digits(self, digits: Iterable[Digit]) -> None:
        """Add DTMF digits."""
        self._entries += [
            self._entry(each.start, each.length, EvidenceKind.DIGIT, each.digit)
            for each in digits
        ]

    def add_changes(self, changes: Iterable[SourceChange]) -> None:
        """Add changes of the sender."""
        self._entries += [
            self._entry(each.start, 0, EvidenceKind.CHANGE, each.what)
            for each in changes
        ]

    def add_warnings(self, warnings: Iterable[AudioWarning]) -> None:
        """Add stretches that sound wrong; one that never ended lasts to the end."""
        for each in warnings:
            end = self._length if each.end is None else each.end
            length = max(0, end - each.start)
            cause = f"{each.name.value}: {each.sentence}"
            self._entries.append(
                self._entry(each.start, length, EvidenceKind.WARNING, cause)
            )

    def entries(self) -> tuple[tuple[Evidence, ...], int]:
        """Return the entries by start, and how many are left out."""
        # A stable order: what covers a moment comes before what happened in it.
        ordered = sorted(self._entries, key=lambda entry: entry.start_s)
        return tuple(ordered[:MAX_ENTRIES]), max(0, len(ordered) - MAX_ENTRIES)

    def _entry(
        self, start: int, length: int, kind: EvidenceKind, cause: str = ""
    ) -> Evidence:
        rate = self._rate
        return Evidence(round(start / rate, 6), round(length / rate, 6), kind, cause)


def _kind(gap: Gap | None) -> EvidenceKind:
    return EvidenceKind.RECEIVED if gap is None else EvidenceKind(gap.cause.value)
