"""The audio of a track as bytes of its own codec, for recordings that keep those."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from server.audio import AudioFormat, Codec, Run, Samples, StreamInfo
from server.codecs.g711 import encode_alaw, encode_mulaw

_ENCODERS: dict[Codec, Callable[[Samples], bytes]] = {
    Codec.PCMU: encode_mulaw,
    Codec.PCMA: encode_alaw,
}


@dataclass(frozen=True, slots=True)
class NativeAudio:
    """Keeps bytes as they came where they are of the track's codec."""

    _format: AudioFormat

    @classmethod
    def of(cls, info: StreamInfo) -> Self | None:
        """Return one for a track that is to be recorded so, and can be."""
        if info.encoding != "native" or info.codec not in _ENCODERS:
            return None
        return cls(AudioFormat(info.codec, info.sample_rate, info.channels))

    def of_run(self, run: Run, samples: Samples) -> bytes:
        """Return the bytes of `run`, whose decoded audio is `samples`.

        What came in another format is put into the track's: the file has but one.
        """
        own = self._format
        if (run.format.codec, run.format.sample_rate, run.format.channels) == (
            own.codec,
            own.sample_rate,
            own.channels,
        ):
            encoded = b"".join(run.payloads)
            if len(encoded) == run.length * own.channels:
                return encoded
        return _ENCODERS[own.codec](samples)
