"""How one source is dealt out to several taps."""

from __future__ import annotations

from server.rtp.named_source import MAX_SSRCS, NamedSource
from server.rtp.session import RtpSession
from tests.server.rtp.builders import Sender, feed, session


def key(ssrc: int) -> bytes:
    return ssrc.to_bytes(4, "big")


def two_taps() -> tuple[NamedSource, RtpSession, RtpSession]:
    source, one, other = NamedSource(), session(), session()
    source.add(one)
    source.add(other)
    return source, one, other


def test_each_new_ssrc_goes_to_the_tap_that_has_none() -> None:
    source, one, other = two_taps()
    complete = []
    for ssrc in (1, 2):
        source.deal(key(ssrc))
        complete.append(source.is_complete)
    assert complete == [False, True]
    assert source.routes == {
        key(1): one.receive_datagram,
        key(2): other.receive_datagram,
    }


def test_what_a_tap_had_before_stays_with_it() -> None:
    source, one, other = NamedSource(), session(), session()
    source.add(one)
    feed(one, Sender(ssrc=5).packets(3), 0.0)
    source.add(other)
    assert source.routes == {key(5): one.receive_datagram}
    assert source.deal(key(6)) == other.receive_datagram


def test_a_further_ssrc_goes_to_the_tap_that_is_quiet() -> None:
    source, one, other = two_taps()
    source.deal(key(1))
    source.deal(key(2))
    feed(one, Sender(ssrc=1).packets(3), 5.0)
    feed(other, Sender(ssrc=2).packets(3), 1.0)
    assert source.deal(key(3)) == other.receive_datagram


def test_the_ssrcs_of_a_tap_that_is_over_are_nobodys() -> None:
    source, one, other = two_taps()
    source.deal(key(1))
    source.deal(key(2))
    source.remove(one)
    assert source.sessions == [other]
    assert list(source.routes) == [key(2)]


def test_a_spray_of_ssrcs_is_remembered_in_bounds() -> None:
    source, one, _ = two_taps()
    source.deal(key(1))
    feed(one, Sender(ssrc=1).packets(3), 0.0)
    for ssrc in range(2, 1000):
        source.deal(key(ssrc))
    assert len(source.routes) <= 2 * MAX_SSRCS
    assert source.routes[key(1)] == one.receive_datagram
