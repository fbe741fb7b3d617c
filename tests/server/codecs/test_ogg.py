import itertools
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.codecs.ogg import OggDemuxer, OpusHead, checksum
from tests.server.codecs.opus_sender import lace, ogg_opus, ogg_page, opus_head

PACKETS = [bytes([at]) * (at * 37 % 700 + 1) for at in range(40)]


def demux(*pieces: bytes) -> tuple[list[OpusHead | bytes], Counter[str]]:
    drops: Counter[str] = Counter()
    demuxer = OggDemuxer(drops)
    found = [item for piece in pieces for item in demuxer.receive(piece)]
    demuxer.finish()
    return found, drops


def test_checksum_is_the_one_of_the_polynomial() -> None:
    """Compared with RFC 3533's definition, computed bit by bit."""
    data = bytes(range(256)) * 3
    crc = 0
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1) ^ (0x04C11DB7 if crc & 0x80000000 else 0)
            crc &= 0xFFFFFFFF
    assert checksum(data) == crc


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 20_000), max_size=12))
def test_packets_are_the_same_however_the_bytes_are_cut(cuts: list[int]) -> None:
    stream = ogg_opus(PACKETS)
    edges = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[a:b] for a, b in itertools.pairwise(edges)]
    found, drops = demux(*pieces)
    assert found == [OpusHead(channels=1, pre_skip=312), *PACKETS]
    assert not drops


def test_byte_by_byte() -> None:
    stream = ogg_opus(PACKETS[:5])
    found, _ = demux(*(stream[at : at + 1] for at in range(len(stream))))
    assert found[1:] == PACKETS[:5]


def test_several_packets_share_a_page() -> None:
    page = ogg_page(5, [*lace(b"a" * 300), *lace(b"b"), *lace(b"c" * 255)])
    assert demux(page)[0] == [b"a" * 300, b"b", b"c" * 255]


def test_a_packet_goes_on_over_pages() -> None:
    first = ogg_page(5, [b"x" * 255, b"x" * 255])
    second = ogg_page(6, [b"x" * 9, *lace(b"next")], flags=1)
    assert demux(first, second)[0] == [b"x" * 519, b"next"]


def test_a_page_with_nothing_on_it_is_harmless() -> None:
    assert demux(ogg_page(5, []), ogg_page(6, [b"y"]))[0] == [b"y"]


def test_a_page_without_segments_keeps_the_packet_that_goes_on() -> None:
    pages = [
        ogg_page(5, [b"x" * 255]),
        ogg_page(6, [], flags=1),
        ogg_page(7, [b"x"], flags=1),
    ]
    assert demux(*pages)[0] == [b"x" * 256]


def test_a_continuation_whose_start_was_missed_is_left_out() -> None:
    page = ogg_page(6, [b"x" * 9, *lace(b"next")], flags=1)
    assert demux(page)[0] == [b"next"]


def test_a_missing_page_costs_the_packet_that_it_carried() -> None:
    first = ogg_page(5, [b"x" * 255])
    third = ogg_page(7, [b"x" * 9, *lace(b"next")], flags=1)
    found, drops = demux(first, third)
    assert found == [b"next"]
    assert drops == {"ogg_pages_missing": 1}


def test_damage_costs_the_damaged_page_only() -> None:
    pages = [ogg_page(at, lace(packet)) for at, packet in enumerate(PACKETS)]
    pages[3] = pages[3][:-1] + b"?"
    found, drops = demux(b"".join(pages))
    assert found == PACKETS[:3] + PACKETS[4:]
    assert drops["ogg_bad_page"] == 1


def test_garbage_is_skipped_and_counted() -> None:
    found, drops = demux(b"garbage Og", b"Ogg", ogg_page(0, [b"x"]))
    assert found == [b"x"]
    assert drops == {"ogg_garbage_bytes": 13}


def test_another_stream_in_the_same_bytes_is_left_out() -> None:
    video = ogg_page(0, [b"theora"], flags=2, serial=1)
    found, drops = demux(video, ogg_opus([b"x"]), ogg_page(1, [b"v"], serial=1))
    assert found[1:] == [b"x"]
    assert drops == {"ogg_other_stream": 2}


