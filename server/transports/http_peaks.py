"""Peaks over HTTP: what a page draws a waveform from.

They are made in a thread of their own, one recording at a time: the first look at a
long recording holds up neither the audio nor the rest of the API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

import soundfile
from aiohttp import web

from server.library.layout import PEAKS_SUFFIX
from server.library.peak_files import peaks_of
from server.library.store import Library
from server.transports.http_problem import ProblemError
from server.transports.http_query import PeaksQuery, parse_peaks_query

TIMEOUT_S = 30.0
"""To wait for one's turn, too: a page that lists recordings asks for many."""


class HttpPeaks:
    """The route of the peaks.

    Args:
        library: Keeps the recordings; open.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._thread: ThreadPoolExecutor | None = None

    def add_to(self, app: web.Application) -> None:
        """Add the route and what it needs to run."""
        app.add_routes([web.get("/api/v1/recordings/{id}/peaks", self._get_peaks)])
        app.cleanup_ctx.append(self._run_thread)

    async def _run_thread(self, _: web.Application) -> AsyncIterator[None]:
        self._thread = ThreadPoolExecutor(1, "http-peaks")
        yield
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _get_peaks(self, request: web.Request) -> web.Response:
        query = parse_peaks_query(request)
        recording_id = request.match_info["id"]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                body = await loop.run_in_executor(
                    self._thread, self._part, recording_id, query
                )
        except TimeoutError:
            raise ProblemError(503, "The peaks could not be made in time.") from None
        except OSError as error:
            raise ProblemError(
                503, f"The recordings directory cannot be used: {error.strerror}."
            ) from error
        return web.Response(body=body, content_type="application/octet-stream")

    def _part(self, recording_id: str, query: PeaksQuery) -> bytes:
        audio = self._library.audio_path(recording_id)
        if audio is None:
            raise ProblemError(404, "There is no audio of a recording of this id.")
        partial = self._library.partial_path(recording_id).with_suffix(PEAKS_SUFFIX)
        try:
            peaks = peaks_of(audio, partial)
        except soundfile.LibsndfileError as error:
            if not audio.exists():
                raise ProblemError(404, "This recording has been deleted.") from error
            raise ProblemError(503, "The audio of it is damaged.") from error
        if query.zoom >= peaks.shape.zooms:
            most = peaks.shape.zooms - 1
            raise ProblemError(400, f"zoom is from 0 to {most} here.", field="zoom")
        return peaks.part(query.zoom, query.first, query.until)
