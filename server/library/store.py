"""The library: every recording on disk, finished or being written.

All methods block on the disk: callers on an event loop use threads. What a method
shows is never half there: a recording is listed only once its audio and its document
have their final names.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from server.errors import StartupError
from server.library.annotation import Annotation
from server.library.catalogue import Catalogue
from server.library.document import dump_document, parse_document, read_document
from server.library.errors import RecordingExists, RecordingOnHold
from server.library.files import (
    give_name,
    make_synced_folder,
    replace_synced,
    sha256_of,
    sync,
    write_synced,
)
from server.library.index import RecordingPage, RecordingQuery
from server.library.layout import DOCUMENT_SUFFIX, Layout, is_recording_id, make_id
from server.library.recording import Recording
from server.library.trash import Trash
from server.library.verify import Finding, Verifier

LibraryChange = Literal["published", "annotated", "deleted", "restored"]


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
        self.on_change: Callable[[LibraryChange, str, Recording | None], None] = (
            lambda _change, _id, _recording: None
        )
        """Told of each change that is kept, by the thread that made it: what, of which
        id, and the recording as it is or was, if that can be read."""
        self._layout = Layout(root)
        self._trash = Trash(self._layout)
        self.catalogue = Catalogue(self._layout)
        # Held while a document is read, judged and changed or removed: a legal hold
        # that is set while retention looks at a recording is seen by it or comes first.
        self._changing = threading.Lock()

    def open(self, *, patience_s: float | None = None) -> None:
        """Make sure that recordings can be kept here, and list what is here.

        Args:
            patience_s: How long reading documents into the list may take, where it has
                to be made anew; `tend` goes on with it. None: as long as it needs.

        Raises:
            StartupError: The directory cannot be created, written to or read.
        """
        self.prepare()
        try:
            self._trash.sweep()
            self.tend(patience_s=patience_s)
        except OSError as error:
            raise _unusable(self.root, error) from error

    def prepare(self) -> None:
        """Make sure that recordings can be kept here; look at none of them.

        Raises:
            StartupError: The directory cannot be created or written to.
        """
        try:
            self._layout.partial_folder.mkdir(parents=True, exist_ok=True)
            for folder in (self.root, self._layout.partial_folder):
                _try_writing(folder)
            for draft in self._layout.drafts():
                # Of a change that a crash cut short; the document is as it was.
                draft.unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.root, error) from error
        self.catalogue.open()

    def load(self) -> None:
        """Get ready for reading only; changes nothing."""
        self.catalogue.load()

    def tend(self, *, patience_s: float | None = None) -> bool:
        """Bring the list in line with the files; tell whether it is now.

        Raises:
            OSError: The files cannot be read.
        """
        return self.catalogue.tend(patience_s=patience_s)

    def __len__(self) -> int:
        return self.catalogue.ask(len)

    def new_id(self, started_at: datetime) -> str:
        """Return an id that nothing here has."""
        while self._layout.document(recording_id := make_id(started_at)).exists():
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
            recording: What is known about it; size and hash are found out here.
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
        document = self._layout.document(recording.id)
        if document.exists():
            raise RecordingExists(recording.id)
        audio = self._layout.audio(recording.id)
        # After a crash it may have its name, and on some file systems that one only.
        has_partial = has_audio and (partial.exists() or not audio.exists())
        source = partial if has_partial else audio
        data = dump_document(
            replace(
                recording,
                has_audio=has_audio,
                sha256=sha256_of(source) if has_audio else "",
                size_bytes=source.stat().st_size if has_audio else 0,
            )
        )
        # Everything that a full disk could refuse comes before the first name.
        write_synced(draft, data)
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
        kept = parse_document(data)
        self.catalogue.add(kept)
        # Last: while these are there, nobody takes the recording for half a one.
        if has_audio:
            partial.unlink(missing_ok=True)
            self._layout.journal(recording.id).unlink(missing_ok=True)
        draft.unlink(missing_ok=True)
        self.on_change("published", kept.id, kept)
        return kept

    def keep_draft(self, recording: Recording) -> None:
        """Note what is known of a recording that will be published later.

        Raises:
            OSError: The disk refuses.
        """
        audio = self._layout.partial(recording.id)
        sync(audio)
        document = dump_document(recording)
        write_synced(audio.with_suffix(DOCUMENT_SUFFIX), document)

    def read_draft(self, recording_id: str) -> Recording | None:
        """Return the document that a crash kept from being published, if it is whole.

        Raises:
            OSError: It is there and cannot be read.
        """
        path = self._layout.partial(recording_id).with_suffix(DOCUMENT_SUFFIX)
        try:
            recording = parse_document(path.read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return recording if recording.id == recording_id else None

    def get(self, recording_id: str) -> Recording | None:
        """Return everything about a recording, or None if there is none.

        One with a damaged document counts as none; `verify` tells of it.
        """
        if not is_recording_id(recording_id):
            return None
        try:
            return read_document(self._layout, recording_id)
        except (FileNotFoundError, ValueError):
            return None

    def audio_path(self, recording_id: str) -> Path | None:
        """Return the finished WAV of a recording, or None if there is none."""
        if not is_recording_id(recording_id):
            return None
        path = self._layout.audio(recording_id)
        is_known = self._layout.document(recording_id).exists() or self.catalogue.has(
            recording_id
        )
        return path if is_known and path.is_file() else None

    def list(self, query: RecordingQuery) -> RecordingPage:
        """Return a page of recordings, newest first, each with its first gaps.

        Raises:
            InvalidCursor: The cursor did not come from a page.
            IndexUnavailable: The list cannot be read now.
        """
        return self.catalogue.ask(lambda index: index.page(query))

    def annotate(self, recording_id: str, annotation: Annotation) -> Recording | None:
        """Change what people add to a recording; return it, or None if there is none.

        Raises:
            OSError: The disk refused; everything is as it was.
        """
        with self._changing:
            recording = self.get(recording_id)
            if recording is None:
                return None
            changed = annotation.applied_to(recording)
            if changed != recording:
                replace_synced(
                    self._layout.draft(recording_id),
                    self._layout.document(recording_id),
                    dump_document(changed),
                )
                self.catalogue.add(changed)
                self.on_change("annotated", recording_id, changed)
        return changed

    def delete(self, recording_id: str) -> bool:
        """Remove a recording for good; tell whether there was one.

        The audio goes first: after a crash in between the recording is still listed,
        so whoever wanted it gone sees that and can ask again.

        Raises:
            RecordingOnHold: It is on legal hold, and stays.
        """
        return self._take_away(recording_id, self._unlink)

    def set_aside(self, recording_id: str) -> bool:
        """Delete a recording so that it can come back; tell whether there was one.

        Raises:
            RecordingOnHold: It is on legal hold, and stays.
            OSError: The disk refused; everything is as it was.
        """
        return self._take_away(recording_id, self._trash.put)

    def bring_back(self, recording_id: str) -> Recording | None:
        """Undo that a recording was set aside; return it, or None if there is none.

        One that was never deleted is returned as well: to ask again is safe.

        Raises:
            OSError: The disk refused; it can be tried again.
        """
        if not is_recording_id(recording_id):
            return None
        with self._changing:
            was_aside = self._trash.take(recording_id)
            recording = self.get(recording_id)
            if was_aside and recording is not None:
                self.catalogue.add(recording)
                self.on_change("restored", recording_id, recording)
        return recording

    def purge(self, before: float) -> tuple[str, ...]:
        """Remove for good what was set aside before a time; return what has gone.

        Args:
            before: In seconds since 1970.
        """
        with self._changing:
            ids = self._trash.expired(before)
            return tuple(each for each in ids if self._trash.empty(each))

    def _take_away(self, recording_id: str, remove: Callable[[str], None]) -> bool:
        if not is_recording_id(recording_id):
            return False
        with self._changing:
            recording = self.get(recording_id)
            if recording is None:
                # A damaged document may have said that it must be kept.
                if self._layout.document(recording_id).exists():
                    return False
                return self._discard(recording_id, None)
            if recording.legal_hold:
                raise RecordingOnHold(recording_id)
            remove(recording_id)
            self._discard(recording_id, recording)
        return True

    def _unlink(self, recording_id: str) -> None:
        for file in self._layout.files(recording_id):
            file.unlink(missing_ok=True)

    def _discard(self, recording_id: str, recording: Recording | None) -> bool:
        """Take a recording whose files are gone off the list, and tell of it."""
        was_listed = self.catalogue.discard(recording_id)
        if was_listed or recording is not None:
            self.on_change("deleted", recording_id, recording)
        return was_listed

    def verify(
        self, ids: Iterable[str] | None = None, *, repair: bool = False
    ) -> Iterator[Finding]:
        """Compare documents with audio and list, oldest first; all if no ids are given.

        Looks at the disk, not at what was loaded, and finds halves of recordings.

        Args:
            ids: Of the recordings to look at.
            repair: Put the list right where it is wrong; needs `prepare` or `open`.
        """
        verifier = Verifier(self._layout, self.catalogue.index, is_repairing=repair)
        for recording_id in verifier.all_ids() if ids is None else ids:
            yield self._verified(verifier, recording_id)

    def _verified(self, verifier: Verifier, recording_id: str) -> Finding:
        return self.catalogue.ask(lambda _: verifier.verify(recording_id))

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


def _unusable(root: Path, error: OSError) -> StartupError:
    return StartupError(
        f"The recordings directory {root} cannot be used: {error.strerror}. "
        "Make it writable for this user, or name another one with recordings_dir."
    )


def _try_writing(folder: Path) -> None:
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".try-") as file:
        file.write(b"tapdeck")
        file.flush()
