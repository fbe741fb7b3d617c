"""Reading a UDP socket into a batch, and the portable way to do it."""

from __future__ import annotations

import socket
from typing import Protocol

from server.rtp.address import Address, normal_address
from server.rtp.batch import (
    MAX_DATAGRAM_BYTES,
    TOO_LONG,
    DatagramBatch,
    SourceKey,
)


class DatagramReader(Protocol):
    """Reads sockets without waiting."""

    batch: DatagramBatch
    """What was read last."""

    def read(self, udp: socket.socket) -> int:
        """Read what has arrived, at most a batch; return how much.

        Raises:
            OSError: The socket reports an error, which may be an old ICMP answer.
        """
        ...


class RecvfromReader:
    """Reads with one system call a datagram, on every platform."""

    def __init__(self, capacity: int = 64) -> None:
        self.batch = DatagramBatch(capacity, _address_of)
        # One more than fits, which shows what was cut off.
        self._buffer = bytearray(MAX_DATAGRAM_BYTES + 1)

    def read(self, udp: socket.socket) -> int:
        """Read what has arrived, at most a batch; return how much."""
        batch = self.batch
        batch.lengths, batch.sources = [], []
        try:
            for row in batch.buffer:
                length, address = udp.recvfrom_into(self._buffer)
                if length > MAX_DATAGRAM_BYTES:
                    length = TOO_LONG
                else:
                    row.data[:length] = memoryview(self._buffer)[:length]
                batch.lengths.append(length)
                batch.sources.append(normal_address(address[0], address[1]))
        except BlockingIOError:
            pass
        except OSError:
            if not batch:
                raise
        return len(batch)


def _address_of(source: SourceKey) -> Address:
    assert isinstance(source, tuple)  # as `read` gave it
    return source
