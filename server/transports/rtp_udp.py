"""UDP sockets for RTP and RTCP, read in batches and handed to the demultiplexer.

One shared port, or a range with a port per tap. The port above the last one is opened
too if it is free, because RTCP traditionally arrives there (RFC 3550 section 11).
"""

from __future__ import annotations

import logging
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from server.errors import StartupError
from server.rtp.demux import RtpDemux
from server.transports.datagrams import DatagramReader, RecvfromReader
from server.transports.recvmmsg import RecvMmsgReader, find_recvmmsg
from server.transports.socket_memory import (
    RECEIVE_BUFFER_BYTES,
    ask_for_buffer,
    read_memory,
)
from server.transports.udp_port import UdpPort

log = logging.getLogger(__name__)


class RtpListener:
    """The UDP sockets of this server."""

    def __init__(
        self, demux: RtpDemux, host: str, ports: Sequence[int], now: Callable[[], float]
    ) -> None:
        self._demux = demux
        self._host = host
        self._wanted = ports
        self._now = now
        self._open: list[UdpPort] = []
        self._family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # One for all sockets: they are read one after another.
        self._reader = _reader(self._family)
        self._seen_drops: dict[UdpPort, int] = {}
        self.drops: Counter[str] = Counter()
        """Datagrams that never reached the demultiplexer, by reason."""
        self.ports: list[int] = []
        """The ports in use, the one for RTCP left out; known once open."""

    @property
    def datagrams(self) -> int:
        """How many have been read so far."""
        return sum(port.datagrams for port in self._open)

    def open(self) -> None:
        """Bind every port and begin to read.

        Raises:
            StartupError: A port cannot be had.
        """
        try:
            for port in self._wanted:
                self.ports.append(self._bind(port))
        except OSError as error:
            self.close()
            raise StartupError(
                f"cannot listen for RTP on {self._host}:{port} (rtp_listen): "
                f"{error.strerror}"
            ) from error
        self._bind_rtcp(self.ports[-1] + 1)

    def close(self) -> None:
        """Stop reading and close every socket."""
        for port in self._open:
            port.close()
        self._open.clear()

    def drain(self) -> None:
        """Read what the kernel still holds, within a bound for each socket."""
        for port in self._open:
            port.drain()

    def observe_kernel(self) -> float:
        """Count what the kernel dropped; return how full the fullest buffer is, 0 to 1.

        One system call a socket, so for now and then.
        """
        fullest = 0.0
        for port in self._open:
            memory = read_memory(port.udp)
            if memory is None:
                continue
            fullest = max(fullest, memory.used_bytes / memory.size_bytes)
            dropped = (memory.dropped - self._seen_drops.get(port, 0)) % 2**32
            if dropped:
                self._seen_drops[port] = memory.dropped
                self.drops["socket_full"] += dropped
        return fullest

    def _bind(self, number: int) -> int:
        udp = socket.socket(self._family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.bind((self._host, number))
        except OSError:
            udp.close()
            raise
        self._ask_for_buffer(udp)
        port = UdpPort(udp, self._reader, self._demux, self.drops, self._now)
        port.start()
        self._open.append(port)
        return port.number

    def _bind_rtcp(self, port: int) -> None:
        try:
            self._bind(port)
        except (OSError, OverflowError) as error:
            log.info("no RTCP port: %s:%s: %s", self._host, port, error)

    def _ask_for_buffer(self, udp: socket.socket) -> None:
        granted = ask_for_buffer(udp)
        if granted < RECEIVE_BUFFER_BYTES and not self._open:
            log.warning(
                "the kernel grants a UDP receive buffer of %d of %d bytes; raise it "
                "with: sysctl -w net.core.rmem_max=%d",
                granted,
                RECEIVE_BUFFER_BYTES,
                RECEIVE_BUFFER_BYTES,
            )


def _reader(family: int) -> DatagramReader:
    recvmmsg = find_recvmmsg()
    return RecvfromReader() if recvmmsg is None else RecvMmsgReader(recvmmsg, family)
