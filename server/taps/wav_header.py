"""The header of a WAV file that a sender puts before its live audio.

Only the format is taken from it. The sizes are not: a header written before the audio
exists has invented ones, and believing them would end the recording.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from server.audio import AudioFormat
from server.taps.ws_format import format_named

RIFF = b"RIFF"
MAX_HEADER_BYTES = 4096

_CHUNK = struct.Struct("<4sI")
_FMT = struct.Struct("<HHIIHH")
_FIRST_CHUNK = 12
# Format tag and bits per sample, of what can be decoded here.
_NAMES = {(1, 16): "L16", (6, 8): "PCMA", (7, 8): "PCMU"}
_EXTENSIBLE = 0xFFFE
_SUBFORMAT = 24
"""Offset in an extensible fmt chunk of the GUID whose first two bytes are the tag."""


@dataclass(frozen=True, slots=True)
class WavHeader:
    """What was found."""

    format: AudioFormat | None
    """None if it cannot be decoded here, or the header makes no sense."""
    length: int
    """Bytes before the audio."""


def is_riff_but_not_wav(data: bytes) -> bool:
    """Return whether `data`, which starts with "RIFF", is audio that begins so."""
    return len(data) >= _FIRST_CHUNK and data[8:_FIRST_CHUNK] != b"WAVE"


def parse_wav_header(data: bytes) -> WavHeader | None:
    """Return the header at the start of `data`, or None if it is not complete yet."""
    format: AudioFormat | None = None
    at = _FIRST_CHUNK
    while at <= MAX_HEADER_BYTES:
        if len(data) < at + _CHUNK.size:
            return None
        name, size = _CHUNK.unpack_from(data, at)
        at += _CHUNK.size
        if name == b"data":
            return WavHeader(format, at)
        # Chunks begin at even offsets.
        end = at + size + size % 2
        if name == b"fmt " and len(data) >= end:
            format = _parse_fmt(data[at : at + size])
        at = end
    return WavHeader(None, len(data))


def _parse_fmt(fmt: bytes) -> AudioFormat | None:
    if len(fmt) < _FMT.size:
        return None
    tag, channels, sample_rate, _, _, bits = _FMT.unpack_from(fmt)
    if tag == _EXTENSIBLE:
        tag = int.from_bytes(fmt[_SUBFORMAT : _SUBFORMAT + 2], "little")
    name = _NAMES.get((tag, bits))
    format = format_named(name, sample_rate, channels) if name else None
    if format is None:
        return None
    return AudioFormat(format.codec, sample_rate, channels, "little")
