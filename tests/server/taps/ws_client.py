"""The other end of a WebSocket, as far as a test needs it."""

from __future__ import annotations

from server.taps.ws_frames import Opcode

MASK = b"\x37\xfa\x21\x3d"


def masked(
    payload: bytes,
    opcode: int = Opcode.BINARY,
    *,
    is_final: bool = True,
    mask: bytes = MASK,
) -> bytes:
    """Return a frame as a client sends it (RFC 6455 section 5.2)."""
    head = bytes([(0x80 if is_final else 0) | opcode])
    length = len(payload)
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += b"\xfe" + length.to_bytes(2, "big")
    else:
        head += b"\xff" + length.to_bytes(8, "big")
    key = (mask * (length // 4 + 1))[:length]
    return head + mask + bytes(a ^ b for a, b in zip(payload, key, strict=True))


def closing(code: int, reason: bytes = b"") -> bytes:
    """Return a close frame of a client."""
    return masked(code.to_bytes(2, "big") + reason, Opcode.CLOSE)
