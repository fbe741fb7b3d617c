"""What Prometheus sees."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from server.audio import PacketCounts
from server.metrics import Metrics
from server.taps.status import ForwardStatus, TapStatus


def tap(**changes: Any) -> TapStatus:
    fields: dict[str, Any] = {
        "control_id": "tap-1",
        "call_id": "call-1",
        "node_id": "node-1",
        "direction": "both",
        "transport": "rtp",
        "origin": "api",
        "state": "receiving",
        "created_at": datetime(2026, 11, 22, tzinfo=UTC),
    }
    return TapStatus(**(fields | changes))


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_live_taps_are_counted_by_state_when_somebody_looks() -> None:
    taps: list[TapStatus] = []
    metrics = Metrics(lambda: taps)
    assert value(metrics, "tapdeck_taps_live", state="receiving") == 0

    taps += [tap(), tap(), tap(state="waiting"), tap(state="finished")]

    assert value(metrics, "tapdeck_taps_live", state="receiving") == 2
    assert value(metrics, "tapdeck_taps_live", state="waiting") == 1
    assert value(metrics, "tapdeck_taps_live", state="stalled") == 0
    assert value(metrics, "tapdeck_taps_live", state="finished") is None


def test_packets_are_summed_by_transport() -> None:
    counts = PacketCounts(received=10, lost=2, late=3, duplicate=4, reordered=5)
    metrics = Metrics(lambda: [tap(packets=counts), tap(packets=counts)])

    assert value(metrics, "tapdeck_packets_total", transport="rtp") == 20
    assert value(metrics, "tapdeck_packets_lost_total", transport="rtp") == 4
    assert value(metrics, "tapdeck_packets_late_total", transport="rtp") == 6
    assert value(metrics, "tapdeck_packets_duplicate_total", transport="rtp") == 8
    assert value(metrics, "tapdeck_packets_reordered_total", transport="rtp") == 10
    assert value(metrics, "tapdeck_packets_total", transport="ws") == 0


def test_a_loss_below_zero_is_shown_as_none() -> None:
    metrics = Metrics(lambda: [tap(packets=PacketCounts(lost=-3))])

    assert value(metrics, "tapdeck_packets_lost_total", transport="rtp") == 0


def test_totals_stay_when_a_tap_ends() -> None:
    counts = PacketCounts(received=10)
    live = tap(packets=counts, drops=(("runt", 1),))
    taps = [live]
    metrics = Metrics(lambda: taps)
    ended = tap(packets=counts, drops=(("runt", 1),), state="finished")

    def totals() -> tuple[float | None, float | None]:
        return (
            value(metrics, "tapdeck_packets_total", transport="rtp"),
            value(metrics, "tapdeck_dropped_total", reason="runt"),
        )

    taps[:] = [ended]
    assert totals() == (10, 1)
    metrics.tap_ended(ended)
    assert totals() == (10, 1)
    taps.clear()
    assert totals() == (10, 1)
    assert value(metrics, "tapdeck_taps_total", state="finished") == 1
    assert value(metrics, "tapdeck_taps_total", state="failed") == 0


def test_ended_taps_are_not_remembered_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("server.metrics.MAX_KEPT", 2)
    taps = [tap(control_id="0", state="finished", packets=PacketCounts(received=1))]
    metrics = Metrics(lambda: taps)

    for number in range(9):
        ended = tap(
            control_id=str(number), state="finished", packets=PacketCounts(received=1)
        )
        metrics.tap_ended(ended)

    assert value(metrics, "tapdeck_packets_total", transport="rtp") == 9


def test_drops_of_taps_and_of_listeners_are_one_sum() -> None:
    metrics = Metrics(lambda: [tap(drops=(("runt", 2),))])
    listener = Counter({"runt": 1, "unknown source": 7})
    metrics.watch_drops(lambda: listener)

    assert value(metrics, "tapdeck_dropped_total", reason="runt") == 3
    assert value(metrics, "tapdeck_dropped_total", reason="unknown source") == 7


def test_what_nobody_watches_is_not_shown() -> None:
    metrics = Metrics(list)

    assert value(metrics, "tapdeck_relay_connected") is None
    assert value(metrics, "tapdeck_write_queue_blocks") is None


def test_the_queue_and_relay_are_asked_for_each_time() -> None:
    metrics = Metrics(list)
    queue, connected = [1, 2], [True]
    metrics.watch_write_queue(lambda: len(queue))
    metrics.watch_relay(lambda: connected[0])
    assert value(metrics, "tapdeck_relay_connected") == 1
    assert value(metrics, "tapdeck_write_queue_blocks") == 2

    queue.clear()
    connected[0] = False

    assert value(metrics, "tapdeck_relay_connected") == 0
    assert value(metrics, "tapdeck_write_queue_blocks") == 0


def test_recorded_audio_adds_up() -> None:
    metrics = Metrics(list)

    metrics.recorded(1.5)
    metrics.recorded(2.0)

    assert value(metrics, "tapdeck_recorded_seconds_total") == 3.5


async def test_the_lag_of_the_loop_is_measured_until_cancelled() -> None:
    metrics = Metrics(list)
    task = asyncio.create_task(metrics.measure_loop_lag(0.001), name="lag")

    async with asyncio.timeout(5):
        while not value(metrics, "tapdeck_loop_lag_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert task.cancelled()


def test_the_format_is_the_one_asked_for() -> None:
    metrics = Metrics(lambda: [tap(drops=(('<"odd"\n>', 1),))])

    text, text_type = metrics.render()
    modern, modern_type = metrics.render("application/openmetrics-text; version=1.0.0")

    assert text_type.startswith("text/plain")
    assert b"# TYPE tapdeck_packets_total counter" in text
    assert b'reason="<\\"odd\\"\\n>"' in text
    assert modern_type.startswith("application/openmetrics-text")
    assert modern.endswith(b"# EOF\n")


def test_two_servers_in_one_process_share_nothing() -> None:
    one, other = Metrics(list), Metrics(list)

    one.recorded(1)

    assert value(other, "tapdeck_recorded_seconds_total") == 0


def test_what_was_recovered_is_counted() -> None:
    metrics = Metrics(list)

    metrics.recovered(1.5)

    assert value(metrics, "tapdeck_recorded_seconds_total") == 1.5
    assert value(metrics, "tapdeck_taps_total", state="interrupted") == 1


def test_forwards_of_live_taps_are_counted_by_state() -> None:
    forward = ForwardStatus(
        forward_id="f",
        type="websocket",
        url="ws://host/***",
        framing="raw",
        state="waiting",
        dropped_ms=1500,
    )
    ended = tap(control_id="tap-2", state="finished", forwards=(forward,))
    metrics = Metrics(lambda: [tap(forwards=(forward,)), ended])

    assert value(metrics, "tapdeck_forwards_live", state="waiting") == 1
    assert value(metrics, "tapdeck_forwards_live", state="connected") == 0
    assert value(metrics, "tapdeck_forwards_dropped_seconds") == 1.5
