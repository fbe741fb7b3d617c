"""How fast the index answers: `python -m tests.bench.library --recordings N`.

Fills an index in a temporary directory, then asks it what people ask, each time
something else, and compares every answer with what was put in. Exits with 1 if one is
wrong, never for a time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import uuid
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.progress import track

from server.audio import Outcome
from server.library.index import RecordingIndex, RecordingQuery
from server.library.layout import make_id
from server.library.recording import Recording, Verdict
from server.library.rows import Entry

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=31.5)
"""Between recordings: a million of them are a year."""
DIRECTIONS = ("speak", "listen", "both", "stereo")
LIMIT = 50
BATCH = 2000
ROUNDS = 40
PRINT = sys.stdout.write
RARE_TAG_EVERY = 5000
FAILED_EVERY = 1000


@dataclass(slots=True)
class Made:
    """What was put in, by number of the recording."""

    ids: list[str] = field(default_factory=list)
    callers: array[int] = field(default_factory=lambda: array("q"))
    called: array[int] = field(default_factory=lambda: array("q"))

    def started_at(self, number: int) -> datetime:
        """Return when a recording started."""
        return FIRST + number * STEP

    def call_id(self, number: int) -> str:
        """Return the call of a recording; two recordings share one."""
        return str(uuid.UUID(int=random.Random(number // 2).getrandbits(128)))


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of question, and what the answer has to be."""

    name: str
    ask: Callable[[], tuple[RecordingQuery, Sequence[str] | None]]
    """Returns the ids that the page must have; None where nobody counted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.library")
    parser.add_argument("--recordings", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="tapdeck-bench-") as folder:
        index = RecordingIndex(Path(folder) / "index.sqlite")
        index.create()
        started = time.perf_counter()
        made = fill(index, options.recordings)
        taken = time.perf_counter() - started
        index.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        PRINT(
            f"{options.recordings} recordings in {taken:.0f} s, {size / 1e6:.0f} MB\n"
        )
        wrong = sum(measure(index, case, options.rounds) for case in cases(made))
        index.close()
    PRINT(f"{wrong} wrong answers\n")
    return 1 if wrong else 0


def fill(index: RecordingIndex, count: int) -> Made:
    """Put recordings in, as a year of calls would have left them."""
    made, chance, batch = Made(), random.Random(1), list[Entry]()
    for number in track(range(count), "building the index", disable=not _is_shown()):
        recording = _recording(made, number, chance)
        batch.append(Entry(recording))
        if len(batch) == BATCH or number == count - 1:
            index.add_many(batch)
            batch.clear()
    return made


def _recording(made: Made, number: int, chance: random.Random) -> Recording:
    started_at = made.started_at(number)
    made.ids.append(make_id(started_at))
    made.callers.append(1_201_000_0000 + chance.randrange(700_000_0000))
    made.called.append(1_555_010_0000 + chance.randrange(500))
    is_failed = number % FAILED_EVERY == 0
    return replace(
        _PATTERN,
        id=made.ids[-1],
        call_id=made.call_id(number),
        control_id=str(uuid.UUID(int=chance.getrandbits(128))),
        direction=DIRECTIONS[number % 2],
        started_at=started_at,
        ended_at=started_at + timedelta(seconds=chance.randrange(600)),
        state=Outcome.FAILED if is_failed else Outcome.COMPLETE,
        from_number=f"+{made.callers[-1]}",
        to_number=f"+{made.called[-1]}",
        sha256=f"{chance.getrandbits(256):064x}",
        size_bytes=chance.randrange(10_000_000),
        tags=("rare",) if number % RARE_TAG_EVERY == 0 else (),
    )


_PATTERN = Recording(
    id="",
    call_id="",
    node_id="0f5b2c6e-node-7",
    control_id="",
    direction="both",
    transport="ws",
    origin="relay",
    codec="PCMU",
    sample_rate=8000,
    channels=1,
    started_at=FIRST,
    state=Outcome.COMPLETE,
    verdict=Verdict(True, "every packet arrived"),
    end_reason="the call ended",
)


def cases(made: Made) -> Iterator[Case]:
    """Return what is asked, in the order of the table."""
    chance, total = random.Random(2), len(made.ids)
    newest = range(total - 1, -1, -1)

    def some() -> int:
        return chance.randrange(total)

    def first_where(keep: Callable[[int], bool], start: int) -> list[str]:
        found: list[str] = []
        for number in range(start, -1, -1):
            if keep(number):
                found.append(made.ids[number])
                if len(found) == LIMIT:
                    break
        return found

    def text(
        needle: str, keep: Callable[[int], bool]
    ) -> tuple[RecordingQuery, list[str]]:
        return RecordingQuery(text=needle, limit=LIMIT), first_where(keep, total - 1)

    def number_of(number: int) -> tuple[RecordingQuery, None]:
        return RecordingQuery(text=str(made.callers[number]), limit=LIMIT), None

    yield Case(
        "first page",
        lambda: (RecordingQuery(limit=LIMIT), [made.ids[n] for n in newest[:LIMIT]]),
    )
    yield Case("whole number of a caller", lambda: number_of(some()))
    yield Case(
        "last seven digits of a caller",
        lambda: (
            RecordingQuery(text=str(made.callers[some()])[-7:], limit=LIMIT),
            None,
        ),
    )


def measure(index: RecordingIndex, case: Case, rounds: int) -> int:
    """Ask one kind of question several times; return the number of wrong answers."""
    times, wrong, found = [], 0, 0
    for _ in range(rounds):
        query, expected = case.ask()
        started = time.perf_counter()
        page = index.page(query)
        times.append((time.perf_counter() - started) * 1000)
        found += len(page.items)
        if expected is not None and [one.id for one in page.items] != list(expected):
            wrong += 1
    times.sort()
    p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    PRINT(
        f"{case.name:<40} p50 {p50:8.1f}  p95 {p95:8.1f}  max {times[-1]:8.1f} ms"
        f"  {found / rounds:5.1f} found{f'  {wrong} WRONG' if wrong else ''}\n"
    )
    return wrong


def _is_shown() -> bool:
    return sys.stdout.isatty()


if __name__ == "__main__":
    sys.exit(main())
