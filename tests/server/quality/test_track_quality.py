"""One track measured from its blocks, however long they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.audio import Codec, GapCause, PacketCounts, Samples, WarningName
from server.library.evidence import Quality
from server.quality.track_quality import MAX_WARNINGS, TrackQuality
from tests.voices import to_int16, voice

RATE = 8000
VOICE = to_int16(voice(10, RATE, seed=1)).reshape(-1, 1)
NOTHING: dict[GapCause, int] = {}


def a_track(codec: Codec = Codec.L16, rate: int = RATE) -> TrackQuality:
    return TrackQuality(codec, rate, 1)


def feed(
    track: TrackQuality,
    samples: Samples,
    *,
    block: int = RATE,
    start: int = 0,
    codec: Codec | None = Codec.L16,
) -> None:
    for begin in range(0, len(samples), block):
        track.receive(start + begin, samples[begin : begin + block], codec)


def finished(track: TrackQuality, counts: PacketCounts | None = None) -> Quality:
    quality = track.summary(counts or PacketCounts(), NOTHING, 0)
    assert quality is not None
    return quality


def names(track: TrackQuality) -> list[WarningName]:
    return [warning.name for warning in track.warnings]


def test_without_audio_there_is_no_quality() -> None:
    track = a_track()
    assert track.summary(PacketCounts(), {GapCause.SILENCE: 100}, 0) is None
    assert track.peak == 0


def test_a_track_without_faults() -> None:
    track = a_track()
    feed(track, VOICE)
    counts = PacketCounts(received=500, late=1, reordered=5, jitter_ms=1.23456)
    quality = finished(track, counts)
    assert quality.loss_percent == 0
    assert quality.jitter_ms == 1.235
    assert quality.reordered_percent == 1
    assert quality.late_percent == pytest.approx(100 / 501, abs=0.001)
    assert quality.drift_ppm is None
    assert quality.level_dbfs == pytest.approx(
        10 * np.log10(np.square(VOICE / 32768).mean()), abs=0.1
    )
    assert quality.peak_dbfs == pytest.approx(
        20 * np.log10(track.peak / 32768), abs=0.1
    )
    assert quality.clipped_samples == 0
    assert quality.mos_estimate == 4.41


@given(block=st.integers(1, 5 * RATE))
@settings(max_examples=20, deadline=None)
def test_blocks_of_any_length_measure_the_same(block: int) -> None:
    block = max(block, 40)
    track = a_track()
    feed(track, VOICE, block=block)
    assert track.peak == int(np.abs(VOICE.astype(int)).max())
    assert finished(track).level_dbfs == pytest.approx(
        10 * np.log10(np.square(VOICE / 32768).mean()), abs=0.1
    )
    assert names(track) == []

    wrong = a_track()
    feed(wrong, VOICE.byteswap(), block=block)
    finished(wrong)
    assert names(wrong) == [WarningName.BYTE_ORDER]


def test_loss_counts_what_was_sent() -> None:
    track = a_track(Codec.PCMU)
    feed(track, VOICE[:7600], codec=None)
    missing = {GapCause.LOST: 400, GapCause.SILENCE: 9000}
    quality = track.summary(PacketCounts(received=95, lost=5), missing, 5)
    assert quality is not None
    assert quality.loss_percent == 5
    assert quality.mos_estimate is not None
    assert 2 < quality.mos_estimate < 3


def test_what_we_dropped_is_heard_and_not_called_lost() -> None:
    track = a_track()
    feed(track, VOICE[:7600])
    quality = track.summary(PacketCounts(), {GapCause.DROPPED: 400}, 0)
    assert quality is not None
    assert quality.loss_percent == 0
    assert quality.mos_estimate is not None
    assert quality.mos_estimate < 3


def test_positions_of_a_warning_are_those_of_the_track() -> None:
    track = a_track()
    feed(track, VOICE[:24_000].byteswap(), block=1600, start=1000)
    (raised,) = track.take_warnings()
    assert (raised.start, raised.end) == (1000, None)
    assert track.take_warnings() == []
    feed(track, VOICE, start=50_000)
    (over,) = track.take_warnings()
    assert (over.start, over.end) == (1000, 50_000)
    assert track.warnings == [over]
    assert finished(track).mos_estimate is None


def test_a_window_has_one_reading() -> None:
    track = a_track()
    feed(track, VOICE[:3000], block=3000)
    feed(track, VOICE[3000:], codec=None, start=3000)
    assert finished(track).level_dbfs is not None
    assert names(track) == []


def test_a_change_of_the_source_is_listened_to() -> None:
    track = a_track()
    feed(track, VOICE)
    track.source_changed()
    feed(track, VOICE.byteswap(), start=len(VOICE))
    (warning,) = track.warnings
    assert warning.start == len(VOICE)


def observe(track: TrackQuality, factor: float, seconds: int, start: int = 0) -> None:
    for second in range(start, start + seconds):
        track.observe(100 + second, round(factor * second * RATE))


def test_the_drift_of_a_steady_sender() -> None:
    track = TrackQuality(Codec.L16, 48_000, 1)
    feed(track, VOICE)
    for second in range(60):
        track.observe(100 + second, round(second * 48_000 * (1 + 100e-6)))
    assert finished(track).drift_ppm == pytest.approx(100, abs=5)
    assert names(track) == []


@pytest.mark.parametrize("factor", [0.5, 2])
def test_a_wrong_rate_is_a_warning_and_no_drift(factor: float) -> None:
    track = a_track()
    feed(track, VOICE)
    observe(track, factor, 60)
    (warning,) = track.warnings
    assert (warning.name, warning.start) == (WarningName.RATE, 0)
    assert f"{factor} times as much audio a second as 8000 Hz" in warning.sentence
    assert finished(track).drift_ppm is None


def test_a_rate_that_becomes_right_ends_the_warning() -> None:
    track = a_track()
    observe(track, 2, 4)
    for second in range(4, 20):
        track.observe(100 + second, (second + 3) * RATE)
    (warning,) = track.warnings
    assert warning.end is not None


def test_the_same_arrival_is_looked_at_once() -> None:
    track = a_track()
    for _ in range(10):
        observe(track, 2, 1)
    assert names(track) == []


def test_two_channels_for_one_are_not_called_a_wrong_rate_as_well() -> None:
    track = a_track()
    other = to_int16(voice(10, RATE, pitch=210, seed=2)).reshape(-1, 1)
    both = np.stack([VOICE, other], axis=1).reshape(-1, 1)
    for second in range(5):
        begin = 2 * RATE * second
        track.observe(100 + second, begin)
        feed(track, both[begin : begin + 2 * RATE], block=2 * RATE, start=begin)
    track.observe(105, 10 * RATE)
    assert names(track) == [WarningName.INTERLEAVED]


def test_warnings_are_bounded() -> None:
    track = a_track()
    sound = VOICE[: 4 * RATE]
    pieces = [sound.byteswap(), sound]
    for turn in range(2 * (MAX_WARNINGS + 5)):
        track.source_changed()
        feed(track, pieces[turn % 2], start=turn * len(sound))
    assert len(track.warnings) == MAX_WARNINGS
    assert len(track.take_warnings()) == 2 * MAX_WARNINGS
