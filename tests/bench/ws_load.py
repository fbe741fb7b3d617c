"""WebSocket taps in bulk: masked 160-byte messages, one per tap every 20 ms.

Frames are made before the clock starts, so that sending one is one system call. Taps
are spread evenly over the 20 ms, as those of unrelated calls are.
"""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass

from tests.bench.rtp_load import LoadPlan

PTIME_S = 0.02
MESSAGE_BYTES = 160

_SLOTS = 20
"""Groups of taps that send together, a millisecond apart."""
_POOL = 4096
"""Different messages; each tap begins at another one."""
# Negative zero, which decodes to the same sample as positive zero, cannot be told apart
# in a file and is left out.
_ZEROS = bytes.maketrans(b"\x7f", b"\xff")


def masked_frame(payload: bytes, mask: bytes, opcode: int = 0x2) -> bytes:
    """Return a whole message as a client sends it (RFC 6455 section 5.2)."""
    length = len(payload)
    head = bytes([0x80 | opcode])
    if length < 126:
        head += bytes([0x80 | length])
    elif length < 65536:
        head += b"\xfe" + length.to_bytes(2, "big")
    else:
        head += b"\xff" + length.to_bytes(8, "big")
    repeated = (mask * (length // 4 + 1))[:length]
    masked = bytes(a ^ b for a, b in zip(payload, repeated, strict=True))
    return head + mask + masked


@dataclass(slots=True)
class _Tap:
    connection: socket.socket
    first: int
    sent: int = 0
    """Messages."""
    rest: bytes = b""
    """Of a message that the socket took in part."""


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What was sent."""

    messages: int
    seconds: float
    behind: int
    """Messages sent more than 20 ms late, by the generator or by back-pressure."""


class Load:
    """So many taps on one server, opened one after the other.

    Args:
        path: Of tap number {}, for example `/tap/{}`.
    """

    def __init__(self, host: str, port: int, path: str, taps: int) -> None:
        source = random.Random(6455)
        # The same speech as over RTP: noise would raise the alarm for wrong audio.
        speech = LoadPlan(taps=taps, seconds=1, ramp_s=0).pool()[:_POOL]
        self._payloads = [row.tobytes().translate(_ZEROS) for row in speech]
        self._frames = [
            masked_frame(payload, source.randbytes(4)) for payload in self._payloads
        ]
        self._taps = [
            _Tap(connect(host, port, path.format(number)), number * 31 % _POOL)
            for number in range(taps)
        ]

    def run(self, seconds: float) -> LoadResult:
        """Send in real time for so long."""
        slots = [self._taps[number::_SLOTS] for number in range(_SLOTS)]
        start = time.perf_counter()
        sent = behind = 0
        for turn in range(round(seconds / PTIME_S) * _SLOTS):
            due = start + turn * PTIME_S / _SLOTS
            if (wait := due - time.perf_counter()) > 0:
                time.sleep(wait)
            group = slots[turn % _SLOTS]
            sent += sum(map(self._send_next, group))
            if time.perf_counter() - due > PTIME_S:
                behind += len(group)
        return LoadResult(sent, time.perf_counter() - start, behind)

    def audio(self) -> list[bytes]:
        """Return what each tap has sent."""
        return [
            b"".join(
                self._payloads[(tap.first + number) % _POOL]
                for number in range(tap.sent)
            )
            for tap in self._taps
        ]

    def close(self) -> None:
        """Flush, say goodbye on every connection and close it."""
        goodbye = masked_frame((1000).to_bytes(2, "big"), b"abcd", 0x8)
        for tap in self._taps:
            tap.connection.settimeout(5)
            tap.connection.sendall(tap.rest + goodbye)
            while tap.connection.recv(4096):
                pass
            tap.connection.close()

    def _send_next(self, tap: _Tap) -> int:
        if tap.rest:
            frame, tap.rest = tap.rest, b""
            count = 0
        else:
            frame = self._frames[(tap.first + tap.sent) % _POOL]
            count = 1
        try:
            taken = tap.connection.send(frame)
        except BlockingIOError:
            tap.rest = b"" if count else frame
            return 0
        tap.rest = frame[taken:]
        tap.sent += count
        return count


def connect(host: str, port: int, path: str) -> socket.socket:
    """Return a non-blocking socket that has been upgraded to WebSocket.

    Raises:
        ConnectionRefusedError: The server answered something else.
    """
    connection = socket.create_connection((host, port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    answer = b""
    while b"\r\n\r\n" not in answer:
        if not (more := connection.recv(4096)):
            break
        answer += more
    if not answer.startswith(b"HTTP/1.1 101 "):
        connection.close()
        raise ConnectionRefusedError(answer[:80].decode(errors="replace"))
    connection.setblocking(False)
    return connection
