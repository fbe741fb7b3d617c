"""One UDP socket on the event loop, read as seldom as its traffic allows.

Theory of operation. A socket with little traffic is read whenever it becomes readable.
One with more is read by the clock: waking up for each datagram would cost more than
the datagram. So:

    quiet   readable -> read; again within PAUSE_S -> busy
    busy    every PAUSE_S -> read; nothing there -> quiet

A reading ends when the socket is empty or after MAX_IN_TURN datagrams; then everything
else on the loop gets its turn before the rest is read.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections import Counter
from collections.abc import Callable, Iterator

from server.rtp.batch import TOO_LONG
from server.rtp.demux import Address, RtpDemux
from server.transports.datagrams import DatagramReader

log = logging.getLogger(__name__)

PAUSE_S = 0.002
"""Between the readings of a busy socket. 4000 taps send 400 datagrams in that time,
which still fit a buffer that the kernel grants to anybody (208 KiB, 550 datagrams)."""

MAX_IN_TURN = 2048
"""Datagrams in one turn of the event loop, some milliseconds of work."""

MAX_TURNS_OF_DRAIN = 64


class UdpPort:
    """A bound socket, its reader, and when to read it."""

    def __init__(
        self,
        udp: socket.socket,
        reader: DatagramReader,
        demux: RtpDemux,
        drops: Counter[str],
        now: Callable[[], float],
    ) -> None:
        self.udp = udp
        self.number: int = udp.getsockname()[1]
        self.datagrams = 0
        """Read so far."""
        self._reader = reader
        self._demux = demux
        self._drops = drops
        self._now = now
        self._read_at = 0.0
        self._timer: asyncio.Handle | None = None
        self._loop = asyncio.get_running_loop()

    def start(self) -> None:
        """Begin to read."""
        self._loop.add_reader(self.udp, self._on_readable)

    def close(self) -> None:
        """Stop reading and close the socket."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(self.udp)
        self.udp.close()

    def drain(self) -> None:
        """Read what the kernel still holds, within a bound."""
        for _ in range(MAX_TURNS_OF_DRAIN):
            if self._read() < MAX_IN_TURN:
                return

    def _on_readable(self) -> None:
        since = self._now() - self._read_at
        self._read()
        if since < PAUSE_S:
            self._loop.remove_reader(self.udp)
            self._timer = self._loop.call_later(PAUSE_S, self._on_time)

    def _on_time(self) -> None:
        count = self._read()
        if count >= MAX_IN_TURN:
            self._timer = self._loop.call_soon(self._on_time)
        elif count:
            self._timer = self._loop.call_later(PAUSE_S, self._on_time)
        else:
            self._timer = None
            self.start()

    def _read(self) -> int:
        """Read up to a turn's worth; return how much that was."""
        total = 0
        now = self._read_at = self._now()
        try:
            while total < MAX_IN_TURN:
                count = self._reader.read(self.udp)
                total += count
                if count:
                    self._receive(now)
                if count < self._reader.batch.capacity:
                    break
                now = self._now()
        except OSError as error:
            # An ICMP answer to somebody else's datagram; the socket itself is well.
            log.debug("! UDP %s: %s", self.number, error)
        self.datagrams += total
        return total

    def _receive(self, now: float) -> None:
        """Pass on the batch that has been read."""
        batch, demux = self._reader.batch, self._demux
        rest = demux.receive_expected(batch, self.number, now)
        fitting = [index for index in rest if batch.lengths[index] != TOO_LONG]
        if len(rest) > len(fitting):
            self._drops["too_long"] += len(rest) - len(fitting)
        if fitting:
            self._pass_on(
                ((batch.data(index), batch.address(index)) for index in fitting), now
            )
            demux.open_lanes(batch, fitting)

    def _pass_on(self, datagrams: Iterator[tuple[bytes, Address]], now: float) -> None:
        while True:
            try:
                self._demux.receive_datagrams(datagrams, self.number, now)
                return
            except Exception:
                # A mistake of ours costs one datagram, never the socket; the iterator
                # goes on behind it.
                self._drops["internal_error"] += 1
                if self._drops["internal_error"] == 1:
                    log.exception("a datagram on port %s met an error", self.number)
