"""Messages taken as one must come to what they come to one by one."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.audio import PCMU_8000, AudioFormat, Codec, Gap, Run, TrackEvent
from server.taps.rate_budget import TrackLimits
from server.taps.ws_receiver import BinaryMessages, TextMessage, WsMessage
from server.taps.ws_session import WsSession

L16_BIG = AudioFormat(Codec.L16, 8000, 1, "big")

NOISE = bytes((at * 37) % 256 for at in range(320))


class Inlet:
    """A connection on which messages wait."""

    def __init__(self) -> None:
        self.waiting: list[WsMessage] = []
        self.last_binary_at: float | None = None

    def put(self, data: bytes, times: list[float]) -> None:
        self.waiting.append(BinaryMessages(data, len(data) // len(times), times))
        self.last_binary_at = times[-1]

    def take(self) -> list[WsMessage]:
        taken, self.waiting = self.waiting, []
        self.last_binary_at = None
        return taken


class Batched:
    """A session with an inlet."""

    def __init__(
        self, expected: AudioFormat | None = None, limits: TrackLimits | None = None
    ) -> None:
        self.inlet = Inlet()
        self.session = WsSession(expected, limits=limits)
        self.session.attach(self.inlet)
        self.now = 100.0

    def put(self, count: int, size: int = 160) -> None:
        """Let messages come that say by their bytes which they are."""
        times = [self.now + 0.02 * (turn + 1) for turn in range(count)]
        self.now = times[-1]
        data = b"".join(bytes([turn % 100 + 1]) * size for turn in range(count))
        self.inlet.put(data, times)

    def take(self) -> list[TrackEvent]:
        return [event for _, event in self.session.take(self.now)]


def joined(events: list[tuple[int, TrackEvent]]) -> list[tuple[int, int, object]]:
    """Return track, start and audio or event, without how the audio is cut."""
    found: list[tuple[int, int, object]] = []
    for track, event in events:
        what: object = event
        start = event.start
        if isinstance(event, Run):
            what = b"".join(event.payloads)
            if found and isinstance(found[-1][2], bytes):
                _, start, before = found.pop()
                assert isinstance(before, bytes)
                what = before + what
        found.append((track, start, what))
    return found


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 30),
            st.sampled_from([1, 80, 160, 161, 320]),
            st.sampled_from([0.0, 0.0, 0.0, 0.001, 0.25, 0.4, 1.2, 6.0]),
            st.sampled_from([0.0, 0.01, 0.02, 0.02, 0.02, 0.04]),
        ),
        max_size=12,
    ),
    st.sampled_from([PCMU_8000, L16_BIG]),
)
@example([(30, 160, 0.0, 0.02), (30, 160, 0.4, 0.02), (30, 160, 0.0, 0.02)], PCMU_8000)
def test_a_batch_comes_to_what_its_messages_come_to(
    batches: list[tuple[int, int, float, float]], expected: AudioFormat
) -> None:
    inlet = Inlet()
    together = WsSession(expected, l16_byte_order="big")
    one_by_one = WsSession(expected, l16_byte_order="big")
    together.attach(inlet)
    now = 100.0
    heard: list[tuple[int, TrackEvent]] = []
    wanted: list[tuple[int, TrackEvent]] = []
    for number, (count, size, pause, every) in enumerate(batches):
        now += pause
        times = [now + every * turn for turn in range(count)]
        now = times[-1]
        data = bytes((number + at) % 251 for at in range(count * size))
        inlet.put(data, times)
        for turn, at in enumerate(times):
            one_by_one.receive_bytes(data[turn * size : (turn + 1) * size], at)
        heard += together.take(now)
        wanted += one_by_one.take(now)
        assert together.last_media_at == one_by_one.last_media_at
    for session, events in ((together, heard), (one_by_one, wanted)):
        session.finish(now + 1.0, pad=True)
        events += session.take(now + 1.0)
    assert joined(heard) == joined(wanted)
    assert together.drops == one_by_one.drops
    if wanted:
        assert together.counts(0) == one_by_one.counts(0)
        assert together.track_started_at(0) == one_by_one.track_started_at(0)


def test_plain_audio_is_kept_as_one_payload_for_each_batch() -> None:
    """The point of it all: a second costs one step and not fifty."""
    tap = Batched()
    tap.put(1)
    tap.put(25)
    tap.put(25)
    (run,) = tap.take()
    assert isinstance(run, Run)
    assert [len(each) for each in run.payloads] == [160, 25 * 160, 25 * 160]
    assert tap.session.counts(0).received == 51


def test_audio_that_waits_counts_as_the_last_that_came() -> None:
    tap = Batched()
    seen = [tap.session.last_media_at]
    for take in (True, False, True):
        tap.put(5)
        if take:
            tap.take()
        seen.append(tap.session.last_media_at)
    assert seen == [None, *map(pytest.approx, (100.1, 100.2, 100.3))]


def test_a_text_takes_its_place_between_batches() -> None:
    tap = Batched()
    tap.put(3)
    tap.inlet.waiting.append(TextMessage("audio/pcma", tap.now))
    tap.put(3)
    formats = [each.format.codec for each in tap.take() if isinstance(each, Run)]
    assert formats == [Codec.PCMU, Codec.PCMA]


@pytest.mark.parametrize(
    ("codec", "received", "dropped"),
    [("opus", 10, 0), ("ogg", 2, 8 * 160), ("unknown", 2, 8)],
)
def test_what_is_not_plain_samples_is_taken_one_by_one(
    codec: str, received: int, dropped: int
) -> None:
    tap = Batched()
    tap.put(2)
    tap.inlet.waiting.append(TextMessage(f"audio/{codec}", tap.now))
    tap.put(4)
    tap.put(4)
    tap.take()
    assert tap.session.counts(0).received == received
    assert tap.session.drops.total() == dropped


def test_the_byte_order_is_found_out_before_messages_are_plain() -> None:
    tap = Batched(AudioFormat(Codec.L16, 8000))
    for _ in range(3):
        times = [tap.now + 0.02 * (turn + 1) for turn in range(30)]
        tap.now = times[-1]
        tap.inlet.put(NOISE * 30, times)
    (run,) = tap.take()
    assert isinstance(run, Run)
    assert b"".join(run.payloads) == NOISE * 90
    assert len(run.payloads[-1]) == 30 * 320


def test_another_rate_is_converted_one_by_one() -> None:
    tap = Batched()
    tap.put(2)
    tap.inlet.waiting.append(TextMessage("audio/l16;rate=16000", tap.now))
    for count in (60, 10):
        times = [tap.now + 0.02 * (turn + 1) for turn in range(count)]
        tap.now = times[-1]
        tap.inlet.put(NOISE * 2 * count, times)
    events = tap.take()
    assert sum(each.length for each in events if isinstance(each, Run)) == 72 * 160


def test_audio_beyond_the_limits_is_judged_message_by_message() -> None:
    limits = TrackLimits(max_rate_factor=1.0, burst_s=0.2, held_s=60.0)
    tap = Batched(limits=limits)
    tap.put(1)
    tap.inlet.put(bytes(160 * 20), [tap.now + 0.001] * 20)
    runs = [each for each in tap.take() if isinstance(each, Run)]
    assert sum(each.length for each in runs) == 10 * 160
    assert tap.session.drops["rate_exceeded"] == 11


def test_audio_that_nobody_took_is_bounded_message_by_message() -> None:
    tap = Batched(limits=TrackLimits(held_s=0.1))
    tap.put(1)
    tap.put(9)
    events = tap.take()
    assert sum(each.length for each in events if isinstance(each, Run)) == 5 * 160
    assert sum(each.length for each in events if isinstance(each, Gap)) == 5 * 160


def test_a_connection_that_is_let_go_leaves_nothing_behind() -> None:
    tap = Batched()
    tap.put(1)
    tap.take()
    tap.put(10)
    tap.session.detach()
    tap.inlet.put(b"late" * 40, [tap.now + 0.02])
    events = tap.take()
    assert sum(each.length for each in events if isinstance(each, Run)) == 1600
    assert tap.inlet.waiting


def test_what_waits_at_the_end_is_part_of_it() -> None:
    tap = Batched()
    tap.put(2)
    tap.session.finish(tap.now, pad=False)
    events = tap.take()
    assert sum(each.length for each in events if isinstance(each, Run)) == 320
    tap.put(2)
    assert tap.take() == []
    assert tap.session.drops["after_finish"] == 2
