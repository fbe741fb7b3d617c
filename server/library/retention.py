"""Which recordings go, and why. Pure: rules, disk, time and recordings in, reasons out.

Age, size and free space count together. First goes what is too old; if room is still
needed, the oldest follow. Tags named in the rules have ages of their own; of several
the longest counts. They say nothing about room: then the oldest go, whatever their
tags. A legal hold is above all of it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from server.library.index import DAY_MS, Candidate

GB = 1_000_000_000
FOREVER = "keep"


class Cause(enum.StrEnum):
    """Which rule a recording goes by."""

    AGE = "age"
    SIZE = "size"
    SPACE = "space"


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """What is to be kept. None: no such rule."""

    days: int | None = None
    """How old recordings may become."""
    tag_days: Mapping[str, int | None] = field(default_factory=dict)
    """How old those of a tag may become instead; None: any age."""
    max_bytes: int | None = None
    """How much the library may occupy."""
    min_free_bytes: int | None = None
    """How much of the disk is to be free."""

    @property
    def are_none(self) -> bool:
        """Whether everything is kept."""
        by_room = self.max_bytes is None and self.min_free_bytes is None
        return by_room and self.least_days is None

    @property
    def least_days(self) -> int | None:
        """The age below which no recording is too old; None if none ever is."""
        ages = [self.days, *self.tag_days.values()]
        return min((days for days in ages if days is not None), default=None)

    def age_of(self, tags: Iterable[str]) -> tuple[int | None, str]:
        """Return how many days count for these tags, and the tag that says so."""
        own = {tag: self.tag_days[tag] for tag in tags if tag in self.tag_days}
        if not own:
            return self.days, ""
        tag = max(own, key=lambda each: (own[each] is None, own[each] or 0))
        return own[tag], tag


@dataclass(frozen=True, slots=True)
class DiskFacts:
    """How full things are before anything goes."""

    used_bytes: int
    """By the recordings."""
    free_bytes: int
    """Of the disk."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One recording that goes."""

    id: str
    cause: Cause
    reason: str
    disk_bytes: int


class Ages:
    """Judges recordings by their age.

    Args:
        rules: What is to be kept.
        now_ms: The time, in milliseconds since 1970.
    """

    def __init__(self, rules: RetentionRules, now_ms: int) -> None:
        self._rules = rules
        self._now_ms = now_ms

    def are_over_at(self, candidate: Candidate) -> bool:
        """Tell whether neither this recording nor a younger one is too old."""
        least = self._rules.least_days
        return least is None or not self._is_of(candidate, least)

    def judge(self, candidate: Candidate) -> Deletion | None:
        """Return why a recording goes, or None if it stays."""
        days, tag = self._rules.age_of(candidate.tags)
        if candidate.legal_hold or days is None or not self._is_of(candidate, days):
            return None
        reason = f"older than {days} day{'s' * (days != 1)}"
        if tag:
            reason += f", the age for its tag {tag}"
        return Deletion(candidate.id, Cause.AGE, reason, candidate.disk_bytes)

    def _is_of(self, candidate: Candidate, days: int) -> bool:
        return self._now_ms - candidate.started_ms >= days * DAY_MS


class Room:
    """Takes recordings, oldest first, until there is room enough.

    Args:
        rules: What is to be kept.
        disk: How full things are.
    """

    def __init__(self, rules: RetentionRules, disk: DiskFacts) -> None:
        self._rules = rules
        least, most = rules.min_free_bytes, rules.max_bytes
        self._excess = 0 if most is None else disk.used_bytes - most
        self._shortage = 0 if least is None else least - disk.free_bytes

    def is_enough(self) -> bool:
        """Tell whether nothing has to go."""
        return self._excess <= 0 and self._shortage <= 0

    def judge(self, candidate: Candidate) -> Deletion | None:
        """Return why a recording goes, or None if it stays."""
        if candidate.legal_hold or self.is_enough():
            return None
        cause, reason = self._reason()
        self.freed(candidate.disk_bytes)
        return Deletion(candidate.id, cause, reason, candidate.disk_bytes)

    def freed(self, number: int) -> None:
        """Take into account that so many bytes are free."""
        self._excess -= number
        self._shortage -= number

    def _reason(self) -> tuple[Cause, str]:
        if self._excess > 0:
            most = size_text(self._rules.max_bytes or 0)
            return Cause.SIZE, f"oldest of more than {most} of recordings"
        least = size_text(self._rules.min_free_bytes or 0)
        return Cause.SPACE, f"oldest while less than {least} of the disk is free"


def plan(
    oldest_first: Callable[[], Iterable[Candidate]],
    rules: RetentionRules,
    disk: DiskFacts,
    now_ms: int,
) -> list[Deletion]:
    """Return everything that goes now.

    Args:
        oldest_first: Returns all recordings; they are gone through twice at most.
        rules: What is to be kept.
        disk: How full things are.
        now_ms: The time, in milliseconds since 1970.
    """
    ages, room = Ages(rules, now_ms), Room(rules, disk)
    found: dict[str, Deletion] = {}
    for candidate in oldest_first():
        if ages.are_over_at(candidate):
            break
        if deletion := ages.judge(candidate):
            found[candidate.id] = deletion
            room.freed(deletion.disk_bytes)
    for candidate in () if room.is_enough() else oldest_first():
        if room.is_enough():
            break
        if candidate.id not in found and (deletion := room.judge(candidate)):
            found[candidate.id] = deletion
    return list(found.values())


def parse_tag_days(texts: Iterable[str]) -> dict[str, int | None]:
    """Read ages by tag, such as `billing=365` or `evidence=keep`.

    Raises:
        ValueError: One of them is neither.
    """
    found: dict[str, int | None] = {}
    for text in texts:
        tag, _, age = text.rpartition("=")
        is_forever = age == FOREVER
        if not tag or not (is_forever or (age.isascii() and age.isdigit())):
            raise ValueError(f"not an age of a tag: {text!r}")
        found[tag] = None if is_forever else int(age)
    return found


def size_text(number: float) -> str:
    """Return a number of bytes for people, such as `1.5 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(number) < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:,.4g} TB"
