"""The HTTP API: taps, recordings, health and metrics.

Takes no decision about a tap: it parses, asks a `TapService`, and answers in JSON or
in problem details. `openapi.json` beside this module describes it exactly.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Protocol, TypeVar

from aiohttp import hdrs, web

from server.library.errors import InvalidCursor, RecordingOnHold
from server.library.fields import JsonObject
from server.library.index import RecordingQuery
from server.library.recording import Recording
from server.library.store import Library
from server.metrics import Metrics
from server.taps.refusal import TapRefusedError
from server.taps.status import StartTap, TapStatus
from server.transports.http_caching import (
    KEPT_BUT_CHECKED,
    FilePart,
    check_part,
    json_response,
    tag_of,
)
from server.transports.http_json import tap_json
from server.transports.http_problem import ProblemError
from server.transports.http_query import (
    parse_recording_patch,
    parse_recording_query,
    parse_start_tap,
    parse_tap_limit,
)
from server.transports.http_threads import DiskThreads

LIBRARY_TIMEOUT_S = 10.0
TAP_TIMEOUT_S = 30.0
"""RELAY answers in a second or not at all; this is for one that reconnects."""
LIST_AGE_S = 1.0
"""For which a list of taps is told to everybody who asks for the same one."""
LIBRARY_THREADS = 4
"""Of our own, so that a disk that hangs under the API never holds up a recording."""

_T = TypeVar("_T")


class TapNotFound(Exception):  # noqa: N818 - reads as what it says
    """There is no tap of this control id."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether the server can do its work now."""

    ready: bool
    reasons: tuple[str, ...] = ()
    """Why it can't."""
    relay: str = ""
    """State of the connection to RELAY, in a word."""


@dataclass(frozen=True, slots=True)
class TapPage:
    """Some of the taps there are."""

    items: Sequence[TapStatus]
    live: int
    """How many are live."""
    total: int
    """How many there are to tell of, those that ended lately included."""


class TapService(Protocol):
    """What the API needs of whoever owns the taps; all of it on the event loop."""

    def page(self, limit: int) -> TapPage:
        """Return as many taps as `limit`: live ones, then ended ones, newest first."""
        ...

    async def start(self, request: StartTap) -> TapStatus:
        """Start a tap.

        Raises:
            TapRefusedError: It cannot be started.
        """
        ...

    async def stop(self, control_id: str) -> TapStatus:
        """Stop a tap.

        Raises:
            TapNotFound: There is none of this id.
        """
        ...

    async def mask(self, control_id: str, *, is_on: bool) -> TapStatus:
        """Pause the recording of a tap, or let it go on.

        Raises:
            TapNotFound: There is none of this id.
        """
        ...

    def readiness(self) -> Readiness:
        """Tell whether taps can be started and received."""
        ...


