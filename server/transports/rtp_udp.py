"""UDP sockets for RTP and RTCP, read in batches and handed to the demultiplexer.

One shared port, or a range with a port per tap. The port above the last one is opened
too if it is free, because RTCP traditionally arrives there (RFC 3550 section 11).
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Sequence

from server.errors import StartupError
from server.rtp.demux import Address, RtpDemux

log = logging.getLogger(__name__)

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel for each socket: a second of a thousand taps and more."""

MAX_DATAGRAM_BYTES = 2048
"""Larger than an Ethernet frame; what is longer arrives cut and is counted so."""

MAX_BATCH = 256
"""Datagrams read in one turn of the event loop, so that others get theirs."""


class RtpListener:
    """The UDP sockets of this server."""

    def __init__(
        self, demux: RtpDemux, host: str, ports: Sequence[int], now: Callable[[], float]
    ) -> None:
        self._demux = demux
        self._host = host
        self._ports = ports
        self._now = now
        self._sockets: list[socket.socket] = []
        self.datagrams = 0
        """Read so far."""
        self.ports: list[int] = []
        """The ports in use, the one for RTCP left out; known once open."""

    def open(self) -> None:
        """Bind every port and begin to read.

        Raises:
            StartupError: A port cannot be had.
        """
        try:
            for port in self._ports:
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
        loop = asyncio.get_running_loop()
        for each in self._sockets:
            loop.remove_reader(each)
            each.close()
        self._sockets.clear()

    def drain(self) -> None:
        """Read what the kernel still holds, within a bound for each socket."""
        for each in self._sockets:
            for _ in range(64):
                if self._read(each, each.getsockname()[1]) < MAX_BATCH:
                    break

    def _bind(self, port: int) -> int:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        udp = socket.socket(family, socket.SOCK_DGRAM)
        try:
            udp.setblocking(False)
            udp.bind((self._host, port))
        except OSError:
            udp.close()
            raise
        self._ask_for_buffer(udp)
        local_port: int = udp.getsockname()[1]
        asyncio.get_running_loop().add_reader(udp, self._read, udp, local_port)
        self._sockets.append(udp)
        return local_port

    def _bind_rtcp(self, port: int) -> None:
        try:
            self._bind(port)
        except (OSError, OverflowError) as error:
            log.info("no RTCP port: %s:%s: %s", self._host, port, error)

    def _ask_for_buffer(self, udp: socket.socket) -> None:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        # Linux reports twice what it grants, the other half being its own bookkeeping.
        granted = udp.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2
        if granted < RECEIVE_BUFFER_BYTES and not self._sockets:
            log.warning(
                "the kernel grants a UDP receive buffer of %d of %d bytes; raise it "
                "with: sysctl -w net.core.rmem_max=%d",
                granted,
                RECEIVE_BUFFER_BYTES,
                RECEIVE_BUFFER_BYTES,
            )

    def _read(self, udp: socket.socket, local_port: int) -> int:
        batch: list[tuple[bytes, Address]] = []
        receive = udp.recvfrom
        try:
            while len(batch) < MAX_BATCH:
                data, address = receive(MAX_DATAGRAM_BYTES)
                batch.append((data, address[:2]))
        except BlockingIOError:
            pass
        except OSError as error:
            # An ICMP answer to somebody else's datagram; the socket itself is well.
            log.debug("! UDP %s: %s", local_port, error)
        if batch:
            self.datagrams += len(batch)
            self._demux.receive_datagrams(batch, local_port, self._now())
        return len(batch)
