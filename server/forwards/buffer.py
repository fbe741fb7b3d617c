"""What waits for one destination: bounded in milliseconds, with a policy when full.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from server.audio import Run, Samples, StreamInfo

MAX_PIECE_MS = 100
"""What is dropped, or waits for its time, is counted in pieces; a run may be long."""

Policy = Literal["drop_oldest", "drop_newest", "disconnect"]


@dataclass(frozen=True, slots=True)
class Piece:
    """Audio without a hole, both as it came and decoded."""

    info: StreamInfo
    run: Run
    samples: Samples

    @property
    def length_ms(self) -> float:
        """How long it sounds."""
        return 1000 * self.run.length / self.info.sample_rate

    def parts(self) -> list[Piece]:
        """Return the same as pieces of about MAX_PIECE_MS, cut between payloads."""
        run, rate = self.run, self.info.sample_rate
        if self.length_ms <= MAX_PIECE_MS:
            return [self]
        clock_rate = run.format.clock_rate
        ticks = [run.format.samples_in(each) for each in run.payloads]
        if sum(ticks) * rate != run.length * clock_rate:
            # Begins within a payload, or ends within a sample.
            return [self]
        parts, first, done, sounded = [], 0, 0, 0
        for index, length in enumerate(ticks):
            sounded += length
            end = sounded * rate // clock_rate
            is_last = index == len(ticks) - 1
            if is_last or 1000 * (end - done) >= MAX_PIECE_MS * rate:
                payloads = run.payloads[first : index + 1]
                part = Run(run.start + done, end - done, payloads, run.format)
                parts.append(Piece(self.info, part, self.samples[done:end]))
                first, done = index + 1, end
        return parts


class LiveBuffer:
    """The pieces that a destination has not taken yet, and the last ones it took.

    Args:
        max_ms: How much may wait.
        policy: What happens to audio beyond that.
        replay_ms: How much of what was taken is kept, to be sent again.
    """

    def __init__(self, max_ms: float, policy: Policy, replay_ms: float = 0) -> None:
        self._policy = policy
        self._replay_ms = replay_ms
        # What is sent again may wait as well, without pushing out what is new.
        self._max_ms = max_ms + replay_ms
        self._waiting: deque[Piece] = deque()
        self._taken: deque[Piece] = deque()
        self._taken_ms = 0.0
        self.queued_ms = 0.0
        self.dropped_ms = 0.0
        self.has_overflowed = False
        """Whether the policy asks for the connection to be cut."""

    def put(self, piece: Piece) -> None:
        """Add a piece, or drop as much as the policy says."""
        for part in piece.parts():
            self._put(part)

    def _put(self, piece: Piece) -> None:
        if self.queued_ms + piece.length_ms > self._max_ms:
            if self._policy == "drop_newest":
                self.dropped_ms += piece.length_ms
                return
            if self._policy == "disconnect":
                self.has_overflowed = True
                self.drop_all()
            self._make_room(piece.length_ms)
        self._waiting.append(piece)
        self.queued_ms += piece.length_ms

    def take(self) -> Piece | None:
        """Return the next piece, if there is one."""
        if not self._waiting:
            return None
        piece = self._waiting.popleft()
        self.queued_ms = self.queued_ms - piece.length_ms if self._waiting else 0.0
        self._remember(piece)
        return piece

    def rewind(self) -> None:
        """Put what was taken last in front again: the connection is a new one."""
        self._waiting.extendleft(reversed(self._taken))
        self.queued_ms += self._taken_ms
        self._taken.clear()
        self._taken_ms = 0.0
        self.has_overflowed = False
        self._make_room(0)

    def drop_all(self) -> None:
        """Drop everything that waits."""
        self.dropped_ms += self.queued_ms
        self._waiting.clear()
        self.queued_ms = 0.0

    def _make_room(self, length_ms: float) -> None:
        while self._waiting and self.queued_ms + length_ms > self._max_ms:
            dropped = self._waiting.popleft()
            self.queued_ms -= dropped.length_ms
            self.dropped_ms += dropped.length_ms

    def _remember(self, piece: Piece) -> None:
        if not self._replay_ms:
            return
        self._taken.append(piece)
        self._taken_ms += piece.length_ms
        while self._taken_ms > self._replay_ms:
            self._taken_ms -= self._taken.popleft().length_ms
