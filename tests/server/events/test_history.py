from __future__ import annotations

import pytest

from server.events.history import History


def test_events_are_numbered_from_one() -> None:
    history = History("run")
    assert history.last == 0
    history.add("tap.began", "a", "{}")
    assert history.last == 1
    kept = history.get(1)
    assert kept is not None
    assert (kept.kind, kept.control_id) == ("tap.began", "a")
    assert kept.frame == b"id: run-1\nevent: tap.began\ndata: {}\n\n"
    assert history.get(2) is None


def test_the_oldest_go_when_there_are_too_many() -> None:
    history = History("run", max_events=3)
    for _ in range(5):
        history.add("tap.began", "a", "{}")
    assert [history.get(number) is not None for number in range(1, 6)] == [
        *(False, False),
        *(True, True, True),
    ]
    # Who knows of event 2 has missed nothing; who knows only of event 1 has.
    assert not history.reaches_back_to(1)
    assert history.reaches_back_to(2)
    assert history.reaches_back_to(5)
    assert not history.reaches_back_to(6)


def test_the_oldest_go_when_they_are_too_large() -> None:
    history = History("run", max_bytes=1000)
    for _ in range(10):
        history.add("forward.reply", "a", "x" * 400)
    assert [number for number in range(1, 11) if history.get(number)] == [9, 10]
    history.add("forward.reply", "a", "x" * 2000)
    assert history.get(11) is None
    assert history.reaches_back_to(11)
    assert not history.reaches_back_to(10)
    history.add("forward.reply", "a", "small")
    assert history.get(12) is not None


def test_an_empty_history_reaches_back_to_its_beginning_only() -> None:
    history = History("run")
    assert history.reaches_back_to(0)
    assert not history.reaches_back_to(-1)
    assert not history.reaches_back_to(1)


def test_an_id_is_of_its_run() -> None:
    history = History("run")
    assert history.number_of(history.id_of(12)) == 12
    assert history.number_of("run-0") == 0


@pytest.mark.parametrize(
    "text",
    ["", "12", "other-12", "run-", "run-x", "run--1", "run-1 ", "run-" + 99 * "9"],
)
def test_what_is_no_id_of_this_run_has_no_number(text: str) -> None:
    assert History("run").number_of(text) is None
