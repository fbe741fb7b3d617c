"""What a server that was killed has left behind, made whole.

At the start everything under `.partial` is looked at once, before there is anything
new. Each leftover then becomes a recording of its own, in any order and at any pace:

    document in its folder      all was done but tidying up
    draft of the document       the tap had ended: publish as it was meant to be
    journal, with or without    interrupted: the header is repaired, the document made
      audio                       from the journal. Until that is done it can be gone on
                                  with instead, by a recorder with `resume`.
    audio with a header alone   the same, with as much as the header tells
    record of a tap             no audio ever came: its document says so
    anything else               kept under a name that ends in `.kept`, with a document

Every step can be done again: a crash in the middle changes nothing for the next start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from server.audio import StreamInfo
from server.library.announced import read_announced
from server.library.files import sync
from server.library.interrupted import Interrupted
from server.library.joined import are_sides
from server.library.journal import (
    JournalFacts,
    end_of_masks,
    facts_within,
    read_journal,
)
from server.library.layout import (
    ANNOUNCED_SUFFIX,
    AUDIO_SUFFIX,
    COPY_SUFFIXES,
    DOCUMENT_SUFFIX,
    JOURNAL_SUFFIX,
    KEPT_SUFFIX,
)
from server.library.recording import Recording
from server.library.store import Library
from server.library.wav_layout import WavLayout
from server.recovered import (
    UNREADABLE,
    document_of_interrupted,
    document_of_unknown,
    info_from_header,
)
from server.sinks.disk import words_for
from server.sinks.joining import JOINING_SUFFIX, join
from server.sinks.partial import layout_of
from server.sinks.wav import WavWriter

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 1.0
MAX_PAUSE_S = 60.0
MAX_AHEAD_S = 5.0
"""Of positions before the clock: a sender's clock is not ours."""

_HEAD_BYTES = 256


