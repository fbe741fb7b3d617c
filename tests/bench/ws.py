"""What a WebSocket message costs: `python -m tests.bench.ws --taps N --seconds S`.

Each server runs in a process of its own and gets the same load from this one; its CPU
and memory are those that the kernel counts for that process. Prints a table and, last,
one line of JSON. Exits with 1 if a sample was lost or wrong, never for a time.

Linux only: the figures come from /proc.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from relay_client.simulator.g711 import encode_ulaw
from tests.bench.ws_load import PTIME_S, Load

FLOOR = "floor"
TAPDECK = "tapdeck"
SERVERS = (FLOOR, "picows", "aiohttp", "aiohttp-events", "events", TAPDECK)
SETTLE_S = 0.5
IDLE_S = 2.0
WARM_UP_S = 1.0
PRINT = sys.stdout.write


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one server needed."""

    server: str
    taps: int
    messages: int
    us_per_message: float
    """CPU, user and system, all threads."""
    core: float
    """Of one core, while the load was on."""
    idle_us_per_tap: float
    """CPU that a connected, silent tap takes a second."""
    idle_kb_per_tap: float
    """Resident memory once connected, before any audio."""
    kb_per_tap: float
    """Resident memory at the end of the load."""
    behind: int
    """Messages that the generator sent more than 20 ms late."""
    files: int = 0
    """Recordings, for servers that record."""
    wrong: int = 0
    """Recordings that are missing or are not exactly what was sent."""
    inserted_s: float = 0.0
    """Pauses that the server believed in; of the generator or its own."""

    @property
    def taps_per_core(self) -> int:
        """Return how many taps such a CPU time per message makes room for."""
        return int(PTIME_S * 1e6 / self.us_per_message)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from a command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ws")
    parser.add_argument("--taps", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--only", nargs="*", choices=SERVERS, default=list(SERVERS))
    options = parser.parse_args(arguments)
    figures = measure(options.taps, options.seconds, options.only)
    PRINT(table(figures))
    PRINT(json.dumps([asdict(each) for each in figures]) + "\n")
    return int(any(each.wrong for each in figures))


def measure(taps: int, seconds: float, servers: Sequence[str]) -> list[Figures]:
    """Measure the servers one after the other; those not installed are left out."""
    if importlib.util.find_spec("picows") is None:
        servers = [name for name in servers if name != "picows"]
    return [measure_one(name, taps, seconds) for name in servers]


def measure_one(server: str, taps: int, seconds: float) -> Figures:
    """Put `taps` on one server for so long."""
    with tempfile.TemporaryDirectory() as folder:
        recordings = Path(folder)
        with _serving(server, recordings) as (process, port):
            empty_kb = _resident_kb(process.pid)
            load = Load("127.0.0.1", port, "/tap/{}", taps)
            time.sleep(SETTLE_S)
            idle_cpu_s = -_cpu_s(process.pid)
            time.sleep(IDLE_S)
            idle_cpu_s += _cpu_s(process.pid)
            idle_kb = _resident_kb(process.pid)
            load.run(WARM_UP_S)
            before = _cpu_s(process.pid)
            result = load.run(seconds)
            cpu_s = _cpu_s(process.pid) - before
            full_kb = _resident_kb(process.pid)
            load.close()
            files, wrong, inserted_s = 0, 0, 0.0
            if server == TAPDECK:
                files = _wait_for_files(recordings, taps)
                wrong, inserted_s = _check(recordings, load.audio())
    return Figures(
        server=server,
        taps=taps,
        messages=result.messages,
        us_per_message=round(cpu_s / result.messages * 1e6, 2),
        core=round(cpu_s / result.seconds, 3),
        idle_us_per_tap=round(idle_cpu_s / IDLE_S / taps * 1e6, 1),
        idle_kb_per_tap=round((idle_kb - empty_kb) / taps, 1),
        kb_per_tap=round((full_kb - empty_kb) / taps, 1),
        behind=result.behind,
        files=files,
        wrong=wrong,
        inserted_s=inserted_s,
    )


def table(figures: Sequence[Figures]) -> str:
    """Return the figures as text, with the ratio to the floor of the same run."""
    floor = next((each for each in figures if each.server == FLOOR), None)
    lines = [
        "server            us/msg   x floor   taps/core   us/s idle   KB idle   "
        "KB/tap   behind   files  wrong  inserted s"
    ]
    for each in figures:
        ratio = f"{each.us_per_message / floor.us_per_message:.2f}" if floor else "-"
        lines.append(
            f"{each.server:16} {each.us_per_message:7.2f} {ratio:>9} "
            f"{each.taps_per_core:11d} {each.idle_us_per_tap:11.1f} "
            f"{each.idle_kb_per_tap:9.1f} "
            f"{each.kb_per_tap:8.1f} {each.behind:8d} {each.files:7d} "
            f"{each.wrong:6d} {each.inserted_s:11.1f}"
        )
    return "\n".join(lines) + "\n"


@contextmanager
def _serving(
    server: str, recordings: Path
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    command = [sys.executable, "-m", "tests.bench.ws_servers", server, str(recordings)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process, int(process.stdout.readline())
        finally:
            process.stdin.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _cpu_s(pid: int) -> float:
    # proc(5): utime and stime are the 14th and 15th field; the name may have spaces.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_kb(pid: int) -> int:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def _wait_for_files(recordings: Path, count: int) -> int:
    deadline = time.monotonic() + 60
    while True:
        found = sum(1 for _ in recordings.glob("[0-9]*/**/*.json"))
        if found >= count or time.monotonic() > deadline:
            return found
        time.sleep(0.2)


def _check(recordings: Path, sent: list[bytes]) -> tuple[int, float]:
    """Return how many of `sent` no file has exactly, and the seconds of pauses."""
    missing = dict.fromkeys(sent)
    inserted_s = 0.0
    for path in recordings.glob("[0-9]*/**/*.json"):
        document = json.loads(path.read_text(encoding="utf-8"))
        inserted_s += sum(gap["length_s"] for gap in document["gaps"])
        if path.with_suffix(".wav").exists():
            missing.pop(_audio_without_gaps(path.with_suffix(".wav"), document), None)
    return len(missing), round(inserted_s, 3)


def _audio_without_gaps(path: Path, document: dict[str, Any]) -> bytes:
    samples, rate = soundfile.read(path, dtype="int16")
    is_audio = np.ones(len(samples), dtype=bool)
    for gap in document["gaps"]:
        start = round(gap["start_s"] * rate)
        is_audio[start : start + round(gap["length_s"] * rate)] = False
    return encode_ulaw(samples[is_audio])


if __name__ == "__main__":
    sys.exit(main())
