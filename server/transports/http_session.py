"""What a visitor may do here, and how to stop being one."""

from __future__ import annotations

from aiohttp import hdrs, web

from server.transports.http_access import COOKIE, ROLE, SIGN_OUT_PATH, Access


class HttpSession:
    """The routes about whoever asks.

    Args:
        access: Knows who signs in.
        undo_s: How many seconds a recording can be brought back after its deletion.
    """

    def __init__(self, access: Access, *, undo_s: float) -> None:
        self._access = access
        self._undo_s = undo_s

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_get("/api/v1/access", self._get)
        app.router.add_post(SIGN_OUT_PATH, self._sign_out)

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(
            {
                "role": request[ROLE].word,
                "signs_in": self._access.has_token,
                "undo_s": self._undo_s,
            }
        )

    async def _sign_out(self, _: web.Request) -> web.Response:
        response = web.Response(status=303, headers={hdrs.LOCATION: "/"})
        response.del_cookie(COOKIE, path="/", httponly=True, samesite="Strict")
        return response
