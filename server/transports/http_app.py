"""The HTTP application: the API and the pages behind one guard.

Whoever owns the endpoint for taps adds its routes (`/tap…`) to the same application;
the guard and the problem details leave those alone.
"""

from __future__ import annotations

from aiohttp import web

from server.library.store import Library
from server.metrics import Metrics
from server.transports.http_access import Access, add_security_headers
from server.transports.http_api import HttpApi, TapService
from server.transports.http_audit import AuditLog
from server.transports.http_connections import ConnectionGuard
from server.transports.http_events import EventService, HttpEvents
from server.transports.http_forwards import ForwardService, HttpForwards
from server.transports.http_problem import problems
from server.transports.http_session import HttpSession
from server.transports.http_whep import HttpWhep, Listening
from server.transports.http_zip import HttpZip
from server.transports.ui import Pages


def make_http_app(
    *,
    taps: TapService,
    forwards: ForwardService,
    listening: Listening,
    events: EventService,
    library: Library,
    metrics: Metrics,
    access: Access,
    undo_s: float,
    guard: ConnectionGuard,
) -> web.Application:
    """Return the application, with no listener yet.

    Args:
        taps: Owns the taps.
        forwards: Owns what is sent on.
        listening: Owns those who listen by WebRTC.
        events: Owns what is told of all this.
        library: Keeps the recordings; open.
        metrics: What `/metrics` shows.
        access: Decides who may do what.
        undo_s: How many seconds a deleted recording can be brought back.
        guard: Of the listener's connections; is told what each of them shows.
    """

    async def trust(request: web.Request, response: web.StreamResponse) -> None:
        # Only a tap is ever let in to another protocol.
        if response.status == 101 or access.is_signed_in(request):
            guard.trust(request)

    app = web.Application(middlewares=[guard.note, problems, access.guard])
    app.on_response_prepare.extend((add_security_headers, trust))
    AuditLog(library.layout.audit).add_to(app)
    HttpSession(access, undo_s=undo_s).add_to(app)
    HttpApi(taps, library, metrics, has_undo=undo_s > 0).add_to(app)
    HttpZip(library).add_to(app)
    HttpForwards(forwards).add_to(app)
    HttpWhep(listening).add_to(app)
    HttpEvents(events).add_to(app)
    Pages(access).add_to(app)
    return app