class HttpApi:
    """The API's routes.

    Args:
        taps: Owns the taps.
        library: Keeps the recordings; open.
        metrics: What `/metrics` shows.
        has_undo: Whether what is deleted can be brought back for a while.
    """

    def __init__(
        self,
        taps: TapService,
        library: Library,
        metrics: Metrics,
        *,
        has_undo: bool = False,
    ) -> None:
        self._taps = taps
        self._library = library
        self._metrics = metrics
        self._has_undo = has_undo
        self._threads = DiskThreads(LIBRARY_THREADS, "http-library")
        self._listed: _TapList | None = None
        source = resources.files("server.transports").joinpath("openapi.json")
        self._openapi = source.read_text(encoding="utf-8")

    def add_to(self, app: web.Application) -> None:
        """Add the routes and what they need to run."""
        app.add_routes(
            [
                web.get("/api/v1/openapi.json", self._get_openapi),
                web.get("/api/v1/taps", self._get_taps),
                web.post("/api/v1/taps", self._post_tap),
                web.delete("/api/v1/taps/{control_id}", self._delete_tap),
                web.post("/api/v1/taps/{control_id}/pause", self._pause_tap),
                web.post("/api/v1/taps/{control_id}/resume", self._resume_tap),
                web.get("/api/v1/recordings", self._get_recordings),
                web.get("/api/v1/recordings/{id}", self._get_recording),
                web.patch("/api/v1/recordings/{id}", self._patch_recording),
                web.delete("/api/v1/recordings/{id}", self._delete_recording),
                web.post("/api/v1/recordings/{id}/undo", self._undo_deletion),
                web.get("/api/v1/recordings/{id}/audio", self._get_audio),
                web.get("/healthz", self._get_health),
                web.get("/readyz", self._get_readiness),
                web.get("/metrics", self._get_metrics),
            ]
        )
        self._threads.add_to(app)

    async def _get_openapi(self, request: web.Request) -> web.Response:
        return json_response(request, self._openapi)

    async def _get_taps(self, request: web.Request) -> web.Response:
        limit = parse_tap_limit(request)
        now = asyncio.get_running_loop().time()
        listed = self._listed
        if listed is None or listed.limit != limit or now - listed.at >= LIST_AGE_S:
            # Every page asks once a second; what costs the loop is to write it out.
            listed = _TapList(limit, now, _taps_text(self._taps.page(limit)))
            self._listed = listed
        return web.Response(text=listed.text, content_type="application/json")

    async def _post_tap(self, request: web.Request) -> web.Response:
        wanted = await parse_start_tap(request)
        try:
            async with asyncio.timeout(TAP_TIMEOUT_S):
                status = await self._taps.start(wanted)
        except TapRefusedError as error:
            raise ProblemError(error.status, error.reason) from error
        except TimeoutError:
            raise ProblemError(504, "Nobody answered about this tap in time.") from None
        finally:
            self._listed = None
        return _json(tap_json(status), status=201)

    async def _delete_tap(self, request: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(TAP_TIMEOUT_S):
                status = await self._taps.stop(request.match_info["control_id"])
        except TapNotFound:
            raise ProblemError(404, "There is no tap of this control id.") from None
        except TimeoutError:
            raise ProblemError(504, "Nobody answered about this tap in time.") from None
        finally:
            self._listed = None
        return _json(tap_json(status))

    async def _pause_tap(self, request: web.Request) -> web.Response:
        return await self._mask_tap(request, is_on=True)

    async def _resume_tap(self, request: web.Request) -> web.Response:
        return await self._mask_tap(request, is_on=False)

    async def _mask_tap(self, request: web.Request, *, is_on: bool) -> web.Response:
        control_id = request.match_info["control_id"]
        try:
            status = await self._taps.mask(control_id, is_on=is_on)
        except TapNotFound:
            raise ProblemError(404, "There is no tap of this control id.") from None
        finally:
            self._listed = None
        return _json(tap_json(status))

    async def _get_recordings(self, request: web.Request) -> web.Response:
        query = parse_recording_query(request)
        try:
            text = await self._in_thread(_page_text, self._library, query)
        except InvalidCursor as error:
            raise ProblemError(400, f"That is {error}.", field="cursor") from None
        return json_response(request, text)

    async def _get_recording(self, request: web.Request) -> web.Response:
        text = await self._in_thread(
            _document_text, self._library, request.match_info["id"]
        )
        return json_response(request, text)

    async def _patch_recording(self, request: web.Request) -> web.Response:
        annotation = await parse_recording_patch(request)
        recording = await self._in_thread(
            self._library.annotate, request.match_info["id"], annotation
        )
        return _json(_found(recording).to_json())

    async def _delete_recording(self, request: web.Request) -> web.Response:
        library = self._library
        delete = library.set_aside if self._has_undo else library.delete
        try:
            gone = await self._in_thread(delete, request.match_info["id"])
        except RecordingOnHold:
            raise ProblemError(
                409, "This recording is on legal hold; lift that first."
            ) from None
        if not gone:
            raise _no_recording()
        return web.Response(status=204)

    async def _undo_deletion(self, request: web.Request) -> web.Response:
        recording = await self._in_thread(
            self._library.bring_back, request.match_info["id"]
        )
        return _json(_found(recording).to_json())

    async def _get_audio(self, request: web.Request) -> web.StreamResponse:
        recording_id = request.match_info["id"]
        path = await self._in_thread(self._library.audio_path, recording_id)
        if path is None:
            _found(await self._in_thread(self._library.get, recording_id))
            raise ProblemError(404, "This recording has no audio.")
        status = await self._in_thread(_status_of, path)
        return _audio_response(request, path, status)

    async def _get_health(self, _: web.Request) -> web.Response:
        return _json({"status": "ok"})

    async def _get_readiness(self, _: web.Request) -> web.Response:
        state = self._taps.readiness()
        document = {
            "ready": state.ready,
            "reasons": list(state.reasons),
            "relay": state.relay,
        }
        return _json(document, status=200 if state.ready else 503)

    async def _get_metrics(self, request: web.Request) -> web.Response:
        accept = request.headers.get(hdrs.ACCEPT, "")
        body, content_type = self._metrics.render(accept)
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: content_type})

    async def _in_thread(self, call: Callable[..., _T], *args: object) -> _T:
        return await self._threads.run(LIBRARY_TIMEOUT_S, call, *args)


@dataclass(frozen=True, slots=True)
class _TapList:
    """A list of taps as it was told last."""

    limit: int
    at: float
    text: str


def _taps_text(page: TapPage) -> str:
    items = [tap_json(status) for status in page.items]
    return json.dumps({"items": items, "live": page.live, "total": page.total})


def _page_text(library: Library, query: RecordingQuery) -> str:
    """Return a page as text: even writing out the JSON is too long for the loop."""
    page = library.list(query)
    items = [recording.to_json() for recording in page.items]
    return json.dumps({"items": items, "next_cursor": page.next_cursor})


def _document_text(library: Library, recording_id: str) -> str:
    return json.dumps(_found(library.get(recording_id)).to_json())


def _status_of(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError:
        # Deleted since it was found.
        raise _no_recording() from None


def _audio_response(
    request: web.Request, path: Path, status: os.stat_result
) -> web.StreamResponse:
    tag = tag_of(status)
    check_part(request, status.st_size, tag)
    kind = "attachment" if "download" in request.query else "inline"
    return FilePart(
        path,
        tag,
        {
            hdrs.CONTENT_TYPE: "audio/wav",
            # The name is one of our ids, so it needs no quoting.
            hdrs.CONTENT_DISPOSITION: f'{kind}; filename="{path.name}"',
            hdrs.CACHE_CONTROL: KEPT_BUT_CHECKED,
        },
    )


def _json(document: JsonObject, *, status: int = 200) -> web.Response:
    return web.json_response(document, status=status)


def _no_recording() -> ProblemError:
    return ProblemError(404, "There is no recording of this id.")


def _found(recording: Recording | None) -> Recording:
    if recording is None:
        raise _no_recording()
    return recording
