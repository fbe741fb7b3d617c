"""Frames of RFC 6455, with the examples of its section 5.7."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.taps.ws_frames import (
    CloseCode,
    FrameHead,
    Opcode,
    close_payload,
    is_sendable,
    parse_close,
    parse_head,
    serialize_control,
    unmask,
    unmask_equal,
)
from tests.server.taps.ws_client import masked

HELLO = bytes.fromhex("818537fa213d7f9f4d5158")


def test_the_rfc_s_masked_text_is_read() -> None:
    assert parse_head(HELLO, 0) == FrameHead(Opcode.TEXT, True, 6, 5)
    assert unmask(HELLO, 6) == b"Hello"


@pytest.mark.parametrize(
    ("length", "size"), [(0, 6), (125, 6), (126, 8), (65535, 8), (65536, 14)]
)
def test_each_form_of_length_is_read(length: int, size: int) -> None:
    frame = masked(bytes(length))
    assert parse_head(b"..." + frame, 3) == FrameHead(Opcode.BINARY, True, size, length)
    assert unmask(frame, size) == bytes(length)


def test_a_length_of_64_bits_is_read_and_not_believed() -> None:
    head = parse_head(b"\x82\xff" + b"\xff" * 8 + b"mask", 0)
    assert isinstance(head, FrameHead)
    assert head.length == 2**64 - 1


@pytest.mark.parametrize("cut", range(10))
def test_a_head_that_is_cut_is_not_there_yet(cut: int) -> None:
    assert parse_head(masked(bytes(65536))[:cut], 0) is None


@pytest.mark.parametrize(
    "frame",
    [
        b"\x82\x05Hello",  # not masked
        b"\xc2\x80mask",  # RSV1
        b"\xa2\x80mask",  # RSV2
        b"\x92\x80mask",  # RSV3
        b"\x83\x80mask",  # reserved opcode
        b"\x8b\x80mask",  # reserved control opcode
        b"\x09\x80mask",  # ping in fragments
        b"\x89\xfe\x00\x7emask",  # ping of more than 125 bytes
    ],
)
def test_a_head_that_breaks_the_protocol_is_refused(frame: bytes) -> None:
    assert parse_head(frame, 0) is CloseCode.PROTOCOL_ERROR


@given(st.binary(max_size=3000), st.binary(min_size=4, max_size=4))
def test_unmasking_undoes_masking(payload: bytes, mask: bytes) -> None:
    frame = masked(payload, mask=mask)
    assert unmask(frame, len(frame) - len(payload)) == payload


@given(st.integers(1, 200), st.integers(1, 6), st.randoms())
def test_frames_of_one_size_are_unmasked_together(
    length: int, count: int, source: object
) -> None:
    payloads = [bytes((7 * at + n) % 256 for n in range(length)) for at in range(count)]
    frames = [
        masked(each, mask=bytes([at, 2, 3, 4])) for at, each in enumerate(payloads)
    ]
    assert unmask_equal(frames, len(frames[0]) - length) == b"".join(payloads)


def test_control_frames_go_out_unmasked() -> None:
    assert serialize_control(Opcode.PONG, b"Hello") == bytes.fromhex("8a0548656c6c6f")


def test_a_close_carries_its_code_and_a_reason_that_fits() -> None:
    payload = close_payload(1001, "x" * 200)
    assert len(payload) == 125
    assert parse_close(payload) == 1001
    assert parse_close(b"") == CloseCode.NO_STATUS
    assert parse_close(b"\x03") == CloseCode.NO_STATUS


def test_only_codes_that_mean_something_are_sent() -> None:
    assert all(map(is_sendable, (1000, 1003, 1007, 1011, 1014, 3000, 4999)))
    assert not any(map(is_sendable, (0, 999, 1004, 1005, 1006, 1015, 2999, 5000)))
