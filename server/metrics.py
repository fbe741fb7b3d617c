"""What the server counts, in the format of Prometheus.

Taps are asked for their own counts when somebody looks; nothing is counted here while
a packet is handled. A tap that ends hands over its counts once, so totals never fall.

Everything here belongs to the event loop.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Never

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client import Counter as Total
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from server.taps.status import TapStatus

TAP_STATES = ("waiting", "receiving", "stalled")
FORWARD_STATES = ("connecting", "connected", "waiting", "failed", "ended")
TRANSPORTS = ("rtp", "ws")
PACKET_FATES = ("received", "lost", "late", "duplicate", "reordered")
LAG_INTERVAL_S = 0.5
LAG_BUCKETS_S = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)
"""20 ms is one packet; at 200 ms a small socket buffer may have overflowed."""
MAX_KEPT = 1000
"""Ended taps that are remembered by name before looking which ones still matter."""

_FATE_NAMES = {
    "received": ("tapdeck_packets", "Packets or messages with audio received"),
    "lost": ("tapdeck_packets_lost", "Packets that never came, or not in time"),
    "late": (
        "tapdeck_packets_late",
        "Packets that came after their place was given up",
    ),
    "duplicate": ("tapdeck_packets_duplicate", "Packets that came more than once"),
    "reordered": ("tapdeck_packets_reordered", "Packets out of order but in time"),
}

Drops = Callable[[], Mapping[str, int]]
"""Counts by reason since the start of the server."""


@dataclass(slots=True)
class _Sums:
    """What taps amount to: fates by transport, drops by reason."""

    packets: Counter[tuple[str, str]] = field(default_factory=Counter)
    drops: Counter[str] = field(default_factory=Counter)

    def add(self, status: TapStatus) -> None:
        for fate in PACKET_FATES:
            count = getattr(status.packets, fate)
            self.packets[status.transport, fate] += count
        for reason, count in status.drops:
            self.drops[reason] += count

    def copy(self) -> _Sums:
        return _Sums(self.packets.copy(), self.drops.copy())


class Metrics:
    """All metrics of one server.

    Args:
        taps: Gives the taps there are; those handed to `tap_ended` may be among them
            and are not counted twice.
    """

    def __init__(self, taps: Callable[[], Sequence[TapStatus]]) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self._sources = _Sources(taps)
        self.registry.register(self._sources)
        self._taps = Total(
            "tapdeck_taps",
            "Taps that ended, by their last state",
            ["state"],
            registry=self.registry,
        )
        self._recorded = Total(
            "tapdeck_recorded_seconds", "Audio kept", registry=self.registry
        )
        self._deleted = Total(
            "tapdeck_recordings_deleted",
            "Recordings deleted by retention, by the rule that asked for it",
            ["cause"],
            registry=self.registry,
        )
        self._lag = Histogram(
            "tapdeck_loop_lag_seconds",
            "How much later than asked for the event loop came back",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )
        self.lag_s = 0.0
        """How late the event loop last was."""
        for state in ("finished", "failed"):
            self._taps.labels(state)

    def watch_drops(self, drops: Drops) -> None:
        """Count what was dropped outside any tap, such as by a listener."""
        self._sources.drops.append(drops)

    def watch_write_queue(self, length: Callable[[], int]) -> None:
        """Show how many blocks wait to be written to disk."""
        self._sources.write_queue = length

    def watch_event_listeners(self, count: Callable[[], int]) -> None:
        """Show how many listen to the event stream."""
        self._sources.event_listeners = count

    def watch_relay(self, connected: Callable[[], bool]) -> None:
        """Show whether RELAY is connected; not shown where there is no RELAY."""
        self._sources.relay = connected

    def watch_listeners(self, listeners: Callable[[], int]) -> None:
        """Show how many listen by WebRTC."""
        self._sources.listeners = listeners

    def tap_ended(self, status: TapStatus) -> None:
        """Keep the final counts of a tap; to be called once for each."""
        self._taps.labels(status.state).inc()
        self._sources.keep(status)

    def recovered(self, seconds: float) -> None:
        """Count a recording that an earlier server did not live to finish."""
        self._taps.labels("interrupted").inc()
        self._recorded.inc(seconds)

    def recorded(self, seconds: float) -> None:
        """Count audio that was kept."""
        self._recorded.inc(seconds)

    def deleted(self, cause: str) -> None:
        """Count a recording that retention deleted."""
        self._deleted.labels(cause).inc()

    async def measure_loop_lag(self, interval: float = LAG_INTERVAL_S) -> Never:
        """Measure for ever how late the event loop is; runs as a task of the owner.

        Cancelling it is safe and the only way to end it.
        """
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + interval
            await asyncio.sleep(interval)
            self.lag_s = max(0.0, loop.time() - due)
            self._lag.observe(self.lag_s)

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """Return everything in the format that was asked for, and its media type."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type


