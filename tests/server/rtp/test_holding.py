from __future__ import annotations

from collections import Counter

import pytest

from server.rtp.holding import (
    MAX_SCALE,
    NETWORK_SHARE,
    HeldDatagram,
    HoldingArea,
    HoldingBounds,
)
from server.rtp.packet import RtpPacket

A = ("198.51.100.1", 4000)
B = ("198.51.100.2", 4000)
C = ("198.51.100.3", 4000)


def hold(
    area: HoldingArea, addr: tuple[str, int], sequence_number: int, now: float = 0.0
) -> bool:
    packet = RtpPacket(0, sequence_number, 0, 1, bytes(160))
    return area.hold(packet.serialize(), addr, packet, now) is not None


def area(**bounds: int) -> tuple[HoldingArea, Counter[str]]:
    drops: Counter[str] = Counter()
    return HoldingArea(drops, HoldingBounds(**bounds)), drops


def test_what_is_held_comes_out_in_order_with_its_times() -> None:
    held, drops = area()
    for number in range(3):
        hold(held, A, number, number / 10)
    hold(held, B, 7, 0.5)
    datagrams = held.claim(A)
    assert [d.at for d in datagrams] == [0.0, 0.1, 0.2]
    assert isinstance(datagrams[0], HeldDatagram)
    assert held.claim(A) == []
    assert len(held) == 1
    assert drops == {}


def test_a_source_is_valid_after_two_packets_in_sequence_of_one_ssrc() -> None:
    held, _ = area()
    assert not hold(held, A, 5)
    assert not hold(held, A, 9)
    assert hold(held, A, 10)


def test_datagrams_expire_one_by_one() -> None:
    held, drops = area()
    assert held.get_timer() is None
    hold(held, A, 1, 1.0)
    hold(held, A, 2, 3.0)
    assert held.get_timer() == 6.0
    held.handle_timer(6.0)
    assert (len(held), drops) == (1, {"unannounced": 1})
    held.handle_timer(8.0)
    assert (len(held), drops) == (0, {"unannounced": 2})
    assert held.get_timer() is None


def test_a_source_keeps_its_newest_datagrams() -> None:
    held, drops = area(max_datagrams=3)
    for number in range(5):
        hold(held, A, number, float(number) / 10)
    assert [d.at for d in held.claim(A)] == [0.2, 0.3, 0.4]
    assert drops == {"unannounced": 2}


def test_bytes_have_a_bound_for_each_source_and_in_all() -> None:
    held, drops = area(max_bytes=400)
    for number in range(5):
        hold(held, A, number)
    assert (len(held), drops) == (2, {"unannounced": 3})

    held, drops = area(max_total_bytes=400 * NETWORK_SHARE)
    for number in range(5):
        hold(held, A, number)
    assert (len(held), drops) == (2, {"unannounced": 3})
    assert len(held.claim(A)) == 2
    hold(held, A, 1)
    assert len(held) == 1


def test_bytes_of_all_networks_together_have_a_bound() -> None:
    held, drops = area(max_total_bytes=172 * NETWORK_SHARE)
    for network in range(NETWORK_SHARE):
        hold(held, (f"198.51.100.{network}", 1), 1)
    assert (len(held), drops) == (NETWORK_SHARE, {})
    hold(held, ("203.0.113.1", 1), 1)
    assert (len(held), drops) == (NETWORK_SHARE, {"unannounced": 1})


def test_one_network_cannot_crowd_out_the_others() -> None:
    held, drops = area(max_sources=64)
    for port in range(64):
        hold(held, ("203.0.113.9", port), 1)
        hold(held, ("203.0.113.9", port), 2)
    assert len(held) == 2 * 16
    assert hold(held, A, 1) or hold(held, A, 2)
    assert len(held.claim(A)) == 2
    assert drops == {"unannounced": 2 * 48}


def test_addresses_of_one_ipv6_network_share_what_one_sender_may_have() -> None:
    held, _ = area(max_sources=64)
    for host in range(64):
        hold(held, (f"2001:db8::{host:x}", 4000), 1)
    assert len(held) == 16


def test_the_share_of_a_network_is_free_again_once_its_sources_are_gone() -> None:
    held, drops = area(max_sources=4)
    assert not hold(held, A, 1)
    assert not hold(held, (A[0], 1), 1)
    assert drops == {"unannounced": 1}
    held.claim(A)
    hold(held, (A[0], 1), 1)
    assert len(held) == 1


@pytest.mark.parametrize("waiting", [0, 1, 16, 17, 100, 256, 5000])
def test_the_area_is_as_large_as_waiting_taps_need_within_bounds(waiting: int) -> None:
    held, _ = area(max_sources=64)
    held.make_room_for(waiting)
    for port in range(5000):
        hold(held, (A[0], port), 1)
    least = min(max(waiting, 16), 16 * MAX_SCALE)
    assert least <= len(held) < least + 16


def test_expiry_is_not_looked_for_with_each_datagram() -> None:
    held, _ = area()
    hold(held, A, 1, 0.0)
    held.handle_timer(4.95)
    hold(held, B, 1, 5.01)
    assert len(held) == 2
    hold(held, B, 2, 5.06)
    assert len(held) == 2


def test_streams_are_told_apart_from_strays() -> None:
    held, _ = area()
    hold(held, B, 1)
    hold(held, A, 1)
    hold(held, A, 2)
    assert held.valid_sources() == [A]


def test_a_spray_of_sources_cannot_evict_a_stream() -> None:
    held, drops = area(max_sources=2)
    hold(held, B, 1)
    hold(held, A, 1)
    hold(held, A, 2)
    for number in range(100):
        hold(held, ("203.0.113.9", number), 1)
    assert len(held.claim(A)) == 2
    assert drops == {"unannounced": 100}


def test_no_source_is_held_beyond_the_bound_if_all_are_streams() -> None:
    held, drops = area(max_sources=1)
    hold(held, A, 1)
    hold(held, A, 2)
    assert not hold(held, B, 1)
    assert len(held.claim(A)) == 2
    assert drops == {"unannounced": 1}


def test_sequences_followed_for_one_source_have_a_bound() -> None:
    held, _ = area()
    for ssrc in range(50):
        packet = RtpPacket(0, 1, 0, ssrc, bytes(160))
        assert held.hold(packet.serialize(), A, packet, 0.0) is None
    packet = RtpPacket(0, 2, 0, 49, bytes(160))
    assert held.hold(packet.serialize(), A, packet, 0.0) is not None


def test_everything_can_be_counted_out_by_a_reason() -> None:
    held, drops = area()
    hold(held, A, 1)
    hold(held, B, 1)
    held.discard("foreign_source")
    assert (len(held), drops) == (0, {"foreign_source": 2})


def test_one_source_can_be_left_out_of_that() -> None:
    held, drops = area()
    hold(held, A, 1)
    hold(held, B, 1)
    held.discard("foreign_source", but=B)
    assert drops == {"foreign_source": 1}
    assert len(held.claim(B)) == 1
