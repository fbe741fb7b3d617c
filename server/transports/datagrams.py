"""Reading a UDP socket into a batch, and the portable way to do it."""

from __future__ import annotations

import socket
from typing import Protocol

import numpy as np

from server.rtp.address import Address, normal_address
from server.rtp.batch import (
    MAX_DATAGRAM_BYTES,
    TOO_LONG,
    DatagramBatch,
    SourceKey,
)

_PORT_BYTES = 2
_IPV4_BYTES = 4
_END = b"\1"
"""Of each key: numpy drops zeros at the end of bytes."""


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
        self.batch = DatagramBatch(capacity, _address)
        # One more than fits, which shows what was cut off.
        self._buffer = bytearray(MAX_DATAGRAM_BYTES + 1)

    def read(self, udp: socket.socket) -> int:
        """Read what has arrived, at most a batch; return how much."""
        batch = self.batch
        lengths: list[int] = []
        sources: list[bytes] = []
        try:
            for row in batch.buffer:
                length, address = udp.recvfrom_into(self._buffer)
                if length > MAX_DATAGRAM_BYTES:
                    length = TOO_LONG
                else:
                    row.data[:length] = memoryview(self._buffer)[:length]
                lengths.append(length)
                sources.append(_key(udp.family, *address[:2]))
        except BlockingIOError:
            pass
        except OSError:
            if not lengths:
                raise
        finally:
            batch.lengths = np.array(lengths, np.intp)
            batch.sources = np.array(sources, np.bytes_)
        return len(batch)


def _key(family: int, host: str, port: int) -> bytes:
    # A link-local IPv6 address names its interface after a percent sign.
    host = host.partition("%")[0]
    return port.to_bytes(_PORT_BYTES, "big") + socket.inet_pton(family, host) + _END


def _address(key: SourceKey) -> Address:
    assert isinstance(key, bytes)  # as `_key` made it
    port, packed = key[:_PORT_BYTES], key[_PORT_BYTES : -len(_END)]
    family = socket.AF_INET if len(packed) == _IPV4_BYTES else socket.AF_INET6
    host = socket.inet_ntop(family, packed)
    return normal_address(host, int.from_bytes(port, "big"))
