"""A recording that is being written: its audio and its journal, whatever the disk says.

What the disk refuses is left out and noted: positions are absolute, so the audio after
it is at its place all the same. The disk is asked again with the next block, or once a
second where there is no file yet, so that recording goes on as soon as there is room.

Blocking; one writer thread has it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace

from server.audio import (
    AudioBlock,
    Gap,
    GapCause,
    Samples,
    StreamInfo,
    TrackNote,
)
from server.library.files import sync
from server.library.journal import Journal
from server.library.layout import Layout
from server.library.wav_layout import Encoding, WavLayout
from server.sinks.disk import words_for
from server.sinks.wav import WavWriter

CREATE_INTERVAL_S = 1.0
"""Between two attempts to create a file."""

MAX_SPANS = 100_000
"""Refused spans that are remembered one by one."""


def layout_of(info: StreamInfo) -> WavLayout:
    """Return how the WAV of a track lies."""
    is_native = info.encoding == "native"
    encoding = Encoding.native(info.codec) if is_native else Encoding.PCM16
    return WavLayout(info.sample_rate, info.channels, encoding)


class PartialRecording:
    """The files of one recording until it is published."""

    def __init__(
        self,
        layout: Layout,
        info: StreamInfo,
        *,
        resume: bool = False,
        durable: bool = False,
        on_refused: Callable[[str], None] = lambda _why: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._layout = layout
        self._info = info
        self._resume = resume
        self._durable = durable
        self._on_refused = on_refused
        self._now = now
        self._wav_layout = layout_of(info)
        self._journal = Journal(layout.journal(info.recording_id))
        self._has_journal = resume
        self._wav: WavWriter | None = None
        self._create_at = 0.0
        self._refusal = OSError()
        self._span: Gap | None = None
        self._unsynced = False
        self._refused: list[Gap] = []

    def open(self) -> None:
        """Create the files, or go on with those of a server that ended."""
        with contextlib.suppress(OSError):
            self._opened()

    def write(self, block: AudioBlock) -> None:
        """Put a block at its place, as far as the disk takes it."""
        audio: Samples | bytes = block.samples
        if self._wav_layout.encoding is not Encoding.PCM16:
            assert block.encoded is not None
            audio = block.encoded
        start, end = block.start, block.start + len(block.samples)
        try:
            wav = self._opened()
            self._flush_journal()
            wav.write(start, audio)
        except OSError as error:
            # What it took of the block before it refused is whole, and counts.
            kept = 0 if self._wav is None else self._wav.position
            start = max(start, kept)
            self._refuse(start, end - start, error)
        else:
            self._end_span()
            self._unsynced = True

    def note(self, event: TrackNote) -> None:
        """Have the journal tell it, with the next audio or the next `settle`."""
        self._journal.note(event)

    def settle(self) -> None:
        """Have everything so far in the files, and on the disk if that is wanted."""
        self._end_span()
        self._flush_journal()
        if self._durable and self._unsynced and self._wav is not None:
            try:
                self._wav.sync()
                self._unsynced = False
            except OSError as error:
                # Whether it is on the disk only a power cut would show.
                self._on_refused(f"sync {words_for(error)}")

    def take_refused(self) -> list[Gap]:
        """Settle, and return what was refused since this was asked last, in order."""
        self.settle()
        taken, self._refused = self._refused, []
        return taken

    def complete(self, samples: int) -> None:
        """Bring the file to its length and close it. Doing it again is harmless.

        Raises:
            OSError: The disk refuses; nothing has been lost.
        """
        wav = self._opened(force=True)
        wav.pad_to(samples)
        wav.close()

    def _opened(self, *, force: bool = False) -> WavWriter:
        if self._wav is None:
            now = self._now()
            if now < self._create_at and not force:
                raise self._refusal
            self._create_at = now + CREATE_INTERVAL_S
            try:
                self._wav = self._create()
            except OSError as error:
                self._refusal = error
                raise
        return self._wav

    def _create(self) -> WavWriter:
        layout, recording_id = self._layout, self._info.recording_id
        if not self._has_journal:
            # First, so that a crash leaves no audio of which nothing is known.
            self._journal.begin(self._info, durable=self._durable)
            self._has_journal = True
        path = layout.partial(recording_id)
        # One that was killed before it had a file begins like any other.
        resume = self._resume and path.exists()
        wav = WavWriter(path, self._wav_layout, resume=resume)
        if self._resume:
            self._journal.resume(wav.position)
        if self._info.announced_id:
            layout.announced(self._info.announced_id).unlink(missing_ok=True)
        if self._durable:
            sync(layout.partial_folder)
        return wav

    def _flush_journal(self) -> None:
        with contextlib.suppress(OSError):
            if self._has_journal:
                self._journal.flush(durable=self._durable)

    def _refuse(self, start: int, length: int, error: OSError) -> None:
        if length <= 0:
            return
        gap = Gap(start, length, GapCause.DROPPED, words_for(error))
        self._on_refused(gap.detail)
        last = self._span
        if last is not None and (last.start + last.length, last.detail) == (
            start,
            gap.detail,
        ):
            gap = replace(gap, start=last.start, length=last.length + length)
        else:
            self._end_span()
        self._span = gap

    def _end_span(self) -> None:
        if self._span is not None:
            self._journal.note(self._span)
            if len(self._refused) < MAX_SPANS:
                self._refused.append(self._span)
            self._span = None
