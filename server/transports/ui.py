"""The pages in a browser: fixed files, and a form to sign in with the API token.

The files are `server/ui/`. Nothing from a request ever becomes part of one; what is
shown comes from the API and is written by the page as text.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Final
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from server.transports.http_access import COOKIE, SIGN_IN_PATH, Access
from server.transports.http_body import read_body

MEDIA_TYPES: Final = {
    "app.css": "text/css",
    "app.js": "text/javascript",
    "format.js": "text/javascript",
    "listen.js": "text/javascript",
    "view.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
"""Every file that is served, beside the two pages; no other can be asked for."""

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = 4096
REFUSED_PATH = f"{SIGN_IN_PATH}#refused"
"""The form shows why by itself, with no script: the fragment picks the sentence."""


@dataclass(frozen=True, slots=True)
class _Asset:
    body: bytes
    media_type: str


class Pages:
    """The pages' routes.

    Args:
        access: Knows the token that users sign in with.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        folder = resources.files("server").joinpath("ui")
        self._index = _Asset(folder.joinpath("index.html").read_bytes(), "text/html")
        self._sign_in = _Asset(folder.joinpath("login.html").read_bytes(), "text/html")
        self._assets = {
            name: _Asset(folder.joinpath(name).read_bytes(), media_type)
            for name, media_type in MEDIA_TYPES.items()
        }

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.add_routes(
            [
                web.get("/", self._get_index),
                web.get("/ui/{name}", self._get_asset),
                web.get(SIGN_IN_PATH, self._get_sign_in),
                web.post(SIGN_IN_PATH, self._post_sign_in),
            ]
        )

    async def _get_index(self, _: web.Request) -> web.Response:
        return _response(self._index)

    async def _get_asset(self, request: web.Request) -> web.Response:
        asset = self._assets.get(request.match_info["name"])
        if asset is None:
            raise web.HTTPNotFound
        return _response(asset)

    async def _get_sign_in(self, _: web.Request) -> web.Response:
        if not self._access.has_token:
            raise web.HTTPSeeOther("/")
        return _response(self._sign_in)

    async def _post_sign_in(self, request: web.Request) -> web.Response:
        body = await read_body(request, FORM_TYPE, MAX_FORM_BYTES)
        token = parse_qs(body.decode("utf-8", "replace")).get("token", [""])[0]
        role = self._access.role_of_token(token.strip())
        if role is None:
            raise web.HTTPSeeOther(REFUSED_PATH)
        response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
        response.set_cookie(
            COOKIE,
            self._access.cookie(role),
            httponly=True,
            samesite="Strict",
            secure=_is_https(request),
            path="/",
        )
        return response


def _is_https(request: web.Request) -> bool:
    # A proxy that ended TLS says so; to lie about it only costs the liar a cookie.
    return request.secure or request.headers.get("X-Forwarded-Proto") == "https"


def _response(asset: _Asset) -> web.Response:
    return web.Response(
        body=asset.body,
        content_type=asset.media_type,
        charset="utf-8",
        headers={hdrs.CACHE_CONTROL: "no-cache"},
    )
