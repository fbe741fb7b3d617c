"""What a serving process asks of its operating system and of Python itself."""

from __future__ import annotations

import gc
import logging
import os
import resource

log = logging.getLogger(__name__)

FILES_PER_TAP = 2
"""A file being written, and a connection. Journals are opened by writer threads, for
the moment of a write."""
SPARE_FILES = 100

_NEVER = 1_000_000_000
_GC_THRESHOLDS = (50_000, 20, _NEVER)
"""Young objects are looked through for cycles as usual. All objects are not: at 4000
taps that stops everything for 0.2 s, which no small socket buffer outlasts."""

_DESCRIPTORS = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"

QUIET_TAPS = 50
COLLECT_INTERVAL_S = 60.0


def prepare(max_taps: int) -> None:
    """Raise the limit of open files as far as it goes, and calm the collector."""
    limit = raise_file_limit()
    needed = max_taps * FILES_PER_TAP + SPARE_FILES
    if limit < needed:
        log.warning(
            "this process may open %d files, and %d taps need up to %d; raise the hard "
            "limit (ulimit -Hn, LimitNOFILE= or --ulimit nofile=), or lower max_taps",
            limit,
            max_taps,
            needed,
        )
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


class QuietCollector:
    """Looks through all objects for cycles while that holds nobody up.

    Nearly everything here is freed by reference counts, so a busy day's worth of cycles
    that got old is small.
    """

    def __init__(self) -> None:
        self._collected_at: float | None = None

    def observe(self, taps: int, now: float) -> bool:
        """Collect if few taps are live and it was not done lately; tell whether."""
        if self._collected_at is None:
            # `prepare` has just done it.
            self._collected_at = now
        if taps > QUIET_TAPS or now < self._collected_at + COLLECT_INTERVAL_S:
            return False
        self._collected_at = now
        gc.collect()
        return True


def raise_file_limit() -> int:
    """Set the soft limit of open files to the hard one; return what it is then."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        except (OSError, ValueError) as error:
            # macOS has a hard limit that it does not keep to.
            log.info("the limit of open files stays at %d: %s", soft, error)
            return soft
    return hard


def open_files() -> tuple[int, int]:
    """Return how many descriptors this process has, and how many it may have."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if limit == resource.RLIM_INFINITY:
        return 0, 0
    try:
        # Linux tells the number as the size of this directory, since 6.2.
        count = os.stat(_DESCRIPTORS).st_size or len(os.listdir(_DESCRIPTORS))
    except OSError:
        # Most likely there was no descriptor left to look with.
        return limit, limit
    return count, limit