class Recovery:
    """Finishes what is left from before the start of this server. Blocking."""

    def __init__(
        self,
        library: Library,
        on_recovered: Callable[[Recording], None] = lambda _recording: None,
    ) -> None:
        self._library = library
        self._layout = library.layout
        self._on_recovered = on_recovered
        self._due: dict[str, set[str]] = {}
        self._calls: defaultdict[str, set[str]] = defaultdict(set)
        """Leftovers by the call that they are of."""
        self._begun: set[str] = set()
        """Taps that were announced and have a recording of their own."""

    @property
    def due(self) -> int:
        """How many leftovers are to be finished yet."""
        return len(self._due)

    def scan(self) -> list[Interrupted]:
        """Look at what there is; return what can be gone on with, oldest first.

        Raises:
            OSError: The directory cannot be read.
        """
        for path in self._layout.partial_folder.glob(f"*{JOINING_SUFFIX}"):
            path.unlink(missing_ok=True)
        self._due = self._layout.unfinished()
        found = [self._look(each) for each in sorted(self._due) if self._is_open(each)]
        for one in found:
            if one is not None:
                self._calls[one.info.call_id].add(one.recording_id)
        interrupted = [one for one in found if one is not None and one.is_journaled]
        self._begun = {one.info.announced_id for one in interrupted} - {""}
        if self._due:
            log.warning(
                "%d taps were under way when a server ended; what is there of them "
                "will be finished",
                len(self._due.keys() - self._begun),
            )
        return interrupted

    def take(self, interrupted: Interrupted) -> None:
        """Leave a recording to whoever goes on with it."""
        self._due.pop(interrupted.recording_id, None)

    def put_back(self, interrupted: Interrupted) -> None:
        """Have a recording finished by the next `run`: nobody went on with it."""
        self._due[interrupted.recording_id] = set()

    async def run(self) -> None:
        """Finish everything, asking a disk that refuses again; safe to cancel."""
        pause = FIRST_PAUSE_S
        while self._due:
            before = self.due
            for recording_id in sorted(self._due):
                if recording_id not in self._due:
                    continue
                made = await asyncio.to_thread(self._try, recording_id)
                if made is not None:
                    self._on_recovered(made)
            if self._due:
                pause = FIRST_PAUSE_S if self.due < before else pause
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_PAUSE_S)

    def finish(self, recording_id: str) -> Recording | None:
        """Make one leftover whole; return its document, if it had none before.

        Raises:
            OSError: The disk refuses; nothing has changed that matters.
        """
        kinds = self._layout.unfinished().get(recording_id, set())
        for suffix in COPY_SUFFIXES:
            # The whole audio is in the WAV.
            self._partial(recording_id, suffix).unlink(missing_ok=True)
        made = None
        if not self._layout.document(recording_id).exists():
            made = self._make(recording_id, kinds)
        self._tidy(recording_id)
        self._due.pop(recording_id, None)
        return made

    def _try(self, recording_id: str) -> Recording | None:
        made = None
        try:
            made = self.finish(recording_id)
        except OSError as error:
            why = words_for(error)
            log.warning("%s cannot be recovered yet: %s", recording_id, why)
        except Exception:
            # A mistake of ours with one of them must not keep the others.
            log.exception("%s cannot be recovered and is left alone", recording_id)
            self._due.pop(recording_id, None)
        if made is not None:
            reason = made.verdict.reason
            log.info("recording %s %s: %s", made.id, made.state.value, reason)
        return made

    def _make(self, recording_id: str, kinds: set[str]) -> Recording | None:
        draft = self._draft(recording_id)
        if draft is not None:
            return self._publish(draft)
        if kinds & {AUDIO_SUFFIX, JOURNAL_SUFFIX}:
            interrupted = self._look(recording_id)
            if interrupted is not None and self._is_half_joined(interrupted):
                self._layout.partial(recording_id).unlink(missing_ok=True)
                return None
            if interrupted is not None:
                return self._finish_interrupted(interrupted)
            if AUDIO_SUFFIX in kinds:
                return self._give_up(recording_id)
        if ANNOUNCED_SUFFIX in kinds:
            return self._finish_announced(recording_id)
        return None

    def _is_half_joined(self, interrupted: Interrupted) -> bool:
        """Return whether a file was being made of others, which are still here.

        Only such a file has several channels and no journal.
        """
        return not interrupted.is_journaled and interrupted.info.channels > 1

    def _is_open(self, recording_id: str) -> bool:
        """Return whether its tap had not ended."""
        if self._layout.document(recording_id).exists():
            return False
        draft = self._draft(recording_id)
        if draft is not None:
            self._calls[draft.call_id].add(recording_id)
        return draft is None

    def _look(self, recording_id: str) -> Interrupted | None:
        path = self._layout.partial(recording_id)
        try:
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
            status = path.stat()
            size, written_at = status.st_size, status.st_mtime
        except FileNotFoundError:
            head, size, written_at = b"", 0, 0.0
        journal_path = self._layout.journal(recording_id)
        with suppress(FileNotFoundError):
            # In a pause there is nothing else to write.
            written_at = max(written_at, journal_path.stat().st_mtime)
        journal = read_journal(journal_path)
        if journal is not None and journal.info.recording_id == recording_id:
            info, facts = journal.info, journal.facts
        elif (layout := WavLayout.parse(head)) is not None:
            info, facts = info_from_header(recording_id, layout), JournalFacts()
            journal = None
        else:
            return None
        samples = layout_of(info).samples_in(size)
        if (told := WavLayout.samples_told(head)) is not None:
            # It was complete: what is behind its audio is no audio.
            samples = min(samples, told)
        length = samples
        if head and told is None:
            length = _length(info, facts, samples, written_at)
        return Interrupted(
            recording_id=recording_id,
            info=info,
            samples=samples,
            facts=facts_within(facts, length),
            last_write_at=written_at,
            is_journaled=journal is not None,
        )

    def _publish(self, document: Recording) -> Recording:
        """Publish a leftover, as one with the other side of its call if that is too."""
        partner = self._partner_of(document) if document.has_audio else None
        if partner is not None:
            try:
                whole = join(self._library, [document, partner])
            except ValueError as error:
                log.error("%s and %s stay apart: %s", document.id, partner.id, error)
            else:
                self._due.pop(partner.id, None)
                return whole
        return self._library.publish(document, has_audio=document.has_audio)

    def _partner_of(self, document: Recording) -> Recording | None:
        if not document.call_id:
            return None
        for recording_id in sorted(self._calls[document.call_id]):
            if recording_id == document.id or recording_id not in self._due:
                continue
            other = self._draft(recording_id)
            if other is None and (found := self._look(recording_id)) is not None:
                other = self._repaired(found)
            if other is not None and are_sides(document, other):
                return other
        return None

    def _finish_interrupted(self, interrupted: Interrupted) -> Recording:
        return self._publish(self._repaired(interrupted))

    def _repaired(self, interrupted: Interrupted) -> Recording:
        """Make the file of a recording whole, and return its document."""
        recording_id = interrupted.recording_id
        if interrupted.length:
            path = self._layout.partial(recording_id)
            with WavWriter(path, layout_of(interrupted.info), resume=True) as writer:
                writer.pad_to(interrupted.length)
                samples = writer.position
            interrupted = replace(interrupted, samples=samples)
        document = document_of_interrupted(
            interrupted.info, interrupted.facts, interrupted.samples
        )
        if not interrupted.is_journaled:
            document = replace(document, codec="")
        return document

    def _finish_announced(self, recording_id: str) -> Recording | None:
        if recording_id in self._begun:
            return None
        record = read_announced(self._layout.announced(recording_id))
        if record is None or record.id != recording_id:
            document = document_of_unknown(recording_id, UNREADABLE)
        else:
            document = record.interrupted()
        return self._library.publish(document, has_audio=False)

    def _give_up(self, recording_id: str) -> Recording:
        """Leave audio that nothing is known of to somebody who can tell what it is."""
        path = self._layout.partial(recording_id)
        reason = UNREADABLE
        if path.stat().st_size:
            reason = f"{UNREADABLE} It is kept as {path.name}{KEPT_SUFFIX}."
        document = document_of_unknown(recording_id, reason)
        return self._library.publish(document, has_audio=False)

    def _tidy(self, recording_id: str) -> None:
        """Remove what the library has, and keep aside what it has not."""
        partial = self._layout.partial(recording_id)
        document = self._layout.document(recording_id)
        if partial.exists() and document.exists():
            self._tidy_audio(recording_id, partial)
        for suffix in (DOCUMENT_SUFFIX, JOURNAL_SUFFIX, ANNOUNCED_SUFFIX):
            path = self._partial(recording_id, suffix)
            if document.exists() or recording_id in self._begun:
                path.unlink(missing_ok=True)
            elif path.exists():
                _keep(path)

    def _tidy_audio(self, recording_id: str, partial: Path) -> None:
        audio = self._layout.audio(recording_id)
        interrupted = self._look(recording_id)
        is_empty = not partial.stat().st_size
        if interrupted is not None:
            is_empty = not interrupted.samples
        if is_empty or (audio.exists() and partial.samefile(audio)):
            partial.unlink()
        else:
            _keep(partial)

    def _draft(self, recording_id: str) -> Recording | None:
        """Return the document that was about to be published, if it is whole."""
        draft = self._library.read_draft(recording_id)
        if draft is None or not draft.has_audio:
            return draft
        candidates = (
            self._layout.partial(recording_id),
            self._layout.audio(recording_id),
        )
        return draft if any(path.exists() for path in candidates) else None

    def _partial(self, recording_id: str, suffix: str) -> Path:
        return self._layout.partial(recording_id).with_suffix(suffix)


def _length(
    info: StreamInfo, facts: JournalFacts, samples: int, written_at: float
) -> int:
    """Return samples, and what was masked behind the last of them."""
    # A damaged journal may tell of more than the time that there was.
    lasted_s = written_at - info.started_at + MAX_AHEAD_S
    most = round(lasted_s * info.sample_rate)
    return max(samples, min(end_of_masks(facts.gaps, samples), most))


def _keep(path: Path) -> None:
    kept = path.with_name(path.name + KEPT_SUFFIX)
    os.replace(path, kept)
    sync(path.parent)
    log.error("%s cannot be made a recording; it is kept as %s", path.stem, kept)
