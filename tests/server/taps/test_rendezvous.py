"""Control and media meet whatever comes first, and nobody else gets in."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from server.audio import PCMU_8000, AudioFormat, Codec
from server.rtp.address import Address
from server.rtp.demux import RtpDemux
from server.rtp.packet import RtpPacket
from server.rtp.session import RtpSession
from server.taps import rendezvous as rendezvous_module
from server.taps.announcement import Announcement, PastTap, RendezvousOptions
from server.taps.limits import TapLimits
from server.taps.refusal import TapRefusedError
from server.taps.rendezvous import TOKEN_LIFE, Rendezvous
from server.taps.tap import (
    EndReason,
    Tap,
    TapDirection,
    TapOrigin,
    Transport,
)
from server.taps.tokens import TokenSigner

SECRET = b"a secret of sixteen bytes or more"
STATIC = "a-static-token-for-swml"
WALL = 1_790_000_000.0
SOURCE = ("198.51.100.7", 30_000)
OPTIONS = RendezvousOptions(expected=PCMU_8000, static_tokens=frozenset({STATIC}))


def a_rendezvous(
    options: RendezvousOptions = OPTIONS, *, accept_unknown: bool = False
) -> tuple[Rendezvous, RtpDemux]:
    demux = RtpDemux(accept_unknown=accept_unknown)
    numbers = itertools.count(1)
    made = Rendezvous(
        signer=TokenSigner(SECRET),
        demux=demux,
        limits=TapLimits(),
        options=options,
        new_id=lambda: f"id-{next(numbers)}",
    )
    return made, demux


def an_announcement(transport: Transport) -> Announcement:
    return Announcement(
        transport=transport,
        direction=TapDirection.SPEAK,
        origin=TapOrigin.RELAY,
        expected=PCMU_8000,
        call_id="call",
        node_id="node",
        from_number="+15550100001",
        to_number="+15550100002",
    )


def announce(meeting: Rendezvous, transport: Transport, now: float = 0.0) -> Tap:
    return meeting.announce(an_announcement(transport), now=now, wall=WALL)


def packets(first: int, count: int = 3) -> list[bytes]:
    return [
        RtpPacket(
            payload_type=0,
            sequence_number=n,
            timestamp=160 * n,
            ssrc=7,
            payload=bytes([n]) * 160,
        ).serialize()
        for n in range(first, first + count)
    ]


def heard(tap: Tap) -> int:
    """How many packets of its audio a tap has accepted."""
    return tap.session.counts(0).received if tap.session.track_count else 0


def test_a_websocket_finds_its_tap_by_its_token() -> None:
    meeting, _ = a_rendezvous()
    first = announce(meeting, Transport.WS)
    second = announce(meeting, Transport.WS)
    assert first.token != second.token
    assert meeting.admit(second.token, now=1.0, wall=WALL + 1) is second
    assert meeting.admit(first.token, now=1.0, wall=WALL + 1) is first
    assert (first.call_id, first.node_id) == ("call", "node")


def test_a_token_lets_a_live_tap_reconnect_after_its_expiry() -> None:
    meeting, _ = a_rendezvous()
    tap = announce(meeting, Transport.WS)
    assert meeting.admit(tap.token, now=1.0, wall=WALL + 2 * TOKEN_LIFE) is tap


def test_the_token_of_a_tap_that_is_over_opens_nothing() -> None:
    meeting, _ = a_rendezvous()
    tap = announce(meeting, Transport.WS)
    meeting.remove(tap)
    with pytest.raises(TapRefusedError) as refusal:
        meeting.admit(tap.token, now=1.0, wall=WALL)
    assert refusal.value.status == 410
    assert meeting.refused["tap_is_over"] == 1


def test_only_so_many_ended_taps_are_remembered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendezvous_module, "MAX_REMEMBERED", 1)
    meeting, _ = a_rendezvous()
    first, second = announce(meeting, Transport.WS), announce(meeting, Transport.WS)
    meeting.remove(first)
    meeting.remove(second)
    with pytest.raises(TapRefusedError):
        meeting.admit(second.token, now=1.0, wall=WALL)
    assert meeting.admit(first.token, now=1.0, wall=WALL).origin is TapOrigin.FOREIGN


def test_a_token_signed_before_a_restart_is_a_foreign_tap_with_its_id() -> None:
    before, _ = a_rendezvous()
    token = announce(before, Transport.WS).token
    after, _ = a_rendezvous()
    tap = after.admit(token, now=1.0, wall=WALL)
    assert (tap.control_id, tap.origin) == ("id-1", TapOrigin.FOREIGN)
    # The same tap once more, when its sender comes back.
    assert after.admit(token, now=2.0, wall=WALL) is tap


@pytest.mark.parametrize("token", ["", "x", "A" * 60, "\u00e9\udc80", "a" * 100_000])
def test_a_stranger_is_refused_and_counted(token: str) -> None:
    meeting, _ = a_rendezvous()
    with pytest.raises(TapRefusedError) as refusal:
        meeting.admit(token, now=1.0, wall=WALL)
    assert refusal.value.status == 403
    assert meeting.refused.total() == 1
    assert not meeting.taps


def test_a_stranger_is_welcome_where_any_stream_is() -> None:
    meeting, _ = a_rendezvous(replace(OPTIONS, accept_any=True))
    tap = meeting.admit("", now=1.0, wall=WALL)
    assert tap.origin is TapOrigin.FOREIGN
    assert meeting.next_begun() is tap
    assert meeting.next_begun() is None


def test_each_connection_to_a_fixed_address_is_a_tap_of_its_own() -> None:
    meeting, _ = a_rendezvous()
    first = meeting.admit(STATIC, now=1.0, wall=WALL)
    second = meeting.admit(STATIC, now=1.0, wall=WALL)
    assert first is not second
    assert first.origin is TapOrigin.STATIC


def test_rtp_is_taken_from_the_source_that_the_platform_named() -> None:
    meeting, demux = a_rendezvous()
    tap = announce(meeting, Transport.RTP)
    meeting.source_named(tap, SOURCE)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    assert heard(tap) == 3


def test_a_source_is_the_same_however_it_is_written() -> None:
    meeting, demux = a_rendezvous()
    tap = announce(meeting, Transport.RTP)
    meeting.source_named(tap, (f"::FFFF:{SOURCE[0]}", SOURCE[1]))
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    assert heard(tap) == 3


def test_rtp_that_comes_before_the_reply_is_kept_for_its_tap() -> None:
    meeting, demux = a_rendezvous()
    tap = announce(meeting, Transport.RTP)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    assert heard(tap) == 0
    meeting.source_named(tap, SOURCE)
    assert heard(tap) == 3


def test_the_platform_says_what_it_sends_from_there() -> None:
    meeting, demux = a_rendezvous()
    tap = announce(meeting, Transport.RTP)
    meeting.source_named(tap, SOURCE, AudioFormat(Codec.L16, 16_000))
    sent = [(data[:1] + b"\x60" + data[2:], SOURCE) for data in packets(1)]
    demux.receive_datagrams(sent, 40_000, 1.0)
    assert heard(tap) == 3
    assert tap.session.track_format(0) == AudioFormat(Codec.L16, 16_000)


def test_each_tap_gets_a_port_and_gives_it_back() -> None:
    meeting, demux = a_rendezvous(replace(OPTIONS, ports=(40_000, 40_001)))
    first, second = (announce(meeting, Transport.RTP) for _ in range(2))
    assert {first.port, second.port} == {40_000, 40_001}
    with pytest.raises(TapRefusedError, match="All 2 RTP ports are in use"):
        announce(meeting, Transport.RTP)
    assert meeting.refused["no_free_port"] == 1

    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_001, 1.0)
    demux.handle_timer(2.0)
    assert heard(second) == 3
    meeting.remove(first)
    assert announce(meeting, Transport.RTP, now=12.0).port == first.port


def test_a_port_rests_before_another_tap_gets_it() -> None:
    meeting, demux = a_rendezvous(replace(OPTIONS, ports=(40_000, 40_001)))
    first, second = (announce(meeting, Transport.RTP) for _ in range(2))
    meeting.source_named(first, SOURCE)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    meeting.remove(first)
    demux.handle_timer(2.0)
    meeting.remove(second)
    with pytest.raises(TapRefusedError, match="or were until 10 s ago"):
        announce(meeting, Transport.RTP, now=3.0)
    demux.receive_datagrams([(data, SOURCE) for data in packets(4)], 40_000, 5.0)
    third = announce(meeting, Transport.RTP, now=14.0)
    assert third.port == second.port
    assert heard(first) == 3
    assert demux.drops == {"after_end": 3}


def test_a_tap_that_ends_while_its_source_is_waited_for_keeps_its_audio() -> None:
    meeting, demux = a_rendezvous(replace(OPTIONS, ports=(40_000,)))
    tap = announce(meeting, Transport.RTP)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    tap.end(EndReason.SHUTDOWN, 1.1)
    assert meeting.take_due(1.1) == [tap]
    assert heard(tap) == 3


def test_strangers_are_not_held_once_every_tap_has_its_source() -> None:
    meeting, demux = a_rendezvous()
    stranger = [(data, ("203.0.113.9", 1)) for data in packets(1)]
    demux.receive_datagrams(stranger, 40_000, 1.0)
    assert demux.held_datagrams == 0
    named, given_up = (announce(meeting, Transport.RTP) for _ in range(2))
    demux.receive_datagrams(stranger, 40_000, 1.1)
    assert demux.held_datagrams == 3
    meeting.source_named(named, SOURCE)
    assert demux.awaiting == 1
    meeting.remove(given_up)
    assert demux.awaiting == 0


def test_a_named_source_takes_a_port_over() -> None:
    meeting, demux = a_rendezvous(replace(OPTIONS, ports=(40_000,)))
    tap = announce(meeting, Transport.RTP)
    meeting.source_named(tap, SOURCE)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    assert heard(tap) == 3


def test_an_unknown_rtp_source_becomes_a_tap_where_any_stream_is_welcome() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True), accept_unknown=True
    )
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    meeting.welcome_sources(1.1)
    (tap,) = meeting.taps.values()
    assert (tap.origin, heard(tap)) == (TapOrigin.FOREIGN, 3)
    assert isinstance(tap.session, RtpSession)


def test_an_unknown_rtp_source_is_not_taken_when_there_is_no_room() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True, max_taps=0), accept_unknown=True
    )
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    meeting.welcome_sources(1.1)
    assert not meeting.taps
    assert meeting.refused["too_many_taps"] == 1


def test_no_tap_is_added_while_that_would_put_the_others_at_risk() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True), accept_unknown=True
    )
    meeting.overload = "the event loop is 300 ms late"
    assert not meeting.has_room
    with pytest.raises(TapRefusedError, match="300 ms late"):
        meeting.admit("anything", now=1.0, wall=WALL)
    demux.receive_datagrams([(data, SOURCE) for data in packets(1)], 40_000, 1.0)
    meeting.welcome_sources(1.1)
    assert not meeting.taps
    assert meeting.refused["overload"] == 2


def stream_from(demux: RtpDemux, meeting: Rendezvous, host: str, port: int) -> None:
    batch = [(data, (host, port)) for data in packets(1)]
    demux.receive_datagrams(batch, 40_000, 1.0)
    meeting.welcome_sources(1.0)


def test_strangers_leave_room_for_announced_taps() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True, max_taps=20), accept_unknown=True
    )
    for number in range(6):
        stream_from(demux, meeting, f"203.0.113.{number}", 1)
    meeting.admit("", now=1.0, wall=WALL)
    for _ in range(3):
        guest = meeting.admit(STATIC, now=1.0, wall=WALL)
    with pytest.raises(TapRefusedError, match="nobody announced") as refusal:
        meeting.admit(STATIC, now=1.0, wall=WALL)
    assert refusal.value.status == 503
    stream_from(demux, meeting, "203.0.113.9", 1)
    assert meeting.refused == {"too_many_foreign_taps": 2}
    assert len(meeting.taps) == 10
    for _ in range(10):
        announce(meeting, Transport.WS)
    meeting.remove(guest)
    assert meeting.admit(STATIC, now=1.0, wall=WALL)


def test_one_stranger_leaves_room_for_others() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True, max_taps=100), accept_unknown=True
    )
    for port in range(1, 31):
        stream_from(demux, meeting, "203.0.113.9", port)
    assert len(meeting.taps) == 20
    stream_from(demux, meeting, "203.0.113.10", 1)
    assert len(meeting.taps) == 21
    assert meeting.refused == {"too_many_foreign_taps": 10}


def test_no_tap_is_taken_beyond_the_limit() -> None:
    meeting, _ = a_rendezvous(replace(OPTIONS, max_taps=1))
    tap = announce(meeting, Transport.WS)
    assert meeting.is_full
    with pytest.raises(TapRefusedError, match="1 taps are live") as refusal:
        announce(meeting, Transport.WS)
    assert refusal.value.status == 503
    assert meeting.admit(tap.token, now=1.0, wall=WALL) is tap


def test_no_new_tap_is_taken_while_stopping_and_live_ones_go_on() -> None:
    meeting, _ = a_rendezvous()
    tap = announce(meeting, Transport.WS)
    meeting.close()
    with pytest.raises(TapRefusedError, match="stopping"):
        meeting.admit(STATIC, now=1.0, wall=WALL)
    assert meeting.admit(tap.token, now=1.0, wall=WALL) is tap


def test_taps_whose_end_is_due_are_handed_out() -> None:
    meeting, _ = a_rendezvous()
    going_on, ending = announce(meeting, Transport.WS), announce(meeting, Transport.WS)
    ending.end(EndReason.STOPPED, 5.0)
    assert meeting.take_due(5.0) == [ending]
    assert going_on.end_reason is None


def test_a_big_endian_setting_reaches_the_session() -> None:
    meeting, _ = a_rendezvous(replace(OPTIONS, l16_byte_order="big"))
    assert meeting.admit(STATIC, now=1.0, wall=WALL).transport is Transport.WS


def test_a_call_may_have_only_so_many_taps() -> None:
    meeting, _ = a_rendezvous(replace(OPTIONS, max_taps_per_source=2))
    tap = announce(meeting, Transport.WS)
    announce(meeting, Transport.RTP)
    with pytest.raises(TapRefusedError, match="2 taps of this source") as refusal:
        announce(meeting, Transport.WS)
    assert refusal.value.status == 503
    assert meeting.refused == {"too_many_taps_of_a_source": 1}
    meeting.remove(tap)
    announce(meeting, Transport.WS)


def test_a_network_may_have_only_so_many_taps_that_nobody_announced() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True, max_taps_per_source=2), accept_unknown=True
    )
    network = "203.0.113.9"
    meeting.admit(STATIC, now=1.0, wall=WALL, network=network)
    stream_from(demux, meeting, network, 1)
    stream_from(demux, meeting, network, 2)
    with pytest.raises(TapRefusedError, match="2 taps of this source"):
        meeting.admit("", now=1.0, wall=WALL, network=network)
    assert meeting.refused == {"too_many_taps_of_a_source": 2}
    # A proxy on this machine speaks for everybody.
    for _ in range(3):
        meeting.admit(STATIC, now=1.0, wall=WALL)


def a_past_tap(
    transport: Transport, *, port: int | None = None, source: Address | None = None
) -> PastTap:
    return PastTap(
        control_id="past",
        announcement=an_announcement(transport),
        port=port,
        source=source,
    )


def test_a_tap_from_before_a_restart_is_found_by_its_token() -> None:
    meeting, _ = a_rendezvous()
    token = TokenSigner(SECRET).issue("past", int(WALL) + 60)
    tap = meeting.restore(a_past_tap(Transport.WS), now=0.0, resume_by=15.0)
    assert tap is not None
    assert meeting.admit(token, now=1.0, wall=WALL) is tap
    assert (tap.call_id, tap.origin) == ("call", TapOrigin.RELAY)
    assert tap.is_control_lost
    assert tap.resume_by == 15.0
    assert meeting.next_begun() is tap


def test_a_tap_from_before_a_restart_is_found_by_its_source() -> None:
    meeting, demux = a_rendezvous()
    past = a_past_tap(Transport.RTP, source=SOURCE)
    tap = meeting.restore(past, now=0.0, resume_by=15.0)
    assert tap is not None
    demux.receive_datagrams([(each, SOURCE) for each in packets(1)], 40_000, 1.0)
    assert heard(tap) == 3


def test_a_tap_from_before_a_restart_is_found_by_its_port() -> None:
    options = RendezvousOptions(expected=PCMU_8000, ports=(40_000, 40_001))
    meeting, demux = a_rendezvous(options)
    past = a_past_tap(Transport.RTP, port=40_001, source=SOURCE)
    tap = meeting.restore(past, now=0.0, resume_by=15.0)
    assert tap is not None
    assert announce(meeting, Transport.RTP).port == 40_000
    demux.receive_datagrams([(each, SOURCE) for each in packets(1)], 40_001, 1.0)
    assert heard(tap) == 3


def test_a_tap_from_before_a_restart_is_recorded_since_it_began() -> None:
    meeting, _ = a_rendezvous()
    past = replace(a_past_tap(Transport.WS), recorded_s=70.0)
    tap = meeting.restore(past, now=100.0, resume_by=115.0)
    assert tap is not None
    assert tap.recorded_since == 30.0


def test_taps_from_before_a_restart_are_among_those_of_their_call() -> None:
    meeting, _ = a_rendezvous(replace(OPTIONS, max_taps_per_source=2))
    past = meeting.restore(a_past_tap(Transport.WS), now=0.0, resume_by=15.0)
    announce(meeting, Transport.WS)
    with pytest.raises(TapRefusedError, match="2 taps of this source"):
        announce(meeting, Transport.WS)
    assert past is not None
    meeting.remove(past)
    announce(meeting, Transport.WS)


def test_taps_from_before_a_restart_are_among_those_of_their_network() -> None:
    meeting, demux = a_rendezvous(
        replace(OPTIONS, accept_any=True, max_taps=4, max_taps_per_source=2),
        accept_unknown=True,
    )
    past = a_past_tap(Transport.RTP, source=SOURCE)
    announcement = replace(past.announcement, origin=TapOrigin.FOREIGN, call_id="")
    past = replace(past, announcement=announcement, network=SOURCE[0])
    tap = meeting.restore(past, now=0.0, resume_by=15.0)
    assert tap is not None
    stream_from(demux, meeting, SOURCE[0], 1)
    stream_from(demux, meeting, SOURCE[0], 2)
    assert len(meeting.taps) == 2
    # Half of the room is for those that nobody announced, and full.
    assert meeting.refused == {"too_many_foreign_taps": 1}
    meeting.remove(tap)
    stream_from(demux, meeting, SOURCE[0], 3)
    assert len(meeting.taps) == 2


@pytest.mark.parametrize("port", [None, 50_000])
def test_a_tap_from_before_a_restart_that_nothing_tells_is_not_waited_for(
    port: int | None,
) -> None:
    meeting, _ = a_rendezvous()
    past = a_past_tap(Transport.RTP, port=port)
    assert meeting.restore(past, now=0.0, resume_by=15.0) is None
    assert not meeting.taps
