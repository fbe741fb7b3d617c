"""The task that measures how much more this server could take, while it runs."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Never

from server.deck import Deck
from server.headroom import Headroom, Load
from server.log import CounterLog
from server.metrics import Metrics
from server.process import QuietCollector, open_files
from server.sinks.writers import WriterPool
from server.taps.rendezvous import Rendezvous
from server.transports.rtp_udp import RtpListener

log = logging.getLogger(__name__)

INTERVAL_S = 0.5

MAX_FINISHING = 1000
"""Taps that are over and wait for room on the disk, some ten kilobytes of memory each;
`max_taps` of them if that is more."""


async def watch_headroom(
    rtp: RtpListener,
    rendezvous: Rendezvous,
    deck: Deck,
    writers: WriterPool,
    metrics: Metrics,
    *,
    max_taps: int,
) -> Never:
    """Have no further taps taken whenever those that are live would suffer."""
    headroom, counters, collector = Headroom(), CounterLog(), QuietCollector()
    # As many may hang up at once as there are taps.
    most_finishing = max(MAX_FINISHING, max_taps)
    while True:
        await asyncio.sleep(INTERVAL_S)
        now = time.monotonic()
        files_open, files_limit = open_files()
        load = Load(
            buffer_fill=rtp.observe_kernel(),
            dropped=rtp.drops["socket_full"],
            loop_lag_s=metrics.lag_s,
            writer_lag_s=writers.lag(now),
            files_open=files_open,
            files_limit=files_limit,
            unfinished=deck.finishing / most_finishing,
        )
        counters.observe("rtp", rtp.drops)
        counters.log(log, now)
        reason = headroom.observe(load, now)
        if reason is not None and rendezvous.overload is None:
            log.warning("no further taps for now: %s", reason)
        rendezvous.overload = reason
        collector.observe(deck.live, now)
