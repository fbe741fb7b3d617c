"""New taps are refused before those that there are lose audio."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.headroom import REST_S, Headroom, Load

WELL = Load(loop_lag_s=0.001, buffer_fill=0.01, dropped=0, writer_lag_s=0.0)


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        (replace(WELL, loop_lag_s=1.25), "the event loop is 1250 ms late"),
        (replace(WELL, buffer_fill=0.6), "the socket buffer is 60% full"),
        (replace(WELL, dropped=1), "datagrams were dropped"),
        (replace(WELL, writer_lag_s=3.0), "writing is 3.0 s behind"),
        (replace(WELL, files_open=3800, files_limit=4000), "only 200 of 4000 open"),
        (replace(WELL, files_open=90, files_limit=100), "only 10 of 100 open files"),
        (replace(WELL, unfinished=1.1), "too many recordings wait for room"),
    ],
)
def test_each_sign_of_too_much_is_a_reason(load: Load, reason: str) -> None:
    told = Headroom().observe(load, 0.0)
    assert told is not None
    assert told.startswith(reason)


def test_a_server_that_is_well_has_room() -> None:
    assert Headroom().observe(WELL, 0.0) is None


def test_it_has_to_be_well_for_a_while() -> None:
    headroom = Headroom()
    dropped = replace(WELL, dropped=5)
    assert headroom.observe(dropped, 10.0)
    assert headroom.observe(dropped, 10.0 + REST_S - 0.1)
    assert headroom.observe(dropped, 10.0 + REST_S) is None


def test_files_are_no_reason_while_there_are_enough_or_no_limit() -> None:
    enough = replace(WELL, files_open=3700, files_limit=4000)
    assert Headroom().observe(enough, 0.0) is None
    assert Headroom().observe(replace(WELL, files_open=10**6), 0.0) is None
