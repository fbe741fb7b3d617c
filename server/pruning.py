"""`tapdeck recordings prune`: what retention deletes, why, and when room runs out."""

from __future__ import annotations

import itertools
import shutil
import sys
from collections.abc import Iterator

from server.library.forecast import HORIZON_DAYS, Growth
from server.library.index import DAY_MS
from server.library.retention import (
    Deletion,
    DiskFacts,
    RetentionRules,
    plan,
    size_text,
)
from server.library.store import Library
from server.library.upkeep import carry_out, walk
from server.listing import open_library, with_progress
from server.settings import Settings
from server.upkeep_task import now_ms, retention_rules


def prune(settings: Settings, *, is_dry: bool) -> int:
    """Delete what retention says, or only say it; return the exit code."""
    rules = retention_rules(settings)
    library = open_library(settings.recordings_dir, is_read_only=is_dry)
    if not is_dry:
        # What is not in the index is neither judged nor counted.
        library.tend()
    growth = Growth(
        library.catalogue.ask(lambda index: index.bytes_by_day()), now_ms() // DAY_MS
    )
    disk = DiskFacts(
        sum(growth.bytes_by_day.values()), shutil.disk_usage(library.root).free
    )
    due = plan(lambda: walk(library), rules, disk, now_ms())
    gone = due if is_dry else _carried_out(library, due)
    for line in itertools.chain(
        _deletions(gone, rules, is_dry), _outlook(growth, rules, disk, gone)
    ):
        sys.stdout.write(f"{line}\n")
    return 0 if is_dry or len(gone) == len(due) else 1


def _carried_out(library: Library, due: list[Deletion]) -> list[Deletion]:
    """Delete what is due; say what cannot be deleted, and return the others."""
    gone = []
    for deletion in with_progress(due, "deleting", len(due)):
        try:
            if carry_out(library, deletion):
                gone.append(deletion)
        except OSError as error:
            sys.stderr.write(
                f"tapdeck: {deletion.id} cannot be deleted: {error.strerror}.\n"
            )
    return gone


def _deletions(
    gone: list[Deletion], rules: RetentionRules, is_dry: bool
) -> Iterator[str]:
    for deletion in gone:
        yield f"{deletion.id}: {deletion.reason}"
    if rules.are_none:
        yield "No retention is set: everything is kept."
    size = size_text(sum(deletion.disk_bytes for deletion in gone))
    verb = "would be deleted" if is_dry else "deleted"
    yield f"{len(gone)} recordings {verb}, {size}."


def _outlook(
    growth: Growth, rules: RetentionRules, disk: DiskFacts, gone: list[Deletion]
) -> Iterator[str]:
    freed = sum(deletion.disk_bytes for deletion in gone)
    rate = growth.bytes_per_day
    yield f"At the rate of the last 7 days, {size_text(rate)} a day:"
    rooms = [("the disk is full", disk.free_bytes + freed)]
    if rules.min_free_bytes is not None:
        least = size_text(rules.min_free_bytes)
        room = disk.free_bytes + freed - rules.min_free_bytes
        rooms.append((f"less than {least} of the disk is free", room))
    if rules.max_bytes is not None:
        most = size_text(rules.max_bytes)
        room = rules.max_bytes - disk.used_bytes + freed
        rooms.append((f"there are more than {most} of recordings", room))
    for what, room in rooms:
        days = growth.days_until_full(room, rules.days)
        when = f"in {days} days" if days else f"not within {HORIZON_DAYS} days"
        yield f"  {what}: {when}"
