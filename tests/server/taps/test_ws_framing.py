import itertools
from collections import Counter
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.audio import PCMA_8000, PCMU_8000, AudioFormat, ByteOrder, Codec
from server.taps.byte_order import ByteOrderSetting
from server.taps.ws_framing import (
    Chunk,
    Framing,
    OggFraming,
    RefusedFraming,
    SniffingFraming,
    framing_for,
)
from tests.server.codecs.opus_sender import (
    ogg_opus,
    ogg_page,
    opus_head,
    opus_packets,
    tone,
)
from tests.server.taps.test_wav_header import fmt, wav

L16 = AudioFormat(Codec.L16, 8000)
OPUS = AudioFormat(Codec.OPUS, 48000)


def frame(framing: Framing, messages: Iterable[bytes]) -> list[Chunk]:
    chunks = [
        chunk
        for at, message in enumerate(messages)
        for chunk in framing.receive(message, float(at))
    ]
    return chunks + framing.finish()


def joined(chunks: Iterable[Chunk]) -> bytes:
    return b"".join(payload for chunk in chunks for payload in chunk.payloads)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(at % (len(data) + 1) for at in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(edges) if b > a]


def framing(
    format: AudioFormat, byte_order: ByteOrderSetting = "auto"
) -> tuple[Framing, Counter[str]]:
    drops: Counter[str] = Counter()
    return framing_for(format, byte_order, drops), drops


def sniffing(otherwise: AudioFormat = PCMU_8000) -> tuple[Framing, Counter[str]]:
    drops: Counter[str] = Counter()
    return SniffingFraming(framing_for(otherwise, "auto", drops), drops), drops


CUTS = st.lists(st.integers(0, 4000), max_size=12)


@given(st.binary(max_size=3000), CUTS)
def test_g711_is_a_byte_stream(data: bytes, cuts: list[int]) -> None:
    machine, drops = framing(PCMA_8000)
    chunks = frame(machine, cut(data, cuts))
    assert joined(chunks) == data
    assert sum(chunk.length for chunk in chunks) == len(data)
    assert not drops


@given(st.binary(max_size=3000), CUTS, st.sampled_from([1, 2]))
def test_l16_cut_anywhere_keeps_its_samples_whole(
    data: bytes, cuts: list[int], channels: int
) -> None:
    machine, drops = framing(AudioFormat(Codec.L16, 8000, channels), "big")
    chunks = frame(machine, cut(data, cuts))
    size = 2 * channels
    whole = len(data) - len(data) % size
    assert joined(chunks) == data[:whole]
    assert all(len(joined([chunk])) == chunk.length * size for chunk in chunks)
    assert drops == Counter(odd_tail_bytes=len(data) - whole)


@pytest.mark.parametrize("setting", ["little", "big"])
def test_a_configured_byte_order_is_not_questioned(setting: ByteOrder) -> None:
    machine, _ = framing(L16, setting)
    (chunk,) = machine.receive(b"\x01\x02", 0.0)
    assert chunk.format.byte_order == setting
    assert not machine.is_holding


@pytest.mark.parametrize(("wire", "order"), [("<i2", "little"), (">i2", "big")])
def test_the_byte_order_is_found_from_the_first_second(wire: str, order: str) -> None:
    machine, _ = framing(L16)
    data = tone(1.5, rate=8000).astype(wire).tobytes()
    messages = [data[at : at + 320] for at in range(0, len(data), 320)]
    for at, message in enumerate(messages[:49]):
        assert machine.receive(message, float(at)) == []
        assert machine.is_holding
    held = machine.receive(messages[49], 49.0)
    assert [chunk.now for chunk in held] == [float(at) for at in range(50)]
    later = machine.receive(messages[50], 50.0)
    assert {chunk.format.byte_order for chunk in held + later} == {order}
    assert not machine.is_holding


def test_a_silent_second_is_let_go_without_a_decision() -> None:
    machine, _ = framing(L16)
    assert joined(machine.receive(bytes(16000), 0.0)) == bytes(16000)
    data = tone(1.0, rate=8000).astype(">i2").tobytes()
    (chunk,) = machine.receive(data, 1.0)
    assert chunk.format.byte_order == "big"


