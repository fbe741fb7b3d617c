from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.webrtc.offer import OfferError, parse_offer

FINGERPRINT = "sha-256 " + ":".join(["AB"] * 32)
SESSION = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s= ", "t=0 0"]
AUDIO = [
    "m=audio 9 UDP/TLS/RTP/SAVPF 111 0",
    "a=mid:0",
    "a=recvonly",
    "a=rtcp-mux",
    "a=ice-ufrag:abcd",
    "a=ice-pwd:" + "p" * 22,
    f"a=fingerprint:{FINGERPRINT}",
    "a=setup:actpass",
    "a=rtpmap:111 opus/48000/2",
    "a=candidate:1 1 udp 1 192.0.2.1 9 typ host",
]
VIDEO = ["m=video 9 UDP/TLS/RTP/SAVPF 96 97", "a=mid:v", "a=recvonly"]


def sdp(*lines: str) -> bytes:
    return "\r\n".join([*SESSION, *lines, ""]).encode()


def without(prefix: str, lines: list[str] = AUDIO) -> list[str]:
    return [line for line in lines if not line.startswith(prefix)]


def test_what_matters_is_said_again_and_candidates_are_not() -> None:
    again = parse_offer(sdp(*AUDIO)).to_sdp()
    assert "a=ice-ufrag:abcd\r\n" in again
    assert f"a=ice-pwd:{'p' * 22}\r\n" in again
    assert f"a=fingerprint:{FINGERPRINT}\r\n" in again
    assert "a=rtpmap:111 opus/48000/2\r\n" in again
    assert "192.0.2.1" not in again
    assert parse_offer(again.encode()).to_sdp() == again


def test_no_secret_is_in_what_is_logged_of_it() -> None:
    assert "pppp" not in repr(parse_offer(sdp(*AUDIO)))


def test_what_the_session_says_holds_for_its_sections() -> None:
    credentials = [line for line in AUDIO if "ice-" in line or "finger" in line]
    rest = [line for line in AUDIO if line not in credentials]
    offer = parse_offer(sdp(*credentials, *without("a=setup", rest)))
    assert (offer.ufrag, offer.setup) == ("abcd", "actpass")
    assert offer.fingerprints == (FINGERPRINT,)


def test_sections_that_are_not_wanted_are_refused_in_their_place() -> None:
    offer = parse_offer(sdp(*VIDEO, *AUDIO))
    answer = offer.complete_answer(
        "v=0\r\nm=audio 5 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
    )
    assert answer == (
        "v=0\r\n"
        "m=video 0 UDP/TLS/RTP/SAVPF 96 97\r\n"
        "c=IN IP4 0.0.0.0\r\na=mid:v\r\na=inactive\r\n"
        "m=audio 5 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111 opus/48000/2\r\n"
        "a=fmtp:111 stereo=1;sprop-stereo=1\r\n"
    )


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"\xff\xfe",
        b"v=0\r\n",
        b"v=0\r\nnonsense\r\n",
        sdp(*VIDEO),
        sdp(*AUDIO * 17),
        sdp(*AUDIO, *AUDIO),
        sdp("m=audio", *AUDIO[1:]),
        sdp(*without("a=mid")),
        sdp(*without("a=rtcp-mux")),
        sdp(*without("a=ice-ufrag")),
        sdp(*without("a=ice-pwd")),
        sdp(*without("a=fingerprint")),
        sdp(*without("a=fingerprint"), "a=fingerprint:md5 00"),
        sdp(*without("a=rtpmap")),
        sdp(*without("a=rtpmap"), "a=rtpmap:0 PCMU/8000"),
        sdp(*without("a=rtpmap"), "a=rtpmap:112 opus/48000/2"),
        sdp(*without("a=setup"), "a=setup:holdconn"),
        sdp(*without("a=recvonly"), "a=sendonly"),
        sdp(*without("a=recvonly"), "a=inactive"),
        sdp("m=audio 9 RTP/AVP 111", *AUDIO[1:]),
        sdp("m=audio 9 UDP/TLS/RTP/SAVPF 63", *AUDIO[1:-2], "a=rtpmap:63 opus/48000/2"),
        sdp("a=ice-lite", *AUDIO),
        sdp(*without("a=ice-pwd"), "a=ice-pwd:" + "p" * 22 + "\ra=evil"),
    ],
)
def test_what_cannot_be_answered_is_refused_in_a_sentence(body: bytes) -> None:
    with pytest.raises(OfferError) as caught:
        parse_offer(body)
    assert str(caught.value).endswith(".")


@given(st.binary(max_size=300))
def test_any_bytes_are_an_offer_or_refused(body: bytes) -> None:
    with pytest.raises(OfferError):
        parse_offer(body)


@given(st.data())
def test_an_offer_with_any_line_changed_never_puts_in_a_line(
    data: st.DataObject,
) -> None:
    lines = AUDIO.copy()
    at = data.draw(st.integers(0, len(lines) - 1))
    lines[at] = data.draw(st.text(max_size=20).map(lambda text: lines[at][:12] + text))
    try:
        again = parse_offer(sdp(*lines)).to_sdp()
    except OfferError:
        return
    assert again.count("\r\n") == parse_offer(sdp(*AUDIO)).to_sdp().count("\r\n")
    assert again.isascii()
