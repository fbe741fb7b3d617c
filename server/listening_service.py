"""Those who listen by WebRTC: who hears which tap, and when it is over.

A tap has one broadcast for each layout that somebody listens to. It begins with the
first listener, ends with the last or with the tap, and takes in the other side of the
call, be it there from the beginning or not.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from server.deck import Deck
from server.taps.refusal import TapRefusedError
from server.transports.http_whep import Answer
from server.webrtc.broadcast import Broadcast, PacketQueue
from server.webrtc.mixdown import Layout
from server.webrtc.offer import Offer

if TYPE_CHECKING:
    from server.webrtc.peer import Peer

log = logging.getLogger(__name__)

MAX_LISTENERS = 200
"""Of all taps."""
MAX_TAP_LISTENERS = 50
ENCODERS = 2
"""Threads; libopus lets go of the interpreter."""
TRACKS = (0, 1)
"""Of one tap that are heard; of the other side of a call there is one."""


@dataclass(slots=True)
class _OnAir:
    """A broadcast, what it attends to, and who hears it."""

    control_id: str
    layout: Layout
    broadcast: Broadcast
    attended: set[tuple[str, int]] = field(default_factory=set)
    """Taps and their tracks."""
    peers: set[Peer] = field(default_factory=set)
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Listener:
    """Somebody who listens, or is about to."""

    control_id: str
    peer: Peer | None = None
    task: asyncio.Task[None] | None = None

    def finish(self) -> None:
        if self.peer is not None:
            self.peer.finish()


class ListeningService:
    """All who listen to the taps of a deck."""

    def __init__(self, deck: Deck) -> None:
        self._deck = deck
        self._on_air: dict[tuple[str, Layout], _OnAir] = {}
        self._encoders: ThreadPoolExecutor | None = None
        self._listeners: dict[str, _Listener] = {}
        self.drops: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many listen or are about to."""
        return len(self._listeners)

    async def add_listener(
        self, control_id: str, offer: Offer, layout: Layout
    ) -> Answer:
        """Let somebody listen to a live tap.

        Raises:
            TapRefusedError: There is no such tap, or too many listen already.
        """
        self._check_live(control_id)
        self._check_room(control_id)
        listener_id = uuid.uuid4().hex
        # Taken before anything is waited for, so that the bounds hold.
        listener = _Listener(control_id)
        self._listeners[listener_id] = listener
        try:
            peer, sdp = await self._answer(offer)
            if not self._deck.is_at_work(control_id):
                await peer.close()
            # The tap may have ended meanwhile.
            self._check_live(control_id)
        except BaseException:
            del self._listeners[listener_id]
            raise
        listener.peer = peer
        on_air = self._join(control_id, layout, peer)
        attending = self._attend(on_air, listener_id, peer)
        name = f"listener {listener_id}"
        listener.task = asyncio.create_task(attending, name=name)
        return Answer(listener_id, sdp)

    async def remove_listener(self, control_id: str, listener_id: str) -> None:
        """Hang up on a listener.

        Raises:
            TapRefusedError: There is none of this id.
        """
        listener = self._listeners.get(listener_id)
        if (
            listener is None
            or listener.control_id != control_id
            or listener.task is None
        ):
            raise TapRefusedError(404, "There is no listener of this id.")
        listener.finish()
        await asyncio.wait([listener.task])

    async def close(self) -> None:
        """Hang up on everybody."""
        for listener in self._listeners.values():
            listener.finish()
        tasks = [each.task for each in self._listeners.values() if each.task]
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._encoders is not None:
            self._encoders.shutdown(wait=False)
            self._encoders = None

    def _check_room(self, control_id: str) -> None:
        everybody = [each.control_id for each in self._listeners.values()]
        of_tap = everybody.count(control_id)
        if of_tap >= MAX_TAP_LISTENERS or len(everybody) >= MAX_LISTENERS:
            self.drops["webrtc_too_many_listeners"] += 1
            raise TapRefusedError(
                503,
                f"At most {MAX_TAP_LISTENERS} may listen to one tap, "
                f"and {MAX_LISTENERS} to all.",
            )

    def _check_live(self, control_id: str) -> None:
        if not self._deck.is_at_work(control_id):
            raise TapRefusedError(404, "There is no live tap of this control id.")

    async def _answer(self, offer: Offer) -> tuple[Peer, str]:
        # Not before somebody listens: it costs a tenth of a second, and memory.
        from server.webrtc.peer import Peer

        peer = Peer(PacketQueue())
        try:
            return peer, await peer.answer(offer)
        except BaseException as error:
            await peer.close()
            if not isinstance(error, Exception):
                raise
            log.exception("an offer could not be answered")
            raise TapRefusedError(500, "The offer could not be answered.") from error

    def _join(self, control_id: str, layout: Layout, peer: Peer) -> _OnAir:
        """Add a peer to the broadcast of a tap, which begins with its first one."""
        on_air = self._on_air.get((control_id, layout))
        if on_air is None:
            on_air = self._begin(control_id, layout)
        on_air.peers.add(peer)
        on_air.broadcast.queues.add(peer.queue)
        return on_air

    def _begin(self, control_id: str, layout: Layout) -> _OnAir:
        if self._encoders is None:
            self._encoders = ThreadPoolExecutor(ENCODERS, "opus")
        broadcast = Broadcast(layout, lambda: self._look(on_air), self._encoders)
        on_air = _OnAir(control_id, layout, broadcast)
        self._look(on_air)
        name = f"broadcast {control_id}"
        on_air.task = asyncio.create_task(self._run(on_air), name=name)
        self._on_air[control_id, layout] = on_air
        return on_air

    def _look(self, on_air: _OnAir) -> bool:
        """Attend to what there is of the call; tell whether its tap goes on."""
        control_id = on_air.control_id
        if not self._deck.is_at_work(control_id):
            return False
        wanted = {(control_id, track) for track in TRACKS}
        if (partner := self._deck.partner(control_id)) is not None:
            wanted.add((partner, 0))
        for who, track in wanted - on_air.attended:
            self._deck.attend(who, on_air.broadcast, track)
            on_air.attended.add((who, track))
        return True

    async def _run(self, on_air: _OnAir) -> None:
        try:
            await on_air.broadcast.run()
        except Exception:
            log.exception("a broadcast met an error")
        finally:
            self._take_off(on_air)
            for who, track in on_air.attended:
                self._deck.ignore(who, on_air.broadcast, track)
            for peer in on_air.peers:
                peer.finish()

    def _take_off(self, on_air: _OnAir) -> None:
        """See to it that whoever comes now begins another broadcast."""
        key = (on_air.control_id, on_air.layout)
        if self._on_air.get(key) is on_air:
            del self._on_air[key]

    async def _attend(self, on_air: _OnAir, listener_id: str, peer: Peer) -> None:
        try:
            if not await peer.run():
                self.drops["webrtc_never_connected"] += 1
        except Exception:
            log.exception("a listener met an error")
        finally:
            on_air.broadcast.queues.discard(peer.queue)
            on_air.peers.discard(peer)
            await self._let_go(on_air)
            await peer.close()
            del self._listeners[listener_id]

    async def _let_go(self, on_air: _OnAir) -> None:
        """End a broadcast that nobody listens to any more."""
        if not on_air.peers and on_air.task is not None:
            self._take_off(on_air)
            on_air.task.cancel()
            await asyncio.wait([on_air.task])
