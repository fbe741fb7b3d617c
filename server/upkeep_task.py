"""The task that looks after the library while the server runs."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Never

from server.library.errors import LibraryError
from server.library.retention import GB, RetentionRules, parse_tag_days
from server.library.store import Library
from server.library.upkeep import Upkeep
from server.metrics import Metrics
from server.settings import Settings

logger = logging.getLogger(__name__)

OPEN_PATIENCE_S = 5.0
"""For which a start waits for an index that is made anew; the rest comes later, so that
a million recordings keep no call waiting."""
TURN_S = 300.0
"""Between turns. An hour of 4000 taps at 16 kB/s is 230 GB: leave room for minutes."""
BEHIND_S = 1.0
"""Between turns while there is more to do than one turn does."""

PURGE_LEAST_S = 0.5
PURGE_MOST_S = 30.0
"""Between two looks at what was deleted: for so long it may stay beyond its time."""


async def look_after(library: Library, settings: Settings, metrics: Metrics) -> None:
    """Keep index, retention and what was deleted in order for ever.

    Cancelling it is safe: a turn that has begun ends by itself within seconds.
    """
    async with asyncio.TaskGroup() as group:
        group.create_task(_keep(library, settings, metrics), name="retention")
        group.create_task(_purge(library, settings.undo_s), name="deleted")


async def _keep(library: Library, settings: Settings, metrics: Metrics) -> Never:
    upkeep = Upkeep(library, retention_rules(settings), now_ms)
    while True:
        try:
            for deletion in await asyncio.to_thread(upkeep.turn):
                metrics.deleted(deletion.cause.value)
        except (OSError, LibraryError) as error:
            logger.warning("cannot look after the recordings: %s", error)
        except Exception:
            logger.exception("looking after the recordings failed")
        await asyncio.sleep(BEHIND_S if upkeep.is_behind else TURN_S)


async def _purge(library: Library, undo_s: float) -> Never:
    while True:
        try:
            for each in await asyncio.to_thread(library.purge, time.time() - undo_s):
                logger.info("deleted %s: nobody brought it back", each)
        except OSError as error:
            logger.warning("cannot remove what was deleted: %s", error)
        except Exception:
            logger.exception("removing what was deleted failed")
        await asyncio.sleep(min(max(undo_s / 10, PURGE_LEAST_S), PURGE_MOST_S))


def retention_rules(settings: Settings) -> RetentionRules:
    """Return what the settings say is to be kept."""
    return RetentionRules(
        days=settings.retention_days,
        tag_days=parse_tag_days(settings.retention_tags),
        max_bytes=_bytes(settings.retention_max_gb),
        min_free_bytes=_bytes(settings.retention_min_free_gb),
    )


def now_ms() -> int:
    """Return the time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _bytes(gigabytes: float | None) -> int | None:
    return None if gigabytes is None else int(gigabytes * GB)
