"""Where recordings lie on disk, and how they are named.

`<root>/YYYY/MM/DD/<id>.wav` with `<id>.json` beside it; what is being written is
`<root>/.partial/<id>.wav`. An id is made here from the time and chance, never from
the wire, so it is safe in a path and in a URL, and ids sort by time.

Beside what is being written lies its journal; a tap of which no audio has come yet has
a record there. What was written and cannot be used is kept there as well, under a name
that nothing looks for. `<root>/.paused` tells which taps are paused, and in
`<root>/.deleted` is what was deleted and can still be brought back.
"""

from __future__ import annotations

import re
import secrets
from datetime import UTC, datetime
from pathlib import Path

PARTIAL_FOLDER = ".partial"
PAUSED_FOLDER = ".paused"
DELETED_FOLDER = ".deleted"
INDEX_NAME = ".index.sqlite"
AUDIT_NAME = ".audit.jsonl"
AUDIO_SUFFIX = ".wav"
DOCUMENT_SUFFIX = ".json"
DRAFT_SUFFIX = ".json.new"
COPY_SUFFIXES = (".flac", ".opus")
"""Of what may be made of the audio later, beside it."""
JOURNAL_SUFFIX = ".journal"
ANNOUNCED_SUFFIX = ".tap"
KEPT_SUFFIX = ".kept"
_PARTIAL_SUFFIXES = frozenset(
    {AUDIO_SUFFIX, DOCUMENT_SUFFIX, JOURNAL_SUFFIX, ANNOUNCED_SUFFIX, *COPY_SUFFIXES}
)

# Lower case only: some file systems take `a` and `A` for the same name.
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
RANDOM_LENGTH = 8
_ID = re.compile(
    r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])T[0-9]{9}Z-[a-z2-7]{8}"
)


def make_id(started_at: datetime) -> str:
    """Return a new id, such as `20261122T161702123Z-k3v9x2aq`."""
    utc = started_at.astimezone(UTC)
    day = f"{utc.year:04}{utc.month:02}{utc.day:02}"
    time = f"{utc.hour:02}{utc.minute:02}{utc.second:02}{utc.microsecond // 1000:03}"
    chance = "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_LENGTH))
    return f"{day}T{time}Z-{chance}"


def is_recording_id(text: str) -> bool:
    """Tell whether this is an id of ours; only such a text may enter a path."""
    return _ID.fullmatch(text) is not None


def started_at_of(recording_id: str) -> datetime:
    """Return the time that an id was made from."""
    text = _checked(recording_id)[:18]
    try:
        # The fraction is given in milliseconds, of which the parser wants six digits.
        return datetime.strptime(f"{text}000+0000", "%Y%m%dT%H%M%S%f%z")
    except ValueError:
        # Digits in the right places need not be a day that there was.
        return datetime.fromtimestamp(0, UTC)


