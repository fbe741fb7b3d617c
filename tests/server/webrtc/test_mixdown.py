from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from server.audio import Codec, Samples, StreamInfo
from server.webrtc.mixdown import MAX_TRACKS, Layout, Mixdown, Playout

INFO = StreamInfo(
    recording_id="",
    control_id="one",
    call_id="call",
    node_id="",
    direction="both",
    transport="ws",
    codec=Codec.L16,
    sample_rate=48_000,
    channels=1,
    track=0,
    started_at=0.0,
)
SPEAK = replace(INFO, direction="speak")
LISTEN = replace(INFO, direction="listen", control_id="two")
SECOND = replace(INFO, track=1)
TWO_CHANNELS = replace(INFO, channels=2)


def begun(*infos: StreamInfo) -> Playout:
    """Return a playout that plays these tracks; a frame of silence is left of each."""
    playout = Playout()
    for info in infos:
        silence = np.zeros((info.sample_rate // 25, info.channels), np.int16)
        playout.put(info, 0, silence)
    playout.take()
    return playout


def heard(layout: Layout, *voices: tuple[StreamInfo, int]) -> tuple[int, int]:
    """Return what is on the left and on the right when each track says one value."""
    playout = begun(*(info for info, _ in voices))
    for info, value in voices:
        samples = np.full((info.sample_rate // 10, info.channels), value, np.int16)
        playout.put(info, info.sample_rate // 25, samples)
    mixdown = Mixdown(layout)
    frames = [mixdown.mix(playout.take()) for _ in range(3)]
    left, right = frames[-1][480]
    return int(left), int(right)


@pytest.mark.parametrize(
    ("voices", "mixed", "stereo"),
    [
        ([(INFO, 100)], (100, 100), (100, 100)),
        ([(SPEAK, 100)], (100, 100), (100, 0)),
        ([(LISTEN, 100)], (100, 100), (0, 100)),
        ([(SPEAK, 100), (LISTEN, 7)], (107, 107), (100, 7)),
        ([(LISTEN, 7), (SPEAK, 100)], (107, 107), (100, 7)),
        ([(INFO, 100), (SECOND, 7)], (107, 107), (100, 7)),
        ([(TWO_CHANNELS, 100)], (200, 200), (100, 100)),
        ([(SPEAK, 30_000), (LISTEN, 30_000)], (32_767, 32_767), (30_000, 30_000)),
        ([], (0, 0), (0, 0)),
    ],
)
def test_who_is_heard_where(
    voices: list[tuple[StreamInfo, int]],
    mixed: tuple[int, int],
    stereo: tuple[int, int],
) -> None:
    assert heard(Layout.MIXED, *voices) == mixed
    assert heard(Layout.STEREO, *voices) == stereo


def test_channels_of_one_track_are_its_sides() -> None:
    playout = Playout()
    samples = np.tile(np.array([[100, 7]], np.int16), (4800, 1))
    playout.put(TWO_CHANNELS, 0, samples)
    frame = Mixdown(Layout.STEREO).mix(playout.take())
    assert frame[0].tolist() == [100, 7]


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100])
def test_any_rate_becomes_frames_of_48_kilohertz(rate: int) -> None:
    time = np.arange(rate) / rate
    tone: Samples = (8000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[:, None]
    info, mixdown = replace(INFO, sample_rate=rate), Mixdown(Layout.MIXED)
    playout = begun(info)
    playout.put(info, rate // 25, tone)
    frames = [mixdown.mix(playout.take()) for _ in range(50)]

    assert {frame.shape for frame in frames} == {(960, 2)}
    said = np.concatenate(frames)[2400:-2400, 0]
    wave = np.exp(-2j * np.pi * 440 * np.arange(len(said)) / 48_000)
    assert abs(2 * abs(np.mean(said * wave)) - 8000) < 80


def test_as_much_is_taken_in_a_second_as_there_is_in_it() -> None:
    playout = Playout()
    rate = 11_025
    playout.put(replace(INFO, sample_rate=rate), 0, np.ones((rate, 1), np.int16))
    taken = sum(len(part.samples) for _ in range(50) for part in playout.take())
    assert taken == rate
    assert playout.is_empty


def test_tracks_are_bounded_and_the_oldest_goes() -> None:
    playout, mixdown = Playout(), Mixdown(Layout.MIXED)
    for number in range(MAX_TRACKS + 1):
        info = replace(INFO, sample_rate=8000, control_id=str(number))
        playout.put(info, 0, np.ones((400, 1), np.int16))
        playout.put(info, 400, np.ones((400, 1), np.int16))
        mixdown.mix(playout.take())
    names = [part.key.control_id for part in playout.take()]
    assert names == [str(number) for number in range(1, MAX_TRACKS + 1)]
