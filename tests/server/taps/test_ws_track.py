from collections import Counter

from server.audio import (
    PCMA_8000,
    PCMU_8000,
    AudioFormat,
    Codec,
    Digit,
    Gap,
    GapCause,
    Run,
    SourceChange,
    TrackEvent,
)
from server.taps.rate_budget import TrackLimits
from server.taps.ws_framing import Chunk
from server.taps.ws_track import WsTrack

L16_16K = AudioFormat(Codec.L16, 16000)
PACKET = bytes(160)


class Track:
    def __init__(
        self, format: AudioFormat = PCMU_8000, limits: TrackLimits | None = None
    ) -> None:
        self.drops: Counter[str] = Counter()
        self.machine = WsTrack(format, limits or TrackLimits(), self.drops)
        self.format = format
        self.now = 10.0

    def receive(
        self,
        length: int = 160,
        *,
        after: float = 0.02,
        lost: int = 0,
        format: AudioFormat | None = None,
    ) -> None:
        self.now += after
        format = format or self.format
        payload = bytes(length * format.bytes_per_sample)
        self.machine.receive(Chunk((payload,), length, format, self.now), lost)

    def take(self) -> list[TrackEvent]:
        return self.machine.take(self.now)


def spans(events: list[TrackEvent]) -> list[tuple[str, int, int]]:
    return [
        (type(e).__name__ if isinstance(e, Run) else e.cause, e.start, e.length)
        for e in events
        if isinstance(e, Run | Gap)
    ]


def test_audio_is_due_at_once_and_in_one_run() -> None:
    track = Track()
    for _ in range(5):
        track.receive()
    assert track.take() == [Run(0, 800, [PACKET] * 5, PCMU_8000)]
    assert track.machine.started_at == 10.0
    assert track.machine.counts.received == 5


def test_a_pause_becomes_silence_once_it_is_certain() -> None:
    track = Track()
    track.receive()
    track.receive(after=1.02)
    assert spans(track.take()) == [("Run", 0, 160)]
    due = track.machine.get_timer()
    assert due is not None
    track.now = due
    assert spans(track.take()) == [("silence", 160, 8000), ("Run", 8160, 160)]


def test_a_pause_at_which_numbers_are_missing_was_a_loss() -> None:
    track = Track()
    track.receive()
    track.receive(after=1.02, lost=50)
    track.receive(lost=1)
    track.machine.finish(track.now, pad=True)
    assert spans(track.take()) == [
        ("Run", 0, 160),
        ("lost", 160, 8000),
        ("Run", 8160, 320),
    ]
    assert track.machine.counts.lost == 51


def test_what_comes_after_a_pause_keeps_its_order() -> None:
    track = Track()
    track.receive()
    track.receive(after=1.02)
    track.machine.receive_digit("5", 100)
    track.machine.receive_change("something")
    track.receive()
    track.machine.finish(track.now, pad=False)
    assert track.take() == [
        Run(0, 160, [PACKET], PCMU_8000),
        Gap(160, 8000, GapCause.SILENCE),
        Run(8160, 160, [PACKET], PCMU_8000),
        Digit(8320, "5", 800),
        SourceChange(8320, "something"),
        Run(8320, 160, [PACKET], PCMU_8000),
    ]


def test_two_pauses_are_released_one_after_the_other() -> None:
    track = Track()
    track.receive()
    track.receive(after=0.52)
    track.receive(after=0.62)
    track.now += 0.5
    assert spans(track.take()) == [
        ("Run", 0, 160),
        ("silence", 160, 4000),
        ("Run", 4160, 160),
    ]
    track.now += 0.6
    assert spans(track.take()) == [("silence", 4320, 4800), ("Run", 9120, 160)]


def test_a_stall_inserts_nothing() -> None:
    track = Track()
    track.receive()
    track.receive(after=0.6)
    for _ in range(28):
        track.receive(after=0.0)
    assert spans(track.take()) == [("Run", 0, 30 * 160)]


def test_the_end_is_padded_when_asked_for() -> None:
    padded, bare = Track(), Track()
    for track in (padded, bare):
        track.receive()
    padded.machine.finish(padded.now + 2.0, pad=True)
    bare.machine.finish(bare.now + 2.0, pad=False)
    assert spans(padded.take()) == [("Run", 0, 160), ("silence", 160, 16000)]
    assert spans(bare.take()) == [("Run", 0, 160)]


