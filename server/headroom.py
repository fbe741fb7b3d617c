"""Whether one more tap would put the audio of the others at risk, by what is measured.

Some things end in lost audio when there is too much of them: an event loop that comes
late, a socket buffer that fills up, writer threads that fall behind, descriptors that
run out, recordings that a full disk keeps from being finished. Each is noticed well
before that, and new taps are refused until it has been well for a while.

Pure: `now` is monotonic seconds.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_LAG_S = 1.0
"""What a late loop does to the sockets shows in their buffers; one this late keeps
everything else waiting as well."""
MAX_FILL = 0.5
"""Of a socket buffer, between two readings."""
MAX_WRITER_LAG_S = 2.0
"""Recorders make their queues wait at 5 s, and those drop at 30 s more."""
RESERVE_FILES = 256
"""Descriptors kept for the taps that there are, which need one again for each file that
they finish, and for whoever looks at the pages. Of a small limit, a quarter."""
REST_S = 5.0
"""For which it has to have been well again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What was measured at one moment."""

    loop_lag_s: float
    """How late the event loop last came back."""
    buffer_fill: float
    """Of the fullest socket buffer, 0 to 1."""
    dropped: int
    """Datagrams that the kernel had no room for, since the start."""
    writer_lag_s: float
    """How long the oldest unfinished write has waited."""
    files_open: int = 0
    files_limit: int = 0
    """Descriptors that this process may have; 0 if there is no limit."""
    unfinished: float = 0.0
    """Recordings that wait to be finished, of those that may."""


class Headroom:
    """Remembers what went wrong last, and when."""

    def __init__(self) -> None:
        self._dropped = 0
        self._reason: str | None = None
        self._rests_until = 0.0

    def observe(self, load: Load, now: float) -> str | None:
        """Take a measurement; return why no tap may be added, or None."""
        reason = self._judge(load)
        self._dropped = load.dropped
        if reason is not None:
            self._reason = reason
            self._rests_until = now + REST_S
        elif now >= self._rests_until:
            self._reason = None
        return self._reason

    def _judge(self, load: Load) -> str | None:
        if load.dropped > self._dropped:
            return "datagrams were dropped because the socket buffer was full"
        if load.buffer_fill > MAX_FILL:
            return f"the socket buffer is {load.buffer_fill:.0%} full"
        if load.writer_lag_s > MAX_WRITER_LAG_S:
            return f"writing is {load.writer_lag_s:.1f} s behind"
        reserve = min(RESERVE_FILES, load.files_limit // 4)
        files_left = load.files_limit - load.files_open
        if load.files_limit and files_left < reserve:
            return f"only {files_left} of {load.files_limit} open files are left"
        if load.unfinished > 1.0:
            return "too many recordings wait for room on the disk"
        if load.loop_lag_s > MAX_LAG_S:
            return f"the event loop is {load.loop_lag_s * 1000:.0f} ms late"
        return None
