"""What is told of a tap: while it lives, and when it left no audio."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from server.audio import PCMU_8000, Outcome
from server.documents import describe_tap, empty_document, failed_document
from server.streams import Clock
from server.taps.tap import EndReason, Tap
from server.taps.ws_session import WsSession
from server.track import Track
from tests.server.sinks.test_runner import INFO
from tests.server.taps.test_media_facts import a_started_stream, a_tap

CLOCK = Clock(1_000_000.0)


def a_tap_with_g729() -> Tap:
    session = WsSession(PCMU_8000)
    session.receive_text('{"content-type": "audio/g729"}', 0.0)
    session.receive_bytes(b"1234567890", 0.1)
    return a_tap(session)


def test_a_tap_that_cannot_be_decoded_says_so_while_it_lives() -> None:
    status = describe_tap(a_tap_with_g729(), [], CLOCK)
    assert status.reason == "The sender sends audio/g729, which cannot be decoded."


def test_a_tap_that_cannot_be_decoded_fails_for_that_reason() -> None:
    tap = a_tap_with_g729()
    tap.end(EndReason.CLOSED, 2.0)
    document = empty_document(tap, "r", CLOCK)
    assert document.state is Outcome.FAILED
    assert document.verdict.reason == (
        "The sender sends audio/g729, which cannot be decoded."
    )
    assert document.end_reason == "closed"


def test_a_media_stream_without_audio_is_still_known_by_its_call() -> None:
    tap = a_tap(a_started_stream())
    tap.end(EndReason.CLOSED, 2.0)
    status = describe_tap(tap, [], CLOCK)
    assert (status.call_id, status.custom_parameters) == ("CALL-42", {"agent": "7"})
    document = empty_document(tap, "r", CLOCK).to_json()
    assert document["call_id"] == "CALL-42"
    assert json.dumps(document["custom_parameters"]) == '{"agent": "7"}'


async def test_a_track_that_could_not_be_written_keeps_what_is_known_of_it() -> None:
    session = WsSession(PCMU_8000)
    session.receive_bytes(b"\x00" * 800, 0.5)
    tap = a_tap(session)
    tap.end(EndReason.STOPPED, 2.0)
    document = failed_document(tap, Track(INFO, []), OSError("disk full"), CLOCK)
    assert document.state is Outcome.FAILED
    assert document.verdict.reason == (
        "The recording could not be written: disk full. "
        "What was written before is kept under .partial."
    )
    assert not document.has_audio
    assert document.packets.received == 1
    assert document.ended_at == datetime.fromtimestamp(1_000_002, UTC)
