"""Tap directions and devices: what is refused, and how it is named."""

from __future__ import annotations

from typing import Any

import pytest

from relay_client.devices import (
    TapDevice,
    TapDirection,
    check_device,
    check_tap,
    without_rate,
)
from relay_client.errors import ArgumentError

Json = dict[str, Any]

SECRET_URI = "wss://media.example.com/tap/7f3e?sig=SECRET"


def rtp(**params: object) -> Json:
    return {"type": "rtp", "params": {"addr": "8.8.8.8", "port": 40000, **params}}


def ws(uri: object) -> Json:
    return {"type": "ws", "params": {"uri": uri}}


@pytest.mark.parametrize("direction", ["speak", "listen", "both"])
def test_every_direction_is_sent_as_given(direction: str) -> None:
    tap = {"type": "audio", "params": {"direction": direction}}
    assert check_tap(tap) == tap


def test_hear_is_taken_for_listen() -> None:
    tap = {"type": "audio", "params": {"direction": "hear"}}
    assert check_tap(tap)["params"] == {"direction": "listen"}
    assert tap["params"] == {"direction": "hear"}, "the caller's own is left alone"


def test_a_tap_without_direction_is_the_platforms_to_decide() -> None:
    assert check_tap({"type": "audio", "params": {}}) == {"type": "audio", "params": {}}


@pytest.mark.parametrize(
    ("tap", "field"),
    [
        ("audio", "tap"),
        ({"type": "video", "params": {}}, "tap.type"),
        ({"type": "audio"}, "tap.params"),
        ({"type": "audio", "params": {"direction": "in"}}, "tap.params.direction"),
        ({"type": "audio", "params": {"direction": None}}, "tap.params.direction"),
    ],
)
def test_a_bad_tap_is_refused_by_field(tap: object, field: str) -> None:
    with pytest.raises(ArgumentError) as refusal:
        check_tap(tap)
    assert refusal.value.field == field


def test_a_refused_direction_names_the_allowed_ones() -> None:
    with pytest.raises(ArgumentError, match=r"'speak', 'listen', 'both'.*'sideways'"):
        TapDirection.parse("sideways")


@pytest.mark.parametrize(
    "device",
    [
        ws("wss://example.com/tap"),
        ws("ws://127.0.0.1:8080/tap?token=1"),
        {"type": "ws", "params": {"uri": "wss://h", "codec": "opus", "rate": 8000}},
        rtp(),
        rtp(addr="203.0.113.9", codec="PCMA", ptime=120),
        rtp(port=1, ptime=10),
        rtp(port=65535),
    ],
)
def test_a_good_device_is_sent_as_given(device: Json) -> None:
    assert check_device(device, allow_private=False) == device


def test_numbers_given_as_text_are_sent_as_numbers() -> None:
    checked = check_device(rtp(port="5004", ptime="20"), allow_private=False)
    assert checked["params"]["port"] == 5004
    assert checked["params"]["ptime"] == 20


@pytest.mark.parametrize(
    ("device", "field"),
    [
        (None, "device"),
        ({"type": "udp", "params": {}}, "device.type"),
        ({"type": ["ws"], "params": {}}, "device.type"),
        ({"type": "ws"}, "device.params"),
        ({"type": "ws", "params": {}}, "device.params.uri"),
        (ws("https://example.com"), "device.params.uri"),
        (ws("wss://"), "device.params.uri"),
        (ws("wss://[::1"), "device.params.uri"),
        (rtp(codec="G729"), "device.params.codec"),
        (rtp(codec="Pcmu"), "device.params.codec"),
        (rtp(port=0), "device.params.port"),
        (rtp(port=65536), "device.params.port"),
        (rtp(port="http"), "device.params.port"),
        (rtp(port=True), "device.params.port"),
        (rtp(ptime=0), "device.params.ptime"),
        (rtp(ptime=25), "device.params.ptime"),
        (rtp(ptime=130), "device.params.ptime"),
    ],
)
def test_a_bad_device_is_refused_by_field(device: object, field: str) -> None:
    with pytest.raises(ArgumentError) as refusal:
        check_device(device, allow_private=False)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    "address",
    [
        None,
        "media.example.com",
        "2001:db8::1",
        "192.168.1.100",
        "10.0.0.1",
        "172.16.3.4",
        "127.0.0.1",
        "169.254.1.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "8.8.8.8:5000",
    ],
)
def test_rtp_goes_to_a_literal_public_ipv4_address(address: object) -> None:
    with pytest.raises(ArgumentError, match="public IPv4") as refusal:
        check_device(rtp(addr=address), allow_private=False)
    assert refusal.value.field == "device.params.addr"


def test_private_addresses_can_be_allowed() -> None:
    device = rtp(addr="127.0.0.1")
    assert check_device(device, allow_private=True) == device
    with pytest.raises(ArgumentError):
        check_device(rtp(addr="localhost"), allow_private=True)


def test_a_refused_uri_is_not_repeated() -> None:
    with pytest.raises(ArgumentError) as refusal:
        check_device(ws(SECRET_URI.replace("wss", "http")), allow_private=False)
    assert "SECRET" not in str(refusal.value)


def test_the_rate_can_be_left_out() -> None:
    assert without_rate(rtp()) is None
    assert without_rate(rtp(rate=8000)) == rtp()


def test_a_device_from_the_platform_is_read_leniently() -> None:
    params = {"addr": "10.1.1.1", "port": "1234", "ptime": "20", "codec": "pcmu"}
    device = TapDevice.from_wire({"type": "rtp", "params": params})
    assert device == TapDevice(
        type="rtp", addr="10.1.1.1", port=1234, ptime=20, codec="PCMU"
    )


@pytest.mark.parametrize("device", [{}, {"type": 5}, {"type": ""}])
def test_a_device_without_a_type_is_none(device: Json) -> None:
    assert TapDevice.from_wire(device) is None


def test_odd_members_of_a_device_are_empty() -> None:
    device = TapDevice.from_wire({"type": "rtp", "params": {"addr": 5, "port": "x"}})
    assert device == TapDevice(type="rtp")


def test_a_tap_address_is_not_in_the_repr() -> None:
    device = TapDevice.from_wire({"type": "ws", "params": {"uri": SECRET_URI}})
    assert device is not None
    assert device.uri == SECRET_URI
    assert "SECRET" not in repr(device)
