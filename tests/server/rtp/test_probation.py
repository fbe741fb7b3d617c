from __future__ import annotations

from server.audio import PCMU_8000
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import PayloadKind, Signal
from server.rtp.probation import (
    MAX_HELD,
    PROBATION_TIMEOUT,
    Candidate,
    SequenceProbation,
)


def packet(sequence_number: int) -> RtpPacket:
    return RtpPacket(0, sequence_number, 0, 1)


def held(candidate: Candidate) -> list[int]:
    return [a.packet.sequence_number for a in candidate.settle()]


def test_two_packets_in_sequence_make_a_source_valid() -> None:
    probation = SequenceProbation()
    assert not probation.receive(0xFFFF)
    assert not probation.receive(1)
    assert not probation.receive(1)
    assert probation.receive(2)
    assert probation.receive(99)


def test_sequence_numbers_in_sequence_cross_the_wrap() -> None:
    probation = SequenceProbation()
    probation.receive(0xFFFF)
    assert probation.receive(0)


def test_a_candidate_is_ready_once_it_is_valid_and_has_sent_audio() -> None:
    candidate = Candidate()
    ready = []
    kinds: list[PayloadKind] = [Signal.CN, Signal.CN, PCMU_8000]
    for number, kind in enumerate(kinds):
        candidate.receive(packet(number), kind, 1.0)
        ready.append(candidate.is_ready)
    assert ready == [False, False, True]
    assert candidate.audio_format == PCMU_8000


def test_held_packets_come_out_by_sequence_number() -> None:
    candidate = Candidate()
    for number in (0xFFFF, 0xFFFE, 1, 0):
        candidate.receive(packet(number), PCMU_8000, 1.0)
    assert held(candidate) == [0xFFFE, 0xFFFF, 0, 1]


def test_a_candidate_holds_no_more_than_its_bound() -> None:
    candidate = Candidate()
    dropped = [
        candidate.receive(packet(2 * n), PCMU_8000, 1.0 + n) for n in range(MAX_HELD)
    ]
    assert sum(dropped) == 0
    assert candidate.receive(packet(999), PCMU_8000, 65.0) == 1
    assert len(candidate) == MAX_HELD
    assert candidate.first_at == 2.0


def test_packets_that_nothing_followed_for_long_are_forgotten() -> None:
    candidate = Candidate()
    candidate.receive(packet(1), PCMU_8000, 1.0)
    assert candidate.receive(packet(2), PCMU_8000, 1.1 + PROBATION_TIMEOUT) == 1
    assert held(candidate) == [2]
    assert not candidate.is_ready


def test_packets_far_from_the_valid_sequence_are_left_over() -> None:
    candidate = Candidate()
    for number in (30_000, 1, 2, 20_000):
        candidate.receive(packet(number), PCMU_8000, 1.0)
    assert held(candidate) == [1, 2]
    assert len(candidate) == 2


def test_a_candidate_that_is_held_for_long_keeps_its_latest_packets() -> None:
    candidate = Candidate()
    for number in range(3 * MAX_HELD):
        candidate.receive(packet(2 + 2 * number + number % 2), PCMU_8000, 1.0)
    assert len(candidate.settle()) >= MAX_HELD // 2


def test_strays_alone_are_better_than_nothing() -> None:
    """The packets that made it valid have all had to go."""
    candidate = Candidate()
    candidate.receive(packet(1), PCMU_8000, 1.0)
    for number in range(2, 3 + MAX_HELD):
        stray = number if number == 2 else 20_000 + 100 * number
        candidate.receive(packet(stray), PCMU_8000, 1.0)
    assert candidate.is_ready
    assert len(candidate.settle()) == MAX_HELD
    assert len(candidate) == 0
