"""What a serving process asks of its operating system and of Python itself."""

from __future__ import annotations

import gc
import logging
import resource

log = logging.getLogger(__name__)

FILES_PER_TAP = 2
"""A file being written, and a connection."""
SPARE_FILES = 100

_GC_THRESHOLDS = (50_000, 20, 50)
"""Nearly everything here is freed by reference counts. Looking for cycles among the
objects of thousands of taps takes tens of milliseconds, so it is done seldom."""


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
