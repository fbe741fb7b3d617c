"""The formats in which a tap can be sent, and their encoders (RFC 3551, RFC 7587)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from relay_client.simulator.g711 import encode_alaw, encode_ulaw
from relay_client.simulator.options import CodecName, FormatChange, MediaOptions
from relay_client.simulator.opus import OpusEncoder

Samples = npt.NDArray[np.int16]
Encode = Callable[[Samples], bytes]

_PAYLOAD_TYPES: dict[CodecName, int] = {"PCMU": 0, "PCMA": 8, "L16": 96, "OPUS": 111}
_SUBTYPES: dict[CodecName, str] = {
    "PCMU": "mulaw",
    "PCMA": "alaw",
    "L16": "l16",
    "OPUS": "opus",
}
# libopus makes packets of these lengths (RFC 6716 section 2.1.4).
_OPUS_PTIMES = (10, 20, 40, 60, 80, 100, 120)


@dataclass(frozen=True, slots=True)
class MediaFormat:
    """How samples become bytes."""

    codec: CodecName
    sample_rate: int
    byte_order: Literal["little", "big"]
    """Of L16 only."""
    ptime: int

    @property
    def samples_per_packet(self) -> int:
        """Samples in `ptime` milliseconds."""
        return self.sample_rate * self.ptime // 1000

    @property
    def bytes_per_sample(self) -> int:
        """Bytes for a sample; 0 when it is not constant."""
        return {"PCMU": 1, "PCMA": 1, "L16": 2, "OPUS": 0}[self.codec]

    @property
    def payload_type(self) -> int:
        """The RTP payload type used unless the options say otherwise."""
        return _PAYLOAD_TYPES[self.codec]

    @property
    def media_type(self) -> str:
        """As a WebSocket tap announces it."""
        return f"audio/{_SUBTYPES[self.codec]};rate={self.sample_rate}"

    def make_encoder(self) -> Encode:
        """Return what turns consecutive runs of samples into payloads."""
        if self.codec == "OPUS":
            return OpusEncoder(self.ptime).encode
        if self.codec == "L16":
            dtype = "<i2" if self.byte_order == "little" else ">i2"
            return lambda samples: samples.astype(dtype).tobytes()
        return encode_ulaw if self.codec == "PCMU" else encode_alaw

    def changed(self, change: FormatChange) -> MediaFormat:
        """Return the format after a change."""
        return _make_format(
            codec=change.codec or self.codec,
            rate=change.rate,
            byte_order=change.byte_order or self.byte_order,
            ptime=change.ptime or self.ptime,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFormat:
    """What `calling.tap` asks for."""

    codec: str | None = None
    rate: int | None = None
    ptime: int | None = None


def choose_format(
    options: MediaOptions, asked: AskedFormat, *, over_rtp: bool
) -> MediaFormat:
    """Return the format that a tap begins with: the options' over the asked one."""
    codec = options.codec or _known_codec(asked.codec)
    if options.container == "ogg" and not over_rtp:
        codec = "OPUS"
    return _make_format(
        codec=codec,
        rate=options.rate or asked.rate,
        byte_order=options.byte_order or ("big" if over_rtp else "little"),
        ptime=options.ptime or asked.ptime or 20,
    )


def _known_codec(name: str | None) -> CodecName:
    upper = (name or "PCMU").upper()
    if upper == "PCMA":
        return "PCMA"
    return "OPUS" if upper == "OPUS" else "PCMU"


def _make_format(
    *,
    codec: CodecName,
    rate: int | None,
    byte_order: Literal["little", "big"],
    ptime: int,
) -> MediaFormat:
    """Return a format that exists: G.711 at 8 kHz, Opus at 48 kHz and its lengths."""
    if codec == "OPUS":
        length = max(known for known in _OPUS_PTIMES if known <= ptime)
        return MediaFormat(codec, 48_000, byte_order, length)
    sample_rate = (rate or 8000) if codec == "L16" else 8000
    return MediaFormat(codec, sample_rate, byte_order, ptime)