class _Sources(Collector):
    """Asks the owners of the counts when they are wanted."""

    def __init__(self, taps: Callable[[], Sequence[TapStatus]]) -> None:
        self.taps = taps
        self._ended = _Sums()
        self._kept: set[str] = set()
        """Control ids in `_ended` that `taps` may still give."""
        self.drops: list[Drops] = []
        self.write_queue: Callable[[], int] | None = None
        self.relay: Callable[[], bool] | None = None
        self.listeners: Callable[[], int] | None = None
        self.event_listeners: Callable[[], int] | None = None

    def keep(self, status: TapStatus) -> None:
        """Keep what a tap that is about to go away amounts to."""
        self._ended.add(status)
        self._kept.add(status.control_id)
        if len(self._kept) > MAX_KEPT:
            self._kept &= {status.control_id for status in self.taps()}

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering asks nobody yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        taps = self.taps()
        sums = self._ended.copy()
        for status in taps:
            if status.control_id not in self._kept:
                sums.add(status)
        for drops in self.drops:
            sums.drops.update(drops())
        yield _live_taps(status for status in taps if not status.has_ended)
        yield from _forwards(taps)
        yield from _packets(sums)
        yield _dropped(sums)
        if self.write_queue is not None:
            yield GaugeMetricFamily(
                "tapdeck_write_queue_blocks",
                "Blocks of audio that wait to be written to disk",
                value=self.write_queue(),
            )
        if self.listeners is not None:
            yield GaugeMetricFamily(
                "tapdeck_webrtc_listeners",
                "Browsers that listen to live taps",
                value=self.listeners(),
            )
        if self.event_listeners is not None:
            yield GaugeMetricFamily(
                "tapdeck_event_listeners",
                "Connections that listen to the event stream",
                value=self.event_listeners(),
            )
        if self.relay is not None:
            yield GaugeMetricFamily(
                "tapdeck_relay_connected",
                "1 while RELAY is connected and has accepted us",
                value=int(self.relay()),
            )


def _live_taps(live: Iterable[TapStatus]) -> Metric:
    counts = Counter(status.state for status in live)
    family = GaugeMetricFamily(
        "tapdeck_taps_live", "Taps that have not ended, by state", labels=["state"]
    )
    for state in sorted({*TAP_STATES, *counts}):
        family.add_metric([state], counts[state])
    return family


def _forwards(taps: Iterable[TapStatus]) -> Iterator[Metric]:
    forwards = [each for tap in taps if not tap.has_ended for each in tap.forwards]
    counts = Counter(each.state for each in forwards)
    family = GaugeMetricFamily(
        "tapdeck_forwards_live", "Forwards of live taps, by state", labels=["state"]
    )
    for state in sorted({*FORWARD_STATES, *counts}):
        family.add_metric([state], counts[state])
    yield family
    yield GaugeMetricFamily(
        "tapdeck_forwards_dropped_seconds",
        "Audio that forwards of live taps did not take in time",
        value=sum(each.dropped_ms for each in forwards) / 1000,
    )


def _packets(sums: _Sums) -> Iterator[Metric]:
    transports = sorted({*TRANSPORTS, *(transport for transport, _ in sums.packets)})
    for fate, (name, help_text) in _FATE_NAMES.items():
        family = CounterMetricFamily(name, help_text, labels=["transport"])
        for transport in transports:
            # A duplicate can make the loss of one tap negative (RFC 3550 A.3).
            family.add_metric([transport], max(0, sums.packets[transport, fate]))
        yield family


def _dropped(sums: _Sums) -> Metric:
    family = CounterMetricFamily(
        "tapdeck_dropped", "Input that was not used, by reason", labels=["reason"]
    )
    for reason, count in sorted(sums.drops.items()):
        family.add_metric([reason], count)
    return family
