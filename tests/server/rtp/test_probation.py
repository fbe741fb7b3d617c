from __future__ import annotations

from server.audio import PCMU_8000
from server.rtp.packet import RtpPacket
from server.rtp.payload_types import Signal
from server.rtp.probation import (
    MAX_HELD,
    PROBATION_TIMEOUT,
    Candidate,
    SequenceProbation,
)


def packet(sequence_number: int) -> RtpPacket:
    return RtpPacket(0, sequence_number, 0, 1)


def held(candidate: Candidate) -> list[int]:
    return [a.packet.sequence_number for a in candidate.in_sequence()]


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
    candidate.receive(packet(1), Signal.CN, 1.0)
    candidate.receive(packet(2), Signal.CN, 1.0)
    assert not candidate.is_ready
    candidate.receive(packet(3), PCMU_8000, 1.0)
    assert candidate.is_ready
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
