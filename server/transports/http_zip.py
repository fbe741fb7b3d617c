"""Recordings by the armful: `/api/v1/recordings.zip`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from server.library.archive import archive, unknown_ids
from server.library.fields import FieldError, Fields
from server.library.layout import is_recording_id
from server.library.store import Library
from server.transports.http_audit import SUBJECTS
from server.transports.http_body import read_body
from server.transports.http_problem import ProblemError
from server.transports.http_threads import DiskThreads

PATH: Final = "/api/v1/recordings.zip"
FORM: Final = "application/x-www-form-urlencoded"
MAX_IDS = 1000
MAX_BODY_BYTES = 64 * 1024
MAX_ARCHIVES = 4
"""Made at one time; each reads the disk as fast as somebody takes it."""
READ_TIMEOUT_S = 30.0
"""For the disk to give one piece."""
WRITE_TIMEOUT_S = 60.0
"""For whoever asked to take one."""


class HttpZip:
    """The routes of the archive.

    Args:
        library: Keeps the recordings; open.
    """

    def __init__(self, library: Library) -> None:
        self._library = library
        self._threads = DiskThreads(MAX_ARCHIVES, "http-zip")
        self._under_way = 0

    def add_to(self, app: web.Application) -> None:
        """Add the routes and what they need to run."""
        app.router.add_get(PATH, self._get, allow_head=False)
        app.router.add_post(PATH, self._post)
        self._threads.add_to(app)

    async def _get(self, request: web.Request) -> web.StreamResponse:
        for name in request.query:
            if name != "ids":
                raise ProblemError(400, "The only parameter here is ids.", field=name)
        return await self._send(request, _checked(request.query.getall("ids", [])))

    async def _post(self, request: web.Request) -> web.StreamResponse:
        """Take more ids than an address can hold, also from a form of a page."""
        is_form = request.content_type == FORM
        body = await read_body(
            request, FORM if is_form else "application/json", MAX_BODY_BYTES
        )
        texts = _form_ids(body) if is_form else _json_ids(body)
        return await self._send(request, _checked(texts))

    async def _send(
        self, request: web.Request, ids: tuple[str, ...]
    ) -> web.StreamResponse:
        request[SUBJECTS] = ids
        if self._under_way >= MAX_ARCHIVES:
            raise ProblemError(
                503,
                "Too many archives are being made already; try again later.",
                headers={hdrs.RETRY_AFTER: "30"},
            )
        self._under_way += 1
        try:
            unknown = await self._threads.run(
                READ_TIMEOUT_S, unknown_ids, self._library, ids
            )
            if unknown:
                raise ProblemError(
                    404, f"There is no recording {unknown[0]}.", field="ids"
                )
            return await self._stream(request, archive(self._library, ids))
        finally:
            self._under_way -= 1

    async def _stream(
        self, request: web.Request, pieces: Iterator[bytes]
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                hdrs.CONTENT_TYPE: "application/zip",
                hdrs.CONTENT_DISPOSITION: 'attachment; filename="recordings.zip"',
            }
        )
        await response.prepare(request)
        try:
            while True:
                piece = await self._threads.run(READ_TIMEOUT_S, next, pieces, None)
                if piece is None:
                    break
                async with asyncio.timeout(WRITE_TIMEOUT_S):
                    await response.write(piece)
        except (ProblemError, TimeoutError, ConnectionError):
            # Too late for a status: to break off is all that can be told.
            if request.transport is not None:
                request.transport.abort()
        return response


def _checked(texts: Iterable[str]) -> tuple[str, ...]:
    ids = dict.fromkeys(each for text in texts for each in text.split(",") if each)
    if 0 < len(ids) <= MAX_IDS and all(map(is_recording_id, ids)):
        return tuple(ids)
    raise ProblemError(
        400, f"ids is a list of 1 to {MAX_IDS} ids of recordings.", field="ids"
    )


def _form_ids(body: bytes) -> Sequence[str]:
    return parse_qs(body.decode("utf-8", "replace"), max_num_fields=2 * MAX_IDS).get(
        "ids", []
    )


def _json_ids(body: bytes) -> Sequence[str]:
    try:
        fields = Fields(json.loads(body))
        for name in fields:
            if name != "ids":
                raise FieldError(name, "ids")
        return fields.text_list("ids")
    except FieldError as error:
        raise ProblemError(400, f"{error}.", field=error.field) from None
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON.") from None
