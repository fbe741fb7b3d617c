"""What is known of a recording while it is written, kept beside its audio.

One line of JSON for each thing there is to tell: first everything about the track, then
its gaps, digits, changes and late packets. Lines are only ever appended, by the thread
that writes the audio and before the audio that follows them, so whatever a crash leaves
is true.

    {"what": "begin", "version": 1, "info": {"recording_id": ..., "codec": ..., ...}}
    {"what": "gap", "start": 8000, "length": 160, "cause": "lost", "detail": ""}
    {"what": "digit", "start": 9000, "digit": "5", "length": 800}
    {"what": "change", "start": 9600, "text": "SSRC 0x1234abcd"}
    {"what": "late", "start": 8000, "length": 160}
    {"what": "counts", "start": 80000, "received": 500, "lost": 1, "late": 1, ...}
    {"what": "resume", "position": 9600}

The last is where another server went on: what was told of later positions is void.

A later version may add keys and kinds of lines: those unknown here are passed over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import MISSING, asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, get_type_hints

from server.audio import (
    Codec,
    Counted,
    Digit,
    Gap,
    GapCause,
    Late,
    PacketCounts,
    SourceChange,
    StreamInfo,
    TrackNote,
)
from server.library.fields import Fields, JsonObject
from server.library.files import sync

VERSION = 1
MAX_LINES = 200_000
"""Of one journal, about 15 MB; what comes after is not kept."""
MAX_BYTES = 64 * 1024 * 1024

_READERS: dict[object, Callable[[Fields, str], Any]] = {
    str: Fields.text,
    int: Fields.whole,
    float: Fields.number,
    float | None: Fields.optional_real,
    bool: Fields.flag,
    tuple[str, ...]: Fields.text_list,
    Codec: lambda found, key: Codec(found.one_of(key, tuple(Codec))),
}
"""How a field of `StreamInfo` is read, by its type."""


@dataclass(slots=True)
class JournalFacts:
    """What a journal tells beside the first line, as it was noted."""

    gaps: list[Gap] = field(default_factory=list)
    digits: list[Digit] = field(default_factory=list)
    changes: list[SourceChange] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)
    counted: Counted | None = None
    """The packets when they were noted last."""


@dataclass(frozen=True, slots=True)
class JournalContent:
    """One journal, read again."""

    info: StreamInfo
    facts: JournalFacts


class Journal:
    """The journal of one recording that is being written. Blocking."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due: list[bytes] = []
        self._lines = 0

    def begin(self, info: StreamInfo, *, durable: bool = False) -> None:
        """Start the file with everything about the track.

        Raises:
            OSError: The disk refuses; then there is no file.
        """
        line = _line("begin", version=VERSION, info=asdict(info))
        self._path.unlink(missing_ok=True)
        try:
            self._append(line)
            if durable:
                sync(self._path)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise

    def note(self, event: TrackNote) -> None:
        """Have a line written with the next `flush`."""
        if self._lines < MAX_LINES:
            self._lines += 1
            self._due.append(_note_line(event))

    def resume(self, position: int) -> None:
        """Note that recording goes on from here, with the next `flush`.

        What has been noted and is to be written yet is of what comes now.
        """
        self._due.insert(0, _line("resume", position=position))

    def flush(self, *, durable: bool = False) -> None:
        """Write what has been noted.

        Raises:
            OSError: The disk refuses; what was noted is kept for the next time.
        """
        if self._due:
            # Opened each time: a tap has little to tell, and descriptors are few.
            self._append(b"".join(self._due))
            self._due.clear()
            if durable:
                sync(self._path)

    def _append(self, data: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o666)
        try:
            size = os.fstat(descriptor).st_size
            while data:
                try:
                    written = os.write(descriptor, data)
                except OSError:
                    # Half a line would spoil the one that is appended to it later.
                    os.ftruncate(descriptor, size)
                    raise
                data = data[written:]
        finally:
            os.close(descriptor)


