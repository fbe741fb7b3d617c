"""An application to ask over HTTP: a real library, and taps that a test writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from server.events.history import History
from server.events.hub import EventHub
from server.events.listener import Listener
from server.events.wanted import Wanted
from server.forwards.pull import PullListener
from server.forwards.request import ForwardRequest
from server.library.store import Library
from server.metrics import Metrics
from server.taps.refusal import TapRefusedError
from server.taps.status import ForwardStatus, StartTap, TapStatus
from server.transports.http_access import Access
from server.transports.http_api import Readiness, TapNotFound, TapPage
from server.transports.http_app import make_http_app
from server.transports.http_connections import ConnectionGuard
from server.transports.http_problem import Handler
from server.transports.http_whep import Answer
from server.webrtc.mixdown import Layout
from server.webrtc.offer import Offer
from tests.described import AnswerChecker

TOKEN = "a token that nobody guesses"
Client = TestClient[web.Request, web.Application]


def tap(control_id: str = "tap-1", **changes: Any) -> TapStatus:
    """Return a tap that receives."""
    fields: dict[str, Any] = {
        "control_id": control_id,
        "call_id": "call-1",
        "node_id": "node-1",
        "direction": "both",
        "transport": "ws",
        "origin": "api",
        "state": "receiving",
        "created_at": datetime(2026, 11, 22, 12, tzinfo=UTC),
    }
    return TapStatus(**(fields | changes))


@dataclass
class FakeTaps:
    """A tap service that does what a test says."""

    live: list[TapStatus] = field(default_factory=list)
    started: list[StartTap] = field(default_factory=list)
    refusal: TapRefusedError | None = None
    state: Readiness = field(default_factory=lambda: Readiness(True, (), "connected"))

    asked: int = 0

    def statuses(self) -> list[TapStatus]:
        return self.live

    def page(self, limit: int) -> TapPage:
        self.asked += 1
        live = [status for status in self.live if not status.has_ended]
        return TapPage(self.live[:limit], live=len(live), total=len(self.live))

    async def start(self, request: StartTap) -> TapStatus:
        self.started.append(request)
        if self.refusal is not None:
            raise self.refusal
        status = tap(call_id=request.call_id, node_id=request.node_id)
        self.live.append(status)
        return status

    async def stop(self, control_id: str) -> TapStatus:
        for at, status in enumerate(self.live):
            if status.control_id == control_id:
                self.live[at] = replace(status, state="finished", reason="stopped")
                return self.live[at]
        raise TapNotFound(control_id)

    async def mask(self, control_id: str, *, is_on: bool) -> TapStatus:
        for at, status in enumerate(self.live):
            if status.control_id == control_id:
                self.live[at] = replace(status, is_paused=is_on)
                return self.live[at]
        raise TapNotFound(control_id)

    async def add_forward(
        self, control_id: str, request: ForwardRequest
    ) -> ForwardStatus:
        if control_id not in {status.control_id for status in self.live}:
            raise TapRefusedError(404, "There is no live tap of this control id.")
        return ForwardStatus(
            forward_id="forward-1",
            type=request.type,
            url=request.shown_url,
            framing=request.framing,
            state="connecting",
        )

    async def remove_forward(self, control_id: str, forward_id: str) -> None:
        if (control_id, forward_id) != ("tap-1", "forward-1"):
            raise TapRefusedError(404, "There is no forward of this id.")

    def listen(self, control_id: str) -> AbstractContextManager[PullListener]:
        raise TapRefusedError(404, "There is no live tap of this control id.")

    async def add_listener(
        self, control_id: str, offer: Offer, layout: Layout
    ) -> Answer:
        if control_id not in {status.control_id for status in self.live}:
            raise TapRefusedError(404, "There is no live tap of this control id.")
        return Answer("listener-1", offer.complete_answer(f"{layout.value} m=audio"))

    async def remove_listener(self, control_id: str, listener_id: str) -> None:
        if (control_id, listener_id) != ("tap-1", "listener-1"):
            raise TapRefusedError(404, "There is no listener of this id.")

    def readiness(self) -> Readiness:
        return self.state


class FakeEvents:
    """A hub with nothing behind it."""

    def __init__(self) -> None:
        self.hub = EventHub(History("run"), lambda _: '{"items": [], "live": 0}')

    @property
    def is_closed(self) -> bool:
        return self.hub.is_closed

    @contextmanager
    def listen(
        self, wanted: Wanted, last_id: str, wake: Callable[[], None]
    ) -> Iterator[Listener]:
        listener = self.hub.join(wanted, last_id, wake)
        try:
            yield listener
        finally:
            self.hub.leave(listener)

    def close(self) -> None:
        self.hub.close()


@dataclass
class Deck:
    """A running application and what is behind it."""

    client: Client
    taps: FakeTaps
    library: Library
    metrics: Metrics
    events: EventHub
    answers: AnswerChecker
    """Holds every answer against openapi.json; `running` asserts that they fit."""


@asynccontextmanager
async def running(
    root: Path,
    *,
    token: str = "",
    remote: str | None = None,
    access: Access | None = None,
    undo_s: float = 0.0,
    routes: Sequence[tuple[str, str, Handler]] = (),
    is_as_described: bool = True,
) -> AsyncIterator[Deck]:
    """Serve an application; with `remote`, as if every request came from there.

    At the end, everything that it answered must have been as openapi.json says, unless
    a test lets it lie.
    """
    library = Library(root)
    library.open()
    taps = FakeTaps()
    metrics = Metrics(taps.statuses)
    events = FakeEvents()
    access = access or Access(token)
    app = make_http_app(
        taps=taps,
        forwards=taps,
        listening=taps,
        events=events,
        library=library,
        metrics=metrics,
        access=access,
        undo_s=undo_s,
        guard=ConnectionGuard(),
    )

    @web.middleware
    async def from_elsewhere(
        request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        return await handler(request.clone(remote=remote) if remote else request)

    app.middlewares.insert(0, from_elsewhere)

    async def answer_tap(_: web.Request) -> web.Response:
        return web.Response(text="a tap")

    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    app.router.add_get("/tap", answer_tap)
    app.router.add_get("/tap/{token}", answer_tap)
    checker = AnswerChecker()
    checker.add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield Deck(client, taps, library, metrics, events.hub, checker)
    assert not (is_as_described and checker.faults), "\n".join(checker.faults)


def app_of(deck: Deck) -> web.Application:
    """Return the application that is asked."""
    app = deck.client.app
    assert app is not None
    return app


async def raw_status(deck: Deck, target: str) -> int:
    """Ask for exactly this target, which a client would tidy up; return the status."""
    port = deck.client.port
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        line = await reader.readline()
        writer.close()
        await writer.wait_closed()
    return int(line.split()[1])


async def problem(response: ClientResponse) -> dict[str, Any]:
    """Return problem details, having checked that they are some."""
    assert response.content_type == "application/problem+json"
    document: dict[str, Any] = await response.json()
    assert {"type", "title", "status", "detail"} <= set(document)
    assert document["status"] == response.status
    assert document["detail"]
    return document
