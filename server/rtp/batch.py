"""Datagrams that came together, in one buffer that is used again and again.

Whole columns of it can be looked at as arrays, so that what is done with every
datagram is done for all of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from server.rtp.address import Address
from server.rtp.packet import HEADER_BYTES

MAX_DATAGRAM_BYTES = 4032
"""20 ms of 48 kHz stereo L16 and its header fit; what is longer is not used. An odd
number of cache lines, so that the headers of a batch do not share the same few."""

TOO_LONG = -1
"""In place of the length of a datagram that did not fit."""


SourceKey = int | bytes
"""What a reader knows a source by; cheaper to get and to look up than its address."""

SourceKeys = npt.NDArray[Any]
"""Keys of one reader: of type u8, or of bytes that are all of one length."""


class DatagramBatch:
    """Up to `capacity` datagrams. The next ones overwrite them."""

    def __init__(
        self, capacity: int, address_of: Callable[[SourceKey], Address]
    ) -> None:
        self.capacity = capacity
        self.address_of = address_of
        """Tells the address of a source."""
        self.buffer = np.zeros((capacity, MAX_DATAGRAM_BYTES), np.uint8)
        """One datagram a row."""
        self.lengths = np.zeros(0, np.intp)
        """Of each datagram, or `TOO_LONG`."""
        self.sources: SourceKeys = np.zeros(0, np.uint64)
        """Where each came from."""
        self.starts = self._column(">u8", 0)
        """The first eight octets: flags, type, sequence number and timestamp."""
        self.ssrcs = self._column(">u4", 8)
        self._data: dict[int, npt.NDArray[Any]] = {}
        self._payloads: dict[int, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self.lengths)

    def data(self, index: int) -> bytes:
        """Return one datagram."""
        length = int(self.lengths[index])
        column = self._data.get(length)
        if column is None:
            column = self._data[length] = self._column(f"V{length}", 0)
        # An element of type V is bytes as a Python object; twice as fast as a slice.
        data: bytes = column.item(index)
        return data

    def source(self, index: int) -> SourceKey:
        """Return the key of where one datagram came from."""
        key: SourceKey = self.sources.item(index)
        return key

    def address(self, index: int) -> Address:
        """Return where one datagram came from."""
        return self.address_of(self.source(index))

    def payloads(self, length: int) -> npt.NDArray[Any]:
        """Return what follows the fixed header in all datagrams of `length`."""
        column = self._payloads.get(length)
        if column is None:
            column = self._column(f"V{length - HEADER_BYTES}", HEADER_BYTES)
            self._payloads[length] = column
        return column

    def _column(self, kind: str, offset: int) -> npt.NDArray[Any]:
        return np.ndarray(
            (self.capacity,),
            dtype=kind,
            buffer=self.buffer,
            offset=offset,
            strides=(MAX_DATAGRAM_BYTES,),
        )
