"""What a disk says when it refuses, in words; and asking it again until it does not."""

from __future__ import annotations

import asyncio
import errno
import logging
from collections.abc import Callable
from typing import TypeVar

log = logging.getLogger(__name__)

Result = TypeVar("Result")

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 15.0
"""Between two attempts; people who make room want to see it used."""

_WORDS = {
    errno.ENOSPC: "disk full",
    errno.EDQUOT: "disk quota used up",
    errno.EFBIG: "file too large for this file system",
    errno.EIO: "disk error",
    errno.EROFS: "file system read-only",
    errno.EMFILE: "no file descriptor left",
    errno.ENFILE: "no file descriptor left",
}


def words_for(error: OSError) -> str:
    """Return why a disk refused, in a few plain words."""
    return _WORDS.get(error.errno or 0) or (error.strerror or "disk error").lower()


async def until_kept(function: Callable[[], Result], what: str) -> Result:
    """Return what a blocking `function` does, as soon as the disk lets it.

    It has to bear being called again. Cancelling gives up.
    """
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await asyncio.to_thread(function)
        except OSError as error:
            log.warning(
                "%s cannot be kept yet: %s; trying again in %.0f s",
                what,
                words_for(error),
                pause,
            )
        await asyncio.sleep(pause)
        pause = min(2 * pause, MAX_PAUSE_S)
