from __future__ import annotations

from server.rtp.telephone_event import TelephoneEvent, TelephoneEventDecoder


def report(event: int, duration: int, *, end: bool = False) -> bytes:
    return bytes([event, 0x80 * end | 10]) + duration.to_bytes(2, "big")


def test_one_digit_comes_out_of_all_its_reports() -> None:
    decoder = TelephoneEventDecoder()
    for duration in (160, 320, 480):
        assert decoder.receive(1000, report(5, duration)) == []
    assert decoder.receive(1000, report(5, 640, end=True)) == [
        TelephoneEvent("5", 1000, 640)
    ]
    assert decoder.receive(1000, report(5, 640, end=True)) == []
    assert decoder.receive(1000, report(5, 640, end=True)) == []
    assert decoder.finish() == []


def test_the_same_digit_again_is_another_one() -> None:
    decoder = TelephoneEventDecoder()
    first = decoder.receive(1000, report(11, 640, end=True))
    second = decoder.receive(3000, report(11, 800, end=True))
    assert first + second == [
        TelephoneEvent("#", 1000, 640),
        TelephoneEvent("#", 3000, 800),
    ]


def test_a_digit_whose_end_is_lost_is_complete_when_the_next_begins() -> None:
    decoder = TelephoneEventDecoder()
    decoder.receive(1000, report(1, 480))
    assert decoder.receive(3000, report(15, 160)) == [TelephoneEvent("1", 1000, 480)]
    assert decoder.finish() == [TelephoneEvent("D", 3000, 160)]


def test_an_event_that_is_no_digit_is_nothing() -> None:
    decoder = TelephoneEventDecoder()
    assert decoder.receive(1000, report(16, 800, end=True)) == []
    assert decoder.finish() == []
