"""Each tap is sent to the address that is for it, over a transport that there is."""

from __future__ import annotations

import pytest

from server.audio import PCMU_8000
from server.config import load_settings
from server.destinations import Destinations
from server.rtp.payload_types import PayloadFormats
from server.rtp.session import RtpSession
from server.taps.limits import TapLimits
from server.taps.refusal import TapRefusedError
from server.taps.tap import Tap, TapDirection, TapOrigin, Transport


def configured(**flags: str) -> Destinations:
    return Destinations.configured(load_settings(file=None, environ={}, flags=flags))


def a_tap(transport: Transport, *, token: str = "", port: int | None = None) -> Tap:
    return Tap(
        control_id="c",
        transport=transport,
        direction=TapDirection.BOTH,
        origin=TapOrigin.RELAY,
        session=RtpSession(PayloadFormats(PCMU_8000)),
        created_at=0.0,
        limits=TapLimits(),
        token=token,
        port=port,
    )


def test_the_token_is_the_last_part_of_a_websocket_address() -> None:
    destinations = configured(tap_uri="wss://media.example.com/in/tap?site=7")
    tap = a_tap(Transport.WS, token="t-1")
    assert destinations.choose(None) is Transport.WS
    assert destinations.device(tap, codec="PCMA", ptime=20) == {
        "type": "ws",
        "params": {
            "uri": "wss://media.example.com/in/tap/t-1?site=7",
            "codec": "PCMA",
        },
    }


def test_public_ports_lie_side_by_side_as_the_local_ones_do() -> None:
    destinations = configured(
        tap_uri="rtp://8.8.8.8:30000", rtp_listen="0.0.0.0:40000-40099"
    )
    tap = a_tap(Transport.RTP, port=40_007)
    assert destinations.device(tap, codec="PCMU", ptime=30) == {
        "type": "rtp",
        "params": {"addr": "8.8.8.8", "port": 30_007, "codec": "PCMU", "ptime": 30},
    }


def test_a_shared_port_is_the_same_for_all() -> None:
    destinations = configured(tap_uri="rtp://8.8.8.8:30000")
    device = destinations.device(a_tap(Transport.RTP), codec="PCMU", ptime=20)
    assert device["params"] == {
        "addr": "8.8.8.8",
        "port": 30_000,
        "codec": "PCMU",
        "ptime": 20,
    }


def test_a_transport_without_an_address_is_refused() -> None:
    destinations = configured(tap_uri="wss://media.example.com")
    with pytest.raises(TapRefusedError, match="no destination over rtp"):
        destinations.choose("rtp")
    with pytest.raises(TapRefusedError, match="tap_uri names no destination"):
        configured().choose(None)


def test_ports_of_this_machine_serve_a_simulator_on_it() -> None:
    destinations = configured()
    destinations.use_local(8081, 40_500)
    assert destinations.choose("ws") is Transport.WS
    assert destinations.choose("rtp") is Transport.RTP
    device = destinations.device(a_tap(Transport.WS, token="t"), codec="PCMU", ptime=20)
    assert device["params"] == {"uri": "ws://127.0.0.1:8081/tap/t", "codec": "PCMU"}
