from __future__ import annotations

import pytest

from server.rtp.address import (
    Address,
    address_text,
    network_of,
    normal_address,
    parse_address,
)


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("::FFFF:C633:6407", "198.51.100.7"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("media.example.com", "media.example.com"),
        ("not: an address", "not: an address"),
    ],
)
def test_a_host_has_one_address_however_it_is_written(host: str, normal: str) -> None:
    assert normal_address(host, 5004) == (normal, 5004)


def test_a_network_is_what_one_sender_can_have() -> None:
    assert network_of("198.51.100.7") != network_of("198.51.100.8")
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9")
    assert network_of("2001:db8:1:2::1") != network_of("2001:db8:1:3::1")


@pytest.mark.parametrize(
    "address", [("203.0.113.7", 40_000), ("2001:db8::7", 1), ("::1", 65_535)]
)
def test_an_address_is_read_as_it_was_written(address: Address) -> None:
    assert parse_address(address_text(address)) == address


@pytest.mark.parametrize(
    "text",
    ["", ":", "203.0.113.7", "203.0.113.7:", ":4", "h:0", "h:65536", "h:x", "h:²"],
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert parse_address(text) is None
