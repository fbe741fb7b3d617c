"""The whole benchmark: `make bench`, or `python -m tests.bench [--quick]`.

Receivers are measured one after the other in one run on one machine, so that the ratios
hold where absolute figures do not. Exits with 1 if a sample of Tapdeck's is wrong or
lost, never for a time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from tests.bench import rtp, ws
from tests.bench.report import Line, is_exact, line_of_rtp, line_of_ws, page
from tests.bench.rtp_load import LoadPlan
from tests.bench.rtp_receivers import installed

RAMP = 0.6
"""Of the seconds until all taps are live: hundreds of calls a second do not begin."""

OUTPUT = Path("docs/benchmark.md")


@dataclass(frozen=True, slots=True)
class Step:
    """One receiver under one load."""

    title: str
    receiver: str
    plan: LoadPlan | None
    """Of RTP; None for WebSocket."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure everything and write the page; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--taps", type=int, default=3000, help="over RTP")
    parser.add_argument("--ws-taps", type=int, default=1000, help="over WebSocket")
    parser.add_argument("--seconds", type=float, default=24, help="of each receiver")
    parser.add_argument("--quick", action="store_true", help="a tenth of all taps")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args(arguments)
    share = 10 if options.quick else 1
    steps = list(_steps(options.taps // share, options.seconds))
    console = Console(stderr=True)
    lines: list[Line] = []
    with Progress(console=console) as progress:
        task = progress.add_task("benchmark", total=len(steps))
        for step in steps:
            progress.update(task, description=f"{step.title}, {step.receiver}")
            line = _measure(step, options.ws_taps // share, options.seconds)
            console.print(str(line))
            lines.append(line)
            progress.advance(task)
    text = page(lines, "make bench")
    options.output.write_text(text, encoding="utf-8")
    sys.stdout.write(text)
    return 0 if all(map(is_exact, lines)) else 1


def _steps(taps: int, seconds: float) -> Iterator[Step]:
    clean = "RTP, 20 ms"
    plan = LoadPlan(taps=taps, seconds=seconds, ramp_s=seconds * RAMP)
    yield Step(clean, "floor", plan)
    yield Step(clean, "tapdeck", plan)
    # What costs more gets less, so that none of them is overloaded.
    some = LoadPlan(taps=max(10, taps // 5), seconds=seconds, ramp_s=seconds * RAMP)
    yield Step(clean, "asyncio", some)
    few = LoadPlan(taps=max(10, taps // 60), seconds=seconds, ramp_s=seconds * RAMP)
    for receiver in ("ffmpeg", "gstreamer"):
        if receiver in installed():
            yield Step(clean, receiver, few)
    for ptime in (10, 60):
        other = LoadPlan(
            taps=taps * min(ptime, 20) // 20,
            seconds=seconds,
            ramp_s=seconds * RAMP,
            ptime=ptime,
        )
        for receiver in ("floor", "tapdeck"):
            yield Step(f"RTP, {ptime} ms", receiver, other)
    rough = LoadPlan(
        taps=taps // 3, seconds=seconds, ramp_s=seconds * RAMP, loss=0.01, reorder=0.01
    )
    for receiver in ("floor", "tapdeck"):
        yield Step("RTP, 20 ms, 1 % lost, 1 % reordered", receiver, rough)
    for receiver in (ws.FLOOR, ws.TAPDECK):
        yield Step("WebSocket, 20 ms", receiver, None)


def _measure(step: Step, ws_taps: int, seconds: float) -> Line:
    if step.plan is None:
        figures = ws.measure_one(step.receiver, ws_taps, seconds)
        return line_of_ws(step.title, figures)
    return line_of_rtp(step.title, rtp.measure(step.receiver, step.plan))


if __name__ == "__main__":
    sys.exit(main())
