"""How long a tap waits for what, and how long and how large a recording may become.

Pure: no input or output, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class TapLimits:
    """How long a tap waits for what, in seconds, and how much it may become."""

    sign: float = 10.0
    """From the platform's 200 to `tapping` or the first audio."""
    stall: float = 2.0
    """Without audio before a tap counts as stalled."""
    drain: float = 10.0
    """After control told the end, for audio that is still under way, at most."""
    quiet: float = 0.5
    """Without RTP after control told the end before nothing more is expected."""
    quiet_ws: float = 2.0
    """The same over WebSocket, which normally ends with a close; also where there
    has been no audio yet."""
    grace: float = 2.0
    """After the sender said that its stream is over, for it to go on after all."""
    reconnect: float = 15.0
    """After the WebSocket of a tap with a token of its own closed, for another one."""
    idle: float = 60.0
    """Without audio before a tap is over that nobody controls or is connected to."""
    forgotten: float = 4 * 3600.0
    """Without audio before any tap is over: its end was never told."""
    duration: float = 0.0
    """From the first audio to the end of the tap at the latest; 0 for no limit."""
    recording_bytes: int = 0
    """Of audio in one recording before its tap is ended; 0 for no limit."""
