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
from server.rtp.demux import RtpDemux
from server.transports import rtp_udp, socket_memory
from server.transports.datagrams import (
    MAX_DATAGRAM_BYTES,
    DatagramReader,
    RecvfromReader,
)
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
        got = reader.read(udp)
        addresses = [each.getsockname()[:2] for each in (a, b)]
        assert list(got.payloads) == [data for data, _ in sent]
        assert list(got.sources) == [addresses[which] for _, which in sent]
        assert all(type(data) is bytes for data in got.payloads)
        assert not reader.read(udp).count


def test_an_ipv4_sender_is_the_same_on_a_socket_for_all_addresses(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        udp.setblocking(False)
        try:
            udp.bind(("::", 0))
        except OSError:
            pytest.skip("this machine has no such addresses")
        sender.sendto(b"a", ("127.0.0.1", udp.getsockname()[1]))
        got = make_reader(socket.AF_INET6).read(udp)
        assert list(got.sources) == [sender.getsockname()]


def test_buffers_are_used_again_and_what_was_read_stays(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        sender.sendto(b"a" * 172, udp.getsockname())
        first = reader.read(udp)
        sender.sendto(b"b" * 172, udp.getsockname())
        second = reader.read(udp)
        assert first.payloads[0] == b"a" * 172
        assert second.payloads[0] == b"b" * 172


def test_a_batch_is_no_larger_than_said(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        for n in range(reader.capacity + 3):
            sender.sendto(n.to_bytes(4, "big"), udp.getsockname())
        first, second = reader.read(udp), reader.read(udp)
        assert (first.count, second.count) == (reader.capacity, 3)
        numbers = [*first.payloads, *second.payloads]
        assert [int.from_bytes(n, "big") for n in numbers] == list(
            range(reader.capacity + 3)
        )


def test_what_is_too_long_is_not_used_and_counted(
    make_reader: Callable[[int], DatagramReader], sender: socket.socket
) -> None:
    with udp_socket() as udp:
        reader = make_reader(socket.AF_INET)
        for length in (10, MAX_DATAGRAM_BYTES + 1, 20):
            sender.sendto(bytes(length), udp.getsockname())
        got = reader.read(udp)
        assert [len(data) for data in got.payloads] == [10, 20]
        assert len(got.sources) == 2
        assert got.count == 3


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
