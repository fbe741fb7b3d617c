"""How fast the index answers: `python -m tests.bench.library --recordings N`.

Fills an index in a temporary directory, then asks it what people ask, each time
something else, and compares every answer with that of a simpler list. Exits with 1 if
one is wrong, never for a time.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.progress import track

from server.audio import Outcome
from server.library.index import RecordingIndex, RecordingQuery
from server.library.layout import make_id
from server.library.recording import Recording, Verdict
from server.library.rows import Entry
from tests.bench.library_cases import (
    DIRECTIONS,
    FAILED_EVERY,
    FIRST,
    LIMIT,
    NODE_ID,
    OWN_NUMBERS,
    TAG,
    TAGGED_EVERY,
    Case,
    Question,
    Reference,
    call_id,
    cases,
    started_at,
)

BATCH = 2000
ROUNDS = 40
PRINT = sys.stdout.write

_PATTERN = Recording(
    id="",
    call_id="",
    node_id=NODE_ID,
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
        reference = fill(index, options.recordings)
        taken = time.perf_counter() - started
        index.close()
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / 1e6
        PRINT(f"{options.recordings} recordings in {taken:.0f} s, {size:.0f} MB\n")
        wrong = 0 if len(index) == options.recordings else 1
        every = [*cases(reference), deep_pages(index, reference)]
        wrong += sum(measure(index, case, options.rounds) for case in every)
        index.close()
    PRINT(f"{wrong} wrong answers\n")
    return 1 if wrong else 0


def fill(index: RecordingIndex, count: int) -> Reference:
    """Put recordings in, as a year of calls would have left them."""
    reference, chance, batch = Reference(), random.Random(1), list[Entry]()
    is_shown = sys.stdout.isatty()
    for number in track(range(count), "building the index", disable=not is_shown):
        recording = _recording(number, chance)
        reference.add(recording)
        batch.append(Entry(recording))
        if len(batch) == BATCH or number == count - 1:
            index.add_many(batch)
            batch.clear()
    return reference


def _recording(number: int, chance: random.Random) -> Recording:
    start = started_at(number)
    is_failed = number % FAILED_EVERY == 0
    return replace(
        _PATTERN,
        id=make_id(start),
        call_id=call_id(number),
        control_id=str(uuid.UUID(int=chance.getrandbits(128))),
        direction=DIRECTIONS[number % len(DIRECTIONS)],
        started_at=start,
        ended_at=start + timedelta(seconds=chance.randrange(600)),
        state=Outcome.FAILED if is_failed else Outcome.COMPLETE,
        from_number=f"+{12_010_000_000 + chance.randrange(7_000_000_000)}",
        to_number=f"+{15_550_100_000 + chance.randrange(OWN_NUMBERS)}",
        sha256=f"{chance.getrandbits(256):064x}",
        size_bytes=chance.randrange(10_000_000),
        tags=(TAG,) if number % TAGGED_EVERY == 0 else (),
    )


def deep_pages(index: RecordingIndex, reference: Reference) -> Case:
    """Return pages far behind the first, by the cursor of the page before."""

    def ask(chance: random.Random) -> Question:
        number = chance.randrange(1, len(reference.ids))
        before = started_at(number + 1)
        page = index.page(RecordingQuery(started_before=before, limit=1))
        older = range(number - 1, -1, -1)
        query = RecordingQuery(cursor=page.next_cursor, limit=LIMIT)
        return query, reference.page(older)

    return Case("deep page by cursor", ask)


def measure(index: RecordingIndex, case: Case, rounds: int) -> int:
    """Ask one kind of question several times; return the number of wrong answers."""
    times, wrong, found, chance = [], 0, 0, random.Random(2)
    for _ in range(rounds):
        query, expected = case.ask(chance)
        started = time.perf_counter()
        page = index.page(query)
        times.append((time.perf_counter() - started) * 1000)
        found += len(page.items)
        wrong += [one.id for one in page.items] != expected
    times.sort()
    p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
    PRINT(
        f"{case.name:<38} p50 {p50:6.1f}  p95 {p95:6.1f}  max {times[-1]:6.1f} ms"
        f"  {found / rounds:5.1f} found{f'  {wrong} WRONG' if wrong else ''}\n"
    )
    return wrong


if __name__ == "__main__":
    sys.exit(main())
