"""RTP packets of our own: every sample at its timestamp, gaps as gaps."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import OPUS_RATE, AudioFormat, ByteOrder, Codec, Samples
from server.codecs.convert import StreamResampler
from server.codecs.g711 import decode_alaw, decode_mulaw
from server.codecs.l16 import decode_l16
from server.codecs.opus import OpusDecoder
from server.forwards.buffer import Piece
from server.forwards.packetizer import MAX_PAYLOAD_BYTES, Packetizer, TimedPacket
from server.forwards.request import RtpForwardRequest
from server.rtp.packet import RtpPacket
from server.rtp.serial import sequence_difference, timestamp_difference
from tests.server.codecs.opus_sender import opus_packets
from tests.server.forwards.pieces import g711_piece, opus_piece, piece_of, tone_at

SSRC = 0xCAFEBABE
LAST_SEQUENCE_NUMBER = 0xFFFE
"""Wraps with the third packet."""
FIRST_TIMESTAMP = 0xFFFF_FF00
"""Wraps within the second packet of 20 ms at 8 kHz."""

Stretch = tuple[int, int]
"""The length of a gap, and of the audio behind it."""


def request(**fields: Any) -> RtpForwardRequest:
    return RtpForwardRequest.model_validate(
        {"type": "rtp", "host": "127.0.0.1", "port": 5004} | fields
    )


def packetizer(**fields: Any) -> Packetizer:
    return Packetizer(
        request(**fields),
        ssrc=SSRC,
        sequence_number=LAST_SEQUENCE_NUMBER,
        timestamp=FIRST_TIMESTAMP,
    )


def packets_of(machine: Packetizer, pieces: Iterable[Piece]) -> list[RtpPacket]:
    return [each.packet for each in timed_packets(machine, pieces)]


def timed_packets(machine: Packetizer, pieces: Iterable[Piece]) -> list[TimedPacket]:
    timed = [each for piece in pieces for each in machine.packets(piece)]
    timed += machine.finish()
    for at, each in enumerate(timed):
        packet = RtpPacket.parse(each.packet.serialize())
        assert packet == each.packet
        assert packet.ssrc == SSRC
        assert sequence_difference(packet.sequence_number, LAST_SEQUENCE_NUMBER) == at
    return timed


def places(packets: Sequence[RtpPacket]) -> list[int]:
    """Return the timestamps, without their offset."""
    return [timestamp_difference(p.timestamp, FIRST_TIMESTAMP) for p in packets]


def heard(packets: Sequence[RtpPacket], length: int, silence: int = -1) -> list[int]:
    """Put the bytes of a codec of bytes where their timestamps say."""
    track = [silence] * length
    for packet, place in zip(packets, places(packets), strict=True):
        for at, value in enumerate(packet.payload):
            assert track[place + at] == silence
            track[place + at] = value
    return track


@given(
    stretches=st.lists(
        st.tuples(st.integers(0, 400), st.integers(1, 900)), min_size=1, max_size=12
    ),
    ptime=st.sampled_from([10, 20, 30, 40, 60]),
)
def test_every_byte_is_at_its_timestamp_whatever_it_came_in(
    stretches: list[Stretch], ptime: int
) -> None:
    chance, at, pieces, sent = random.Random(1), 0, [], []
    onsets: list[int] = []
    for gap, length in stretches:
        data = chance.randbytes(length)
        if gap or not onsets:
            onsets.append(at + gap)
        pieces.append(g711_piece(data, at + gap))
        sent += [-1] * gap + list(data)
        at += gap + length

    packets = packets_of(packetizer(ptime=ptime), pieces)

    assert heard(packets, at) == sent
    assert max(len(packet.payload) for packet in packets) <= 8 * ptime
    marked = [packet for packet in packets if packet.marker]
    assert places(marked) == onsets
    # Packets are whole wherever neither a gap nor the end cuts them short.
    short = sum(len(packet.payload) < 8 * ptime for packet in packets)
    assert short <= len(onsets)


def test_timestamps_and_sequence_numbers_wrap() -> None:
    pieces = [g711_piece(bytes(160), at) for at in range(0, 1600, 160)]
    packets = packets_of(packetizer(), pieces)
    assert [p.sequence_number for p in packets][:4] == [0xFFFE, 0xFFFF, 0, 1]
    assert [p.timestamp for p in packets][:3] == [0xFFFF_FF00, 0xFFFF_FFA0, 0x40]
    assert [p.marker for p in packets] == [True] + [False] * 9


def test_a_gap_of_hours_is_a_jump_of_the_timestamp() -> None:
    hours = 3 * 3600 * 8000
    packets = packets_of(
        packetizer(), [g711_piece(b"a" * 160, 0), g711_piece(b"b" * 160, hours)]
    )
    first, second = packets
    assert timestamp_difference(second.timestamp, first.timestamp) == hours
    assert (first.marker, second.marker) == (True, True)


@pytest.mark.parametrize(("length", "has_rest"), [(160, False), (161, True)])
def test_it_tells_whether_a_packet_is_not_whole(length: int, has_rest: bool) -> None:
    machine = packetizer()
    list(machine.packets(g711_piece(bytes(length), 0)))
    assert machine.has_rest is has_rest


def test_what_fills_no_packet_can_be_sent_before_the_rest_comes() -> None:
    machine = packetizer()
    (whole,) = machine.packets(g711_piece(b"a" * 200, 0))
    assert whole.length_s == 0.02
    (short,) = machine.flush()
    assert (short.packet.payload, short.length_s) == (b"a" * 40, 0.005)
    assert list(machine.flush()) == []
    (whole,) = machine.packets(g711_piece(b"b" * 160, 200))
    assert places([whole.packet]) == [200]
    assert not whole.packet.marker


@pytest.mark.parametrize(
    ("wanted", "number"),
    [
        (None, 0),
        ({"codec": "PCMU"}, 0),
        ({"codec": "PCMA"}, 8),
        ({"codec": "PCMA", "byte_order": "little"}, 8),
        ({"codec": "PCMU", "sample_rate": 16_000}, 96),
        ({"codec": "PCMU", "channels": 2}, 96),
        ({"codec": "L16", "sample_rate": 48_000}, 96),
        ({"codec": "OPUS"}, 111),
    ],
)
def test_the_payload_type_is_the_static_one_where_there_is_one(
    wanted: dict[str, Any] | None, number: int
) -> None:
    pieces = [g711_piece(bytes(8000), 0)]
    packets = packets_of(packetizer(format=wanted), pieces)
    assert {packet.payload_type for packet in packets} == {number}
    chosen = packets_of(packetizer(format=wanted, payload_type=101), pieces)
    assert {packet.payload_type for packet in chosen} == {101}


@pytest.mark.parametrize(("channels", "number"), [(1, 11), (2, 10)])
def test_l16_at_44_1_khz_has_static_numbers(channels: int, number: int) -> None:
    samples = np.zeros((4410, channels), np.int16)
    l16 = AudioFormat(Codec.L16, 44_100, channels, "little")
    packets = packets_of(packetizer(), [piece_of(samples, 0, 44_100, l16)])
    assert {packet.payload_type for packet in packets} == {number}


def test_l16_goes_out_in_network_order_whichever_it_came_in() -> None:
    samples = tone_at(0, 1600, 8000)
    little = AudioFormat(Codec.L16, 8000, 1, "little")
    orders: list[tuple[dict[str, str] | None, ByteOrder]] = [
        (None, "big"),
        ({"codec": "L16"}, "big"),
        ({"codec": "L16", "byte_order": "little"}, "little"),
    ]
    for wanted, wire in orders:
        machine = packetizer(format=wanted)
        packets = packets_of(machine, [piece_of(samples, 0, 8000, little)])
        data = b"".join(packet.payload for packet in packets)
        assert np.array_equal(decode_l16(data, wire), samples[:, 0])


def test_a_format_that_changes_becomes_that_of_the_beginning() -> None:
    samples = tone_at(160, 160, 8000)
    alaw = AudioFormat(Codec.PCMA)
    pieces = [g711_piece(b"a" * 160, 0), piece_of(samples, 160, 8000, alaw)]
    pieces.append(g711_piece(b"b" * 160, 320))
    first, second, third = packets_of(packetizer(), pieces)
    assert (first.payload, third.payload) == (b"a" * 160, b"b" * 160)
    assert np.abs(decode_mulaw(second.payload) - samples[:, 0]).max() < 260
    assert places([first, second, third]) == [0, 160, 320]
    assert {p.payload_type for p in (first, second, third)} == {0}


def test_a_packet_always_fits_into_an_ethernet_frame() -> None:
    wanted = {"codec": "L16", "sample_rate": 48_000, "channels": 2}
    timed = timed_packets(packetizer(format=wanted), [g711_piece(bytes(8000), 0)])
    assert max(len(each.packet.payload) for each in timed) <= MAX_PAYLOAD_BYTES
    assert {each.length_s for each in timed[:-1]} == {0.006}
    assert sum(each.length_s for each in timed) == pytest.approx(1.0, abs=0.001)


@pytest.mark.parametrize("seed", range(3))
def test_resampled_audio_is_that_of_the_whole_however_it_came(seed: int) -> None:
    chance = random.Random(seed)
    samples = tone_at(0, 16_000, 8000)
    pieces, at = [], 0
    while at < len(samples):
        size = chance.randint(1, 700)
        pieces.append(piece_of(samples[at : at + size], at, 8000))
        at += size
    wanted = {"codec": "L16", "sample_rate": 48_000}
    packets = packets_of(packetizer(format=wanted), pieces)
    data = b"".join(packet.payload for packet in packets)
    expected = StreamResampler(8000, 48_000, 1).convert(samples, last=True)
    found = decode_l16(data, "big")
    assert len(found) == len(expected) == 96_000
    assert np.abs(found - expected[:, 0].astype(int)).max() <= 1


def test_a_gap_stays_a_gap_through_the_resampler() -> None:
    first, second = tone_at(0, 4000, 8000), tone_at(4777, 4000, 8000)
    pieces = [piece_of(first, 0, 8000), piece_of(second, 4777, 8000)]
    wanted = {"codec": "L16", "sample_rate": 48_000}
    packets = packets_of(packetizer(format=wanted), pieces)
    track = np.zeros(6 * 8777, np.int16)
    for packet, place in zip(packets, places(packets), strict=True):
        samples = decode_l16(packet.payload, "big")
        assert not track[place : place + len(samples)].any()
        track[place : place + len(samples)] = samples
    assert not track[6 * 4000 : 6 * 4777].any()
    expected = tone_at(0, len(track), OPUS_RATE)[:, 0].astype(int)
    for begin, end in ((0, 6 * 4000), (6 * 4777, len(track))):
        inside = slice(begin + 600, end - 600)
        assert np.abs(track[inside] - expected[inside]).max() < 20
    assert places([p for p in packets if p.marker]) == [0, 6 * 4777]


def test_a_stretch_never_begins_before_the_end_of_the_one_before() -> None:
    """Rounding to the lower rate could make it."""
    pieces = [piece_of(tone_at(0, 481, 48_000), 0, 48_000)]
    pieces.append(piece_of(tone_at(483, 479, 48_000), 483, 48_000))
    wanted = {"codec": "PCMA", "sample_rate": 8000}
    packets = packets_of(packetizer(format=wanted, ptime=10), pieces)
    ends = [at + len(p.payload) for at, p in zip(places(packets), packets, strict=True)]
    assert all(
        at >= end for at, end in zip(places(packets)[1:], ends[:-1], strict=True)
    )
    assert sum(len(decode_alaw(p.payload)) for p in packets) in (160, 161)


class TestOpus:
    def test_packets_are_passed_on_one_by_one(self) -> None:
        sent = opus_packets(0.2)
        pieces = [
            opus_piece(sent[:4], 0, np.zeros((4 * 960, 1), np.int16)),
            # The one between them was lost.
            opus_piece(sent[5:], 5 * 960, np.zeros((960 * len(sent[5:]), 1), np.int16)),
        ]
        packets = packets_of(packetizer(), pieces)
        assert [p.payload for p in packets] == sent[:4] + sent[5:]
        assert places(packets) == [960 * n for n in range(len(sent)) if n != 4]
        assert [n for n, p in enumerate(packets) if p.marker] == [0, 4]

    def test_what_is_no_packet_is_left_out(self) -> None:
        sent = opus_packets(0.04)
        packets = [sent[0], b"", sent[1]]
        piece = opus_piece(packets, 0, np.zeros((1920, 1), np.int16))
        assert [p.payload for p in packets_of(packetizer(), [piece])] == sent[:2]

    def test_what_comes_in_another_format_is_encoded(self) -> None:
        sent = opus_packets(0.04)
        samples = tone_at(1920, 4800, OPUS_RATE)
        pieces = [
            opus_piece(sent[:2], 0, np.zeros((1920, 1), np.int16)),
            piece_of(samples, 1920, OPUS_RATE),
        ]
        packets = packets_of(packetizer(), pieces)
        assert places(packets)[:4] == [0, 960, 1920, 2880]
        decoded = OpusDecoder(1).decode([p.payload for p in packets[2:]])
        assert np.abs(decoded).max() > 4000

    @pytest.mark.parametrize("rate", [8000, 16_000, 24_000, 48_000])
    @pytest.mark.parametrize("channels", [1, 2])
    @pytest.mark.parametrize("ptime", [10, 20, 40, 60])
    def test_a_tone_comes_out_where_it_was(
        self, rate: int, channels: int, ptime: int
    ) -> None:
        wanted = {"codec": "OPUS", "sample_rate": rate, "channels": channels}
        machine = packetizer(format=wanted, ptime=ptime)
        pieces = in_pieces(tone_at(0, 8000, 8000), 0)
        timed = timed_packets(machine, pieces)
        assert {each.length_s for each in timed} == {ptime / 1000}
        assert places([each.packet for each in timed]) == [
            48 * ptime * n for n in range(len(timed))
        ]
        audio = decoded_track([each.packet for each in timed], channels)
        assert likeness(audio, 0, 8000) > 0.98

    @pytest.mark.parametrize("gap", [1, 160, 333, 480, 8000, 80_077])
    def test_a_gap_stays_one_and_what_is_behind_it_in_its_place(self, gap: int) -> None:
        again = 8000 + gap
        pieces = in_pieces(tone_at(0, 8000, 8000), 0)
        pieces += in_pieces(tone_at(again, 8000, 8000), again)
        packets = packets_of(packetizer(format={"codec": "OPUS"}), pieces)
        assert all(place % 960 == 0 for place in places(packets))
        assert places(packets) == sorted(set(places(packets)))
        audio = decoded_track(packets)
        assert likeness(audio, 0, 8000) > 0.98
        assert likeness(audio, again, again + 8000) > 0.98
        # A packet that began before the gap, and one that brings out its end.
        silent = places(packets)[-1] // 960 + 1 - len(packets)
        assert silent >= max(0, gap * 6 // 960 - 3)

    def test_nothing_comes_of_nothing(self) -> None:
        machine = packetizer(format={"codec": "OPUS"})
        assert list(machine.finish()) == []
        assert list(packetizer().finish()) == []


def in_pieces(samples: Samples, start: int) -> list[Piece]:
    """Cut audio into pieces of 37 ms, which is no multiple of anything here."""
    return [
        piece_of(samples[at : at + 296], start + at, 8000)
        for at in range(0, len(samples), 296)
    ]


def decoded_track(packets: Sequence[RtpPacket], channels: int = 1) -> Samples:
    """Decode in order, and put what each gives where its timestamp says."""
    decoder = OpusDecoder(channels)
    decoded = [decoder.decode([packet.payload]) for packet in packets]
    track = np.zeros((places(packets)[-1] + len(decoded[-1]), channels), np.int16)
    for place, samples in zip(places(packets), decoded, strict=True):
        track[place : place + len(samples)] = samples
    return track


def likeness(track: Samples, begin: int, end: int) -> float:
    """Return how much the inner part of a stretch is like the tone that was sent.

    Args:
        track: At 48 kHz.
        begin: Of the stretch, in samples at 8 kHz.
        end: Of it.
    """
    lookahead = 312
    inner = slice(6 * begin + 2400, 6 * end - 2400)
    sent = tone_at(0, 6 * end, OPUS_RATE)[inner, 0].astype(float)
    found = track[inner.start + lookahead : inner.stop + lookahead]
    return float(min(np.corrcoef(sent, each)[0, 1] for each in found.T))
