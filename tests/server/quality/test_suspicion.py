"""How findings become a warning, and how it ends."""

from __future__ import annotations

from server.audio import AudioWarning, WarningName
from server.quality.suspicion import Finding, Suspicion

BAD, GOOD, NEITHER = Finding.BAD, Finding.GOOD, Finding.NEITHER


def hear(suspicion: Suspicion, *findings: Finding) -> list[AudioWarning]:
    """Let a window of 100 samples say each of the findings."""
    told = [
        suspicion.receive(finding, 100 * number, 100 * number + 100)
        for number, finding in enumerate(findings)
    ]
    return [change for change in told if change is not None]


def a_suspicion(min_samples: int = 0) -> Suspicion:
    return Suspicion(WarningName.LAW, "It is wrong.", min_samples=min_samples)


def test_one_bad_window_is_not_enough() -> None:
    suspicion = a_suspicion()
    assert suspicion.is_idle
    assert hear(suspicion, BAD) == []
    assert suspicion.is_suspected
    assert not suspicion.is_idle


def test_two_are() -> None:
    suspicion = a_suspicion()
    warning = AudioWarning(WarningName.LAW, 100, "It is wrong.")
    assert hear(suspicion, GOOD, BAD, BAD, BAD) == [warning]
    assert suspicion.warning == warning


def test_silence_between_them_does_not_matter() -> None:
    (warning,) = hear(a_suspicion(), BAD, NEITHER, NEITHER, BAD)
    assert warning.start == 0


def test_a_good_one_between_them_does() -> None:
    suspicion = a_suspicion()
    assert hear(suspicion, BAD, GOOD, BAD, GOOD, BAD) == []
    assert hear(suspicion, GOOD) == []
    assert suspicion.is_idle


def test_a_warning_may_take_longer() -> None:
    assert hear(a_suspicion(350), BAD, BAD, BAD) == []
    assert len(hear(a_suspicion(350), BAD, BAD, BAD, BAD)) == 1


def test_three_good_ones_in_a_row_end_it_where_they_began() -> None:
    suspicion = a_suspicion()
    findings = (BAD, BAD, GOOD, GOOD, BAD, GOOD, NEITHER, GOOD, GOOD)
    raised, over = hear(suspicion, *findings)
    assert (raised.end, over.end) == (None, 500)
    assert suspicion.is_idle


def test_it_may_be_raised_again() -> None:
    changes = hear(a_suspicion(), *(BAD, BAD, GOOD, GOOD, GOOD) * 2)
    assert [(each.start, each.end) for each in changes] == [
        (0, None),
        (0, 200),
        (500, None),
        (500, 700),
    ]


def test_a_finding_may_bring_its_own_words() -> None:
    suspicion = Suspicion(WarningName.RATE, "", min_bad=1)
    warning = suspicion.receive(BAD, 0, 1, "Twice as fast.")
    assert warning is not None
    assert warning.sentence == "Twice as fast."
