"""The peaks of recordings as files, made from the audio when they are first wanted.

`<id>.peaks` lies beside `<id>.wav`. It can be deleted at any time, and one that does
not fit the audio is made anew. All functions block on the disk.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import soundfile

from server.library.files import give_name
from server.library.layout import PEAKS_SUFFIX
from server.library.peaks import PeakBuilder, Peaks, PeakShape

logger = logging.getLogger(__name__)

_BLOCK = 1 << 18
"""Samples that are read at a time; a multiple of every smallest bucket."""


def peaks_of(audio: Path, partial: Path) -> Peaks:
    """Return the peaks of a WAV, from the file beside it if there is a good one.

    Where the file cannot be written, the peaks are returned all the same.

    Args:
        audio: The WAV: PCM16 or G.711, RIFF or RF64.
        partial: Where to write the file first.

    Raises:
        OSError: The audio cannot be read.
        soundfile.SoundFileError: It is no audio.
    """
    kept = read_peaks(audio)
    if kept is not None:
        return kept
    made = make_peaks(audio)
    try:
        _keep(made, audio, partial)
    except OSError as error:
        logger.warning("%s: the peaks cannot be kept: %s", audio.name, error)
    finally:
        partial.unlink(missing_ok=True)
    return made


def read_peaks(audio: Path) -> Peaks | None:
    """Return the peaks that lie beside a WAV; None if there are none that fit it.

    Raises:
        OSError: The audio cannot be read.
        soundfile.SoundFileError: It is no audio.
    """
    path = audio.with_suffix(PEAKS_SUFFIX)
    if not path.exists():
        return None
    with soundfile.SoundFile(audio) as wav:
        shape = _shape(wav)
    try:
        # Not mapped into memory: a file cut meanwhile would end the process.
        data = np.fromfile(path, np.uint8)
    except OSError:
        return None
    return Peaks.of_file(data, shape, audio.stat().st_size)


def make_peaks(audio: Path) -> Peaks:
    """Return the peaks of a WAV; reads all of it.

    Raises:
        OSError: It cannot be read.
        soundfile.SoundFileError: It is no audio.
    """
    with soundfile.SoundFile(audio) as wav:
        builder = PeakBuilder(_shape(wav))
        # One buffer for all blocks: fresh memory would cost more than the reading.
        block = np.empty((_BLOCK, wav.channels), np.int16)
        while len(read := wav.read(out=block)):
            builder.add(read)
    return builder.finish()


def _shape(wav: soundfile.SoundFile) -> PeakShape:
    return PeakShape(wav.frames, wav.channels, wav.samplerate)


def _keep(peaks: Peaks, audio: Path, partial: Path) -> None:
    target = audio.with_suffix(PEAKS_SUFFIX)
    partial.write_bytes(peaks.dump(audio.stat().st_size))
    # What is there did not fit.
    target.unlink(missing_ok=True)
    give_name(partial, target)
    if not audio.exists():
        # Deleted meanwhile, audio first: nobody would look for this any more.
        target.unlink(missing_ok=True)
