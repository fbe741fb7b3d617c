"""The server's side of RFC 6455, told by what it is sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.taps.ws_frames import CloseCode, Opcode
from server.taps.ws_receiver import (
    MAX_WAITING_BYTES,
    BinaryMessages,
    TextMessage,
    WsReceiver,
    WsState,
)
from tests.server.taps.ws_client import closing, masked


def receiver(max_message_bytes: int = 1000) -> WsReceiver:
    return WsReceiver(max_message_bytes=max_message_bytes)


def state(ws: WsReceiver) -> WsState:
    """Return the state, of which mypy would believe that it stays."""
    return ws.state


def is_urgent(ws: WsReceiver) -> bool:
    return ws.is_urgent


def messages(ws: WsReceiver) -> list[tuple[bytes | str, float]]:
    """Return what was taken, message by message."""
    found: list[tuple[bytes | str, float]] = []
    for each in ws.take():
        if isinstance(each, TextMessage):
            found.append((each.text, each.now))
        else:
            found += zip(each.split(), each.times, strict=True)
    return found


def test_messages_of_one_size_come_out_as_one_batch_with_their_times() -> None:
    ws = receiver()
    for turn in range(3):
        assert ws.receive_data(masked(bytes([turn]) * 160), turn / 50) == 1
    (batch,) = ws.take()
    assert isinstance(batch, BinaryMessages)
    assert batch.data == bytes(160) + b"\x01" * 160 + b"\x02" * 160
    assert (batch.length, batch.times) == (160, [0.0, 0.02, 0.04])
    assert ws.take() == []


def test_when_the_last_waiting_audio_came_is_known_until_it_is_taken() -> None:
    ws = receiver()
    ws.receive_data(masked(bytes(160)), 3.0)
    assert [ws.last_binary_at, len(ws.take()), ws.last_binary_at] == [3.0, 1, None]


def test_messages_keep_their_order_whatever_they_are() -> None:
    ws = receiver()
    ws.receive_data(masked(b"one") + masked(b"two") + masked(b"hi", Opcode.TEXT), 1.0)
    ws.receive_data(masked(b"six") + masked(b"seven") + masked(b""), 2.0)
    assert messages(ws) == [
        (b"one", 1.0),
        (b"two", 1.0),
        ("hi", 1.0),
        (b"six", 2.0),
        (b"seven", 2.0),
        (b"", 2.0),
    ]


def test_a_text_is_urgent_and_audio_is_not_until_there_is_much_of_it() -> None:
    ws = receiver()
    ws.receive_data(masked(b"text", Opcode.TEXT), 0.0)
    assert is_urgent(ws)
    assert ws.data_to_send() == b""
    ws.take()
    while not is_urgent(ws):
        ws.receive_data(masked(bytes(160)), 0.0)
    assert 0 < len(messages(ws)) * 168 <= MAX_WAITING_BYTES
    ws.data_to_send()
    sizes = 0
    while not is_urgent(ws):
        sizes += 1
        ws.receive_data(masked(bytes(1 + sizes % 2)), 0.0)
    assert sizes < MAX_WAITING_BYTES / 32


@given(st.data())
def test_how_the_bytes_are_cut_into_reads_does_not_matter(data: st.DataObject) -> None:
    payload = st.binary(max_size=150)
    sent = data.draw(st.lists(st.one_of(payload, st.text(max_size=50)), max_size=8))
    stream = b"".join(
        masked(each)
        if isinstance(each, bytes)
        else masked(each.encode(), Opcode.TEXT) + masked(b"beat", Opcode.PING)
        for each in sent
    )
    ws = receiver()
    count = 0
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        count += ws.receive_data(stream[:size], 0.0)
        stream = stream[size:]
    assert [each for each, _ in messages(ws)] == sent
    assert count == len(sent) + sum(isinstance(each, str) for each in sent)
    assert state(ws) is WsState.OPEN


def test_fragments_become_one_message_also_with_a_ping_between() -> None:
    ws = receiver()
    ws.receive_data(masked(b"before"), 0.0)
    ws.receive_data(masked(b"one ", is_final=False), 1.0)
    ws.receive_data(masked(b"hello", Opcode.PING), 1.5)
    assert ws.data_to_send() == b"\x8a\x05hello"
    ws.receive_data(masked(b"two ", Opcode.CONTINUATION, is_final=False), 2.0)
    ws.receive_data(masked(b"three", Opcode.CONTINUATION), 3.0)
    ws.receive_data(masked(b"gr", Opcode.TEXT, is_final=False), 4.0)
    ws.receive_data(masked("ün".encode(), Opcode.CONTINUATION), 5.0)
    assert messages(ws) == [(b"before", 0.0), (b"one two three", 3.0), ("grün", 5.0)]


def test_only_the_last_of_many_pings_is_answered() -> None:
    ws = receiver()
    ws.receive_data(masked(b"a", Opcode.PING) + masked(b"b", Opcode.PING), 0.0)
    assert is_urgent(ws)
    assert ws.data_to_send() == b"\x8a\x01b"
    assert not is_urgent(ws)
    ws.receive_data(masked(b"a", Opcode.PONG), 0.0)
    assert ws.data_to_send() == b""


@pytest.mark.parametrize(
    ("code", "answer"), [(1000, 1000), (1001, 1001), (4000, 4000), (7, 1000)]
)
def test_a_close_is_answered_and_ends_it(code: int, answer: int) -> None:
    ws = receiver()
    ws.receive_data(masked(b"last") + closing(code, b"bye") + masked(b"late"), 0.0)
    assert state(ws) is WsState.CLOSED
    assert ws.close_code == code
    assert ws.data_to_send() == b"\x88\x02" + answer.to_bytes(2, "big")
    assert messages(ws) == [(b"last", 0.0)]
    assert ws.receive_data(masked(b"later"), 1.0) == 0
    assert messages(ws) == []


def test_a_close_without_a_code_is_answered() -> None:
    ws = receiver()
    ws.receive_data(masked(b"", Opcode.CLOSE), 0.0)
    assert ws.close_code == CloseCode.NO_STATUS
    assert ws.data_to_send() == b"\x88\x02\x03\xe8"


def test_our_close_waits_for_theirs_and_takes_no_more_messages() -> None:
    ws = receiver()
    ws.receive_data(masked(b"taken") + masked(b"cut in two")[:9], 0.0)
    ws.close(CloseCode.GOING_AWAY, "over")
    assert state(ws) is WsState.CLOSING
    assert ws.data_to_send() == b"\x88\x06\x03\xe9over"
    ws.close(CloseCode.NORMAL, "again")
    assert ws.data_to_send() == b""
    ws.receive_data(masked(b"cut in two")[9:] + masked(b"more"), 1.0)
    ws.receive_data(masked(b"part", Opcode.CONTINUATION), 1.0)
    assert messages(ws) == [(b"taken", 0.0)]
    ws.receive_data(closing(1001), 2.0)
    assert state(ws) is WsState.CLOSED
    assert ws.close_code == 1001
    assert ws.data_to_send() == b""


def test_a_violation_while_closing_is_not_answered_twice() -> None:
    ws = receiver()
    ws.close(CloseCode.GOING_AWAY, "")
    ws.data_to_send()
    ws.receive_data(b"GET / HTTP/1.1\r\n", 0.0)
    assert state(ws) is WsState.CLOSED
    assert ws.data_to_send() == b""


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (b"\x82\x05Hello", CloseCode.PROTOCOL_ERROR),
        (masked(b"x", Opcode.CONTINUATION), CloseCode.PROTOCOL_ERROR),
        (masked(b"x", is_final=False) + masked(b"y"), CloseCode.PROTOCOL_ERROR),
        (masked(b"\xff", Opcode.TEXT), CloseCode.INVALID_TEXT),
        (masked(bytes(1001)), CloseCode.TOO_BIG),
        (masked(bytes(1001))[:8], CloseCode.TOO_BIG),
        (b"\x82\xff" + b"\xff" * 12, CloseCode.TOO_BIG),
        (
            masked(bytes(600), is_final=False)
            + masked(bytes(600), Opcode.CONTINUATION)[:8],
            CloseCode.TOO_BIG,
        ),
    ],
)
def test_a_violation_closes_with_the_code_for_it(sent: bytes, code: CloseCode) -> None:
    ws = receiver()
    ws.receive_data(masked(b"fine") + sent, 0.0)
    assert state(ws) is WsState.CLOSED
    assert ws.close_code == code
    assert is_urgent(ws)
    assert ws.data_to_send() == b"\x88\x02" + code.to_bytes(2, "big")
    assert messages(ws) == [(b"fine", 0.0)]


def test_a_message_of_the_largest_size_is_taken() -> None:
    ws = receiver()
    ws.receive_data(masked(bytes(1000)), 0.0)
    assert messages(ws) == [(bytes(1000), 0.0)]


@given(st.lists(st.binary(max_size=60), max_size=20))
def test_nothing_that_is_sent_raises(reads: list[bytes]) -> None:
    ws = receiver(100)
    for data in reads:
        ws.receive_data(data, 0.0)
        ws.data_to_send()
    assert all(len(each) <= 100 for each, _ in messages(ws))
    assert state(ws) is WsState.OPEN or ws.close_code is not None


@given(st.binary(max_size=400), st.integers(0, 7), st.integers(0, 255))
def test_one_changed_byte_never_raises(tail: bytes, at: int, value: int) -> None:
    frame = bytearray(masked(bytes(160)))
    frame[at] = value
    ws = receiver()
    ws.receive_data(masked(bytes(160)), 0.0)
    ws.receive_data(bytes(frame) + tail, 0.0)
    assert messages(ws)[0] == (bytes(160), 0.0)
