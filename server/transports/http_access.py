"""Who may use the API and the pages, and what browsers are told.

With a token: whoever shows it, as a bearer token (RFC 6750) or as the cookie of the
sign-in page. Without one: this machine only. The tap endpoint judges for itself.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from server.transports.http_problem import Handler, ProblemError, is_tap_path

COOKIE = "tapdeck_token"
SIGN_IN_PATH = "/login"
OPEN_ROUTES = frozenset({"/healthz", "/readyz", SIGN_IN_PATH, "/ui/{name}"})
"""Routes that tell nothing: states for probes, and the sign-in page."""
PAGE_ROUTES = frozenset({"/", "/recordings", "/recordings/{id}"})
"""Routes that people open: strangers are led to the sign-in page."""

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

_SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


class Access:
    """Decides on requests.

    Args:
        token: What users must show; empty where only this machine is answered.
    """

    def __init__(self, token: str) -> None:
        self._token = token.encode()

    @property
    def has_token(self) -> bool:
        """Whether users sign in at all."""
        return bool(self._token)

    def is_token(self, text: str) -> bool:
        """Tell whether this is the token, in a time that says nothing about it."""
        offered = text.encode("utf-8", "surrogatepass")
        return self.has_token and hmac.compare_digest(offered, self._token)

    def cookie(self) -> str:
        """Return the cookie of whoever signed in; the token can't be read from it."""
        return hmac.new(self._token, b"tapdeck sign-in", hashlib.sha256).hexdigest()

    def is_signed_in(self, request: web.Request) -> bool:
        """Tell whether a request shows the token or the cookie."""
        scheme, _, text = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        if scheme.lower() == "bearer":
            return self.is_token(text.strip())
        offered = request.cookies.get(COOKIE, "").encode("utf-8", "surrogatepass")
        return self.has_token and hmac.compare_digest(offered, self.cookie().encode())

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Let a request through only if everything about it is allowed.

        An address that leads nowhere is refused in the same way as one that exists.
        """
        if not is_tap_path(request):
            _check_origin(request)
            self._check_who(request)
        return await handler(request)

    def _check_who(self, request: web.Request) -> None:
        route = request.match_info.route.resource
        name = "" if route is None else route.canonical
        if name in OPEN_ROUTES or (self.has_token and self.is_signed_in(request)):
            return
        if not self.has_token:
            _check_local(request)
        elif name in PAGE_ROUTES:
            raise web.HTTPSeeOther(SIGN_IN_PATH)
        else:
            raise ProblemError(
                401, "Show the API token: Authorization: Bearer <token>."
            )


def _check_local(request: web.Request) -> None:
    """Refuse whoever is not on this machine, and whoever only seems to be.

    A proxy on this machine would lend its address to everybody, and a page elsewhere
    can make its own name lead here (DNS rebinding), so both are looked for.
    """
    if not _is_loopback(request.remote):
        raise ProblemError(
            403,
            "Without an API token only this machine is answered. Set TAPDECK_API_TOKEN "
            "and show it as a bearer token.",
        )
    if any(name in request.headers for name in _PROXY_HEADERS):
        raise ProblemError(
            403,
            "Without an API token nobody is answered through a proxy. Set "
            "TAPDECK_API_TOKEN.",
        )
    if _host_name(request.headers.get(hdrs.HOST, "")) not in _LOCAL_NAMES:
        raise ProblemError(
            403,
            "Without an API token this server is called localhost and nothing else. "
            "Set TAPDECK_API_TOKEN to use another name.",
        )


def _check_origin(request: web.Request) -> None:
    """Refuse changes that a page of another origin asks a browser to make."""
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise ProblemError(403, "Pages of another origin may change nothing here.")
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return
    # A proxy may have ended TLS, so the scheme of the origin proves nothing.
    if _netloc(origin) != request.headers.get(hdrs.HOST, "").lower():
        raise ProblemError(403, "Pages of another origin may change nothing here.")


def _is_loopback(remote: str | None) -> bool:
    try:
        address = ipaddress.ip_address(remote or "")
    except ValueError:
        return False
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped.is_loopback
    return address.is_loopback


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


async def add_security_headers(
    request: web.Request, response: web.StreamResponse
) -> None:
    """Tell browsers what a response may not do; for `on_response_prepare`."""
    if is_tap_path(request):
        return
    for name, value in SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")
