"""What can go wrong in the library, beside what the disk itself says (OSError).

LibraryError
├── RecordingExists   an id is taken: nothing that is kept is ever replaced
├── RecordingOnHold   nothing that is on legal hold is ever deleted
├── IndexUnavailable  the list cannot be read now; recordings can
└── InvalidCursor     a page was asked for that this library never pointed to
"""

from __future__ import annotations


class LibraryError(Exception):
    """Root of the library's own errors."""


class RecordingExists(LibraryError):  # noqa: N818 - reads as what it says
    """There is a recording of this id already."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def __str__(self) -> str:
        return f"there is a recording {self.recording_id} already"


class InvalidCursor(LibraryError):  # noqa: N818 - reads as what it says
    """The cursor is not one that a page of this library carried."""

    def __str__(self) -> str:
        return "not a cursor of this list"


class RecordingOnHold(LibraryError):  # noqa: N818 - reads as what it says
    """A legal hold keeps the recording."""

    def __init__(self, recording_id: str) -> None:
        super().__init__(recording_id)
        self.recording_id = recording_id

    def __str__(self) -> str:
        return f"a legal hold keeps recording {self.recording_id}"


class IndexUnavailable(LibraryError, OSError):  # noqa: N818 - reads as what it says
    """The index cannot be asked now; the files are as they were.

    Also an OSError: to who lists recordings it is one more way of a disk to fail.
    """
