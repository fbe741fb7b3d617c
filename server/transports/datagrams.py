"""What a UDP socket gives in one reading, and the portable way to read it."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from server.rtp.address import Address, normal_address

MAX_DATAGRAM_BYTES = 4032
"""20 ms of 48 kHz stereo L16 and its header fit; what is longer is not used. An odd
number of cache lines, so that the headers of a batch do not share the same few."""


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams that were read together."""

    payloads: Sequence[bytes]
    sources: Sequence[Address]
    """Where each of them came from."""
    count: int
    """How many were read, those included that were too long to use."""


class DatagramReader(Protocol):
    """Reads sockets without waiting."""

    capacity: int
    """Datagrams in a batch; a smaller one has emptied its socket."""

    def read(self, udp: socket.socket) -> Datagrams:
        """Return what has arrived, at most a batch; nothing if there is nothing.

        Raises:
            OSError: The socket reports an error, which may be an old ICMP answer.
        """
        ...


class RecvfromReader:
    """Reads with one system call a datagram, on every platform."""

    capacity = 64

    def read(self, udp: socket.socket) -> Datagrams:
        """Return what has arrived, at most a batch."""
        payloads: list[bytes] = []
        sources: list[Address] = []
        count = 0
        try:
            while count < self.capacity:
                data, address = udp.recvfrom(MAX_DATAGRAM_BYTES + 1)
                count += 1
                if len(data) <= MAX_DATAGRAM_BYTES:
                    payloads.append(data)
                    sources.append(normal_address(address[0], address[1]))
        except BlockingIOError:
            pass
        except OSError:
            if not count:
                raise
        return Datagrams(payloads, sources, count)