def test_digits_and_changes_stand_at_the_end_of_the_audio_so_far() -> None:
    track = Track()
    track.receive()
    track.machine.receive_digit("#", 50)
    track.receive(format=PCMA_8000)
    assert track.take() == [
        Run(0, 160, [PACKET], PCMU_8000),
        Digit(160, "#", 400),
        SourceChange(160, "format PCMA 8000 Hz"),
        Run(160, 160, [PACKET], PCMA_8000),
    ]


def test_another_rate_takes_its_place_at_the_rate_of_the_track() -> None:
    track = Track()
    track.receive()
    for _ in range(3):
        track.receive(321, format=L16_16K)
    track.receive()
    events = track.take()
    assert spans(events) == [
        ("Run", 0, 160),
        ("Run", 160, 963 // 2),
        ("Run", 160 + 481, 160),
    ]
    assert events[1] == SourceChange(160, "format L16 16000 Hz")
    assert track.machine.format == PCMU_8000


def test_a_stereo_format_is_called_so() -> None:
    track = Track()
    track.receive(format=AudioFormat(Codec.L16, 8000, 2))
    assert track.take()[0] == SourceChange(0, "format L16 8000 Hz stereo")


def test_a_byte_order_found_out_is_no_change_of_the_sender() -> None:
    track = Track(AudioFormat(Codec.L16, 8000, 1, "little"))
    track.receive()
    track.receive(format=AudioFormat(Codec.L16, 8000, 1, "big"))
    assert spans(track.take()) == [("Run", 0, 160), ("Run", 160, 160)]


def test_less_than_a_sample_of_the_track_is_counted_and_its_time_kept() -> None:
    track = Track()
    track.receive(1, format=L16_16K)
    track.receive(1, format=L16_16K)
    assert track.drops == {"shorter_than_a_sample": 1}
    assert spans(track.take()) == [("Run", 0, 1)]


def test_a_sender_that_is_much_too_fast_is_cut_off_at_its_limit() -> None:
    track = Track(limits=TrackLimits(max_rate_factor=2.0, burst_s=1.0))
    for _ in range(10):
        track.receive(4000, after=0.02)
    events = track.take()
    assert spans(events)[0] == ("Run", 0, 8000)
    assert spans(events)[1] == ("dropped", 8000, 8 * 160)
    assert track.drops == {"rate_exceeded": 8}


def test_what_comes_at_once_beyond_the_limit_takes_no_room() -> None:
    track = Track(limits=TrackLimits(burst_s=1.0))
    track.receive(8000)
    track.receive(8000, after=0.0)
    assert spans(track.take()) == [("Run", 0, 8000)]
    assert track.drops == {"rate_exceeded": 1}


def test_audio_that_nobody_takes_is_kept_up_to_a_bound() -> None:
    track = Track(limits=TrackLimits(held_s=1.0))
    for _ in range(60):
        track.receive()
    track.machine.receive_digit("1", 0)
    assert spans(track.take()) == [("Run", 0, 8000), ("dropped", 8000, 1600)]
    assert track.drops == {"held_too_long": 10}
    track.receive()
    assert spans(track.take()) == [("Run", 9600, 160)]


def test_the_bound_holds_behind_a_pause_too() -> None:
    track = Track(limits=TrackLimits(held_s=1.0))
    track.receive()
    track.take()
    track.receive(after=5.0)
    for _ in range(5):
        track.receive(4000, after=0.0)
    track.receive(1, after=0.0)
    track.machine.finish(track.now, pad=False)
    (_, _, dropped, run) = spans(track.take())
    assert dropped[0] == "dropped"
    assert run == ("Run", dropped[1] + dropped[2], 1)


def test_events_are_bounded_also_when_they_hold_next_to_nothing() -> None:
    """Behind a pause, and before it: two formats by turns, a sample each."""
    track = Track()
    for _ in range(3000):
        track.receive(1, after=0.0)
        track.receive(1, after=0.0, format=PCMA_8000)
    track.machine.receive_change("one more")
    assert len(track.take()) <= 4097
    track.receive(1, after=5.0)
    for _ in range(3000):
        track.receive(1, after=0.0)
        track.receive(1, after=0.0, format=PCMA_8000)
    track.machine.receive_change("one more")
    track.machine.finish(track.now, pad=False)
    assert len(track.take()) <= 4098
    assert track.drops["held_too_long"] > 3000
