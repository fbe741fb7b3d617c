"""What the index keeps of one recording: a key to sort by, words, a packed document.

The document is abridged, so that ten thousand gaps in one recording cost a list
nothing, and packed: a million of them are then as large as a tenth.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from server.audio import GapCause, Outcome
from server.library.evidence import Evidence, EvidenceKind, Quality
from server.library.recording import Recording, TimedGap, Verdict

MAX_LISTED_GAPS = 100
"""Gaps of one recording in a list; the recording itself has them all."""
MAX_LISTED_EVIDENCE = 100
"""Likewise for its evidence."""

_CHANCE_BITS = 20
"""Four letters of an id: two recordings of one millisecond rarely share a key."""
_MS_BITS = 43
"""From 1970 for 278 years; together with the chance, what SQLite's integers hold."""
_ALPHABET = "234567abcdefghijklmnopqrstuvwxyz"
"""In the order of their codes, so that keys sort as ids do."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Tells one state of a document from another without reading it."""

    mtime_ns: int = 0
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording as it comes into the index."""

    recording: Recording
    stamp: Stamp = Stamp()
    disk_bytes: int = 0
    """Of all its files; 0 where nobody looked, and then that of its audio counts."""


def key_of(recording_id: str) -> int:
    """Return the number that sorts as the id does, but for ties in one millisecond."""
    chance = 0
    for letter in recording_id[20:24]:
        chance = chance << 5 | _ALPHABET.index(letter)
    return key_at(id_ms(recording_id)) | chance


def key_at(milliseconds: int) -> int:
    """Return the least key of a moment."""
    return min(max(milliseconds, 0), (1 << _MS_BITS) - 1) << _CHANCE_BITS


def id_ms(recording_id: str) -> int:
    """Return the moment that an id names, in milliseconds since 1970."""
    year, month, day = (int(recording_id[a:b]) for a, b in ((0, 4), (4, 6), (6, 8)))
    digits = recording_id[9:18]
    hour, minute, second = (int(digits[at : at + 2]) for at in (0, 2, 4))
    # The pattern of ids knows no calendar: 31 February is 3 March here.
    days = date(max(year, 1), month, 1).toordinal() + day - 1 - _EPOCH.toordinal()
    return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + int(digits[6:])


def ms_of(moment: datetime) -> int:
    """Return a moment in whole milliseconds since 1970, the earlier one if between."""
    return (moment - _EPOCH) // _MILLISECOND


def exact(text: str) -> bytes:
    """Return text as it is compared: also what is no proper Unicode has its bytes."""
    return text.encode("utf-8", "surrogatepass")


def folded(text: str) -> str:
    """Return text as it is searched: one line, one case, nothing SQLite stops at."""
    proper = text.encode("utf-8", "replace").decode()
    return proper.replace("\0", "?").replace("\n", " ").casefold()


def haystack(recording: Recording) -> str:
    """Return everything that is searched, a line each: nothing is found across two."""
    words = (
        recording.id,
        recording.call_id,
        recording.node_id,
        recording.control_id,
        recording.from_number,
        recording.to_number,
        *recording.tags,
        recording.note,
    )
    # Two more ends, so that each character begins a trigram.
    return "\n".join(map(folded, words)) + "\n\n"


def abridged(recording: Recording) -> Recording:
    """Return a recording as lists show it."""
    gaps = max(0, len(recording.gaps) - MAX_LISTED_GAPS)
    evidence = max(0, len(recording.evidence) - MAX_LISTED_EVIDENCE)
    return replace(
        recording,
        gaps=recording.gaps[:MAX_LISTED_GAPS],
        gaps_omitted=recording.gaps_omitted + gaps,
        evidence=recording.evidence[:MAX_LISTED_EVIDENCE],
        evidence_omitted=recording.evidence_omitted + evidence,
    )


def pack(recording: Recording) -> bytes:
    """Return the abridged document in few bytes."""
    packer = zlib.compressobj(level=4, wbits=-15, zdict=DICTIONARY)
    return packer.compress(_dump(abridged(recording))) + packer.flush()


def unpack(packed: bytes) -> Recording:
    """Return what was packed.

    Raises:
        ValueError: It was not packed here.
    """
    try:
        text = zlib.decompressobj(wbits=-15, zdict=DICTIONARY).decompress(packed)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    return Recording.from_json(json.loads(text))


def _dump(recording: Recording) -> bytes:
    document = recording.to_json()
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode("ascii")


def _sample() -> Recording:
    return Recording(
        id="20261122T161702123Z-abcdefgh",
        call_id="",
        node_id="",
        control_id="",
        direction="both",
        transport="ws",
        origin="relay",
        codec="PCMU",
        sample_rate=8000,
        channels=1,
        started_at=datetime(2026, 11, 22, 16, 17, 2, 123_000, tzinfo=UTC),
        ended_at=datetime(2026, 11, 22, 16, 17, 2, 123_000, tzinfo=UTC),
        state=Outcome.COMPLETE,
        verdict=Verdict(True, "every packet arrived"),
        end_reason="the call ended",
        from_number="+15550100",
        to_number="+15550199",
        gaps=tuple(TimedGap(0.0, 0.02, cause) for cause in GapCause),
        evidence=tuple(Evidence(0.0, 0.02, kind) for kind in EvidenceKind),
        quality=Quality(),
    )


DICTIONARY = _dump(_sample())
"""What documents have in common. Indexes of another dictionary are built anew."""
