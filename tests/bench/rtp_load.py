"""RTP taps in bulk: every tap a source address of its own, all from one socket.

`sendmmsg` sends the packets of all taps whose turn it is with one system call, and an
`IP_PKTINFO` with each of them says which address of 127.0.0.0/8 it comes from: that is
what makes one process enough for thousands of taps.

Headers and payloads are known for every packet from the number of its tap and its
number in it, so that what arrives can be checked to the last sample.
"""

from __future__ import annotations

import ctypes
import random
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from relay_client.simulator.g711 import encode_ulaw
from tests.voices import to_int16, voice

SLOTS = 20
"""Groups of taps that send together; taps of unrelated calls are spread like that."""

POOL = 8192
"""Different payloads; tap k begins with payload k, so its file is recognised."""

VOICE_S = 60.0
"""Of speech, said again and again."""
ROOM_NOISE = 20.0
"""Deviation, in 16-bit steps."""

HEADER_BYTES = 12
_PCMU = 0
_SAMPLES_PER_MS = 8
_KEEP = 4
"""Packets at either end of a tap that are never lost or moved: what is missing there
could not be told from a shorter tap."""

Numbers = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]

_IOVEC = np.dtype([("base", np.uintp), ("size", np.uintp)])
_MESSAGE = np.dtype(
    [
        ("name", np.uintp),
        ("name_bytes", np.uint32),
        ("iov", np.uintp),
        ("iov_count", np.uintp),
        ("control", np.uintp),
        ("control_bytes", np.uintp),
        ("flags", np.intc),
    ],
    align=True,
)
_MULTIPLE_MESSAGE = np.dtype([("message", _MESSAGE), ("length", np.uintc)], align=True)
# struct cmsghdr and struct in_pktinfo, as on every 64-bit Linux.
_PKTINFO = struct.Struct("QiiI4s4s4x")


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What is sent, down to each packet."""

    taps: int
    ptime: int = 20
    """Milliseconds."""
    ramp_s: float = 10.0
    """From the first tap to the last; they end one after another in the same time."""
    seconds: float = 20.0
    """That each tap lasts."""
    loss: float = 0.0
    reorder: float = 0.0
    """Share of packets that come after the one behind them."""

    @property
    def packets(self) -> int:
        """Packets of one tap, lost ones included."""
        return round(self.seconds * 1000 / self.ptime)

    @property
    def payload_bytes(self) -> int:
        """Bytes of one payload, one a sample."""
        return self.ptime * _SAMPLES_PER_MS

    def pool(self) -> Bytes:
        """Return all payloads, one a row: speech that goes on from row to row."""
        samples = POOL * self.payload_bytes
        speech = np.resize(voice(VOICE_S, 1000 * _SAMPLES_PER_MS, seed=3550), samples)
        # So that no two rows are alike, by which files are told apart.
        speech += np.random.default_rng(3551).normal(0, ROOM_NOISE, samples)
        codes = np.frombuffer(encode_ulaw(to_int16(speech)), np.uint8)
        return codes.reshape(POOL, self.payload_bytes)

    def lost(self, tap: int) -> npt.NDArray[np.bool_]:
        """Return which packets of a tap are never sent."""
        return self._chosen(tap, self.loss, "loss")

    def moved(self, tap: int) -> npt.NDArray[np.bool_]:
        """Return which packets of a tap come after the one behind them."""
        moved = self._chosen(tap, self.reorder, "move")
        # Not two in a row, and nothing lost.
        moved[1:] &= ~moved[:-1]
        return moved & ~self.lost(tap)

    def _chosen(self, tap: int, share: float, what: str) -> npt.NDArray[np.bool_]:
        chosen = np.zeros(self.packets, bool)
        if share:
            seed = random.Random(f"{what} {tap}").getrandbits(64)
            chosen[:] = np.random.default_rng(seed).random(self.packets) < share
            chosen[:_KEEP] = chosen[-_KEEP:] = False
        return chosen


@dataclass(frozen=True, slots=True)
class LoadResult:
    """What became of a plan."""

    sent: int
    seconds: float
    behind: int
    """Packets that were sent more than their ptime too late."""
    cpu_s: float


class RtpLoad:
    """One run of a plan against UDP ports of this machine."""

    def __init__(self, plan: LoadPlan, ports: Sequence[int]) -> None:
        if plan.taps > POOL:
            raise ValueError(f"at most {POOL} taps")
        self._plan = plan
        self._pool = plan.pool()
        count = plan.taps
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._sendmmsg.argtypes = [
            ctypes.c_int,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
        ]
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 << 20)
        self._socket.bind(("0.0.0.0", 0))
        self._lost = np.array([plan.lost(tap) for tap in range(count)])
        self._moved = np.array([plan.moved(tap) for tap in range(count)])
        self._headers = np.zeros((count, HEADER_BYTES), np.uint8)
        self._vectors = np.zeros((count, 2), _IOVEC)
        self._messages = np.zeros(count, _MULTIPLE_MESSAGE)
        self._names = self._addresses(ports)
        self._controls = self._sources()
        self._chance = np.random.default_rng(1889)
        self._first_sequence = self._chance.integers(0, 1 << 16, count)
        self._first_timestamp = self._chance.integers(0, 1 << 32, count)
        self._ssrc = self._chance.permutation(count) + (1 << 24)
        self._point()
        self._sent = 0

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def run(self) -> LoadResult:
        """Send everything in real time, and a BYE at the end of each tap."""
        plan, taps = self._plan, np.arange(self._plan.taps)
        ptime_s = plan.ptime / 1000
        first_turn = (taps * plan.ramp_s / plan.taps / ptime_s).astype(np.int64)
        turns = int(first_turn[-1]) + plan.packets + 1
        slots = [taps[slot::SLOTS] for slot in range(SLOTS)]
        behind, start, cpu = 0, time.perf_counter(), time.process_time()
        for turn in range(turns):
            for slot, members in enumerate(slots):
                due = start + (turn + slot / SLOTS) * ptime_s
                if (wait := due - time.perf_counter()) > 0:
                    time.sleep(wait)
                count = self._send_turn(members, turn - first_turn[members])
                if time.perf_counter() - due > ptime_s:
                    behind += count
        seconds = time.perf_counter() - start
        return LoadResult(self._sent, seconds, behind, time.process_time() - cpu)

    def _send_turn(self, taps: Numbers, numbers: Numbers) -> int:
        """Send packet `numbers[i]` of `taps[i]`, and those moved behind it."""
        packets = self._plan.packets
        before = self._sent
        live = (numbers >= 0) & (numbers < packets)
        taps, numbers = taps[live], numbers[live]
        if self._plan.loss or self._plan.reorder:
            waits = self._lost[taps, numbers] | self._moved[taps, numbers]
            late = (numbers > 0) & self._moved[taps, numbers - 1]
            self._send(taps[~waits], numbers[~waits])
            self._send(taps[late], numbers[late] - 1)
        else:
            self._send(taps, numbers)
        self._send_bye(taps[numbers == packets - 1])
        return self._sent - before

    def _send(self, taps: Numbers, numbers: Numbers) -> None:
        """Send one packet of each of these taps."""
        if not len(taps):
            return
        plan = self._plan
        timestamps = self._first_timestamp[taps] + numbers * plan.payload_bytes
        head = np.zeros(len(taps), [("a", ">u2"), ("b", ">u2"), ("c", ">u4", 2)])
        head["a"] = 0x8000 | _PCMU
        head["b"] = (self._first_sequence[taps] + numbers) & 0xFFFF
        head["c"][:, 0] = timestamps & 0xFFFFFFFF
        head["c"][:, 1] = self._ssrc[taps]
        self._headers[taps] = head.view(np.uint8).reshape(-1, HEADER_BYTES)
        rows = (taps + numbers) % POOL
        self._vectors["base"][taps, 1] = (
            self._pool.ctypes.data + rows * plan.payload_bytes
        )
        messages = self._messages[taps]
        self._deliver(messages)
        self._sent += len(taps)

    def _send_bye(self, taps: Numbers) -> None:
        """Send RTCP of each of these taps: an empty receiver report and a BYE."""
        for tap in taps.tolist():
            ssrc = int(self._ssrc[tap]).to_bytes(4, "big")
            data = np.frombuffer(b"\x80\xc9\0\1" + ssrc + b"\x81\xcb\0\1" + ssrc, "u1")
            vectors = np.zeros(1, _IOVEC)
            vectors["base"], vectors["size"] = data.ctypes.data, len(data)
            message = self._messages[[tap]]
            message["message"]["iov"] = vectors.ctypes.data
            message["message"]["iov_count"] = 1
            self._deliver(message)

    def _deliver(self, messages: npt.NDArray[np.void]) -> None:
        done = 0
        while done < len(messages):
            at = messages.ctypes.data + done * _MULTIPLE_MESSAGE.itemsize
            count = self._sendmmsg(self._socket.fileno(), at, len(messages) - done, 0)
            if count < 0:
                raise OSError(ctypes.get_errno(), "sendmmsg")
            done += count

    def _addresses(self, ports: Sequence[int]) -> Bytes:
        """Return a `sockaddr_in` for each tap: ports in turn."""
        family = socket.AF_INET.to_bytes(2, sys.byteorder)
        names = [
            family + port.to_bytes(2, "big") + b"\x7f\0\0\1" + bytes(8)
            for port in (ports[tap % len(ports)] for tap in range(self._plan.taps))
        ]
        return np.frombuffer(b"".join(names), np.uint8).copy()

    def _sources(self) -> Bytes:
        """Return the control message of each tap, which is where it sends from."""
        controls = [
            _PKTINFO.pack(28, socket.IPPROTO_IP, 8, 0, _source_ip(tap), bytes(4))
            for tap in range(self._plan.taps)
        ]
        return np.frombuffer(b"".join(controls), np.uint8).copy()

    def _point(self) -> None:
        steps = np.arange(self._plan.taps, dtype=np.uintp)
        self._vectors["base"][:, 0] = self._headers.ctypes.data + steps * HEADER_BYTES
        self._vectors["size"] = HEADER_BYTES, self._plan.payload_bytes
        message = self._messages["message"]
        message["name"] = self._names.ctypes.data + steps * 16
        message["name_bytes"] = 16
        message["iov"] = self._vectors.ctypes.data + steps * 2 * _IOVEC.itemsize
        message["iov_count"] = 2
        message["control"] = self._controls.ctypes.data + steps * _PKTINFO.size
        message["control_bytes"] = _PKTINFO.size


def _source_ip(tap: int) -> bytes:
    return bytes([127, 1 + (tap >> 16), tap >> 8 & 0xFF, tap & 0xFF])
