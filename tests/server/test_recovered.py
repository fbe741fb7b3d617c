"""What the document of an interrupted recording says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from server.audio import (
    Counted,
    Digit,
    Gap,
    GapCause,
    Outcome,
    PacketCounts,
    SourceChange,
)
from server.library.journal import JournalFacts
from server.library.layout import started_at_of
from server.recovered import document_of_interrupted, document_of_unknown
from tests.server.sinks.test_runner import INFO

ID = "20261122T120000123Z-abcdefgh"


def test_everything_that_is_in_the_file_is_told() -> None:
    facts = JournalFacts(
        [Gap(0, 4000, GapCause.LOST), Gap(7000, 9000, GapCause.SILENCE)],
        [Digit(100, "1", 800), Digit(9000, "2", 800)],
        [SourceChange(200, "SSRC 1"), SourceChange(8000, "SSRC 2")],
        counted=Counted(6000, PacketCounts(received=25, lost=2, jitter_ms=1.5)),
    )
    info = replace(INFO, recording_id=ID, origin="api")
    document = document_of_interrupted(info, facts, 8000)
    assert document.verdict.reason == (
        "This server ended while the tap went on (interrupted). "
        "Audio up to then is in the file. "
        "0.62 s of it are missing, as the gaps tell. "
        "Packets were last counted at 0.75 s."
    )
    assert (document.state, document.verdict.complete) == (Outcome.PARTIAL, False)
    assert (document.packets.received, document.packets.lost) == (25, 2)
    assert document.jitter_ms == 1.5
    assert (document.origin, document.duration_s) == ("api", 1.0)
    assert document.ended_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert [gap.length_s for gap in document.gaps] == [0.5, 0.125]
    assert [digit.digit for digit in document.digits] == ["1"]
    assert [change.what for change in document.changes] == ["SSRC 1"]


def test_what_was_kept_out_is_not_called_missing() -> None:
    facts = JournalFacts([Gap(0, 4000, GapCause.MASKED)])
    document = document_of_interrupted(replace(INFO, recording_id=ID), facts, 8000)
    assert document.verdict.reason == (
        "This server ended while the tap went on (interrupted). "
        "Audio up to then is in the file. "
        "0.50 s were kept out on request."
    )
    assert document.packets.received == 0


def test_of_what_is_unknown_the_id_tells_the_time() -> None:
    document = document_of_unknown(ID, "why")
    noon = datetime(2026, 11, 22, 12, 0, 0, 123_000, tzinfo=UTC)
    assert (document.state, document.started_at) == (Outcome.FAILED, noon)
    assert document.verdict.reason == "why"


def test_a_day_that_never_was_is_the_first_there_is() -> None:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert started_at_of("20260231T120000123Z-abcdefgh") == epoch
