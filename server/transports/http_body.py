"""Reading the body of a request, within bounds of size and time."""

from __future__ import annotations

import asyncio

from aiohttp import web

from server.transports.http_problem import ProblemError

BODY_TIMEOUT_S = 10.0


async def read_body(request: web.Request, media_type: str, max_bytes: int) -> bytes:
    """Return the whole body. Cancelling it is safe.

    Raises:
        ProblemError: It is of another type, too large or too slow.
    """
    if request.content_type != media_type:
        raise ProblemError(415, f"The body must be {media_type}.")
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.content.iter_any():
                body += chunk
                if len(body) > max_bytes:
                    raise ProblemError(
                        413, f"The body is larger than {max_bytes} bytes."
                    )
    except TimeoutError:
        raise ProblemError(408, "The body took too long to arrive.") from None
    return bytes(body)
