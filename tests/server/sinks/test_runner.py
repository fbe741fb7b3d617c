"""A sink never holds up its track, and a broken one harms nobody else."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import numpy as np

from server.audio import AudioBlock, Codec, Outcome, PacketCounts, StreamInfo
from server.sinks.base import StreamSummary
from server.sinks.runner import SinkRunner

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
