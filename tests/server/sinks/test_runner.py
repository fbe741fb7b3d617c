"""A sink never holds up its track, and a broken one harms nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from server.audio import (
    AudioBlock,
    Codec,
    Gap,
    GapCause,
    Outcome,
    PacketCounts,
    StreamInfo,
    TrackNote,
)
from server.sinks.base import StreamSummary
from server.sinks.runner import MAX_QUEUED_NOTES, SinkRunner

INFO = StreamInfo(
    recording_id="r",
    control_id="c",
    call_id="",
    node_id="",
    direction="both",
    transport="ws",
    codec=Codec.PCMU,
    sample_rate=8000,
    channels=1,
    track=0,
    started_at=0.0,
)
SUMMARY = StreamSummary(
    length=0,
    ended_at=datetime(2026, 1, 1, tzinfo=UTC),
    outcome=Outcome.COMPLETE,
    is_complete=True,
    reason="",
    end_reason="stopped",
    origin="relay",
    counts=PacketCounts(),
)


class NotingSink:
    """Notes its calls; waits at the gate before each write."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.gate = asyncio.Event()
        self.fail_with: Exception | None = None

    async def open(self, info: StreamInfo) -> None:
        self.calls.append(f"open {info.recording_id}")

    async def write(self, block: AudioBlock) -> None:
        await self.gate.wait()
        if self.fail_with is not None:
            raise self.fail_with
        self.calls.append(f"write {block.start}")

    async def close(self, summary: StreamSummary) -> None:
        self.calls.append("close")


def block(start: int, seconds: float = 1.0) -> AudioBlock:
    return AudioBlock(start, np.zeros((int(8000 * seconds), 1), dtype=np.int16))


async def test_calls_come_in_order_and_close_comes_last() -> None:
    sink = NotingSink()
    sink.gate.set()
    runner = SinkRunner(sink, INFO)
    runner.start()
    assert runner.put(block(0))
    assert runner.put(block(8000))
    await runner.close(SUMMARY)
    assert sink.calls == ["open r", "write 0", "write 8000", "close"]
    assert runner.queued == 0


async def test_a_full_queue_refuses_and_what_was_queued_is_kept() -> None:
    sink = NotingSink()
    runner = SinkRunner(sink, INFO, max_queued_s=2.0)
    runner.start()
    assert [runner.put(block(n * 8000)) for n in range(3)] == [True, True, False]
    sink.gate.set()
    await runner.close(SUMMARY)
    assert sink.calls == ["open r", "write 0", "write 8000", "close"]


async def test_a_broken_sink_refuses_from_then_on() -> None:
    sink = NotingSink()
    sink.gate.set()
    sink.fail_with = OSError(28, "No space left on device")
    runner = SinkRunner(sink, INFO)
    runner.start()
    assert runner.put(block(0))
    await runner.close(SUMMARY)
    assert runner.error is sink.fail_with
    assert not runner.put(block(8000))
    assert "close" not in sink.calls


async def test_abandoning_does_not_wait_for_the_sink() -> None:
    sink = NotingSink()
    runner = SinkRunner(sink, INFO)
    runner.start()
    runner.put(block(0))
    async with asyncio.timeout(1):
        await runner.abandon()
    assert "close" not in sink.calls


class AccountingSink(NotingSink):
    """Notes what it is told beside the audio, and cannot keep all of it."""

    def note(self, event: TrackNote) -> None:
        self.calls.append(f"note {event.start}")

    async def settle(self) -> Sequence[Gap]:
        self.calls.append("settle")
        if self.fail_with is not None:
            raise self.fail_with
        return (REFUSED,)


REFUSED = Gap(0, 8000, GapCause.DROPPED, "disk full")


async def test_notes_stay_in_order_with_the_audio() -> None:
    sink = AccountingSink()
    sink.gate.set()
    runner = SinkRunner(sink, INFO)
    runner.start()
    runner.put(block(0))
    runner.note(Gap(8000, 8000, GapCause.LOST))
    runner.put(block(16_000))
    assert await runner.settle() == (REFUSED,)
    assert sink.calls == ["open r", "write 0", "note 8000", "write 16000", "settle"]
    await runner.close(SUMMARY)


async def test_a_sink_that_accounts_for_nothing_is_asked_nothing() -> None:
    sink = NotingSink()
    runner = SinkRunner(sink, INFO)
    runner.start()
    runner.note(Gap(0, 8000, GapCause.LOST))
    assert await runner.settle() == ()
    assert runner.queued_blocks == 0
    await runner.close(SUMMARY)


async def test_nobody_waits_for_a_sink_that_breaks_meanwhile() -> None:
    sink = AccountingSink()
    sink.gate.set()
    sink.fail_with = OSError(28, "No space left on device")
    runner = SinkRunner(sink, INFO)
    runner.start()
    settling = [asyncio.ensure_future(runner.settle()) for _ in range(2)]
    async with asyncio.timeout(1):
        assert await asyncio.gather(*settling) == [(), ()]
    assert runner.error is sink.fail_with
    assert await runner.settle() == ()
    runner.note(REFUSED)
    assert runner.queued_blocks == 0


async def test_notes_have_a_bound() -> None:
    sink = AccountingSink()
    runner = SinkRunner(sink, INFO)
    for n in range(MAX_QUEUED_NOTES + 5):
        runner.note(Gap(n, 1, GapCause.LOST))
    assert runner.queued_blocks == MAX_QUEUED_NOTES
