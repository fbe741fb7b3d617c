"""Putting files on disk so that they are there whole or not at all.

A file is written under another name, forced to the disk, and only then given its
own name. A name that is taken stays with what it has.
"""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal; reads all of it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def replace_synced(draft: Path, target: Path, data: bytes) -> None:
    """Give a file new content, all at once and certain to survive a power cut.

    Args:
        draft: Where to write it first; on the same file system.
        target: The file.
        data: All that it is to hold.
    """
    write_synced(draft, data)
    draft.replace(target)
    sync(target.parent)


def make_synced_folder(folder: Path) -> None:
    """Create a directory and those above it, each certain to survive a power cut."""
    if folder.is_dir():
        return
    make_synced_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync(folder.parent)


def give_name(source: Path, target: Path) -> None:
    """Make a finished file appear under its own name, all at once.

    `source` may or may not be there afterwards. Doing it twice is harmless.

    Raises:
        FileExistsError: Another file has this name.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        if not source.samefile(target):
            raise
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        # A file system without hard links has no rename that spares its target
        # either; ids are unique, so looking first is enough.
        if target.exists():
            raise FileExistsError(errno.EEXIST, "file exists", str(target)) from None
        source.rename(target)
