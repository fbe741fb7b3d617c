"""Cuts a tap's audio into packets, whatever carries them afterwards.

Pure and without end: the sender takes packets for as long as the tap lives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.options import MediaOptions
from relay_client.simulator.pacing import silent_stretches

_EPSILON = 1e-9
"""Seconds that rounding may take from a moment; far less than a sample."""

PacketSize = Callable[[MediaFormat], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioPacket:
    """A run of samples and what they were encoded to."""

    start: int
    """In samples at the format's sampling rate, from the tap's first sample."""
    samples: int
    format: MediaFormat
    payload: bytes
    """Empty if it is not sent because of silence."""
    is_silent: bool
    is_talkspurt_start: bool
    """The first one after silence, or of all."""
    is_silence_start: bool
    """The first one of silence after audio."""

    @property
    def start_s(self) -> float:
        """Seconds from the tap's first sample."""
        return self.start / self.format.sample_rate

    @property
    def is_moment(self) -> bool:
        """Whether a second of silence ends here.

        A plan has something at such moments, so that a sender waits for the clock all
        through a long silence instead of looking for its end at once.
        """
        rate = self.format.sample_rate
        return (
            self.is_silent and self.start // rate < (self.start + self.samples) // rate
        )

    @property
    def end_s(self) -> float:
        """Seconds from the tap's first sample to the end of the packet."""
        return (self.start + self.samples) / self.format.sample_rate


def cut_packets(
    feed: AudioFeed,
    direction: Direction,
    first_format: MediaFormat,
    options: MediaOptions,
    size: PacketSize | None = None,
) -> Iterator[AudioPacket]:
    """Yield the packets of one track, each `size` samples or one ptime long."""
    stretches = silent_stretches(options)
    current = first_format
    encode = current.make_encoder()
    change = options.change
    position = 0
    was_silent = True
    while True:
        if (
            change is not None
            and position / current.sample_rate + _EPSILON >= change.at
        ):
            changed = current.changed(change)
            position = position * changed.sample_rate // current.sample_rate
            current, change, encode = changed, None, changed.make_encoder()
        count = size(current) if size else current.samples_per_packet
        second = position / current.sample_rate
        if options.seconds is not None and second + _EPSILON >= options.seconds:
            return
        is_silent = any(
            begin <= second + _EPSILON < begin + long for begin, long in stretches
        )
        payload = b""
        if not is_silent:
            payload = encode(feed.read(direction, current.sample_rate, position, count))
        yield AudioPacket(
            start=position,
            samples=count,
            format=current,
            payload=payload,
            is_silent=is_silent,
            is_talkspurt_start=was_silent and not is_silent,
            is_silence_start=is_silent and not was_silent,
        )
        was_silent = is_silent
        position += count