def read_journal(path: Path) -> JournalContent | None:
    """Return what a journal tells; None if there is none, or not even its first line.

    Raises:
        OSError: It is there and cannot be read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    return parse_journal(data.split(b"\n"))


def parse_journal(lines: Iterable[bytes]) -> JournalContent | None:
    """Read lines of which any may be damaged; pure."""
    info: StreamInfo | None = None
    facts = JournalFacts()
    for line in lines:
        try:
            found = Fields(json.loads(line))
            what = found.text("what")
            if what == "begin":
                info = _read_info(found.inner("info"))
            elif what == "resume":
                facts = facts_within(facts, found.whole("position"))
            else:
                _take(found, facts)
        except (ValueError, RecursionError):
            # The last line of a crash, or a sector that went bad; the rest is good.
            continue
    return None if info is None else JournalContent(info, facts)


def _read_info(found: Fields) -> StreamInfo:
    """Read every field of the track; one with a default may be missing."""
    hints = get_type_hints(StreamInfo)
    given = set(found)
    return StreamInfo(
        **{
            each.name: _READERS[hints[each.name]](found, each.name)
            for each in fields(StreamInfo)
            if each.name in given or each.default is MISSING
        }
    )


def _take(found: Fields, facts: JournalFacts) -> None:
    what = found.text("what")
    if what == "gap":
        cause = GapCause(found.one_of("cause", tuple(GapCause)))
        span = found.whole("start"), found.whole("length")
        facts.gaps.append(Gap(*span, cause, found.text("detail", "")))
    elif what == "digit":
        start, length = found.whole("start"), found.whole("length")
        facts.digits.append(Digit(start, found.text("digit"), length))
    elif what == "change":
        facts.changes.append(SourceChange(found.whole("start"), found.text("text")))
    elif what == "late":
        facts.late.append(Late(found.whole("start"), found.whole("length")))
    elif what == "counts":
        facts.counted = Counted(found.whole("start"), _read_counts(found))


def gaps_within(gaps: Iterable[Gap], samples: int) -> list[Gap]:
    """Return gaps in order, joined where they touch, none beyond so many samples."""
    found: list[Gap] = []
    end = 0
    for gap in sorted(gaps, key=lambda each: each.start):
        start, stop = max(gap.start, end), min(gap.start + gap.length, samples)
        if start >= stop:
            continue
        last = found[-1] if found else None
        if (
            last is not None
            and start == end
            and (last.cause, last.detail) == (gap.cause, gap.detail)
        ):
            found[-1] = replace(last, length=stop - last.start)
        else:
            found.append(replace(gap, start=start, length=stop - start))
        end = stop
    return found


def _read_counts(found: Fields) -> PacketCounts:
    return PacketCounts(
        received=found.whole("received"),
        lost=found.whole("lost"),
        late=found.whole("late"),
        duplicate=found.whole("duplicate"),
        reordered=found.whole("reordered"),
        jitter_ms=found.number("jitter_ms"),
    )


def end_of_masks(gaps: Iterable[Gap], samples: int) -> int:
    """Return where the last mask ends that only gaps part from so many samples.

    In a pause no audio is written, so that the journal alone tells how long it was.
    """
    end = found = samples
    for gap in sorted(gaps, key=lambda each: each.start):
        if gap.start > end:
            break
        end = max(end, gap.start + gap.length)
        if gap.cause is GapCause.MASKED:
            found = end
    return found


def facts_within(facts: JournalFacts, samples: int) -> JournalFacts:
    """Return what is told of the first so many samples."""
    return JournalFacts(
        gaps_within(facts.gaps, samples),
        [each for each in facts.digits if each.start < samples],
        [each for each in facts.changes if each.start < samples],
        [each for each in facts.late if each.start < samples],
        facts.counted,
    )


def _note_line(event: TrackNote) -> bytes:
    match event:
        case Gap():
            span = {"start": event.start, "length": event.length}
            return _line("gap", **span, cause=event.cause.value, detail=event.detail)
        case Digit():
            return _line(
                "digit", start=event.start, digit=event.digit, length=event.length
            )
        case SourceChange():
            return _line("change", start=event.start, text=event.what)
        case Late():
            return _line("late", start=event.start, length=event.length)
        case Counted():
            return _line("counts", start=event.start, **asdict(event.counts))


def _line(what: str, **content: object) -> bytes:
    line: JsonObject = {"what": what, **content}
    return json.dumps(line).encode("ascii") + b"\n"
