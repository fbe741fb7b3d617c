"""Datagrams come in whole, in order and with their source, by either way of reading."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from server.errors import StartupError
from server.rtp.address import Address
from server.rtp.batch import MAX_DATAGRAM_BYTES, TOO_LONG
from server.rtp.demux import RtpDemux
from server.transports import rtp_udp, socket_memory
from server.transports.datagrams import DatagramReader, RecvfromReader
from server.transports.recvmmsg import BATCH, RecvMmsgReader, find_recvmmsg
from server.transports.rtp_udp import RtpListener
from server.transports.udp_port import MAX_IN_TURN

HOSTS = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


class KeepingDemux(RtpDemux):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.received: list[tuple[bytes, Address]] = []
        self.batches: list[int] = []

    def receive_datagrams(
        self, batch: Iterable[tuple[bytes, Address]], local_port: int, now: float
    ) -> None:
        before = len(self.received)
        self.received += batch
        self.batches.append(len(self.received) - before)


def batched(family: int) -> DatagramReader:
    recvmmsg = find_recvmmsg()
    if recvmmsg is None:
        pytest.skip("this system has no recvmmsg")
    return RecvMmsgReader(recvmmsg, family)


def portable(_family: int) -> DatagramReader:
    return RecvfromReader()


def udp_socket(family: int = socket.AF_INET) -> socket.socket:
    udp = socket.socket(family, socket.SOCK_DGRAM)
    udp.setblocking(False)
    socket_memory.ask_for_buffer(udp)
    try:
        udp.bind((HOSTS[socket.AddressFamily(family)], 0))
    except OSError:
        udp.close()
        pytest.skip("this machine has no such addresses")
    return udp


@pytest.fixture(params=[batched, portable])
def make_reader(request: pytest.FixtureRequest) -> Callable[[int], DatagramReader]:
    made: Callable[[int], DatagramReader] = request.param
    return made


@pytest.fixture
def sender() -> Iterator[socket.socket]:
    with udp_socket() as udp:
        yield udp


def read(reader: DatagramReader, udp: socket.socket) -> list[tuple[bytes, Address]]:
    """Return what fits of the next batch."""
    assert reader.read(udp) == len(reader.batch)
    batch = reader.batch
    return [
        (batch.data(index), batch.address(index))
        for index, length in enumerate(batch.lengths)
        if length != TOO_LONG
    ]


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_lengths_and_sources_are_those_that_were_sent(
    make_reader: Callable[[int], DatagramReader], family: int
) -> None:
    with udp_socket(family) as udp, udp_socket(family) as a, udp_socket(family) as b:
        reader = make_reader(family)
        sent = [(bytes([n]) * length, n % 2) for n, length in enumerate((172, 0, 1, 9))]
        sent += [(bytes([9]) * MAX_DATAGRAM_BYTES, 0), (bytes([10]) * 172, 1)]
        for data, which in sent:
            (a, b)[which].sendto(data, udp.getsockname())
        addresses = [each.getsockname()[:2] for each in (a, b)]
        got = read(reader, udp)
        assert got == [(data, addresses[which]) for data, which in sent]
        assert all(type(data) is bytes for data, _ in got)
        assert not reader.read(udp)


def test_buffers_are_used_again_and_what_was_read_stays(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        sender.sendto(b"a" * 172, udp.getsockname())
        ((first, _),) = read(reader, udp)
        sender.sendto(b"b" * 172, udp.getsockname())
        ((second, _),) = read(reader, udp)
        assert first == b"a" * 172
        assert second == b"b" * 172


def test_a_batch_is_no_larger_than_said(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        capacity = reader.batch.capacity
        for n in range(capacity + 3):
            sender.sendto(n.to_bytes(4, "big"), udp.getsockname())
        first, second = read(reader, udp), read(reader, udp)
        assert (len(first), len(second)) == (capacity, 3)
        numbers = [int.from_bytes(data, "big") for data, _ in first + second]
        assert numbers == list(range(capacity + 3))


def test_what_is_too_long_is_told(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        for length in (10, MAX_DATAGRAM_BYTES + 1, 20):
            sender.sendto(bytes(length), udp.getsockname())
        assert [len(data) for data, _ in read(reader, udp)] == [10, 20]
        assert reader.batch.lengths.tolist() == [10, TOO_LONG, 20]


def test_a_socket_that_is_closed_is_an_error() -> None:
    reader = batched(socket.AF_INET)
    udp = udp_socket()
    udp.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        reader.read(udp)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        for _ in itertools.count():
            if condition():
                return
            await asyncio.sleep(0.001)


async def received(demux: KeepingDemux, count: int) -> None:
    await until(lambda: len(demux.received) >= count)


async def test_a_burst_is_taken_in_bounded_turns(sender: socket.socket) -> None:
    demux = KeepingDemux()
    listener = RtpListener(demux, "127.0.0.1", [0], time.monotonic)
    listener.open()
    target = ("127.0.0.1", listener.ports[0])
    try:
        for n in range(3 * MAX_IN_TURN):
            sender.sendto(n.to_bytes(4, "big"), target)
        assert not demux.received
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert len(demux.received) <= 2 * MAX_IN_TURN
        dropped = listener_drops(listener)
        await received(demux, 3 * MAX_IN_TURN - dropped)
    finally:
        listener.close()
    numbers = [int.from_bytes(data, "big") for data, _ in demux.received]
    assert numbers == sorted(numbers)
    assert max(demux.batches) <= BATCH


def listener_drops(listener: RtpListener) -> int:
    listener.observe_kernel()
    return listener.drops["socket_full"]


async def test_a_busy_socket_is_read_by_the_clock_and_a_quiet_one_at_once(
    sender: socket.socket,
) -> None:
    demux = KeepingDemux()
    listener = RtpListener(demux, "127.0.0.1", [0], time.monotonic)
    listener.open()
    target = ("127.0.0.1", listener.ports[0])
    try:
        for n in range(300):
            sender.sendto(bytes(172), target)
            if n % 3 == 0:
                await asyncio.sleep(0)
        await received(demux, 300)
        assert len(demux.batches) < 100
        # Quiet again: found readable by the loop, not by a timer that runs for ever.
        await until(lambda: listener._open[0]._timer is None)
        sender.sendto(bytes(172), target)
        await received(demux, 301)
        assert listener.datagrams == 301
    finally:
        listener.close()


@pytest.mark.skipif(
    find_recvmmsg() is None, reason="the kernel of this system tells nothing"
)
async def test_what_the_kernel_drops_is_counted_once(
    sender: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_memory, "RECEIVE_BUFFER_BYTES", 8192)
    listener = RtpListener(KeepingDemux(), "127.0.0.1", [0], time.monotonic)
    listener.open()
    try:
        for _ in range(200):
            sender.sendto(bytes(172), ("127.0.0.1", listener.ports[0]))
        fill = listener.observe_kernel()
        dropped = listener.drops["socket_full"]
        assert fill > 0.5
        assert 0 < dropped < 200
        listener.observe_kernel()
        assert listener.drops["socket_full"] == dropped
        listener.drain()
        assert listener.datagrams + dropped == 200
        assert listener.observe_kernel() < 0.1
    finally:
        listener.close()


async def test_a_buffer_that_is_refused_is_told_with_the_setting(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(rtp_udp, "ask_for_buffer", lambda _: 212_992)
    listener = RtpListener(KeepingDemux(), "127.0.0.1", [0], time.monotonic)
    with caplog.at_level(logging.WARNING):
        listener.open()
    listener.close()
    assert "sysctl -w net.core.rmem_max=" in caplog.text


async def test_a_port_in_use_is_refused_with_its_name(sender: socket.socket) -> None:
    port = sender.getsockname()[1]
    listener = RtpListener(KeepingDemux(), "127.0.0.1", [port], time.monotonic)
    with pytest.raises(StartupError, match=f"127.0.0.1:{port}"):
        listener.open()


async def test_without_recvmmsg_the_portable_way_is_used(
    monkeypatch: pytest.MonkeyPatch, sender: socket.socket
) -> None:
    monkeypatch.setattr(rtp_udp, "find_recvmmsg", lambda: None)
    demux = KeepingDemux()
    listener = RtpListener(demux, "127.0.0.1", [0], time.monotonic)
    listener.open()
    try:
        sender.sendto(b"portable", ("127.0.0.1", listener.ports[0]))
        await received(demux, 1)
        assert demux.received == [(b"portable", sender.getsockname())]
    finally:
        listener.close()


class StumblingDemux(KeepingDemux):
    """Has a mistake in it that some datagrams meet."""

    def receive_datagrams(
        self, batch: Iterable[tuple[bytes, Address]], local_port: int, now: float
    ) -> None:
        for data, addr in batch:
            if data == b"stumble":
                raise ZeroDivisionError
            super().receive_datagrams([(data, addr)], local_port, now)


async def test_a_mistake_of_ours_costs_one_datagram_and_not_the_socket(
    sender: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    demux = StumblingDemux()
    listener = RtpListener(demux, "127.0.0.1", [0], time.monotonic)
    listener.open()
    try:
        for _ in range(3):
            for data in (b"a", b"stumble", b"b"):
                sender.sendto(data, ("127.0.0.1", listener.ports[0]))
            await received(demux, len(demux.received) + 2)
    finally:
        listener.close()
    assert [data for data, _ in demux.received] == [b"a", b"b"] * 3
    assert listener.drops["internal_error"] == 3
    assert caplog.text.count("met an error") == 1
