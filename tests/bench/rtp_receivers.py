"""The receivers that are compared, each a process of its own on one core.

    python -m tests.bench.rtp_receivers KIND FOLDER STREAMS

It prints the ports it listens on, then a snapshot for each line on its standard input,
and ends when that is closed. All as JSON, one object a line.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile
import uvloop
from aiortc.rtp import RtpPacket

from server.app import TapServer
from server.codecs.g711 import decode_mulaw
from server.config import load_settings
from server.log import setup_logging
from server.process import prepare
from server.transports.recvmmsg import RecvMmsgReader, find_recvmmsg
from server.transports.socket_memory import ask_for_buffer, read_memory
from server.transports.udp_port import PAUSE_S

CORE = 0
"""Where receivers run; the load runs on another."""
LAG_INTERVAL_S = 0.02


@dataclass(slots=True, kw_only=True)
class Snapshot:
    """A receiver at one moment; everything counts from its start."""

    cpu_s: float
    """Of all its threads and children."""
    memory_bytes: int
    packets: int
    dropped: int
    """Datagrams that the kernel had no room for."""
    taps: int = 0
    """Not finished yet, as far as the receiver can tell."""
    lag_p99_ms: float = 0.0
    """Since the snapshot before."""
    lag_max_ms: float = 0.0
    writes: int = 0
    """Write calls of the process."""


def main() -> None:
    """Run the receiver named on the command line."""
    kind, folder, streams = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    os.sched_setaffinity(0, {CORE})
    RECEIVERS[kind](folder, streams)


def receive_and_forget(_folder: Path, _streams: int) -> None:
    """Read batches like Tapdeck and look at nothing: the floor."""
    udp = _bound()
    recvmmsg = find_recvmmsg()
    assert recvmmsg is not None
    reader = RecvMmsgReader(recvmmsg, socket.AF_INET)
    packets = 0
    stop = _answer_in_thread([udp.getsockname()[1]], lambda: _snapshot(udp, packets))
    while not stop.is_set():
        time.sleep(PAUSE_S)
        while (count := reader.receive(udp)) > 0:
            packets += count
            if count < reader.batch.capacity:
                break


def run_tapdeck(folder: Path, _streams: int) -> None:
    """Run the whole server, everything on."""
    settings = load_settings(
        file=None,
        environ={},
        flags={
            "accept": "any",
            "http_listen": "127.0.0.1:0",
            "rtp_listen": "127.0.0.1:0",
            "recordings_dir": str(folder),
            "max_taps": "12000",
            "idle_timeout_s": "5",
            "log_level": "warning",
        },
    )
    setup_logging(level="warning", log_format="human", secrets=())
    prepare(settings.max_taps)
    uvloop.run(_run_tapdeck(TapServer(settings)))


async def _run_tapdeck(server: TapServer) -> None:
    lags: list[float] = []

    async def measure_lag() -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_INTERVAL_S
            await asyncio.sleep(LAG_INTERVAL_S)
            lags.append(max(0.0, loop.time() - due))

    def snapshot() -> Snapshot:
        server.rtp.observe_kernel()
        taken, lags[:] = lags[:] or [0.0], []
        return Snapshot(
            cpu_s=_cpu_s(),
            memory_bytes=_memory_bytes(),
            packets=server.rtp.datagrams,
            dropped=server.rtp.drops["socket_full"],
            taps=server.deck.live,
            lag_p99_ms=float(np.percentile(taken, 99)) * 1000,
            lag_max_ms=max(taken) * 1000,
            writes=_writes(),
        )

    async with server:
        task = asyncio.create_task(measure_lag(), name="lag of the benchmark")
        await _answer_on_loop(server.rtp.ports, snapshot)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def run_asyncio(folder: Path, _streams: int) -> None:
    """Do what one would write first: a callback, a parse and a write a packet."""
    uvloop.run(_run_asyncio(folder))


class _Straightforward(asyncio.DatagramProtocol):
    def __init__(self, folder: Path) -> None:
        self.packets = 0
        self._folder = folder
        self._files: dict[tuple[str, int], soundfile.SoundFile] = {}

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if data[1] >= 200:
            self._files.pop(addr).close()
            return
        self.packets += 1
        packet = RtpPacket.parse(data)
        file = self._files.get(addr)
        if file is None:
            path = self._folder / f"{addr[0]}.wav"
            file = soundfile.SoundFile(path, "x", 8000, 1, "PCM_16", format="WAV")
            self._files[addr] = file
        file.write(decode_mulaw(packet.payload))


async def _run_asyncio(folder: Path) -> None:
    udp = _bound()
    udp.setblocking(False)
    protocol = _Straightforward(folder)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: protocol, sock=udp)
    ports = [udp.getsockname()[1]]
    await _answer_on_loop(ports, lambda: _snapshot(udp, protocol.packets))


def run_ffmpeg(folder: Path, streams: int) -> None:
    """Start one ffmpeg a stream."""

    def command(port: int) -> list[str]:
        sdp = folder / f"{port}.sdp"
        sdp.write_text(
            "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=-\nc=IN IP4 127.0.0.1\nt=0 0\n"
            f"m=audio {port} RTP/AVP 0\n"
        )
        options = "-nostdin -loglevel error -protocol_whitelist file,udp,rtp"
        codec = ["-c:a", "pcm_s16le", str(folder / f"{port}.wav")]
        return ["ffmpeg", *options.split(), "-i", str(sdp), *codec]

    _run_children(streams, command)


def run_gstreamer(folder: Path, streams: int) -> None:
    """Start one GStreamer pipeline a stream."""
    caps = "application/x-rtp,media=audio,clock-rate=8000,encoding-name=PCMU,payload=0"

    def command(port: int) -> list[str]:
        pipeline = (
            f"udpsrc port={port} caps={caps} ! rtpjitterbuffer ! rtppcmudepay ! "
            f"mulawdec ! wavenc ! filesink location={folder / f'{port}.wav'}"
        )
        return ["gst-launch-1.0", "-q", *pipeline.split()]

    _run_children(streams, command)


def _run_children(streams: int, command: Callable[[int], list[str]]) -> None:
    ports = _free_ports(streams)
    children = [subprocess.Popen(command(port)) for port in ports]

    def snapshot() -> Snapshot:
        snapshots = [_of_child(child.pid) for child in children]
        return Snapshot(
            cpu_s=sum(each.cpu_s for each in snapshots),
            memory_bytes=sum(each.memory_bytes for each in snapshots),
            packets=0,
            dropped=0,
        )

    try:
        _answer_in_thread(ports, snapshot).wait()
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(10)


RECEIVERS: dict[str, Callable[[Path, int], None]] = {
    "floor": receive_and_forget,
    "tapdeck": run_tapdeck,
    "asyncio": run_asyncio,
    "ffmpeg": run_ffmpeg,
    "gstreamer": run_gstreamer,
}


def installed() -> list[str]:
    """Return the kinds of receivers that this machine has."""
    programs = {"ffmpeg": "ffmpeg", "gstreamer": "gst-launch-1.0"}
    return [
        kind
        for kind in RECEIVERS
        if kind not in programs or shutil.which(programs[kind])
    ]


def _answer_in_thread(
    ports: list[int], snapshot: Callable[[], Snapshot]
) -> threading.Event:
    """Answer from a thread; return what is set when it is time to end."""
    stop = threading.Event()

    def answer() -> None:
        _say({"ports": ports})
        for _ in sys.stdin:
            _say(asdict(snapshot()))
        stop.set()

    threading.Thread(target=answer, daemon=True).start()
    return stop


async def _answer_on_loop(ports: list[int], snapshot: Callable[[], Snapshot]) -> None:
    _say({"ports": ports})
    loop = asyncio.get_running_loop()
    is_over = asyncio.Event()

    def answer() -> None:
        if os.read(0, 1):
            _say(asdict(snapshot()))
        else:
            loop.remove_reader(0)
            is_over.set()

    loop.add_reader(0, answer)
    await is_over.wait()


def _say(document: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _bound() -> socket.socket:
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    ask_for_buffer(udp)
    udp.bind(("127.0.0.1", 0))
    return udp


def _free_ports(count: int) -> list[int]:
    """Return ports, even ones, whose next is free for RTCP as well."""
    ports: list[int] = []
    for port in range(20_000, 60_000, 2):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
            try:
                udp.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("there are not enough free ports")


def _snapshot(udp: socket.socket, packets: int) -> Snapshot:
    memory = read_memory(udp)
    return Snapshot(
        cpu_s=_cpu_s(),
        memory_bytes=_memory_bytes(),
        packets=packets,
        dropped=memory.dropped if memory else 0,
        writes=_writes(),
    )


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _memory_bytes(pid: int | str = "self") -> int:
    resident = Path(f"/proc/{pid}/statm").read_text().split()[1]
    return int(resident) * resource.getpagesize()


def _writes() -> int:
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["syscw"])


def _of_child(pid: int) -> Snapshot:
    # proc(5): fields 14 and 15 are utime and stime; the name before may hold spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = int(fields[11]) + int(fields[12])
    cpu_s = ticks / os.sysconf("SC_CLK_TCK")
    return Snapshot(cpu_s=cpu_s, memory_bytes=_memory_bytes(pid), packets=0, dropped=0)


if __name__ == "__main__":
    main()
