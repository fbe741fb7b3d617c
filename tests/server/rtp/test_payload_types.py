from __future__ import annotations

import pytest

from server.audio import PCMA_8000, PCMU_8000, AudioFormat, Codec
from server.rtp.payload_types import PayloadFormats, PayloadKind, Signal

L16_16000 = AudioFormat(Codec.L16, 16_000, 1, "little")
OPUS = AudioFormat(Codec.OPUS, 48_000)
WIDE_PCMU = AudioFormat(Codec.PCMU, 16_000)


@pytest.mark.parametrize(
    ("payload_type", "kind"),
    [
        (0, PCMU_8000),
        (8, PCMA_8000),
        (9, None),
        (10, AudioFormat(Codec.L16, 44_100, 2)),
        (11, AudioFormat(Codec.L16, 44_100, 1)),
        (13, Signal.CN),
        (34, None),
        (95, None),
        (96, None),
        (127, None),
    ],
)
def test_static_payload_types(payload_type: int, kind: PayloadKind) -> None:
    assert PayloadFormats(PCMU_8000).kind_of(payload_type, 160) == kind


@pytest.mark.parametrize("asked", [L16_16000, WIDE_PCMU])
def test_a_dynamic_payload_type_is_what_was_asked_for(asked: AudioFormat) -> None:
    formats = PayloadFormats(asked)
    assert formats.kind_of(96, 320) == asked
    assert formats.kind_of(127, 320) == asked
    assert formats.kind_of(0, 160) == PCMU_8000


def test_opus_is_48_khz_mono_whatever_was_asked() -> None:
    assert PayloadFormats(AudioFormat(Codec.OPUS, 16_000, 2)).kind_of(111, 80) == OPUS


def test_static_l16_has_the_byte_order_that_was_asked_for() -> None:
    kind = PayloadFormats(L16_16000).kind_of(11, 320)
    assert kind == AudioFormat(Codec.L16, 44_100, 1, "little")


@pytest.mark.parametrize("asked", [PCMU_8000, PCMA_8000, OPUS, L16_16000])
def test_101_with_four_bytes_is_a_telephone_event(asked: AudioFormat) -> None:
    assert PayloadFormats(asked).kind_of(101, 4) is Signal.TELEPHONE_EVENT


def test_any_dynamic_type_with_four_bytes_is_one_beside_g711() -> None:
    assert PayloadFormats(PCMU_8000).kind_of(97, 4) is Signal.TELEPHONE_EVENT
    assert PayloadFormats(OPUS).kind_of(97, 4) == OPUS
    assert PayloadFormats(PCMU_8000).kind_of(0, 4) == PCMU_8000
