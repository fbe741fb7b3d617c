"""The page that a run of the benchmark leaves: tables with ratios, and where it ran."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.rtp import Row
from tests.bench.ws import Figures

FLOOR = "floor"
TAPDECK = "tapdeck"

NAMES = {
    "floor": "floor: received and thrown away",
    "tapdeck": "**Tapdeck, to WAV**",
    "asyncio": "asyncio, aiortc's parser, a decode and a write a packet",
    "ffmpeg": "ffmpeg, one process a stream",
    "gstreamer": "GStreamer, one process a stream",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One receiver under one load."""

    title: str
    receiver: str
    taps: int
    cpu_us: float
    """A packet or message."""
    taps_per_core: int
    dropped: int | None = None
    """Datagrams that found the socket full; None where there is no such thing."""
    wrong: str = ""
    """What is not as it was sent; `0` if all is, empty if nobody looked."""
    kb_per_tap: float
    lag_p99_ms: float | None = None
    writes: float | None = None
    """Write calls a tap and second."""
    late: int = 0
    """Packets that the load generator itself sent late."""

    def __str__(self) -> str:
        return (
            f"{self.title}: {self.receiver}, {self.taps} taps, {self.cpu_us:.2f} us, "
            f"dropped {self.dropped or 0}, wrong {self.wrong or '-'}"
        )


def line_of_rtp(title: str, row: Row) -> Line:
    """Return what one receiver did with RTP."""
    is_tapdeck = row.receiver == TAPDECK
    finding = row.finding
    wrong = ""
    if finding is not None:
        wrong = "0" if finding.is_exact else str(finding)
    counts_drops = row.receiver not in ("ffmpeg", "gstreamer")
    return Line(
        title=title,
        receiver=row.receiver,
        taps=row.plan.taps,
        cpu_us=row.cpu_us,
        taps_per_core=row.taps_per_core,
        dropped=row.after.dropped if counts_drops else None,
        wrong=wrong,
        kb_per_tap=row.kb_per_tap,
        lag_p99_ms=row.end.lag_p99_ms if is_tapdeck else None,
        writes=row.writes_per_tap_second if is_tapdeck else None,
        late=row.load.behind,
    )


def line_of_ws(title: str, figures: Figures) -> Line:
    """Return what one server did with WebSocket messages."""
    is_tapdeck = figures.server == TAPDECK
    return Line(
        title=title,
        receiver=figures.server,
        taps=figures.taps,
        cpu_us=figures.us_per_message,
        taps_per_core=figures.taps_per_core,
        wrong=f"{figures.wrong}" if is_tapdeck else "",
        kb_per_tap=figures.kb_per_tap,
        late=figures.behind,
    )


def is_exact(line: Line) -> bool:
    """Tell whether nothing that Tapdeck was sent is wrong or missing."""
    if line.receiver != TAPDECK:
        return True
    return line.wrong == "0" and not line.dropped


def page(lines: Sequence[Line], command: str) -> str:
    """Return the page, in Markdown."""
    titles = list(dict.fromkeys(line.title for line in lines))
    tables = [_table([line for line in lines if line.title == t]) for t in titles]
    return "\n".join(
        [
            "# The last run of the benchmark",
            "",
            f"`{command}` on {datetime.now(UTC):%Y-%m-%d}, {_machine()}.",
            "Written by the benchmark; docs/performance.md says what it means.",
            "",
            *tables,
        ]
    )


def _table(lines: Sequence[Line]) -> str:
    floor = next((line for line in lines if line.receiver == FLOOR), None)
    own = next((line for line in lines if line.receiver == TAPDECK), None)
    rows = [
        f"## {lines[0].title}",
        "",
        "| | taps | CPU µs a packet | times the floor | times Tapdeck | taps a core "
        "| dropped | wrong samples | kB a tap | lag p99 ms | writes a tap and second "
        "| sent late |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for line in lines:
        cells = [
            NAMES[line.receiver],
            str(line.taps),
            f"{line.cpu_us:.2f}",
            _ratio(line, floor),
            _ratio(line, own),
            str(line.taps_per_core),
            _or_dash(line.dropped, "d"),
            line.wrong or "-",
            f"{line.kb_per_tap:.1f}",
            _or_dash(line.lag_p99_ms, ".1f"),
            _or_dash(line.writes, ".2f"),
            str(line.late),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join([*rows, ""])


def _ratio(line: Line, other: Line | None) -> str:
    return "-" if other is None else f"{line.cpu_us / other.cpu_us:.2f}"


def _or_dash(figure: float | None, form: str) -> str:
    return "-" if figure is None else format(figure, form)


def _machine() -> str:
    cpu = "an unknown processor"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    cores = Path("/proc/cpuinfo").read_text(encoding="utf-8").count("processor\t")
    return (
        f"{cores} cores of {cpu}, Linux {platform.release()}, "
        f"Python {platform.python_version()}"
    )
