"""Who may use the API and the pages, and what browsers are told.

With a token: whoever shows one, as a bearer token (RFC 6750) or as the cookie of the
sign-in page, in the role of that token. Without one: this machine only, in every role.
The tap endpoint judges for itself.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

from aiohttp import hdrs, web

from server.transports.http_origin import check_local, check_origin
from server.transports.http_problem import Handler, ProblemError, is_tap_path
from server.transports.http_roles import Permission, Role, permission_of

COOKIE = "tapdeck_token"
SIGN_IN_PATH = "/login"
SIGN_OUT_PATH = "/logout"
OPEN_ROUTES: Final = frozenset(
    {"/healthz", "/readyz", SIGN_IN_PATH, SIGN_OUT_PATH, "/ui/{name}"}
)
"""Routes that tell nothing: states for probes, and the pages to sign in and out."""

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self'; "
        "connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

PERMISSION: Final = web.RequestKey("permission", Permission)
"""What a request takes; there once it was looked at, and never of a stranger's."""
ROLE: Final = web.RequestKey("role", Role)
"""What its sender may do; likewise."""


class Access:
    """Decides on requests.

    Args:
        token: Of those who may do everything; with none of the three, only this
            machine is answered.
        listen_token: Of those who may see and hear.
        download_token: Of those who may take recordings away as well.
    """

    def __init__(
        self, token: str, *, listen_token: str = "", download_token: str = ""
    ) -> None:
        given = {
            Role.MANAGE: token,
            Role.DOWNLOAD: download_token,
            Role.LISTEN: listen_token,
        }
        self._tokens = {role: text.encode() for role, text in given.items() if text}
        self._cookies = {
            role: _cookie(secret).encode() for role, secret in self._tokens.items()
        }

    @property
    def has_token(self) -> bool:
        """Whether users sign in at all."""
        return bool(self._tokens)

    def role_of_token(self, text: str) -> Role | None:
        """Return the role that a token gives, in a time that says nothing about it."""
        return _matching(text, self._tokens)

    def is_token(self, text: str) -> bool:
        """Tell whether this is one of the tokens."""
        return self.role_of_token(text) is not None

    def cookie(self, role: Role = Role.MANAGE) -> str:
        """Return the cookie of whoever signed in; no token can be read from it."""
        return self._cookies[role].decode()

    def role_of(self, request: web.Request) -> Role | None:
        """Return the role that a request shows by token or cookie."""
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return self.role_of_token(text.strip())
        return _matching(request.cookies.get(COOKIE, ""), self._cookies)

    def is_signed_in(self, request: web.Request) -> bool:
        """Tell whether a request shows a token or a cookie."""
        return self.role_of(request) is not None

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through only if everything about it is allowed.

        An address that leads nowhere is refused in the same way as one that exists.
        """
        if not is_tap_path(request):
            check_origin(request)
            self._check_who(request)
        return await handler(request)

    def _check_who(self, request: web.Request) -> None:
        route = request.match_info.route.resource
        name = "" if route is None else route.canonical
        if name in OPEN_ROUTES:
            return
        role = self.role_of(request) if self.has_token else Role.MANAGE
        if not self.has_token:
            check_local(request)
        if role is not None:
            _check_role(request, role)
        elif _is_page(name):
            raise web.HTTPSeeOther(SIGN_IN_PATH)
        else:
            raise ProblemError(
                401, "Show the API token: Authorization: Bearer <token>."
            )


def _is_page(name: str) -> bool:
    """Tell whether people look at an address, who can then sign in."""
    return name != "" and not name.startswith(("/api/", "/metrics"))


def _check_role(request: web.Request, role: Role) -> None:
    permission = permission_of(request)
    request[PERMISSION], request[ROLE] = permission, role
    if role < permission.role:
        raise ProblemError(
            403,
            f"This takes a token of the role {permission.role.word}; "
            f"yours is of the role {role.word}.",
        )


def _cookie(secret: bytes) -> str:
    return hmac.new(secret, b"tapdeck sign-in", hashlib.sha256).hexdigest()


def _matching(text: str, known: dict[Role, bytes]) -> Role | None:
    offered = text.encode("utf-8", "surrogatepass")
    # All of them are compared, so that the time tells nothing.
    found = [role for role, each in known.items() if hmac.compare_digest(offered, each)]
    return found[0] if found else None


async def add_security_headers(
    request: web.Request, response: web.StreamResponse
) -> None:
    """Tell browsers what a response may not do; for `on_response_prepare`."""
    if is_tap_path(request):
        return
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
