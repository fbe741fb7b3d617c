"""The arrival clock: when the audio of a byte stream was heard, told by when it came.

A tap over WebSocket sends audio and nothing else: no clock, no sequence. When the
sender pauses, the only trace is that nothing arrives for a while, and that is also
what a stalled network looks like. The difference shows afterwards.

Theory of operation. Audio is taken to be sent when it has been heard, so the *lag*
of a message is the time since the audio began minus the length of the audio received
up to and including it. In a steady stream the lag stays where it is; a sender that
pauses for d leaves it higher by d for good; a network that stalls for d raises it by d
and lowers it again when the backlog comes; jitter raises single messages. So

- a message that comes more than 0.3 s after the one before it, more than 0.2 s behind
  the least lag of the last seconds, opens a *border* in front of it: perhaps there was
  a pause. The audio from there on waits until that is settled.
- For 1.0 s the least lag is watched. As soon as it is back within 0.2 s, the border is
  gone and nothing was inserted. If it stays up, the border becomes a pad of exactly
  the difference. Further borders may open meanwhile, each measured from the one
  before it, and a backlog that catches up removes them all.
- Slow drift of the sender's clock moves the least lag with it and inserts nothing.
- A pad never makes the track longer than the time since its beginning: a sender that
  is ahead (it sends faster than real time and then rests) has already sent the audio
  that would be heard during its pause.
- A sender that is ahead by a constant lead for 5 s had a backlog when it began. From
  then on its lead counts as the normal state, so that its pauses are kept as well.
  One that keeps getting ahead never gets there.

What this cannot see: pauses below 0.3 s, and a pause that is made up for within the
settling time by audio that is sent too fast.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from operator import sub

PAUSE_S = 0.3
"""Nothing arriving for longer than this may have been a pause."""
SETTLE_S = 1.0
"""How long it is watched whether what seemed a pause is made up for."""
MIN_PAD_S = 0.2
"""Less than this is jitter."""
_RECENT_S = 2.0
"""How far back "the least lag of the last seconds" looks, at least half and at most
all of it."""
_STEADY_S = 5.0
_STEADY_SPREAD_S = 0.2


@dataclass(frozen=True, slots=True)
class Pad:
    """A pause: no audio for `length` samples, in front of received sample `before`."""

    before: int
    """In samples received, pads not counted."""
    length: int


@dataclass(slots=True)
class _Border:
    before: int
    settle_at: float
    lag: float
    """The least since the border opened."""


@dataclass(slots=True)
class _Lead:
    """How far ahead the sender has been since some moment."""

    since: float
    least_lag: float
    most_lag: float


class ArrivalClock:
    """Decides where the pauses in one track were."""

    def __init__(self, sample_rate: int) -> None:
        self.received = 0
        """Samples so far, pads not counted."""
        self.started_at = 0.0
        """Time of the first sample; known with the first audio."""
        self._sample_rate = sample_rate
        self._arrived_at: float | None = None
        self._padded_s = 0.0
        self._normal_lag = 0.0
        """The lag of a sender that is neither late nor ahead."""
        self._lead: _Lead | None = None
        self._recent = _RecentLeast()
        self._borders: deque[_Border] = deque()
        self._pads: list[Pad] = []

    @property
    def unsettled_from(self) -> int | None:
        """Return the received sample from which on places are open; None if none is."""
        return self._borders[0].before if self._borders else None

    def receive(self, length: int, now: float) -> bool:
        """Take note that `length` samples arrived; say whether a border opened."""
        if self._borders:
            self.handle_timer(now)
        before = self.received
        self.received += length
        if self._arrived_at is None:
            self.started_at = now - length / self._sample_rate
            self._arrived_at = now
        is_after_pause = now - self._arrived_at > PAUSE_S
        self._arrived_at = now
        lag = self._lag(now)
        self._watch_lead(lag, now)
        if self._borders:
            self._lower_borders(lag)
        base = self._borders[-1].lag if self._borders else self._base()
        if is_after_pause and lag - base > MIN_PAD_S:
            self._borders.append(_Border(before, now + SETTLE_S, lag))
            return True
        if not self._borders:
            self._recent.add(lag, now)
        return False

    def receive_steady(self, length: int, times: Sequence[float]) -> bool:
        """Do as `receive` for messages of `length` samples each, if no pause is near.

        Returns False, and has done nothing, if they have to be taken one by one.
        """
        arrived_at = self._arrived_at
        if self._borders or arrived_at is None:
            return False
        if max(map(sub, times, chain((arrived_at,), times))) > PAUSE_S:
            return False
        self._arrived_at = times[-1]
        # Written out because this is done for every message: `_lag` of each.
        started_at, rate = self.started_at, self._sample_rate
        ends = count(self.received + length, length)
        lags = [
            now - started_at - end / rate for now, end in zip(times, ends, strict=False)
        ]
        self.received += length * len(times)
        if min(lags) > self._normal_lag - MIN_PAD_S:
            self._lead = None
        else:
            for lag, now in zip(lags, times, strict=True):
                self._watch_lead(lag, now)
        self._recent.add_all(lags, times)
        return True

    def take_pads(self) -> list[Pad]:
        """Return the pads decided on since the last call, in order."""
        pads, self._pads = self._pads, []
        return pads

    def get_timer(self) -> float | None:
        """Return when `handle_timer` has something to decide."""
        return self._borders[0].settle_at if self._borders else None

    def handle_timer(self, now: float) -> None:
        """Decide about the borders whose time is over."""
        while self._borders and now >= self._borders[0].settle_at:
            self._pad_first_border()

    def finish(self) -> None:
        """Decide about all borders, because nothing more will come."""
        while self._borders:
            self._pad_first_border()

    def missing(self, now: float) -> int:
        """Return how many samples are missing at the end if the track ends `now`."""
        missing_s = self._lag(now) - self._base()
        return round(missing_s * self._sample_rate) if missing_s > PAUSE_S else 0

    def _lag(self, now: float) -> float:
        return now - self.started_at - self.received / self._sample_rate

    def _base(self) -> float:
        """Return the lag above which audio is missing."""
        return max(self._recent.least, self._normal_lag + self._padded_s)

    def _lower_borders(self, lag: float) -> None:
        """Note a lag, and forget the borders that it shows to be no pauses."""
        base = self._base()
        kept: deque[_Border] = deque()
        for border in self._borders:
            border.lag = min(border.lag, lag)
            if border.lag - base > MIN_PAD_S:
                kept.append(border)
                base = border.lag
        self._borders = kept

    def _pad_first_border(self) -> None:
        border = self._borders.popleft()
        length = round((border.lag - self._base()) * self._sample_rate)
        self._pads.append(Pad(border.before, length))
        self._padded_s += length / self._sample_rate
        self._recent.restart(border.lag)

    def _watch_lead(self, lag: float, now: float) -> None:
        # Pads are not counted here: audio that is ahead of them makes up for a pad
        # that was too long, and must not become the normal state.
        if lag > self._normal_lag - MIN_PAD_S:
            self._lead = None
            return
        lead = self._lead
        if lead is not None:
            lead.least_lag = min(lead.least_lag, lag)
            lead.most_lag = max(lead.most_lag, lag)
        if lead is None or lead.most_lag - lead.least_lag > _STEADY_SPREAD_S:
            self._lead = _Lead(now, lag, lag)
        elif now - lead.since >= _STEADY_S:
            self._normal_lag = lead.most_lag
            self._lead = None


class _RecentLeast:
    """The least lag of the last seconds, from two halves that take turns."""

    def __init__(self) -> None:
        self.least = 0.0
        self._before = 0.0
        self._current = 0.0
        self._turn_at = 0.0

    def add(self, lag: float, now: float) -> None:
        if now >= self._turn_at:
            self._before = self._current
            self._current = lag
            self._turn_at = now + _RECENT_S / 2
        elif lag < self._current:
            self._current = lag
        self.least = min(self._before, self._current)

    def add_all(self, lags: Sequence[float], times: Sequence[float]) -> None:
        """Do as `add` for each; between two turns only the least one counts."""
        at = 0
        while at < len(times):
            turn = bisect_left(times, self._turn_at, at)
            if turn > at:
                self._current = min(self._current, min(lags[at:turn]))
                self.least = min(self._before, self._current)
            if turn < len(times):
                self.add(lags[turn], times[turn])
            at = turn + 1

    def restart(self, lag: float) -> None:
        self.least = self._before = self._current = lag