def test_less_than_a_second_is_decided_on_at_the_end() -> None:
    machine, _ = framing(L16)
    data = tone(0.2, rate=8000).astype(">i2").tobytes()
    (chunk,) = frame(machine, [data])
    assert chunk.format.byte_order == "big"
    assert joined([chunk]) == data


def test_opus_is_one_packet_a_message() -> None:
    machine, drops = framing(OPUS)
    packets = opus_packets(0.1)
    chunks = frame(machine, [*packets, b"\x03"])
    assert [list(chunk.payloads) for chunk in chunks] == [[p] for p in packets]
    assert {chunk.length for chunk in chunks} == {960}
    assert drops == {"opus_malformed": 1}


@given(CUTS)
def test_ogg_is_a_byte_stream_without_its_warm_up(cuts: list[int]) -> None:
    machine, drops = sniffing()
    packets = [b"\xf8" + bytes([at]) for at in range(10)]
    chunks = frame(machine, cut(ogg_opus(packets, pre_skip=2000), cuts))
    assert [p for chunk in chunks for p in chunk.payloads] == packets
    assert sum(chunk.length for chunk in chunks) == 10 * 960 - 2000
    assert chunks[0].starts_run
    assert len(chunks[0].payloads) >= 3
    assert not any(chunk.starts_run for chunk in chunks[1:])
    assert not drops


def test_ogg_holds_packets_that_only_warm_up() -> None:
    machine = OggFraming(Counter())
    assert machine.receive(ogg_opus([b"\xf8"], pre_skip=960), 0.0) == []
    assert machine.is_holding


def test_a_chained_ogg_stream_warms_up_again() -> None:
    machine = OggFraming(Counter())
    second = ogg_page(0, [opus_head(channels=2)], flags=2, serial=8)
    second += ogg_page(1, [b"\xfc"], serial=8)
    first, other = machine.receive(ogg_opus([b"\xf8"], pre_skip=0) + second, 0.0)
    assert (first.length, first.starts_run, first.format.channels) == (960, False, 1)
    assert (other.length, other.starts_run, other.format.channels) == (648, True, 2)


def test_malformed_packets_in_ogg_and_a_cut_end_are_counted() -> None:
    drops: Counter[str] = Counter()
    machine = OggFraming(drops)
    frame(machine, [ogg_opus([b"\x03", b"\xf8"])[:-1]])
    assert drops == {"opus_malformed": 1, "ogg_incomplete_bytes": 28}


@given(CUTS)
def test_a_wav_header_is_stripped_and_believed(cuts: list[int]) -> None:
    header = wav(fmt(1, 1, 16000, 16))
    machine, drops = sniffing()
    chunks = frame(machine, cut(header + bytes(range(200)), cuts))
    assert joined(chunks) == bytes(range(200))
    expected = AudioFormat(Codec.L16, 16000, 1, "little")
    assert {(chunk.format.codec, chunk.format) for chunk in chunks} == {
        (Codec.L16, expected)
    }
    assert not drops


def test_a_wav_that_cannot_be_decoded_is_counted_and_not_heard() -> None:
    machine, drops = sniffing()
    assert frame(machine, [wav(fmt(3, 1, 8000, 32)), b"more"]) == []
    assert drops == {"unsupported_format": 2}


@pytest.mark.parametrize("data", [b"RIFF but not a WAV", b"Og!", b"{audio"])
def test_what_only_looks_like_a_header_is_audio(data: bytes) -> None:
    machine, drops = sniffing()
    chunks = frame(machine, [data[:1], data[1:], b"more"])
    assert joined(chunks) == data + b"more"
    assert not drops


def test_a_header_that_never_ends_is_counted() -> None:
    machine, drops = sniffing()
    assert frame(machine, [b"Ogg"]) == []
    assert drops == {"incomplete_header_bytes": 3}


def test_nothing_at_all_leaves_nothing() -> None:
    machine, drops = sniffing()
    assert machine.finish() == []
    assert not machine.is_holding
    assert not drops


def test_sniffing_hides_nothing_of_what_it_found() -> None:
    machine, _ = sniffing(L16)
    machine.receive(b"\x01\x00", 0.0)
    assert machine.is_holding


def test_refused_audio_is_counted() -> None:
    drops: Counter[str] = Counter()
    machine = RefusedFraming(drops)
    assert frame(machine, [b"a", b"b"]) == []
    assert drops == {"unsupported_format": 2}
