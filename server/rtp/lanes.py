"""The short path for whole batches: packets that are exactly what was expected.

Most packets are the next one of a source that is in order. For each such source a lane
holds what the next datagram has to look like, to the bit. The lanes of all sources are
columns of arrays, so that a batch is compared, its payloads put away and its jitter
added up (RFC 3550 section 6.4.1) with a handful of array operations, instead of ten
objects looked up for each packet, most of them no longer in any cache.

What does not match is left to the session, which first collects what its lane has, and
afterwards says what to expect next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from server.rtp.batch import DatagramBatch, SourceKey, SourceKeys
from server.rtp.packet import HEADER_BYTES
from server.rtp.slots import NOBODY, Indices, Slots
from server.rtp.stall import MIN_STALL
from server.rtp.stats import JITTER_GAIN

LANE_PACKETS = 64
"""Kept in a lane: a second of 20 ms packets, and a little."""

MAX_TABLES = 16
"""Lengths of datagram for which there are lanes; each sender keeps to one."""

MIN_TOGETHER = 8
"""Fewer datagrams of one length are faster one by one."""

FIRST_BYTES = 128 * 1024 * 1024
"""Of payloads, for which a table has room from the start: 13,000 sources of G.711. The
system gives memory for what is used of it; growing would copy it all in one go, which
holds up the reading for as long as the socket's buffer lasts."""
MIN_SLOTS, MAX_FIRST_SLOTS = 64, 16_384
_SEQUENCE_STEP = 1 << 32

