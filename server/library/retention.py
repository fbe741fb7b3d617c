"""Which recordings go, and why. Pure: rules, disk, time and recordings in, reasons out.

Age, size and free space count together, oldest first: a recording goes if it is too old
or if room is needed. Tags named in the rules have ages of their own; of several the
longest counts. They say nothing about room: then the oldest go, whatever their tags.
A legal hold is above all of it.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping
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


class Retention:
    """Judges recordings, oldest first, and remembers what room that makes."""

    def __init__(self, rules: RetentionRules, disk: DiskFacts, now_ms: int) -> None:
        self._rules = rules
        self._now_ms = now_ms
        least, most = rules.min_free_bytes, rules.max_bytes
        self._excess = 0 if most is None else disk.used_bytes - most
        self._shortage = 0 if least is None else least - disk.free_bytes

    @property
    def needs_room(self) -> bool:
        """Whether recordings have to go that are not too old."""
        return self._excess > 0 or self._shortage > 0

    def is_done_at(self, candidate: Candidate) -> bool:
        """Tell whether neither this recording nor a newer one goes."""
        if self.needs_room:
            return False
        least = self._rules.least_days
        return least is None or self._age_ms(candidate) < least * DAY_MS

    def judge(self, candidate: Candidate) -> Deletion | None:
        """Return why a recording goes, or None if it stays."""
        if candidate.legal_hold:
            return None
        found = self._too_old(candidate) or self._in_the_way()
        if found is None:
            return None
        self._excess -= candidate.disk_bytes
        self._shortage -= candidate.disk_bytes
        return Deletion(candidate.id, *found, candidate.disk_bytes)

    def _too_old(self, candidate: Candidate) -> tuple[Cause, str] | None:
        days, tag = self._rules.age_of(candidate.tags)
        if days is None or self._age_ms(candidate) < days * DAY_MS:
            return None
        since = f"older than {days} days"
        return Cause.AGE, f"{since}, the age for its tag {tag}" if tag else since

    def _in_the_way(self) -> tuple[Cause, str] | None:
        if self._excess > 0 and self._rules.max_bytes is not None:
            limit = gigabytes(self._rules.max_bytes)
            return Cause.SIZE, f"oldest of more than {limit} of recordings"
        if self._shortage > 0 and self._rules.min_free_bytes is not None:
            limit = gigabytes(self._rules.min_free_bytes)
            return Cause.SPACE, f"oldest while less than {limit} of the disk is free"
        return None

    def _age_ms(self, candidate: Candidate) -> int:
        return self._now_ms - candidate.started_ms


def plan(
    candidates: Iterable[Candidate], rules: RetentionRules, disk: DiskFacts, now_ms: int
) -> list[Deletion]:
    """Return everything that goes now.

    Args:
        candidates: All recordings, oldest first.
        rules: What is to be kept.
        disk: How full things are.
        now_ms: The time, in milliseconds since 1970.
    """
    retention = Retention(rules, disk, now_ms)
    found = []
    for candidate in candidates:
        if retention.is_done_at(candidate):
            break
        deletion = retention.judge(candidate)
        if deletion is not None:
            found.append(deletion)
    return found


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


def gigabytes(number: float) -> str:
    """Return a number of bytes for people."""
    return f"{number / GB:.4g} GB"
