"""The table of connection states."""

from __future__ import annotations

from relay_client.states import SERVING, TRANSITIONS, ConnectionState, Trigger


def test_every_state_can_be_reached_and_left() -> None:
    reached = set(TRANSITIONS.values())
    left = {state for state, _ in TRANSITIONS}
    assert reached == left == set(ConnectionState)


def test_only_an_accepted_login_serves() -> None:
    ways_in = {
        trigger
        for (state, trigger), target in TRANSITIONS.items()
        if target in SERVING and state not in SERVING
    }
    assert ways_in == {Trigger.ACCEPTED}


def test_a_stop_is_possible_in_every_state() -> None:
    stopped = {s: TRANSITIONS[s, Trigger.STOP] for s in ConnectionState}
    assert set(stopped.values()) == {ConnectionState.DISCONNECTED}