Flags = npt.NDArray[np.bool_]
Where = slice | Indices
"""Which datagrams of a batch."""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the next datagram of a source looks like."""

    start: int
    """Its first eight octets."""
    ssrc: int
    length: int
    """Of the datagram."""
    samples: int
    """Ticks that its timestamp is ahead of the one before."""
    clock_rate: int
    last_at: float
    jitter: float


@dataclass(frozen=True, slots=True)
class Collected:
    """What a lane has taken since the last time."""

    payloads: list[bytes]
    last_at: float
    jitter: float


class Lane:
    """The lane of one source."""

    __slots__ = ("_lanes", "_slot", "_source", "_table")

    def __init__(self, lanes: Lanes, source: SourceKey) -> None:
        self._lanes = lanes
        self._source = source
        self._table: _Table | None = None
        self._slot = NOBODY

    @property
    def last_at(self) -> float | None:
        """When its last packet came, or None if there is none to collect."""
        table, slot = self._table, self._slot
        if table is None or not table.fill[slot]:
            return None
        return float(table.last_at[slot])

    def collect(self) -> Collected | None:
        """Return what came, once; None if nothing did."""
        table, slot = self._table, self._slot
        if table is None or not (count := int(table.fill[slot])):
            return None
        table.fill[slot] = 0
        return Collected(
            table.store[slot, :count].tolist(),
            float(table.last_at[slot]),
            float(table.jitter[slot]),
        )

    def expect(self, expectation: Expectation | None) -> None:
        """Take what looks like this; with None nothing. Collect before."""
        if expectation is None:
            if self._table is not None:
                self._table.expected[self._slot] = 0
            return
        if self._table is None or self._table.length != expectation.length:
            self.close()
            self._table = self._lanes.table(expectation.length)
            if self._table is None:
                return
            self._slot = self._table.take_slot(self._source)
        self._table.expect(self._slot, expectation)

    def close(self) -> None:
        """Take nothing any more."""
        if self._table is not None:
            self._table.give_back(self._source, self._slot)
            self._table = None


class Lanes:
    """The lanes of all sources."""

    def __init__(self) -> None:
        self._tables: dict[int, _Table] = {}

    def open(self, source: SourceKey) -> Lane:
        """Return a lane for a source, which expects nothing yet."""
        return Lane(self, source)

    def table(self, length: int) -> _Table | None:
        """Return the table for datagrams of `length`, if there may be one."""
        table = self._tables.get(length)
        if table is None and len(self._tables) < MAX_TABLES:
            table = self._tables[length] = _Table(length)
        return table

    def receive(self, batch: DatagramBatch, now: float) -> list[int]:
        """Take what was expected; return the indices of all the rest, in order."""
        lengths = batch.lengths
        length = int(lengths[0])
        if np.count_nonzero(lengths == length) == len(lengths):
            is_taken = self._receive(batch, length, slice(len(lengths)), now)
            return _indices(~is_taken)
        # Lengths are taken one after another, datagrams of a source in order.
        _, first, source = np.unique(
            batch.sources, return_index=True, return_inverse=True
        )
        is_first_length = lengths[first][source] == lengths
        is_rest = np.ones(len(batch), np.bool_)
        for length in set(lengths.tolist()):
            some = np.flatnonzero(is_first_length & (lengths == length))
            is_rest[some] = ~self._receive(batch, length, some, now)
        return _indices(is_rest)

    def _receive(
        self, batch: DatagramBatch, length: int, where: Where, now: float
    ) -> Flags:
        """Take what was expected of some datagrams; tell of each whether it was."""
        sources = batch.sources[where]
        table = self._tables.get(length)
        if table is None or len(sources) < MIN_TOGETHER:
            return np.zeros(len(sources), np.bool_)
        return table.receive(batch, where, sources, now)


class _Table:
    """The lanes of sources that send datagrams of one length."""

    _COLUMNS = (
        "expected",
        "fill",
        "jitter",
        "last_at",
        "store",
        "_clock_rate",
        "_first",
        "_samples",
        "_ssrc",
        "_step",
    )

    def __init__(self, length: int) -> None:
        self.length = length
        self._slots = Slots()
        payload = max(1, length - HEADER_BYTES)
        slots = min(FIRST_BYTES // (LANE_PACKETS * payload), MAX_FIRST_SLOTS)
        slots = max(slots, MIN_SLOTS)
        self._free: list[int] = []
        self._never_used = NOBODY + 1
        """The first slot that nobody has had."""
        self.expected = np.zeros(slots, np.uint64)
        self.fill = np.zeros(slots, np.intp)
        self.jitter = np.zeros(slots)
        self.last_at = np.zeros(slots)
        self.store: npt.NDArray[Any] = np.zeros(
            (slots, LANE_PACKETS), f"V{length - HEADER_BYTES}"
        )
        self._clock_rate = np.zeros(slots)
        self._first = np.zeros(slots, np.intp)
        self._samples = np.zeros(slots)
        self._ssrc = np.zeros(slots, np.uint32)
        self._step = np.zeros(slots, np.uint64)

    def receive(
        self, batch: DatagramBatch, where: Where, sources: SourceKeys, now: float
    ) -> Flags:
        """Take what was expected; tell of each datagram whether it was."""
        slots = self._slots.find(sources)
        matches: Flags = self.expected[slots] == batch.starts[where]
        matches &= self._ssrc[slots] == batch.ssrcs[where]
        matches &= self.fill[slots] < LANE_PACKETS
        matches &= self.last_at[slots] >= now - MIN_STALL
        # Of one source, only the first: what comes next is not known before.
        order = np.arange(len(slots))
        self._first[slots[::-1]] = order[::-1]
        matches &= self._first[slots] == order
        payloads = batch.payloads(self.length)[where]
        if np.count_nonzero(matches) == len(matches):
            self._take(slots, payloads, now)
        else:
            self._take(slots[matches], payloads[matches], now)
        return matches

    def expect(self, slot: int, expectation: Expectation) -> None:
        """Let a lane take what looks like this."""
        self.expected[slot] = expectation.start
        self._ssrc[slot] = expectation.ssrc
        self._step[slot] = _SEQUENCE_STEP + expectation.samples
        self._samples[slot] = expectation.samples
        self._clock_rate[slot] = expectation.clock_rate
        self.last_at[slot] = expectation.last_at
        self.jitter[slot] = expectation.jitter

    def take_slot(self, source: SourceKey) -> int:
        """Return the slot of a source that has none."""
        if self._free:
            slot = self._free.pop()
        else:
            slot = self._never_used
            self._never_used += 1
            if slot == len(self.fill):
                self._grow()
        self._slots.add(source, slot)
        return slot

    def give_back(self, source: SourceKey, slot: int) -> None:
        """Let another source have the slot."""
        self._slots.remove(source)
        self.expected[slot] = 0
        self.fill[slot] = 0
        self._free.append(slot)

    def _take(self, slots: Indices, payloads: npt.NDArray[Any], now: float) -> None:
        self.store[slots, self.fill[slots]] = payloads
        self.fill[slots] += 1
        self.expected[slots] += self._step[slots]
        # stats.deviation and stats.smooth for all of them.
        deviation = now - self.last_at[slots]
        deviation *= self._clock_rate[slots]
        deviation -= self._samples[slots]
        jitter = self.jitter[slots]
        self.jitter[slots] = jitter + (np.abs(deviation) - jitter) * JITTER_GAIN
        self.last_at[slots] = now

    def _grow(self) -> None:
        """Make every column twice as long."""
        slots = len(self.fill)
        for name in self._COLUMNS:
            column = getattr(self, name)
            longer = np.zeros((2 * slots, *column.shape[1:]), column.dtype)
            longer[:slots] = column
            setattr(self, name, longer)


def _indices(flags: Flags) -> list[int]:
    """Return where there is a flag; nearly always there is none."""
    if not np.count_nonzero(flags):
        return []
    found: list[int] = np.flatnonzero(flags).tolist()
    return found
