"""Reads many datagrams with one system call: Linux's `recvmmsg(2)`.

Python offers no such call, so the C library's is used through ctypes. The structures
that it fills are one numpy array each, of which whole columns become lists at once:
per datagram that costs a tenth of taking ctypes structures apart.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from server.rtp.address import Address, normal_address
from server.rtp.batch import (
    MAX_DATAGRAM_BYTES,
    TOO_LONG,
    DatagramBatch,
    SourceKey,
)

BATCH = 512
"""Datagrams a call. Beyond this the call itself no longer shows in a profile."""

MAX_ADDRESSES = 65_536
"""Sources remembered by their raw address, before starting afresh."""

# sockaddr_in6 is the longest that arrives here; sockaddr_in leaves the rest zero.
_SOCKADDR_BYTES = 28

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

RecvMmsg = Callable[[int, int, int, int, None], int]


def find_recvmmsg() -> RecvMmsg | None:
    """Return the C library's `recvmmsg`, or None where there is none."""
    if sys.platform != "linux":
        return None
    # PyDLL keeps the interpreter's lock: the call never waits, and giving the lock to
    # another thread and getting it back would cost more than the call.
    function = getattr(ctypes.PyDLL(None, use_errno=True), "recvmmsg", None)
    if function is None:
        return None
    function.argtypes = [
        ctypes.c_int,
        ctypes.c_size_t,
        ctypes.c_uint,
        ctypes.c_int,
        ctypes.c_void_p,
    ]
    function.restype = ctypes.c_int
    found: RecvMmsg = function
    return found


class RecvMmsgReader:
    """Reads sockets of one address family, with one system call a batch."""

    def __init__(self, recvmmsg: RecvMmsg, family: int) -> None:
        self.batch = DatagramBatch(BATCH, self._address_of)
        self._recvmmsg = recvmmsg
        self._names = np.zeros((BATCH, _SOCKADDR_BYTES), np.uint8)
        self._vectors = np.zeros(BATCH, _IOVEC)
        self._messages = np.zeros(BATCH, _MULTIPLE_MESSAGE)
        self._lengths = self._messages["length"]
        self._flags = self._messages["message"]["flags"]
        self._keys = self._key_column(family)
        self._addresses: dict[SourceKey, Address] = {}
        self._point()

    def read(self, udp: socket.socket) -> int:
        """Read what has arrived, at most a batch; return how much."""
        count = self.receive(udp)
        batch = self.batch
        batch.lengths = self._lengths[:count].astype(np.intp)
        batch.sources = self._keys[:count].copy()
        flags = self._flags[:count]
        if np.count_nonzero(flags):
            batch.lengths[(flags & socket.MSG_TRUNC) != 0] = TOO_LONG
        return count

    def receive(self, udp: socket.socket) -> int:
        """Fill the buffers with what has arrived; return how many datagrams."""
        count = self._recvmmsg(
            udp.fileno(), self._messages.ctypes.data, BATCH, socket.MSG_DONTWAIT, None
        )
        if count < 0:
            number = ctypes.get_errno()
            if number not in (errno.EAGAIN, errno.EINTR):
                raise OSError(number, os.strerror(number))
            return 0
        return count

    def _address_of(self, source: SourceKey) -> Address:
        address = self._addresses.get(source)
        if address is None:
            if len(self._addresses) >= MAX_ADDRESSES:
                self._addresses.clear()
            address = self._addresses[source] = _address(source)
        return address

    def _key_column(self, family: int) -> npt.NDArray[np.generic]:
        # Family, port and IPv4 address are eight bytes, and a number is compared faster
        # than a string of bytes. The S type drops zeros at the end, which no two
        # addresses of one family differ by.
        kind = "u8" if family == socket.AF_INET else f"S{_SOCKADDR_BYTES}"
        return np.ndarray(
            (BATCH,), dtype=kind, buffer=self._names, strides=(_SOCKADDR_BYTES,)
        )

    def _point(self) -> None:
        steps = np.arange(BATCH, dtype=np.uintp)
        self._vectors["base"] = (
            self.batch.buffer.ctypes.data + steps * MAX_DATAGRAM_BYTES
        )
        self._vectors["size"] = MAX_DATAGRAM_BYTES
        message = self._messages["message"]
        message["name"] = self._names.ctypes.data + steps * _SOCKADDR_BYTES
        message["name_bytes"] = _SOCKADDR_BYTES
        message["iov"] = self._vectors.ctypes.data + steps * _IOVEC.itemsize
        message["iov_count"] = 1


def _address(key: SourceKey) -> Address:
    """Return the address in a `sockaddr_in` or `sockaddr_in6`."""
    if isinstance(key, int):
        raw = key.to_bytes(8, sys.byteorder)
        return socket.inet_ntop(socket.AF_INET, raw[4:8]), _port(raw)
    raw = key.ljust(_SOCKADDR_BYTES, b"\0")
    return normal_address(socket.inet_ntop(socket.AF_INET6, raw[8:24]), _port(raw))


def _port(raw: bytes) -> int:
    (port,) = struct.unpack_from("!H", raw, 2)
    return int(port)
