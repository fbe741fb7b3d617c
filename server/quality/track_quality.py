"""How good one track is, and what is wrong with how it sounds.

Blocks are looked at in windows of about a second, whatever lengths they come in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from server.audio import (
    AudioWarning,
    Codec,
    GapCause,
    PacketCounts,
    Samples,
    WarningName,
)
from server.library.evidence import Quality
from server.quality.alarm import SoundAlarm
from server.quality.correlation import measure
from server.quality.drift import DriftMeter
from server.quality.meter import LevelMeter, full_scale
from server.quality.mos import burst_ratio, impairment_of, mos_of, rating
from server.quality.rate import Pace, PaceMeter
from server.quality.suspicion import Finding, Suspicion

WINDOW_S = 0.5
"""Least length of a window. What is shorter waits for more."""
MAX_WINDOW_S = 1.5
MAX_WARNINGS = 100
"""Warnings remembered for one track; one that comes and goes all the time is enough."""
DOUBLE = (1.7, 2.3)
"""Paces that two channels taken for one explain."""


@dataclass(slots=True)
class _Block:
    start: int
    samples: Samples
    codec: Codec | None


class TrackQuality:
    """Measures one track.

    Args:
        codec: That the track began with.
        sample_rate: Of the decoded audio.
        channels: Of the decoded audio.
    """

    def __init__(self, codec: Codec, sample_rate: int, channels: int) -> None:
        self.warnings: list[AudioWarning] = []
        """Everything that sounded wrong so far, in the order it was noticed."""
        self._codec = codec
        self._rate = sample_rate
        self._least = int(WINDOW_S * sample_rate)
        self._most = int(MAX_WINDOW_S * sample_rate)
        self._channels = channels
        self._meter = LevelMeter(channels, full_scale(codec))
        self._alarm = SoundAlarm(sample_rate, channels)
        self._pace = PaceMeter()
        self._pace_suspicion = Suspicion(WarningName.RATE, "", min_bad=1)
        self._drift = DriftMeter()
        self._arrived_at: float | None = None
        self._samples = 0
        self._blocks: list[_Block] = []
        self._waiting = 0
        self._changed: list[AudioWarning] = []

    @property
    def peak(self) -> int:
        """Largest absolute sample so far."""
        self._look(1)
        return self._meter.peak

    def receive(self, start: int, samples: Samples, codec: Codec | None) -> None:
        """Take in decoded audio.

        Args:
            start: Position on the track.
            samples: Shape (n, channels).
            codec: Whose samples they are; None if they have been changed since they
                were decoded.
        """
        self._samples += len(samples)
        if not self._blocks and self._least <= len(samples) <= self._most:
            # Nearly always: a block a second.
            self._judge(samples, codec, start, start + len(samples))
            return
        if self._blocks and self._blocks[-1].codec is not codec:
            # What was read in two ways cannot be judged as one.
            self._look(1)
        self._blocks.append(_Block(start, samples, codec))
        self._waiting += len(samples)
        self._look(self._least)

    def source_changed(self) -> None:
        """Take note that something about the sender changed."""
        self._alarm.source_changed()

    def observe(self, arrived_at: float, length: int) -> None:
        """Take in, about once a second, when the latest audio came.

        Args:
            arrived_at: Monotonic seconds.
            length: Of the track up to the end of that audio, in samples.
        """
        if arrived_at == self._arrived_at:
            return
        self._arrived_at = arrived_at
        media_s = length / self._rate
        self._drift.observe(arrived_at, media_s)
        pace = self._pace.observe(arrived_at, media_s)
        if pace is not None:
            self._judge_pace(pace, length)

    def take_warnings(self) -> list[AudioWarning]:
        """Return what was raised, and what was over, since the last call."""
        changed, self._changed = self._changed, []
        return changed

    def summary(
        self, counts: PacketCounts, missing: Mapping[GapCause, int], bursts: int
    ) -> Quality | None:
        """Return how good the track was; None if no audio came.

        Args:
            counts: Of its packets.
            missing: Samples of the track without audio, by cause.
            bursts: How many gaps of lost audio there are.
        """
        self._look(1)
        if not self._samples:
            return None
        lost = missing.get(GapCause.LOST, 0)
        dropped = missing.get(GapCause.DROPPED, 0)
        sent = self._samples + lost + dropped
        loss = 100 * lost / sent
        # For the ear it is the same whether the network lost audio or we did.
        gone = 100 * (lost + dropped) / sent
        return Quality(
            loss_percent=round(loss, 3),
            jitter_ms=round(counts.jitter_ms, 3),
            reordered_percent=_percent(counts.reordered, counts.received),
            late_percent=_percent(counts.late, counts.received + counts.late),
            drift_ppm=self._drift_ppm(),
            level_dbfs=_rounded(self._meter.level_dbfs),
            peak_dbfs=_rounded(self._meter.peak_dbfs),
            clipped_samples=self._meter.clipped,
            mos_estimate=self._mos(gone, burst_ratio(counts.lost, bursts, loss)),
        )

    def _look(self, least: int) -> None:
        """Judge what waits, if it is at least so many samples."""
        if self._waiting < least:
            return
        blocks, self._blocks, self._waiting = self._blocks, [], 0
        samples = np.concatenate([block.samples for block in blocks])
        size = math.ceil(len(samples) / math.ceil(len(samples) / self._most))
        for begin in range(0, len(samples), size):
            window = samples[begin : begin + size]
            start = _position(blocks, begin)
            end = _position(blocks, begin + len(window) - 1) + 1
            self._judge(window, blocks[0].codec, start, end)

    def _judge(
        self, samples: Samples, codec: Codec | None, start: int, end: int
    ) -> None:
        flat = samples.reshape(-1)
        shape = measure(flat, self._channels)
        self._meter.receive(samples, shape.squares)
        if len(samples) >= self._least:
            for change in self._alarm.receive(flat, shape, codec, start, end):
                self._note(change)

    def _judge_pace(self, pace: Pace, length: int) -> None:
        low, high = DOUBLE
        self._alarm.is_doubled = low < pace.factor < high
        if pace.is_right and self._pace_suspicion.is_idle:
            return
        finding = Finding.GOOD if pace.is_right else Finding.BAD
        if self._alarm.is_doubled and self._alarm.hears_two_signals:
            # Two channels for one are the reason, and have a warning of their own.
            finding = Finding.NEITHER
        since = round(pace.since_s * self._rate)
        sentence = _pace_sentence(pace.factor, self._rate)
        change = self._pace_suspicion.receive(finding, since, length, sentence)
        if change is not None:
            self._note(change)

    def _note(self, change: AudioWarning) -> None:
        if change.end is not None:
            raised = replace(change, end=None)
            if raised not in self.warnings:
                return
            self.warnings[self.warnings.index(raised)] = change
        elif len(self.warnings) < MAX_WARNINGS:
            self.warnings.append(change)
        else:
            return
        self._changed.append(change)

    def _drift_ppm(self) -> float | None:
        # A clock that is off by so much is none, and the warning says more.
        if any(each.name is WarningName.RATE for each in self.warnings):
            return None
        return _rounded(self._drift.ppm)

    def _mos(self, loss_percent: float, burst_ratio: float) -> float | None:
        # The E-model would praise noise that arrives in full.
        if self.warnings:
            return None
        impairment = impairment_of(self._codec)
        return round(mos_of(rating(loss_percent, impairment, burst_ratio)), 2)


def _position(blocks: Sequence[_Block], offset: int) -> int:
    """Return where on the track the sample at `offset` of joined blocks belongs."""
    for block in blocks[:-1]:
        if offset < len(block.samples):
            return block.start + offset
        offset -= len(block.samples)
    return blocks[-1].start + offset


def _pace_sentence(factor: float, rate: int) -> str:
    heard = f"{factor:.2g} times as much audio a second as"
    return (
        f"There is {heard} {rate} Hz needs: the sender's sampling rate or number of "
        "channels differs from what was announced."
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 3) if whole else 0.0


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
