"""What the index is asked in its benchmark, and what it has to answer.

Answers come from a second, much simpler list: every recording as one line of text, one
behind the other, searched from the end.
"""

from __future__ import annotations

import bisect
import itertools
import random
import uuid
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from server.library.index import RecordingQuery
from server.library.recording import Recording

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=31.5)
"""Between recordings: a million of them are a year."""
DIRECTIONS = ("speak", "listen")
TAG, TAGGED_EVERY = "billing", 5000
FAILED_EVERY = 1000
NODE_ID = "0f5b2c6e-node-7"
OWN_NUMBERS = 500
"""Numbers that are called; each of them again and again."""
LIMIT = 50


@dataclass(slots=True)
class Reference:
    """What was put in, by number of the recording."""

    ids: list[str] = field(default_factory=list)
    callers: array[int] = field(default_factory=lambda: array("q"))
    called: array[int] = field(default_factory=lambda: array("q"))
    _text: bytearray = field(default_factory=bytearray)
    _starts: array[int] = field(default_factory=lambda: array("q"))

    def add(self, recording: Recording) -> None:
        """Take in the next recording."""
        self.ids.append(recording.id)
        self.callers.append(int(recording.from_number))
        self.called.append(int(recording.to_number))
        self._starts.append(len(self._text))
        words = (
            recording.id,
            recording.call_id,
            recording.node_id,
            recording.control_id,
            recording.from_number,
            recording.to_number,
            *recording.tags,
        )
        self._text += "".join(f"{word}\n" for word in words).lower().encode()

    def having(self, needle: str) -> Iterator[int]:
        """Return the recordings that have a text in them, newest first."""
        wanted, end = needle.lower().encode(), len(self._text)
        while (at := self._text.rfind(wanted, 0, end)) >= 0:
            number = bisect.bisect_right(self._starts, at) - 1
            yield number
            end = self._starts[number]

    def newest(self) -> Iterator[int]:
        """Return all recordings, newest first."""
        return iter(range(len(self.ids) - 1, -1, -1))

    def page(self, numbers: Iterable[int], limit: int = LIMIT) -> list[str]:
        """Return the ids of the first so many recordings."""
        return [self.ids[number] for number in itertools.islice(numbers, limit)]


Question = tuple[RecordingQuery, list[str]]
"""A query, and the ids that its page must have."""


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of question, which is something else each time."""

    name: str
    ask: Callable[[random.Random], Question]


def started_at(number: int) -> datetime:
    """Return when a recording started."""
    return FIRST + number * STEP


def call_id(number: int) -> str:
    """Return the call of a recording; two recordings share one."""
    return str(uuid.UUID(int=random.Random(number // 2).getrandbits(128)))


def cases(reference: Reference) -> Iterator[Case]:
    """Return everything that is asked, in the order of the table."""
    yield from _plain(reference)
    yield from _searches(reference)
    yield from _filters(reference)


def _plain(reference: Reference) -> Iterator[Case]:
    def page(limit: int) -> Callable[[random.Random], Question]:
        expected = reference.page(reference.newest(), limit)
        return lambda _: (RecordingQuery(limit=limit), expected)

    yield Case("first page", page(LIMIT))
    yield Case("first page of 500", page(500))


def _searches(reference: Reference) -> Iterator[Case]:
    total = len(reference.ids)

    def search(name: str, needle: Callable[[random.Random], str]) -> Case:
        def ask(chance: random.Random) -> Question:
            text = needle(chance)
            expected = reference.page(reference.having(text))
            return RecordingQuery(text=text, limit=LIMIT), expected

        return Case(name, ask)

    def caller(chance: random.Random) -> str:
        return str(reference.callers[chance.randrange(total)])

    def called(chance: random.Random) -> str:
        return str(reference.called[chance.randrange(total)])

    yield search("number, one hit", lambda chance: f"+{caller(chance)}")
    yield search("last 7 digits", lambda chance: caller(chance)[-7:])
    yield search("last 4 digits", lambda chance: caller(chance)[-4:])
    yield search("number, thousands of hits", called)
    yield search("number, every recording", lambda _: "+1555010")
    yield search(
        "number, no hit", lambda chance: f"+1999{chance.randrange(10_000_000):07}"
    )
    yield search(
        "number, no hit, common digits",
        lambda chance: f"15550100{chance.randrange(OWN_NUMBERS, 1000)}",
    )
    yield search("no hit, commonest digits", lambda _: "155501055")
    yield search("word, no hit", lambda _: "nobody")
    yield search("two digits", lambda chance: str(chance.randrange(10, 100)))
    yield search("two characters, no hit", lambda _: "#1")
    yield search("one character, no hit", lambda _: "#")
    yield search("id", lambda chance: reference.ids[chance.randrange(total)])
    yield search(
        "part of a call id", lambda chance: call_id(chance.randrange(total))[:8]
    )


def _filters(reference: Reference) -> Iterator[Case]:
    total = len(reference.ids)

    def window(
        days: int, direction: str | None = None, text: str = ""
    ) -> Callable[[random.Random], Question]:
        def ask(chance: random.Random) -> Question:
            start = chance.randrange(total)
            end = min(total, start + -(-timedelta(days=days) // STEP))
            numbers: Iterable[int] = range(end - 1, start - 1, -1)
            if direction is not None:
                numbers = (n for n in numbers if _direction(n) == direction)
            if text:
                having = itertools.takewhile(
                    lambda n: n >= start, reference.having(text)
                )
                numbers = (n for n in having if n < end)
            query = RecordingQuery(
                text=text,
                started_from=started_at(start),
                started_before=started_at(start) + timedelta(days=days),
                direction=direction,
                limit=LIMIT,
            )
            return query, reference.page(numbers)

        return ask

    def every(step: int, query: RecordingQuery) -> Callable[[random.Random], Question]:
        expected = reference.page(n for n in reference.newest() if n % step == 0)
        return lambda _: (query, expected)

    def call(chance: random.Random) -> Question:
        first = chance.randrange(total) // 2 * 2
        pair = [n for n in (first + 1, first) if n < total]
        return RecordingQuery(call_id=call_id(first)), reference.page(pair)

    yield Case("time: a day", window(1))
    yield Case("time: 60 days", window(60))
    yield Case("time: a day, and direction", window(1, "speak"))
    yield Case("time: 60 days, and direction, no hit", window(60, "both"))
    yield Case("time: a day, and number, no hit", window(1, text="155501055"))
    yield Case("call id", call)
    failed = RecordingQuery(state="failed", limit=LIMIT)
    yield Case("tag", every(TAGGED_EVERY, RecordingQuery(tag=TAG, limit=LIMIT)))
    yield Case("state", every(FAILED_EVERY, failed))
    yield Case("state, and number", every(FAILED_EVERY, replace(failed, text="+1555")))


def _direction(number: int) -> str:
    return DIRECTIONS[number % len(DIRECTIONS)]