class Layout:
    """The paths of one library."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.partial_folder = root / PARTIAL_FOLDER
        self.paused_folder = root / PAUSED_FOLDER
        self.deleted_folder = root / DELETED_FOLDER
        self.index = root / INDEX_NAME
        self.audit = root / AUDIT_NAME

    def partial(self, recording_id: str) -> Path:
        """Return where a recording is while it is written."""
        return self.partial_folder / (_checked(recording_id) + AUDIO_SUFFIX)

    def audio(self, recording_id: str) -> Path:
        """Return where a finished recording is."""
        return self._day_folder(recording_id) / (recording_id + AUDIO_SUFFIX)

    def document(self, recording_id: str) -> Path:
        """Return where what is known about a recording is."""
        return self._day_folder(recording_id) / (recording_id + DOCUMENT_SUFFIX)

    def copies(self, recording_id: str) -> tuple[Path, ...]:
        """Return where copies of the audio are, if there are any."""
        audio = self.audio(recording_id)
        return tuple(audio.with_suffix(suffix) for suffix in COPY_SUFFIXES)

    def files(self, recording_id: str) -> tuple[Path, ...]:
        """Return where all files of a finished recording are, the document last."""
        copies = self.copies(recording_id)
        return (self.audio(recording_id), *copies, self.document(recording_id))

    def deleted(self, recording_id: str) -> Path:
        """Return the folder of a recording that was deleted and may come back."""
        return self.deleted_folder / _checked(recording_id)

    def deleted_ids(self) -> list[str]:
        """Return the ids of the recordings that were deleted and may come back."""
        if not self.deleted_folder.is_dir():
            return []
        names = (path.name for path in self.deleted_folder.iterdir())
        return sorted(name for name in names if is_recording_id(name))

    def draft(self, recording_id: str) -> Path:
        """Return where a document is while it is written again."""
        return self.partial_folder / (_checked(recording_id) + DRAFT_SUFFIX)

    def is_being_published(self, recording_id: str) -> bool:
        """Tell whether a recording is on its way here, or was when a server ended."""
        partial = self.partial(recording_id)
        return partial.exists() or partial.with_suffix(DOCUMENT_SUFFIX).exists()

    def days(self) -> set[str]:
        """Return the days that have a folder, such as `20261122`."""
        parts = (path.parts[-3:] for path in self.root.glob("????/??/??"))
        days = ("".join(each) for each in parts)
        return {day for day in days if is_recording_id(f"{day}T000000000Z-aaaaaaaa")}

    def folder(self, day: str) -> Path:
        """Return the folder of a day."""
        return self._day_folder(f"{day}T000000000Z-aaaaaaaa")

    def ids(self, suffix: str) -> set[str]:
        """Return the ids of all finished files of one kind that are in their place."""
        found = set()
        for path in self.root.glob(f"????/??/??/*{suffix}"):
            name = path.name.removesuffix(suffix)
            if is_recording_id(name) and path.parent == self._day_folder(name):
                found.add(name)
        return found

    def day_ids(self, day: str) -> set[str]:
        """Return the ids of all finished files of a day, of either kind."""
        names = (path.name.partition(".") for path in self.folder(day).glob("*.*"))
        return {
            name
            for name, dot, suffix in names
            if dot + suffix in (AUDIO_SUFFIX, DOCUMENT_SUFFIX)
            and is_recording_id(name)
            and name.startswith(day)
        }

    def drafts(self) -> list[Path]:
        """Return the documents that were being written again when a server ended."""
        return sorted(self.partial_folder.glob(f"*{DRAFT_SUFFIX}"))

    def journal(self, recording_id: str) -> Path:
        """Return where the journal of a recording is while it is written."""
        return self.partial(recording_id).with_suffix(JOURNAL_SUFFIX)

    def announced(self, recording_id: str) -> Path:
        """Return where a tap without audio is recorded."""
        return self.partial(recording_id).with_suffix(ANNOUNCED_SUFFIX)

    def unfinished(self) -> dict[str, set[str]]:
        """Return which kinds of files, by suffix, there are of what is unfinished."""
        found: dict[str, set[str]] = {}
        for path in self.partial_folder.iterdir():
            if path.suffix in _PARTIAL_SUFFIXES and is_recording_id(path.stem):
                found.setdefault(path.stem, set()).add(path.suffix)
        return found

    def partial_ids(self) -> list[str]:
        """Return the ids of what is being written, or was when a server ended."""
        names = (
            path.name.removesuffix(AUDIO_SUFFIX)
            for path in self.partial_folder.glob(f"*{AUDIO_SUFFIX}")
        )
        return sorted(name for name in names if is_recording_id(name))

    def _day_folder(self, recording_id: str) -> Path:
        day = _checked(recording_id)[:8]
        return self.root / day[:4] / day[4:6] / day[6:]


def _checked(recording_id: str) -> str:
    if not is_recording_id(recording_id):
        raise ValueError(f"not a recording id: {recording_id!r}")
    return recording_id
