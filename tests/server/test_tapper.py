"""What is told late is dated as well as can be known."""

from __future__ import annotations

from server.tapper import RECONCILE_S, Absence


def test_nothing_is_late_before_the_first_connection() -> None:
    away = Absence()
    away.note(1.0, is_here=False)
    away.note(2.0, is_here=True)
    assert away.before(3.0) is None


def test_what_is_told_during_or_soon_after_an_absence_may_be_old() -> None:
    away = Absence()
    away.note(0.0, is_here=True)
    away.note(5.0, is_here=False)
    away.note(6.0, is_here=False)
    assert away.before(7.0) == 5.0
    away.note(8.0, is_here=True)
    away.note(9.0, is_here=True)
    assert away.before(8.0 + RECONCILE_S) == 5.0
    assert away.before(8.1 + RECONCILE_S) is None


def test_the_latest_absence_counts() -> None:
    away = Absence()
    away.note(0.0, is_here=True)
    away.note(5.0, is_here=False)
    away.note(6.0, is_here=True)
    away.note(7.0, is_here=False)
    assert away.before(8.0) == 7.0