def test_a_chained_stream_takes_over() -> None:
    second = ogg_page(0, [opus_head(channels=2, pre_skip=9)], flags=2, serial=8)
    found, _ = demux(ogg_opus([b"x"]), second, ogg_page(1, [b"y"], serial=8))
    assert found == [OpusHead(1, 312), b"x", OpusHead(2, 9), b"y"]


@pytest.mark.parametrize(
    "head",
    [b"OpusHead\x01", opus_head(channels=6, family=1), opus_head(channels=0)],
    ids=["cut off", "several streams in one packet", "no channels"],
)
def test_a_header_that_is_not_for_us_is_counted(head: bytes) -> None:
    found, drops = demux(ogg_page(0, [head], flags=2))
    assert not found
    assert drops == {"ogg_bad_head": 1}


def test_a_packet_without_end_is_given_up() -> None:
    pages = [ogg_page(0, [b"x" * 255] * 255)]
    pages += [ogg_page(at, [b"x" * 255] * 255, flags=1) for at in (1, 2)]
    pages.append(ogg_page(3, [b"x", *lace(b"next")], flags=1))
    found, drops = demux(*pages)
    assert found == [b"next"]
    assert drops == {"ogg_packet_too_long": 1}


def test_an_incomplete_page_at_the_end_is_counted() -> None:
    page = ogg_page(0, [b"abc"])
    assert demux(page[:-1])[1] == {"ogg_incomplete_bytes": len(page) - 1}
    assert demux(page[:27])[1] == {"ogg_incomplete_bytes": 27}


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=80),
            st.just(b"OggS"),
            st.builds(
                lambda sequence, body, flags: ogg_page(sequence, [body], flags=flags),
                st.integers(0, 5),
                st.binary(max_size=80),
                st.integers(0, 7),
            ),
        ),
        max_size=12,
    )
)
def test_any_bytes_are_survived_and_the_buffer_stays_small(pieces: list[bytes]) -> None:
    demuxer = OggDemuxer(Counter())
    for piece in pieces:
        assert all(isinstance(p, bytes | OpusHead) for p in demuxer.receive(piece))
        assert len(demuxer._buffer) < 27 + 255 + 255 * 255


@pytest.mark.parametrize(
    ("head", "most"),
    [
        # 255 segments of 255 bytes each: the longest page there can be.
        (b"OggS\x00\x00" + b"\xff" * 21, 384 * 1024),
        (b"OggS\x00\x00" + b"\x00" * 21, 64 * 1024),
        (b"OggS\x00\x08" + b"\xff" * 21, 0),
        (b"OggS", 0),
    ],
    ids=["long pages", "empty pages", "unknown flags", "patterns alone"],
)
def test_false_pages_in_a_long_message_cost_little(
    head: bytes, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked: list[int] = []

    def counting_checksum(data: bytes) -> int:
        checked.append(len(data))
        return checksum(data)

    monkeypatch.setattr("server.codecs.ogg.checksum", counting_checksum)
    message = head * (1024 * 1024 // len(head))
    drops: Counter[str] = Counter()
    demuxer = OggDemuxer(drops)
    assert demuxer.receive(message) == []
    assert sum(checked) <= most
    assert len(checked) <= 256
    assert drops["ogg_garbage_bytes"] + drops["ogg_given_up_bytes"] > 1_000_000


def test_false_pages_in_many_messages_cost_in_proportion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checked: list[int] = []

    def counting_checksum(data: bytes) -> int:
        checked.append(len(data))
        return checksum(data)

    monkeypatch.setattr("server.codecs.ogg.checksum", counting_checksum)
    demuxer = OggDemuxer(Counter())
    head = b"OggS\x00\x00" + b"\xff" * 21
    for _ in range(40_000):
        assert demuxer.receive(head) == []
    assert sum(checked) < 6 * 40_000 * len(head)


def test_audio_behind_what_was_given_up_is_found() -> None:
    flood = (b"OggS\x00\x00" + b"\xff" * 21) * 40_000
    found, drops = demux(flood, ogg_page(0, [b"x"]), ogg_page(1, [b"y"]))
    assert found == [b"x", b"y"]
    assert drops["ogg_given_up_bytes"] > 0
