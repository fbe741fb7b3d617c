"""How the header of our WAV files lies: one for every length and every encoding.

    RIFF ....  WAVE   JUNK (28 bytes)   fmt   [fact]   data ....
    RF64 -1    WAVE   ds64 (28 bytes)   fmt   [fact]   data -1

A file that outgrows the 32 bits of RIFF becomes RF64 (EBU Tech 3306) in its place: the
room for `ds64` is there from the start, as the standard proposes. What is no PCM has a
`fact` chunk (RFC 2361 and its references: required for all other formats).

Pure: no input or output.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from server.audio import Codec

UNKNOWN = 0xFFFFFFFF
"""Size of what is still being written: readers then go by the length of the file. In
RF64 it says that the size is in `ds64`."""

MAX_RIFF_BYTES = UNKNOWN - 1
"""What is larger is RF64."""

_RIFF = struct.Struct("<4sI4s")
_CHUNK = struct.Struct("<4sI")
_DS64 = struct.Struct("<QQQI")
_FMT = struct.Struct("<HHIIHH")
_FACT = struct.Struct("<I")
_NO_EXTENSION = bytes(2)
_FMT_AT = _RIFF.size + _CHUNK.size + _DS64.size + _CHUNK.size


class Encoding(StrEnum):
    """How samples are kept in a WAV."""

    PCM16 = "pcm16"
    MULAW = "mulaw"
    ALAW = "alaw"

    @classmethod
    def native(cls, codec: Codec) -> Encoding:
        """Return what keeps the bytes of a codec as they are, if a WAV can."""
        return {Codec.PCMU: cls.MULAW, Codec.PCMA: cls.ALAW}.get(codec, cls.PCM16)


@dataclass(frozen=True, slots=True)
class _Traits:
    tag: int
    """As registered in RFC 2361."""
    sample_bytes: int
    silence: bytes
    """One sample of it."""


_TRAITS = {
    Encoding.PCM16: _Traits(1, 2, bytes(2)),
    Encoding.ALAW: _Traits(6, 1, b"\xd5"),
    Encoding.MULAW: _Traits(7, 1, b"\xff"),
}
_BY_TAG = {traits.tag: encoding for encoding, traits in _TRAITS.items()}


@dataclass(frozen=True, slots=True)
class WavLayout:
    """What is in a WAV of ours, and where."""

    sample_rate: int
    channels: int
    encoding: Encoding = Encoding.PCM16
    comment: str = ""
    """For people and players, behind the audio of a finished file; ASCII."""

    @property
    def step(self) -> int:
        """Bytes of one sample instant, all channels."""
        return self.channels * _TRAITS[self.encoding].sample_bytes

    @property
    def silence(self) -> bytes:
        """One sample instant without sound."""
        return self.channels * _TRAITS[self.encoding].silence

    @property
    def audio_at(self) -> int:
        """Offset of the first sample."""
        size = _FMT_AT + _FMT.size + _CHUNK.size
        if self.encoding is not Encoding.PCM16:
            size += len(_NO_EXTENSION) + _CHUNK.size + _FACT.size
        return size

    def file_size(self, samples: int) -> int:
        """Return the bytes of a finished file; chunks end at even offsets."""
        data = samples * self.step
        return self.audio_at + data + data % 2 + len(self.trailer)

    @property
    def trailer(self) -> bytes:
        """Return what is behind the audio: the comment, as a `LIST` of type `INFO`."""
        if not self.comment:
            return b""
        text = self.comment.encode("ascii", "replace") + b"\0"
        text += b"\0" * (len(text) % 2)
        return _chunk(b"LIST", b"INFO" + _chunk(b"ICMT", text))

    def samples_in(self, file_size: int) -> int:
        """Return how many whole samples a file of this size holds."""
        return max(0, file_size - self.audio_at) // self.step

    def header(self, samples: int | None) -> bytes:
        """Return what is before the first sample.

        Args:
            samples: How many there are; None while that is not known.
        """
        if samples is None:
            return self._riff_header(UNKNOWN, UNKNOWN, UNKNOWN)
        data_bytes = samples * self.step
        riff_bytes = self.file_size(samples) - _CHUNK.size
        if riff_bytes <= MAX_RIFF_BYTES:
            return self._riff_header(riff_bytes, data_bytes, samples)
        room = _DS64.pack(riff_bytes, data_bytes, samples, 0)
        return self._assemble(b"RF64", UNKNOWN, b"ds64", room, UNKNOWN, UNKNOWN)

    @classmethod
    def parse(cls, head: bytes) -> Self | None:
        """Read a header of ours, whatever its sizes say; None if it is not one."""
        if len(head) < _FMT_AT + _FMT.size or head[8:12] != b"WAVE":
            return None
        tag, channels, rate, *_ = _FMT.unpack_from(head, _FMT_AT)
        if tag not in _BY_TAG or not channels or not rate:
            return None
        layout = cls(rate, channels, _BY_TAG[tag])
        # All but the sizes has to be as we write it, or it is somebody else's.
        blank = layout.header(None)
        is_ours = (
            head[_FMT_AT - _CHUNK.size :][: 8 + _FMT.size]
            == (blank[_FMT_AT - _CHUNK.size :][: 8 + _FMT.size])
        )
        return layout if is_ours else None

    @classmethod
    def samples_told(cls, head: bytes) -> int | None:
        """Return how many samples a header of ours says that there are, if it does."""
        layout = cls.parse(head)
        if layout is None or head[:4] != b"RIFF" or len(head) < layout.audio_at:
            return None
        _, data_bytes = _CHUNK.unpack_from(head, layout.audio_at - _CHUNK.size)
        return None if data_bytes == UNKNOWN else data_bytes // layout.step

    def _riff_header(self, riff_bytes: int, data_bytes: int, samples: int) -> bytes:
        room = bytes(_DS64.size)
        return self._assemble(b"RIFF", riff_bytes, b"JUNK", room, data_bytes, samples)

    def _assemble(
        self,
        kind: bytes,
        riff_bytes: int,
        room_name: bytes,
        room: bytes,
        data_bytes: int,
        samples: int,
    ) -> bytes:
        traits = _TRAITS[self.encoding]
        fmt = _FMT.pack(
            traits.tag,
            self.channels,
            self.sample_rate,
            self.sample_rate * self.step,
            self.step,
            8 * traits.sample_bytes,
        )
        fact = b""
        if self.encoding is not Encoding.PCM16:
            fmt += _NO_EXTENSION
            fact = _chunk(b"fact", _FACT.pack(min(samples, UNKNOWN)))
        return b"".join(
            (
                _RIFF.pack(kind, riff_bytes, b"WAVE"),
                _chunk(room_name, room),
                _chunk(b"fmt ", fmt),
                fact,
                _CHUNK.pack(b"data", data_bytes),
            )
        )


def _chunk(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content
