"""The jitter buffer of somebody who listens; the recorder has nothing to do with it.

Audio comes in bursts and is taken at a steady pace. So much of it is held back that
the pace can be kept: a little at first, more each time it ran dry although the sender
had not paused, and slowly less while all goes well.

    waiting --(enough held, or enough waited)--> playing --(ran dry)--> waiting

A hole within what is held is played as the silence it is. Whatever lies further behind
than it need is skipped, so that a listener never lags for ever.

Pure: no input or output, no clock; time is what is taken.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from server.audio import Samples

HOLD_S = 0.04
"""Two packets of 20 ms: one is played while the next comes."""
MAX_HOLD_S = 0.2
GROWTH_S = 0.02
SHRINKAGE_S = 0.002
"""In each window without trouble."""
WINDOW_S = 2.0
SLACK_S = 0.02
"""Left alone when the rest of what is too much is skipped."""
MAX_AHEAD_S = 2.0
"""Held at most; a sender may put a second into one message."""


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    samples: Samples

    @property
    def end(self) -> int:
        return self.start + len(self.samples)


class PlayoutBuffer:
    """The audio of one track between its arrival and its turn."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.sample_rate = sample_rate
        self.channels = channels
        self._pieces: deque[_Piece] = deque()
        self._end = 0
        """Where the last piece ends."""
        self._next: int | None = None
        """What is taken next; None while waiting."""
        self._waited = 0
        self._has_begun = False
        self._ran_dry = False
        self._hold = round(HOLD_S * sample_rate)
        self._lowest: int | None = None
        """The least that was left after a turn in this window."""
        self._window = 0
        self._has_grown = False
        self.skipped = 0
        """Samples that were not played, for being too far behind."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to be played."""
        return not self._pieces

    def put(self, start: int, samples: Samples) -> None:
        """Keep audio of shape (n, channels) until its turn."""
        if start < self._end:
            # Positions never go back, so these are of another stream.
            self._pieces.clear()
            self._next = None
        elif self._ran_dry and start == self._end:
            # No pause, so it was late.
            self._grow()
        self._ran_dry = False
        piece = _Piece(start, samples)
        self._pieces.append(piece)
        self._end = piece.end
        if self._end - self._first > MAX_AHEAD_S * self.sample_rate:
            self._skip_to(self._end - self._hold)

    def take(self, length: int) -> Samples:
        """Return the next samples, shape (length, channels); zeros for want of any."""
        taken = np.zeros((length, self.channels), np.int16)
        if self._next is None and not self._may_begin(length):
            return taken
        if not self._has_begun:
            # What had gathered before somebody came is not what is said now.
            self._skip_to(max(self._first, self._end - self._hold))
            self._has_begun = True
        begin = self._first
        self._copy(begin, taken)
        self._next = begin + length
        if self._next > self._end:
            self._next = None
            self._ran_dry = True
        self._look_back(length)
        return taken

    @property
    def _first(self) -> int:
        """What is played next, or will be."""
        return self._pieces[0].start if self._next is None else self._next

    def _may_begin(self, length: int) -> bool:
        if not self._pieces:
            return False
        # The end of a word may be shorter than what is to be held.
        held = self._end - self._pieces[0].start
        is_enough = held >= self._hold or self._waited >= self._hold
        self._waited = 0 if is_enough else self._waited + length
        return is_enough

    def _copy(self, begin: int, place: Samples) -> None:
        end = begin + len(place)
        while self._pieces and self._pieces[0].start < end:
            piece = self._pieces[0]
            low, high = max(begin, piece.start), min(end, piece.end)
            if low < high:
                part = piece.samples[low - piece.start : high - piece.start]
                place[low - begin : high - begin] = part
            if piece.end > end:
                return
            self._pieces.popleft()

    def _grow(self) -> None:
        grown = self._hold + round(GROWTH_S * self.sample_rate)
        self._hold = min(grown, round(MAX_HOLD_S * self.sample_rate))
        self._has_grown = True

    def _look_back(self, length: int) -> None:
        """At the end of a window, skip what was never needed in it."""
        if self._next is not None:
            left = self._end - self._next
            self._lowest = left if self._lowest is None else min(self._lowest, left)
        self._window += length
        if self._window < WINDOW_S * self.sample_rate:
            return
        spare = 0 if self._lowest is None else self._lowest - self._hold
        if self._next is not None and spare > SLACK_S * self.sample_rate:
            self._skip_to(self._next + spare)
        if not self._has_grown:
            shrunk = self._hold - round(SHRINKAGE_S * self.sample_rate)
            self._hold = max(shrunk, round(HOLD_S * self.sample_rate))
        self._window, self._lowest, self._has_grown = 0, None, False

    def _skip_to(self, position: int) -> None:
        self.skipped += position - self._first
        self._next = position
