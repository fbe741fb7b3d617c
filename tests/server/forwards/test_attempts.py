"""Patience with a destination, and how little is logged about it."""

from __future__ import annotations

from server.forwards.attempts import MAX_DELAY_S, STEADY_S, Attempts


def test_each_failure_in_a_row_doubles_the_delay_up_to_a_limit() -> None:
    attempts = Attempts(100)
    delays = []
    for _ in range(9):
        attempts.failed("refused", 0)
        delays.append(attempts.delay_s)
    assert delays == [0.5, 1, 2, 4, 8, 16, MAX_DELAY_S, MAX_DELAY_S, MAX_DELAY_S]


def test_of_a_series_the_first_and_the_end_are_told() -> None:
    attempts = Attempts(100)
    lines = [attempts.failed("refused", 0) for _ in range(9)]
    assert lines == ["refused; trying again", *[""] * 8]
    assert attempts.ended() == "9 attempts before failed: refused"


def test_one_failure_alone_has_been_told() -> None:
    attempts = Attempts(100)
    assert attempts.failed("refused", 0)
    assert attempts.ended() == ""


def test_it_is_given_up_after_as_many_as_there_may_be() -> None:
    attempts = Attempts(2)
    attempts.failed("refused", 0)
    assert not attempts.is_used_up
    assert attempts.failed("cut", 1) == "given up after 2 attempts: cut"
    assert attempts.is_used_up


def test_a_connection_that_lasted_ends_the_series() -> None:
    attempts = Attempts(3)
    attempts.failed("refused", 0)
    attempts.failed("refused", 0)
    line = attempts.failed("cut", STEADY_S)
    assert line == "cut; trying again (2 attempts before failed: refused)"
    assert attempts.delay_s == 0.5
    assert not attempts.is_used_up


def test_an_attempt_that_took_long_and_never_connected_is_a_failure() -> None:
    attempts = Attempts(2)
    for _ in range(2):
        attempts.failed("it did not answer in time", 0)
    assert attempts.is_used_up


def test_there_may_be_one_attempt_only() -> None:
    attempts = Attempts(1)
    assert attempts.failed("refused", 0) == "given up after 1 attempts: refused"
