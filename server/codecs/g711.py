"""G.711: µ-law and A-law bytes to 16-bit samples, a whole array at a time.

ITU-T G.711 (11/88), tables 1a to 2b, scaled to 16 bits as every telephony decoder
does: 14-bit µ-law values by 4, 13-bit A-law values by 8.
"""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt

from server.audio import Samples

_MULAW_BIAS = 0x84
"""33 of the 14-bit scale: what makes every segment start at a power of two."""


def _mulaw_table() -> Samples:
    code = ~np.arange(256) & 0xFF
    exponent = code >> 4 & 7
    magnitude = (((code & 0x0F) << 3) + _MULAW_BIAS << exponent) - _MULAW_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_table() -> Samples:
    # Even bits are inverted on the line, so that silence carries transitions.
    code = np.arange(256) ^ 0x55
    exponent = code >> 4 & 7
    mantissa = (code & 0x0F) << 4
    # The first segment has no leading one, and the same step as the second.
    magnitude = np.where(
        exponent == 0, mantissa + 8, mantissa + 0x108 << np.maximum(exponent - 1, 0)
    )
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _pairs(table: Samples) -> npt.NDArray[np.uint32]:
    """Return the two samples, side by side in memory, for every two codes."""
    codes = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(-1, 2)
    return table[codes].view(np.uint32).ravel()


_MULAW = _mulaw_table()
_ALAW = _alaw_table()
_MULAW_PAIRS = _pairs(_MULAW)
_ALAW_PAIRS = _pairs(_ALAW)


def decode_mulaw(data: bytes) -> Samples:
    """Return one sample for each byte of µ-law (PCMU)."""
    return _decode(data, _MULAW, _MULAW_PAIRS)


def decode_alaw(data: bytes) -> Samples:
    """Return one sample for each byte of A-law (PCMA)."""
    return _decode(data, _ALAW, _ALAW_PAIRS)


def encode_mulaw(samples: Samples) -> bytes:
    """Return one byte of µ-law for each sample, the nearest there is."""
    return _encode(samples, _MULAW)


def encode_alaw(samples: Samples) -> bytes:
    """Return one byte of A-law for each sample, the nearest there is."""
    return _encode(samples, _ALAW)


@functools.cache
def _codes(table: bytes) -> npt.NDArray[np.uint8]:
    """Return the code whose value is nearest to each of the 65,536 samples."""
    values = np.frombuffer(table, np.int16).astype(np.int32)
    # Of the two zeros of µ-law the positive one, 0xFF, comes last and is taken.
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    samples = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)
    above = np.searchsorted(ordered, samples, side="right").clip(1, 255)
    is_below = samples - ordered[above - 1] <= ordered[above] - samples
    nearest: npt.NDArray[np.uint8] = order[above - is_below].astype(np.uint8)
    return nearest


def _encode(samples: Samples, table: Samples) -> bytes:
    codes = _codes(table.tobytes())
    return codes.take(np.ascontiguousarray(samples).view(np.uint16)).tobytes()


def _decode(data: bytes, table: Samples, pairs: npt.NDArray[np.uint32]) -> Samples:
    if len(data) % 2:
        return table[np.frombuffer(data, np.uint8)]
    # Two codes at a time, and with `clip` unchecked, which every index passes: a third
    # of the time.
    found = pairs.take(np.frombuffer(data, np.uint16), mode="clip")
    return found.view(np.int16)
