"""The library: every recording on disk, finished or being written.

All methods block on the disk: callers on an event loop use threads. What a method
shows is never half there: a recording is listed only once its audio and its document
have their final names.
"""

from __future__ import annotations

import json
import logging
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from server.errors import StartupError
from server.library.errors import RecordingExists
from server.library.fields import FieldError
from server.library.files import give_name, make_synced_folder, sync, write_synced
from server.library.index import RecordingIndex, RecordingPage, RecordingQuery
from server.library.layout import (
    AUDIO_SUFFIX,
    COPY_SUFFIXES,
    DOCUMENT_SUFFIX,
    Layout,
    is_recording_id,
    make_id,
)
from server.library.recording import Recording
from server.library.verify import Finding, verify_one

logger = logging.getLogger(__name__)

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""A document with every gap and digit that we ever list is well below."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Audio that was being written when a server ended."""

    id: str
    path: Path
    size_bytes: int


class Library:
    """The recordings below one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._layout = Layout(root)
        self._index = RecordingIndex()

    def open(self) -> None:
        """Make sure that recordings can be kept here, and load what is here.

        Raises:
            StartupError: The directory cannot be created, written to or read.
        """
        try:
            self._layout.partial_folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self._layout.partial_folder):
                _try_writing(folder)
            self.load()
        except OSError as error:
            raise StartupError(
                f"The recordings directory {self.root} cannot be used: "
                f"{error.strerror}. Make it writable for this user, or name another "
                "one with recordings_dir."
            ) from error

    def load(self) -> None:
        """Load what is here; enough for reading only, and changes nothing."""
        recordings, unreadable = [], []
        for recording_id in self._layout.ids(DOCUMENT_SUFFIX):
            try:
                recordings.append(self._read(recording_id))
            except (ValueError, FileNotFoundError):
                unreadable.append(recording_id)
        self._index.replace_all(recordings)
        if unreadable:
            logger.warning(
                "%d recordings have a damaged document and are not listed, "
                "such as %s; `tapdeck recordings verify` names them all",
                len(unreadable),
                min(unreadable),
            )

    def __len__(self) -> int:
        return len(self._index)

    def new_id(self, started_at: datetime) -> str:
        """Return an id that nothing here has."""
        while (recording_id := make_id(started_at)) in self._index:
            pass
        return recording_id

    @property
    def layout(self) -> Layout:
        """Return where everything is, for those who write and recover it."""
        return self._layout

    def partial_path(self, recording_id: str) -> Path:
        """Return where the audio of this recording is to be written."""
        return self._layout.partial(recording_id)

    def publish(self, recording: Recording, *, has_audio: bool = True) -> Recording:
        """Make a finished recording known, with the audio at its `partial_path`.

        The audio gets its name before the document: a crash in between leaves audio
        that is not listed, and still a leftover; never a listed recording without
        audio. Doing it again after a failure is safe.

        Args:
            recording: What is known about it.
            has_audio: False for one that never had any; then only the document is
                kept.

        Returns:
            The recording as it is kept.

        Raises:
            RecordingExists: There is another one of this id.
            OSError: The disk refused; nothing has been lost.
        """
        partial = self._layout.partial(recording.id)
        draft = partial.with_suffix(DOCUMENT_SUFFIX)
        data = _dump(replace(recording, has_audio=has_audio))
        document = self._layout.document(recording.id)
        if document.exists():
            raise RecordingExists(recording.id)
        # Everything that a full disk could refuse comes before the first name.
        write_synced(draft, data)
        audio = self._layout.audio(recording.id)
        # After a crash it may have its name, and on some file systems that one only.
        has_partial = has_audio and (partial.exists() or not audio.exists())
        if has_partial:
            sync(partial)
        make_synced_folder(document.parent)
        try:
            if has_partial:
                give_name(partial, audio)
            give_name(draft, document)
        except FileExistsError:
            raise RecordingExists(recording.id) from None
        sync(document.parent)
        if has_audio:
            # Without a place in the library, what was written stays where it is.
            partial.unlink(missing_ok=True)
            self._layout.journal(recording.id).unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        kept = _parse(data)
        self._index.add(kept)
        return kept

    def read_draft(self, recording_id: str) -> Recording | None:
        """Return the document that a crash kept from being published, if it is whole.

        Raises:
            OSError: It is there and cannot be read.
        """
        path = self._layout.partial(recording_id).with_suffix(DOCUMENT_SUFFIX)
        try:
            recording = _parse(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return recording if recording.id == recording_id else None

    def get(self, recording_id: str) -> Recording | None:
        """Return everything about a recording, or None if there is none."""
        if recording_id not in self._index:
            return None
        try:
            return self._read(recording_id)
        except FileNotFoundError:
            return None

    def audio_path(self, recording_id: str) -> Path | None:
        """Return the finished WAV of a recording, or None if there is none."""
        if recording_id not in self._index:
            return None
        path = self._layout.audio(recording_id)
        return path if path.is_file() else None

    def list(self, query: RecordingQuery) -> RecordingPage:
        """Return a page of recordings, newest first, each with its first gaps.

        Raises:
            InvalidCursor: The cursor did not come from a page.
        """
        return self._index.page(query)

    def delete(self, recording_id: str) -> bool:
        """Remove a recording for good; tell whether there was one.

        The audio goes first: after a crash in between the recording is still listed,
        so whoever wanted it gone sees that and can ask again.
        """
        if recording_id not in self._index:
            return False
        audio = self._layout.audio(recording_id)
        for suffix in COPY_SUFFIXES:
            audio.with_suffix(suffix).unlink(missing_ok=True)
        audio.unlink(missing_ok=True)
        self._layout.document(recording_id).unlink(missing_ok=True)
        self._index.discard(recording_id)
        return True

    def verify(self, ids: Iterable[str] | None = None) -> Iterator[Finding]:
        """Compare documents with audio, oldest first; all of them unless ids are given.

        Looks at the disk, not at what was loaded, and finds halves of recordings.
        """
        if ids is None:
            suffixes = (DOCUMENT_SUFFIX, AUDIO_SUFFIX)
            ids = sorted(set().union(*map(self._layout.ids, suffixes)))
        for recording_id in ids:
            if is_recording_id(recording_id):
                yield self._verify(recording_id)
            else:
                yield Finding(recording_id, False, "not an id of a recording")

    def leftovers(self) -> tuple[Leftover, ...]:
        """Return the audio below `.partial`; right after `open`, that of a crash."""
        found = []
        for recording_id in self._layout.partial_ids():
            path = self._layout.partial(recording_id)
            try:
                found.append(Leftover(recording_id, path, path.stat().st_size))
            except FileNotFoundError:
                continue
        return tuple(found)

    def _verify(self, recording_id: str) -> Finding:
        audio = self._layout.audio(recording_id)
        try:
            recording = self._read(recording_id)
        except FileNotFoundError:
            reason = (
                "audio without a document" if audio.exists() else "no such recording"
            )
            return Finding(recording_id, False, reason)
        except ValueError as error:
            return Finding(recording_id, False, f"damaged document: {error}")
        return verify_one(recording, audio)

    def _read(self, recording_id: str) -> Recording:
        with self._layout.document(recording_id).open("rb") as file:
            data = file.read(MAX_DOCUMENT_BYTES + 1)
        if len(data) > MAX_DOCUMENT_BYTES:
            raise FieldError("", f"at most {MAX_DOCUMENT_BYTES} bytes")
        recording = _parse(data)
        if recording.id != recording_id:
            raise FieldError("id", f"{recording_id}, as the file is called,")
        return recording


def _parse(data: bytes) -> Recording:
    try:
        return Recording.from_json(json.loads(data))
    except RecursionError:
        raise FieldError("", "less depth") from None


def _dump(recording: Recording) -> bytes:
    text = json.dumps(recording.to_json(), indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _try_writing(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".try-") as file:
        file.write(b"tapdeck")
        file.flush()
