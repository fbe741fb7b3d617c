"""Answers that a browser may keep, and parts of files (RFC 9110, sections 13 and 14).

A file's entity tag is that of aiohttp. What aiohttp lacks is here: `If-Range` with an
entity tag, and problem details for a range that does not exist.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from aiohttp import ETag, hdrs, web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.web_request import BaseRequest

from server.transports.http_problem import ProblemError

KEPT_BUT_CHECKED = "private, no-cache"
"""Cache-Control of what may be kept, if it is asked each time whether it changed."""


def json_response(request: web.Request, text: str) -> web.Response:
    """Return JSON with an entity tag, or only that it has not changed."""
    tag = hashlib.sha256(text.encode()).hexdigest()[:32]
    kept = request.if_none_match or ()
    headers = {hdrs.ETAG: f'"{tag}"', hdrs.CACHE_CONTROL: KEPT_BUT_CHECKED}
    if any(each.value in (tag, "*") for each in kept):
        return web.Response(status=304, headers=headers)
    return web.Response(text=text, content_type="application/json", headers=headers)


class FilePart(web.FileResponse):
    """A file, or the part of it that is asked for.

    Args:
        path: The file.
        tag: Its entity tag, from `tag_of`.
        headers: What is told about it.
    """

    def __init__(self, path: Path, tag: str, headers: dict[str, str]) -> None:
        super().__init__(path, headers=headers)
        self._tag = tag

    async def prepare(self, request: BaseRequest) -> AbstractStreamWriter | None:
        """Begin to answer; where the range is to be passed over, with all of it."""
        if is_all_wanted(request, self._tag):
            wanted = {
                name: value
                for name, value in request.headers.items()
                if name.title() != hdrs.RANGE and f"{name}{value}".isascii()
            }
            request = request.clone(headers=wanted)
        return await super().prepare(request)


def tag_of(status: os.stat_result) -> str:
    """Return the entity tag that aiohttp gives a file."""
    return f"{status.st_mtime_ns:x}-{status.st_size:x}"


def is_all_wanted(request: BaseRequest, tag: str) -> bool:
    """Tell whether a range, if there is one, is to be passed over.

    It is where the unit is none that we know (section 14.2), and where the part would
    be of something else than there is now. A weak tag never says that two things are
    the same to the byte (section 13.1.5).
    """
    unit = request.headers.get(hdrs.RANGE, "bytes=").partition("=")[0]
    if unit.strip().lower() != "bytes":
        return True
    condition = request.headers.get(hdrs.IF_RANGE, "").strip()
    is_tag = condition.startswith(('"', "W/"))
    return is_tag and condition != f'"{tag}"'


def check_part(request: web.Request, size: int, tag: str) -> None:
    """Refuse a part of another state of a file, or one that there is nothing in.

    Raises:
        ProblemError: The range is beyond the end, or none, or `If-Match` is another.
    """
    wanted = request.if_match
    if wanted is not None and not any(
        each.value in (tag, "*") and not each.is_weak for each in wanted
    ):
        raise ProblemError(412, "It is not as it was when you saw it.")
    if is_all_wanted(request, tag) or _is_kept(request, tag):
        return
    try:
        start = request.http_range.start
    except ValueError:
        start = size
    # A suffix, from the end, is cut to what there is.
    if start is not None and start >= size:
        raise ProblemError(
            416,
            f"There are {size} bytes; ask for some of those.",
            headers={hdrs.CONTENT_RANGE: f"bytes */{size}"},
        )


def _is_kept(request: web.Request, tag: str) -> bool:
    kept: tuple[ETag, ...] = request.if_none_match or ()
    return any(each.value in (tag, "*") for each in kept)
