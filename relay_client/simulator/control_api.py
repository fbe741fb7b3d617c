"""The simulator's own HTTP interface, under `/simulator/`.

POST   /simulator/calls             place an inbound call
GET    /simulator/calls             all calls and their taps
DELETE /simulator/calls/{call_id}   hang up
GET    /simulator/journal           every RELAY frame, both ways
POST   /simulator/disconnect        `signalwire.disconnect` to every client
PUT    /simulator/connection        faults of the connections
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from relay_client.simulator.calls import CallState, SimCall
from relay_client.simulator.errors import NoSubscriberError, OptionsError
from relay_client.simulator.journal import JournalEntry
from relay_client.simulator.options import parse_call_request, parse_connection_faults
from relay_client.simulator.platform import Platform
from relay_client.simulator.wire import Json

MAX_BODY_BYTES = 65_536


class ControlApi:
    """Handlers for one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add every route of the interface."""
        router.add_post("/simulator/calls", self.place_call)
        router.add_get("/simulator/calls", self.list_calls)
        router.add_delete("/simulator/calls/{call_id}", self.hang_up)
        router.add_get("/simulator/journal", self.show_journal)
        router.add_post("/simulator/disconnect", self.disconnect)
        router.add_put("/simulator/connection", self.set_faults)

    async def place_call(self, request: web.Request) -> web.Response:
        """Place an inbound call: 201, 400 with the wrong key, or 409."""
        try:
            call = self._platform.place_call(parse_call_request(await request.read()))
        except OptionsError as exc:
            return _error(400, str(exc))
        except NoSubscriberError as exc:
            return _error(409, str(exc))
        found = {"call_id": call.call_id, "node_id": call.node_id}
        return web.json_response(found, status=201)

    async def list_calls(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """List the calls, oldest first."""
        calls = [_summary(call) for call in self._platform.calls.values()]
        return web.json_response({"calls": calls})

    async def hang_up(self, request: web.Request) -> web.Response:
        """Hang up as the other party would: 204, 404 or 410."""
        call = self._platform.calls.get(request.match_info["call_id"])
        if call is None:
            return _error(404, "no such call")
        if call.state is CallState.ENDED:
            return _error(410, "the call has ended")
        await call.hang_up()
        return web.Response(status=204)

    async def show_journal(self, request: web.Request) -> web.Response:  # noqa: ARG002
        """List the frames, oldest first."""
        entries = [_journal_entry(entry) for entry in self._platform.journal.entries]
        return web.json_response({"entries": entries})

    async def disconnect(self, request: web.Request) -> web.Response:
        """Tell every client to reconnect: `{"restart": bool}`."""
        restart = _restart(await request.read())
        if restart is None:
            return _error(400, 'the body must be {"restart": true} or {}')
        self._platform.disconnect_clients(restart=restart)
        return web.Response(status=204)

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replace the faults of the connections."""
        try:
            faults = parse_connection_faults(await request.read())
        except OptionsError as exc:
            return _error(400, str(exc))
        self._platform.connection_faults = faults
        return web.Response(status=204)


def _error(status: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)


def _restart(body: bytes) -> bool | None:
    try:
        found: Any = json.loads(body or b"{}")
    except ValueError:
        return None
    if not isinstance(found, dict) or set(found) - {"restart"}:
        return None
    restart = found.get("restart", False)
    return restart if isinstance(restart, bool) else None


def _summary(call: SimCall) -> Json:
    return {
        "call_id": call.call_id,
        "node_id": call.node_id,
        "direction": call.direction,
        "context": call.context,
        "state": call.state,
        "end_reason": call.end_reason,
        "device": call.device,
        "peer": call.peer.call_id if call.peer and call.is_bridged else None,
        "taps": [tap.summary() for tap in call.taps.values()],
    }


def _journal_entry(entry: JournalEntry) -> Json:
    return {
        "at": entry.at,
        "connection": entry.connection,
        "sender": entry.sender,
        "frame": entry.frame,
    }
