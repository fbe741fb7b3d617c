"""Recordings that were deleted and can be brought back for a while.

Theory of operation: to delete is to move all files of a recording into a folder of its
own below `.deleted`, the document first, so that no list has it any more; to bring it
back is to move them home, the document last. The folder is as old as its last change,
and that is all there is to remember: a restart finds what it needs. A crash half way
leaves some files here and some at home. What has its document here is deleted, and
`sweep` fetches the rest; its time begins anew, so nobody loses what he was about to
bring back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from server.library.files import make_synced_folder, sync
from server.library.layout import Layout


class Trash:
    """What was deleted from one library. Callers see to it that one acts at a time."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def put(self, recording_id: str) -> None:
        """Move a recording here.

        Raises:
            OSError: The disk refuses; everything is as it was, if it lets it be.
        """
        folder = self._layout.deleted(recording_id)
        make_synced_folder(folder)
        *others, document = self._layout.files(recording_id)
        try:
            _move((document, *others), folder)
        except OSError:
            with suppress(OSError):
                self.take(recording_id)
            raise
        sync(document.parent)
        sync(folder)

    def take(self, recording_id: str) -> bool:
        """Move a recording back; tell whether it was here.

        Raises:
            OSError: The disk refuses; it can be tried again.
        """
        folder = self._layout.deleted(recording_id)
        files = self._layout.files(recording_id)
        if not (folder / files[-1].name).exists():
            return False
        home = files[-1].parent
        make_synced_folder(home)
        _move((folder / file.name for file in files), home)
        sync(home)
        _remove_folder(folder)
        return True

    def sweep(self) -> None:
        """Finish what a crash cut short.

        Raises:
            OSError: The disk refuses.
        """
        for recording_id in self._layout.deleted_ids():
            folder = self._layout.deleted(recording_id)
            *others, document = self._layout.files(recording_id)
            if (folder / document.name).exists():
                _move(others, folder)

    def expired(self, before: float) -> list[str]:
        """Return what was deleted before a time, in seconds since 1970."""
        return [
            recording_id
            for recording_id in self._layout.deleted_ids()
            if self._layout.deleted(recording_id).stat().st_mtime < before
        ]

    def empty(self, recording_id: str) -> bool:
        """Remove a recording for good, the document last; tell whether it was here.

        Raises:
            OSError: The disk refuses; it can be tried again.
        """
        folder = self._layout.deleted(recording_id)
        files = [folder / file.name for file in self._layout.files(recording_id)]
        was_here = files[-1].exists()
        for file in files:
            file.unlink(missing_ok=True)
        _remove_folder(folder)
        return was_here


def _move(files: Iterable[Path], folder: Path) -> None:
    for file in files:
        if file.exists():
            os.replace(file, folder / file.name)


def _remove_folder(folder: Path) -> None:
    with suppress(OSError):
        # What somebody else put there is not ours to remove.
        folder.rmdir()
