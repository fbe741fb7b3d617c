from server.audio import (
    PCMA_8000,
    PCMU_8000,
    AudioFormat,
    Digit,
    Gap,
    GapCause,
    Run,
    SourceChange,
)
from server.taps.track_queue import TrackQueue


def add_run(
    queue: TrackQueue,
    payload: bytes,
    format: AudioFormat = PCMU_8000,
    *,
    starts_run: bool = False,
) -> None:
    queue.add_run(len(payload), [payload], format, starts_run=starts_run)


def test_audio_without_a_hole_is_one_run() -> None:
    queue = TrackQueue()
    add_run(queue, b"ab")
    add_run(queue, b"c")
    assert queue.samples == queue.position == 3
    assert queue.take() == [Run(0, 3, [b"ab", b"c"], PCMU_8000)]
    assert queue.samples == 0


def test_a_run_that_was_taken_does_not_grow() -> None:
    queue = TrackQueue()
    add_run(queue, b"ab")
    taken = queue.take()
    add_run(queue, b"c")
    assert taken == [Run(0, 2, [b"ab"], PCMU_8000)]
    assert queue.take() == [Run(2, 1, [b"c"], PCMU_8000)]


def test_another_format_or_a_decoder_to_warm_up_begins_a_run() -> None:
    queue = TrackQueue()
    add_run(queue, b"a")
    add_run(queue, b"b", PCMA_8000)
    add_run(queue, b"c", PCMA_8000, starts_run=True)
    assert [event.start for event in queue.take()] == [0, 1, 2]


def test_gaps_of_one_cause_are_one_gap() -> None:
    queue = TrackQueue()
    queue.add_gap(5, GapCause.DROPPED)
    queue.add_gap(6, GapCause.DROPPED)
    queue.add_gap(7, GapCause.SILENCE)
    add_run(queue, b"a")
    assert queue.take() == [
        Gap(0, 11, GapCause.DROPPED),
        Gap(11, 7, GapCause.SILENCE),
        Run(18, 1, [b"a"], PCMU_8000),
    ]


def test_notes_take_no_time_and_stand_between_runs() -> None:
    queue = TrackQueue()
    add_run(queue, b"a")
    queue.add_note(Digit(99, "5", 100))
    add_run(queue, b"b")
    queue.add_note(SourceChange(0, "something"))
    assert queue.take() == [
        Run(0, 1, [b"a"], PCMU_8000),
        Digit(1, "5", 100),
        Run(1, 1, [b"b"], PCMU_8000),
        SourceChange(2, "something"),
    ]


def test_a_full_queue_says_so_and_takes_gaps_without_growing() -> None:
    queue = TrackQueue()
    size = 0
    while not queue.is_full:
        add_run(queue, b"a")
        queue.add_gap(1, GapCause.SILENCE)
        size += 2
    for cause in GapCause:
        queue.add_gap(1, cause)
    events = queue.take()
    assert len(events) == size
    assert sum(e.length for e in events if isinstance(e, Gap | Run)) == (
        size + len(GapCause)
    )
