"""WebSocket frames: their heads, their masks, and frames of our own (RFC 6455, 5.2).

Only what a server needs: every frame that comes is masked, none that goes is.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MASK_BYTES = 4
MAX_CONTROL_BYTES = 125

_FINAL = 0x80
_RESERVED = 0x70
_CONTROL = 0x08
_MASKED = 0x80
_U16 = struct.Struct("!H")
_U64 = struct.Struct("!Q")
_SHORT_BYTES = 1024
"""Up to here integers unmask faster than arrays, which take longer to set up."""


class Opcode(enum.IntEnum):
    """What a frame is (section 5.2)."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA


class CloseCode(enum.IntEnum):
    """Why a connection is over (section 7.4.1)."""

    NORMAL = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    NO_STATUS = 1005
    ABNORMAL = 1006
    INVALID_TEXT = 1007
    TOO_BIG = 1009
    INTERNAL_ERROR = 1011


@dataclass(frozen=True, slots=True)
class FrameHead:
    """What a frame says about itself."""

    opcode: Opcode
    is_final: bool
    size: int
    """Bytes of head, mask included."""
    length: int
    """Bytes of payload."""

    @property
    def is_control(self) -> bool:
        """Whether it is a close, ping or pong."""
        return bool(self.opcode & _CONTROL)


def parse_head(data: bytes, at: int) -> FrameHead | CloseCode | None:
    """Return the head at `at`, or None if it is cut, or how to close if it is wrong."""
    if len(data) - at < 2:
        return None
    first, second = data[at], data[at + 1]
    try:
        opcode = Opcode(first & 0x0F)
    except ValueError:
        return CloseCode.PROTOCOL_ERROR
    # Section 5.1: "a server MUST close the connection upon receiving a frame that is
    # not masked"; 5.2: a reserved bit means an extension, and none is ever agreed on.
    if first & _RESERVED or not second & _MASKED:
        return CloseCode.PROTOCOL_ERROR
    is_final, length = bool(first & _FINAL), second & 0x7F
    if opcode & _CONTROL and (not is_final or length > MAX_CONTROL_BYTES):
        return CloseCode.PROTOCOL_ERROR
    size = 2
    if length > MAX_CONTROL_BYTES:
        extended = _U16 if length == MAX_CONTROL_BYTES + 1 else _U64
        size += extended.size
        if len(data) - at < size:
            return None
        length = extended.unpack_from(data, at + 2)[0]
    return FrameHead(opcode, is_final, size + MASK_BYTES, length)


def unmask(frame: bytes, head_size: int) -> bytes:
    """Return the payload of a whole frame."""
    length = len(frame) - head_size
    if length > _SHORT_BYTES:
        return unmask_equal([frame], head_size)
    mask = frame[head_size - MASK_BYTES : head_size]
    key = (mask * (length // MASK_BYTES + 1))[:length]
    payload = int.from_bytes(frame[head_size:], "little") ^ int.from_bytes(
        key, "little"
    )
    return payload.to_bytes(length, "little")


def unmask_equal(frames: Sequence[bytes], head_size: int) -> bytes:
    """Return the payloads of frames of one size, one behind the other.

    A second of a tap at once costs a fifth for each frame of what `unmask` does.
    """
    whole = np.frombuffer(b"".join(frames), np.uint8).reshape(len(frames), -1)
    length = whole.shape[1] - head_size
    words = -(-length // MASK_BYTES)
    payloads = np.zeros((len(frames), words * MASK_BYTES), np.uint8)
    payloads[:, :length] = whole[:, head_size:]
    masks = np.ascontiguousarray(whole[:, head_size - MASK_BYTES : head_size])
    view = payloads.view(np.uint32)
    view ^= masks.view(np.uint32)
    return payloads[:, :length].tobytes()


def serialize_control(opcode: Opcode, payload: bytes) -> bytes:
    """Return a control frame of ours."""
    return bytes([_FINAL | opcode, len(payload)]) + payload


def close_payload(code: int, reason: str = "") -> bytes:
    """Return what a close frame carries (section 5.5.1)."""
    return _U16.pack(code) + reason.encode()[: MAX_CONTROL_BYTES - 2]


def parse_close(payload: bytes) -> int:
    """Return the code of a close frame; what it says beyond that is not used."""
    return _U16.unpack_from(payload)[0] if len(payload) >= 2 else CloseCode.NO_STATUS


def is_sendable(code: int) -> bool:
    """Return whether a close frame may carry this code (section 7.4)."""
    return 1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999
