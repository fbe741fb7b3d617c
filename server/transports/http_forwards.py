"""Forwards over the API: add one to a live tap, take one away, or listen oneself."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractContextManager
from typing import Protocol

from aiohttp import hdrs, web

from server.forwards.pull import PullListener
from server.forwards.request import (
    ForwardRequest,
    ForwardRequestError,
    parse_request,
)
from server.taps.refusal import TapRefusedError
from server.taps.status import ForwardStatus
from server.transports.http_body import read_body
from server.transports.http_json import forward_json
from server.transports.http_problem import ProblemError

MAX_BODY_BYTES = 65_536
FORWARD_TIMEOUT_S = 15.0
WRITE_TIMEOUT_S = 10.0


class ForwardService(Protocol):
    """What the API needs of whoever owns the forwards."""

    async def add_forward(
        self, control_id: str, request: ForwardRequest
    ) -> ForwardStatus:
        """Begin a forward.

        Raises:
            TapRefusedError: It cannot be begun; the status says what is wrong.
        """
        ...

    async def remove_forward(self, control_id: str, forward_id: str) -> None:
        """End a forward and forget it.

        Raises:
            TapRefusedError: There is none.
        """
        ...

    def listen(self, control_id: str) -> AbstractContextManager[PullListener]:
        """Give the audio of a live tap from now on.

        Raises:
            TapRefusedError: It cannot be listened to.
        """
        ...


class HttpForwards:
    """The routes of forwards."""

    def __init__(self, forwards: ForwardService) -> None:
        self._forwards = forwards

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        path = "/api/v1/taps/{control_id}/forwards"
        app.router.add_post(path, self._post)
        app.router.add_get("/api/v1/taps/{control_id}/audio", self._get_audio)
        app.router.add_delete(path + "/{forward_id}", self._delete)

    async def _post(self, request: web.Request) -> web.Response:
        body = await read_body(request, "application/json", MAX_BODY_BYTES)
        wanted = parse_forward(body)
        try:
            async with asyncio.timeout(FORWARD_TIMEOUT_S):
                status = await self._forwards.add_forward(
                    request.match_info["control_id"], wanted
                )
        except TapRefusedError as error:
            # Only the address can be right in form and wrong all the same.
            field = wanted.address_field if error.status == 400 else ""
            raise ProblemError(error.status, error.reason, field=field) from error
        except TimeoutError:
            raise ProblemError(504, "The host was not found in time.") from None
        return web.json_response(forward_json(status), status=201)

    async def _get_audio(self, request: web.Request) -> web.StreamResponse:
        try:
            listening = self._forwards.listen(request.match_info["control_id"])
            with listening as listener:
                return await _stream(request, listener)
        except TapRefusedError as error:
            raise ProblemError(error.status, error.reason) from error

    async def _delete(self, request: web.Request) -> web.Response:
        names = request.match_info
        try:
            await self._forwards.remove_forward(
                names["control_id"], names["forward_id"]
            )
        except TapRefusedError as error:
            raise ProblemError(error.status, error.reason) from error
        return web.Response(status=204)


async def _stream(request: web.Request, listener: PullListener) -> web.StreamResponse:
    response = web.StreamResponse(
        headers={hdrs.CONTENT_TYPE: "audio/wav", hdrs.CACHE_CONTROL: "no-store"}
    )
    await response.prepare(request)
    try:
        async for chunk in listener.chunks():
            async with asyncio.timeout(WRITE_TIMEOUT_S):
                await response.write(chunk)
    except (TimeoutError, ConnectionError):
        # Gone, or not reading: either way there is nobody to tell.
        if request.transport is not None:
            request.transport.abort()
    return response


def parse_forward(body: bytes) -> ForwardRequest:
    """Return the forward that a body asks for.

    Raises:
        ProblemError: It asks for none, or for one that cannot be.
    """
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON.") from None
    try:
        return parse_request(document)
    except ForwardRequestError as error:
        raise ProblemError(
            400,
            f"{error.field or 'The body'}: {error.sentence}.",
            field=error.field,
        ) from None
