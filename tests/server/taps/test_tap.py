"""The life of a tap: states, ends that are due, ends that are taken back."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from server.audio import PCMU_8000, AudioFormat, PacketCounts, TrackEvent
from server.taps.limits import TapLimits
from server.taps.tap import (
    TRANSITIONS,
    EndReason,
    Tap,
    TapDirection,
    TapInput,
    TapOrigin,
    TapState,
    Transport,
)

LIMITS = TapLimits(
    sign=10,
    stall=2,
    drain=10,
    quiet=0.5,
    quiet_ws=2,
    grace=3,
    idle=60,
    forgotten=1000,
)


@dataclass
class SilentSession:
    """A media session that hears what the test says it heard."""

    drops: Counter[str] = field(default_factory=Counter)
    last_media_at: float | None = None
    ended: str | None = None
    ended_at: float | None = None
    track_count: int = 0

    def heard(self, now: float) -> None:
        self.last_media_at = now
        self.track_count = 1

    def take(self, now: float) -> list[tuple[int, TrackEvent]]:
        return []

    def finish(self, now: float, *, pad: bool) -> None:
        """There is nothing to finish."""

    def track_format(self, track: int) -> AudioFormat:
        return PCMU_8000

    def track_started_at(self, track: int) -> float:
        return 0.0

    def sender_started_at(self, track: int) -> float | None:
        return None

    def counts(self, track: int) -> PacketCounts:
        return PacketCounts()

    def get_timer(self) -> float | None:
        return None

    def handle_timer(self, now: float) -> None:
        """There is no timer."""


def a_tap(
    transport: Transport = Transport.WS, origin: TapOrigin = TapOrigin.RELAY
) -> tuple[Tap, SilentSession]:
    session = SilentSession()
    tap = Tap(
        control_id="c",
        transport=transport,
        direction=TapDirection.BOTH,
        origin=origin,
        session=session,
        created_at=0.0,
        limits=LIMITS,
    )
    return tap, session


# Read through functions: the type checker takes attributes for constant in between.
def state(tap: Tap) -> TapState:
    return tap.state


def reason(tap: Tap) -> EndReason | None:
    return tap.end_reason


def ended_at(tap: Tap) -> float | None:
    return tap.ended_at


def is_over(tap: Tap) -> bool:
    return tap.is_over


def test_every_state_has_its_row_and_the_last_ones_are_empty() -> None:
    assert set(TRANSITIONS) == set(TapState)
    final = {state for state, row in TRANSITIONS.items() if not row}
    assert final == {TapState.FINISHED, TapState.FAILED}


def test_first_audio_makes_it_receive() -> None:
    tap, session = a_tap()
    tap.observe(1.0)
    assert state(tap) is TapState.WAITING
    session.heard(1.5)
    tap.observe(2.0)
    assert state(tap) is TapState.RECEIVING


def test_quiet_stalls_it_and_audio_revives_it() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.observe(1.1)
    tap.observe(3.5)
    assert state(tap) is TapState.STALLED
    session.heard(3.6)
    tap.observe(3.7)
    assert state(tap) is TapState.RECEIVING


def test_audio_that_came_and_went_between_two_looks_counts() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.observe(9.0)
    assert state(tap) is TapState.STALLED


def test_control_end_waits_for_audio_under_way() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.control_ended(EndReason.STOPPED, 1.1)
    assert not tap.is_due(1.2)
    assert tap.is_due(3.1)


def test_rtp_drain_is_cut_short_by_quiet() -> None:
    tap, session = a_tap(Transport.RTP)
    session.heard(1.0)
    tap.control_ended(EndReason.STOPPED, 1.1)
    session.heard(1.3)
    assert not tap.is_due(1.7)
    assert tap.is_due(1.8)


def test_it_is_quiet_when_the_end_was_told_and_nothing_came_for_so_long() -> None:
    tap, session = a_tap(Transport.RTP)
    assert not tap.is_quiet(9.0, 0.1)
    tap.control_ended(EndReason.STOPPED, 1.0)
    assert not tap.is_quiet(1.05, 0.1)
    assert tap.is_quiet(1.11, 0.1)
    session.heard(1.3)
    assert not tap.is_quiet(1.35, 0.1)
    assert tap.is_quiet(1.41, 0.1)


def test_control_end_after_media_end_is_due_at_once() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.connected()
    tap.disconnected(2.0)
    assert not tap.is_due(2.0)
    tap.control_ended(EndReason.HANGUP, 2.1)
    assert tap.is_due(2.1)
    assert reason(tap) is EndReason.HANGUP
    assert tap.ended_at == 2.0


def test_media_end_after_control_end_is_due_at_once() -> None:
    tap, _ = a_tap()
    tap.connected()
    tap.control_ended(EndReason.STOPPED, 2.0)
    tap.disconnected(2.1)
    assert tap.is_due(2.1)
    assert reason(tap) is EndReason.STOPPED


def test_hang_up_explains_why_the_platform_ended_the_tap() -> None:
    tap, _ = a_tap()
    tap.control_ended(EndReason.FINISHED, 1.0)
    tap.control_ended(EndReason.HANGUP, 1.2)
    assert reason(tap) is EndReason.HANGUP
    assert tap.ended_at == 1.0


def test_a_second_word_of_control_changes_nothing_else() -> None:
    tap, _ = a_tap()
    tap.control_ended(EndReason.STOPPED, 1.0)
    tap.control_ended(EndReason.HANGUP, 1.2)
    assert reason(tap) is EndReason.STOPPED


def test_control_answers_our_stop_of_a_tap_that_is_over_and_changes_nothing() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.connected()
    tap.disconnected(2.0)
    tap.close()
    tap.control_ended(EndReason.STOPPED, 5.0)
    assert reason(tap) is EndReason.CLOSED


def test_a_stream_that_says_stop_is_closed_and_control_may_still_say_why() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.connected()
    session.ended = "stop"
    tap.observe(1.0)
    assert reason(tap) is EndReason.CLOSED
    tap.disconnected(1.1)
    assert not tap.is_due(1.2)
    tap.control_ended(EndReason.HANGUP, 1.3)
    assert tap.is_due(1.3)
    assert reason(tap) is EndReason.HANGUP


def test_a_tap_whose_control_is_lost_ends_when_it_is_idle() -> None:
    tap, session = a_tap(Transport.RTP)
    session.heard(1.0)
    tap.control_lost()
    tap.observe(60.9)
    assert reason(tap) is None
    tap.observe(61.0)
    assert reason(tap) is EndReason.IDLE


def test_a_sender_that_comes_back_takes_its_end_back() -> None:
    tap, session = a_tap(origin=TapOrigin.STATIC)
    session.heard(1.0)
    tap.connected()
    tap.disconnected(2.0, "WebSocket close code 1006")
    assert tap.end_detail == "WebSocket close code 1006"
    tap.connected()
    assert reason(tap) is None
    assert ended_at(tap) is None
    assert not tap.is_due(100.0)
    tap.disconnected(3.0)
    assert not tap.is_due(5.9)
    assert tap.is_due(6.0)


def test_one_of_two_connections_gone_ends_nothing() -> None:
    tap, _ = a_tap()
    tap.connected()
    tap.connected()
    tap.disconnected(1.0)
    assert reason(tap) is None


def test_bye_ends_it_unless_the_source_goes_on() -> None:
    tap, session = a_tap(Transport.RTP, TapOrigin.FOREIGN)
    session.heard(1.0)
    session.ended, session.ended_at = "bye", 1.1
    tap.observe(1.2)
    assert reason(tap) is EndReason.BYE
    assert tap.ended_at == 1.1
    session.ended = None
    session.heard(1.4)
    tap.observe(1.5)
    assert reason(tap) is None


def test_bye_without_audio_ends_it_when_noticed() -> None:
    tap, session = a_tap(Transport.RTP, TapOrigin.FOREIGN)
    session.ended = "bye"
    tap.observe(1.2)
    assert tap.ended_at == 1.2
    tap.close()
    assert state(tap) is TapState.FAILED


def test_no_sign_of_the_tap_ends_it() -> None:
    tap, _ = a_tap()
    tap.accepted(1.0)
    tap.observe(10.9)
    assert reason(tap) is None
    tap.observe(11.0)
    assert reason(tap) is EndReason.NO_AUDIO
    assert tap.is_due(11.0)


def test_a_confirmed_tap_may_stay_silent_for_long() -> None:
    tap, _ = a_tap()
    tap.accepted(1.0)
    tap.confirmed()
    tap.observe(999.0)
    assert reason(tap) is None
    tap.observe(1001.0)
    assert reason(tap) is EndReason.IDLE


def test_an_uncontrolled_tap_ends_with_its_last_audio() -> None:
    tap, session = a_tap(Transport.RTP, TapOrigin.FOREIGN)
    session.heard(5.0)
    tap.observe(64.0)
    assert reason(tap) is None
    tap.observe(65.0)
    assert reason(tap) is EndReason.IDLE
    assert tap.ended_at == 5.0


def test_an_uncontrolled_tap_that_is_connected_may_be_silent() -> None:
    tap, _ = a_tap(origin=TapOrigin.STATIC)
    tap.connected()
    tap.observe(500.0)
    assert reason(tap) is None


def test_an_uncontrolled_tap_without_audio_ends_when_noticed() -> None:
    tap, _ = a_tap(Transport.RTP, TapOrigin.FOREIGN)
    tap.observe(60.0)
    assert tap.ended_at == 60.0


def test_nothing_is_checked_once_an_end_is_due() -> None:
    tap, session = a_tap(Transport.RTP, TapOrigin.FOREIGN)
    session.heard(1.0)
    tap.end(EndReason.ERROR, 2.0, "why")
    tap.observe(500.0)
    assert reason(tap) is EndReason.ERROR


def test_ending_now_cuts_no_drain_short_that_control_began() -> None:
    tap, session = a_tap()
    session.heard(1.0)
    tap.control_ended(EndReason.STOPPED, 1.0)
    tap.end(EndReason.SHUTDOWN, 1.5)
    assert reason(tap) is EndReason.STOPPED
    assert tap.ended_at == 1.0
    assert not tap.is_due(1.5)
    session.heard(2.0)
    assert not tap.is_due(3.9)
    assert tap.is_due(4.0)


def test_a_drain_has_an_end_though_audio_goes_on() -> None:
    tap, session = a_tap(Transport.RTP)
    tap.control_ended(EndReason.STOPPED, 1.0)
    session.heard(10.9)
    assert not tap.is_due(10.9)
    assert tap.is_due(11.0)


def test_an_end_that_is_told_late_counts_from_when_it_was() -> None:
    tap, session = a_tap(Transport.RTP)
    session.heard(1.0)
    tap.control_ended(EndReason.HANGUP, 9.0, ended_at=1.2)
    assert tap.ended_at == 1.2
    assert not tap.is_due(9.4)
    assert tap.is_due(9.5)


def test_a_peer_that_vanished_sent_no_silence() -> None:
    tap, session = a_tap()
    session.heard(10.0)
    tap.connected()
    tap.disconnected(70.0, "WebSocket close code 1006")
    assert tap.ended_at == 10.0
    assert tap.finish_at == 73.0


@pytest.mark.parametrize(("heard", "detail"), [(10.0, ""), (69.0, "WebSocket 1006")])
def test_a_peer_that_says_so_or_was_just_heard_ends_when_it_closes(
    heard: float, detail: str
) -> None:
    tap, session = a_tap()
    session.heard(heard)
    tap.connected()
    tap.disconnected(70.0, detail)
    assert tap.ended_at == 70.0


def test_ending_now_replaces_an_end_that_media_told() -> None:
    tap, _ = a_tap()
    tap.connected()
    tap.disconnected(1.0)
    tap.end(EndReason.SHUTDOWN, 1.5)
    assert reason(tap) is EndReason.SHUTDOWN


@pytest.mark.parametrize(
    ("heard", "expected"), [(True, TapState.FINISHED), (False, TapState.FAILED)]
)
def test_closing_finishes_or_fails_it(heard: bool, expected: TapState) -> None:
    tap, session = a_tap()
    if heard:
        session.heard(1.0)
    assert not is_over(tap)
    tap.close()
    assert state(tap) is expected
    assert is_over(tap)
    assert not TRANSITIONS[tap.state].get(TapInput.MEDIA)


def test_the_token_is_not_in_its_repr() -> None:
    tap, _ = a_tap()
    tap.token = "very-secret-token"
    assert "very-secret-token" not in repr(tap)


def test_a_tap_ends_when_it_has_been_recorded_for_as_long_as_may_be() -> None:
    tap, session = a_tap()
    tap.limits = replace(LIMITS, duration=100)
    tap.connected()
    tap.observe(500.0)
    # Nothing is recorded yet; position 0 is heard at 0.0.
    assert reason(tap) is None
    session.heard(99.0)
    tap.observe(99.5)
    assert reason(tap) is None
    session.heard(100.0)
    tap.observe(100.2)
    assert reason(tap) is EndReason.LIMIT
    assert (tap.end_detail, ended_at(tap)) == ("100 s", 100.2)
    assert tap.is_due(100.2)


def test_what_was_recorded_before_a_restart_counts_as_well() -> None:
    tap, session = a_tap()
    tap.limits = replace(LIMITS, duration=100)
    tap.recorded_since, tap.resume_by = -60.0, 1000.0
    tap.observe(50.0)
    # Until its audio is back nothing more is recorded.
    assert reason(tap) is None
    session.heard(39.0)
    tap.observe(39.5)
    assert reason(tap) is None
    session.heard(40.0)
    tap.observe(40.0)
    assert reason(tap) is EndReason.LIMIT


def test_a_tap_with_a_token_of_its_own_is_waited_for_longer() -> None:
    tap, session = a_tap(transport=Transport.WS)
    tap.limits = replace(LIMITS, reconnect=30)
    tap.is_returning = True
    tap.connected()
    session.heard(1.0)
    tap.disconnected(2.0, "1006")
    tap.observe(31.0)
    assert not tap.is_due(31.0)
    tap.connected()
    assert reason(tap) is None
    tap.disconnected(40.0)
    assert not tap.is_due(69.0)
    assert tap.is_due(70.0)


def test_a_stream_that_said_stop_is_not_waited_for_so_long() -> None:
    tap, session = a_tap(transport=Transport.WS)
    tap.limits = replace(LIMITS, reconnect=30)
    tap.is_returning = True
    tap.connected()
    session.heard(1.0)
    session.ended, session.ended_at = "stop", 2.0
    tap.disconnected(2.0)
    assert tap.is_due(2.0 + LIMITS.grace)


def test_a_tap_from_before_a_restart_waits_for_its_audio_until_then() -> None:
    tap, _ = a_tap()
    tap.resume_by = 12.0
    tap.observe(11.9)
    assert reason(tap) is None
    tap.observe(12.0)
    assert reason(tap) is EndReason.INTERRUPTED
    assert tap.is_due(12.0)


def test_a_tap_whose_audio_came_back_goes_on() -> None:
    tap, session = a_tap()
    tap.resume_by = 12.0
    session.heard(5.0)
    tap.observe(13.0)
    assert reason(tap) is None
