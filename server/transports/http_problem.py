"""Errors over HTTP, as problem details (RFC 9457).

Handlers raise `ProblemError`; the middleware turns it, and what aiohttp or a bug
raises, into one `application/problem+json`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

from aiohttp import hdrs, web

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class ProblemError(Exception):
    """A request that cannot be fulfilled.

    Args:
        status: The HTTP status to answer with.
        detail: What is wrong and how to mend it, in a sentence.
        field: The parameter or field that is wrong, if it is one.
        headers: What else programs are told.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.headers = headers or {}

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}"


def problem_response(status: int, detail: str, *, field: str = "") -> web.Response:
    """Return problem details; `type` is always `about:blank`, so `title` is HTTP's."""
    problem: dict[str, str | int] = {
        "type": "about:blank",
        "title": _phrase(status),
        "status": status,
        "detail": detail,
    }
    if field:
        problem["field"] = field
    response = web.Response(
        status=status, text=json.dumps(problem), content_type=MEDIA_TYPE
    )
    if status == HTTPStatus.UNAUTHORIZED:
        response.headers[hdrs.WWW_AUTHENTICATE] = 'Bearer realm="tapdeck"'
    return response


def is_tap_path(request: web.Request) -> bool:
    """Tell whether a request is for the endpoint that taps connect to.

    Judged by the route that matched, which is ours, not by the path, which is not.
    """
    resource = request.match_info.route.resource
    if resource is None:
        return False
    return resource.canonical == "/tap" or resource.canonical.startswith("/tap/")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer every error with problem details; the tap endpoint has its own ways."""
    if is_tap_path(request):
        return await handler(request)
    try:
        return await handler(request)
    except ProblemError as error:
        response = problem_response(error.status, error.detail, field=error.field)
        response.headers.update(error.headers)
        return response
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        return _from_aiohttp(error)
    except Exception:
        logger.exception("%s %s failed", request.method, request.path)
        return problem_response(
            500, "That is a fault of the server; its log says more."
        )


def _from_aiohttp(error: web.HTTPException) -> web.Response:
    details = {
        HTTPStatus.NOT_FOUND: "There is nothing at this address.",
        HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take that method.",
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is too large.",
    }
    status = HTTPStatus(error.status)
    response = problem_response(error.status, details.get(status, error.reason))
    if hdrs.ALLOW in error.headers:
        response.headers[hdrs.ALLOW] = error.headers[hdrs.ALLOW]
    return response


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
