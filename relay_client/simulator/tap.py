"""One tap: from the command to its last packet (section 5 of the protocol notes).

starting ──► tapping ──► finished
    └────────────────────► finished
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from relay_client.simulator.events import tap_event
from relay_client.simulator.feed import AudioFeed, Direction
from relay_client.simulator.formats import MediaFormat
from relay_client.simulator.params import TapRequest
from relay_client.simulator.senders import MediaSender
from relay_client.simulator.sent import SentAudio, SentLog
from relay_client.simulator.tasks import Signal, TaskOwner
from relay_client.simulator.wire import Json

if TYPE_CHECKING:
    from relay_client.simulator.calls import SimCall

_STOP_TIMEOUT = 5.0


class SimTap:
    """A tap as the platform runs it."""

    def __init__(
        self,
        *,
        call: SimCall,
        request: TapRequest,
        first_format: MediaFormat,
        sender: MediaSender,
        log: SentLog,
        tasks: TaskOwner,
    ) -> None:
        self.call = call
        self.request = request
        self.format = first_format
        self.state = "starting"
        self.changed = Signal()
        self._sender = sender
        self._log = log
        self._tasks = tasks
        self._running: asyncio.Task[None] | None = None
        self._is_open = False

    @property
    def control_id(self) -> str:
        """The client's handle on this tap."""
        return self.request.control_id

    @property
    def direction(self) -> Direction:
        """Which half of the leg's audio is sent."""
        return self.request.direction

    @property
    def sent(self) -> list[SentAudio]:
        """What was due so far, and whether it was delivered."""
        return self._log.entries

    @property
    def sent_seconds(self) -> float:
        """How much audio was due so far, from the tap's first sample."""
        return self._log.end_s

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will be sent."""
        return self.state == "finished"

    def source_device(self) -> Json | None:
        """Return where RTP comes from, as the faults want it told (section 5.3)."""
        source = self._sender.source()
        chosen = self.call.faults.source_device
        if source is None or chosen == "absent":
            return None
        addr, port = source
        return {
            "type": "rtp",
            "params": {
                "addr": addr,
                "port": port ^ 1 if chosen == "other" else port,
                "codec": self.format.codec,
                "ptime": self.format.ptime,
                "rate": self.format.sample_rate,
            },
        }

    async def open(self) -> None:
        """Bind or connect.

        Raises:
            OSError: The destination cannot be reached.
        """
        await self._sender.open()
        self._is_open = True

    async def start(self) -> None:
        """Begin to send; the tap is finished at once if it cannot be opened."""
        try:
            if not self._is_open:
                await self.open()
        except OSError:
            self._finish()
            return
        if self.state != "starting" or self.call.is_over:
            await self._sender.close()
            self._finish()
            return
        self.state = "tapping"
        name = f"tap {self.control_id}"
        self._tasks.spawn(self._tell_tapping(), f"{name} event")
        self._running = self._tasks.spawn(self._run(), name)
        self.changed.notify()
        # Lets the event go out before whatever follows, unless it is delayed.
        await asyncio.sleep(0)

    async def stop(self) -> None:
        """Stop sending and tell that the tap is finished."""
        self._sender.stop()
        if self._running is None:
            self._finish()
            return
        await asyncio.wait((self._running,), timeout=_STOP_TIMEOUT)
        self._running.cancel()
        self._finish()

    async def release(self) -> None:
        """Let go of the network, also of what was left open on purpose."""
        self._sender.stop()
        await self._sender.release()

    def abandon(self) -> None:
        """Be over without a word: the command itself was refused."""
        self.state = "finished"

    async def wait_finished(self, timeout: float = 60.0) -> None:
        """Wait until nothing more is sent.

        Raises:
            TimeoutError: The tap goes on.
        """
        if not await self.changed.wait_for(lambda: self.is_finished, timeout):
            raise TimeoutError(f"tap {self.control_id} is {self.state}, not finished")

    def summary(self) -> Json:
        """Return what the control API shows of this tap."""
        return {
            "control_id": self.control_id,
            "direction": self.direction,
            "transport": self.request.transport,
            "state": self.state,
            "codec": self.format.codec,
            "sample_rate": self.format.sample_rate,
            "packets": self._log.spans,
            "delivered": self._log.delivered,
            "seconds": round(self.sent_seconds, 6),
        }

    async def _run(self) -> None:
        media, call = self.call.media, self.call
        feed = AudioFeed(call.speak, call.listen)
        rates = {self.format.sample_rate}
        if media.change is not None:
            rates.add(self.format.changed(media.change).sample_rate)
        for rate in rates:
            await asyncio.to_thread(feed.load, rate)
        feed.wall_clock = time.time()
        if media.clock == "call" and call.answered_at is not None:
            # In whole milliseconds, which are whole samples.
            offset = asyncio.get_running_loop().time() - call.answered_at
            feed.offset = round(offset, 3)
            feed.wall_clock = call.answered_wall + feed.offset
        await self._sender.run(feed)
        await self._sender.close()
        self._finish()

    async def _tell_tapping(self) -> None:
        if self.call.faults.tapping_delay:
            await asyncio.sleep(self.call.faults.tapping_delay)
        if self.state == "tapping" and not self.call.faults.no_tapping:
            self.call.emit("calling.call.tap", tap_event(self))

    def _finish(self) -> None:
        if self.is_finished:
            return
        self.state = "finished"
        if not self.call.faults.no_finished:
            self.call.emit("calling.call.tap", tap_event(self))
        self.changed.notify()
