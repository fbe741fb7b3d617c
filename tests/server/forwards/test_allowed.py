"""Only public addresses, and those that are listed, may be sent to."""

from __future__ import annotations

import pytest

from server.forwards.allowed import AllowList, ForbiddenAddressError
from server.forwards.rtp_socket import find_address

PRIVATE = [
    "127.0.0.1",
    "10.1.2.3",
    "192.168.1.1",
    "169.254.169.254",
    "0.0.0.0",
    "224.0.0.1",
    "::1",
    "fe80::1%eth0",
    "fd00::1",
    "::ffff:127.0.0.1",
]


@pytest.mark.parametrize("address", PRIVATE)
def test_what_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenAddressError):
        AllowList().check(address)


def test_public_ones_are_allowed() -> None:
    AllowList().check("8.8.8.8")
    AllowList().check("2606:4700:4700::1111")


def test_listed_ones_are_allowed_and_their_neighbours_are_not() -> None:
    listed = AllowList.parse(["10.1.0.0/16", "::1"])
    assert listed.allows("10.1.2.3")
    assert listed.allows("::ffff:10.1.2.3")
    assert listed.allows("::1")
    assert not listed.allows("10.2.0.1")


async def test_the_address_of_an_rtp_forward_is_judged_after_it_is_looked_up() -> None:
    listed = AllowList.parse(["127.0.0.0/8"])
    assert await find_address("127.0.0.1", listed) == "127.0.0.1"
    with pytest.raises(ForbiddenAddressError):
        await find_address("127.0.0.1", AllowList())
    with pytest.raises(ForbiddenAddressError):
        await find_address("localhost", AllowList())


@pytest.mark.parametrize("host", ["a" * 64, "a..b"])
async def test_what_is_no_name_is_an_error_like_any_other(host: str) -> None:
    with pytest.raises(OSError, match="looked up"):
        await find_address(host, AllowList())
