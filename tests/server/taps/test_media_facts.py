"""What the media says of itself is known where control said nothing."""

from __future__ import annotations

import json

from server.audio import PCMU_8000
from server.rtp.payload_types import PayloadFormats
from server.rtp.session import RtpSession
from server.taps.limits import TapLimits
from server.taps.media_facts import MediaFacts, media_facts
from server.taps.media_session import MediaSession
from server.taps.tap import (
    Tap,
    TapDirection,
    TapOrigin,
    Transport,
)
from server.taps.ws_session import WsSession


def a_tap(session: MediaSession, call_id: str = "") -> Tap:
    return Tap(
        control_id="c",
        call_id=call_id,
        transport=Transport.WS,
        direction=TapDirection.BOTH,
        origin=TapOrigin.STATIC,
        session=session,
        created_at=0.0,
        limits=TapLimits(),
    )


def a_started_stream(call_sid: str = "CALL-42", **parameters: str) -> WsSession:
    session = WsSession(PCMU_8000)
    start = {"callSid": call_sid, "customParameters": {"agent": "7", **parameters}}
    session.receive_text(json.dumps({"event": "start", "start": start}), 0.0)
    return session


def test_a_media_stream_names_its_call_and_its_parameters() -> None:
    facts = media_facts(a_tap(a_started_stream()))
    assert facts == MediaFacts("CALL-42", {"agent": "7"})


def test_what_control_says_of_the_call_counts_more() -> None:
    assert media_facts(a_tap(a_started_stream(), "relay-call")).call_id == "relay-call"


def test_a_media_stream_says_its_tags_unless_control_did() -> None:
    tap = a_tap(a_started_stream(tags="stt, billing,,stt"))
    assert media_facts(tap).tags == ("stt", "billing")
    tap.tags = ("given",)
    assert media_facts(tap).tags == ("given",)


def test_a_name_from_the_wire_is_cut_and_printable() -> None:
    facts = media_facts(a_tap(a_started_stream("a\n" + "b" * 5000)))
    assert facts.call_id == "a" + "b" * 254


def test_a_format_that_cannot_be_decoded_is_named() -> None:
    session = WsSession(PCMU_8000)
    session.receive_text('{"content-type": "audio/g729"}', 0.0)
    session.receive_bytes(b"1234567890", 0.1)
    assert media_facts(a_tap(session)) == MediaFacts("", {}, "audio/g729", 1)


def test_rtp_says_nothing_of_its_call() -> None:
    session = RtpSession(PayloadFormats(PCMU_8000))
    assert media_facts(a_tap(session, "relay-call")) == MediaFacts("relay-call")
