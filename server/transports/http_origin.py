"""Where a request comes from: this machine, a page of ours, or a page elsewhere.

A browser does what any page tells it to, with the rights of whoever sits before it.
Fetch metadata (`Sec-Fetch-…`) says whose page it was; browsers that do not send it say
so with `Origin` where it matters. Programs send neither.
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from server.transports.http_problem import ProblemError

_API = "/api/"
_SAFE_METHODS = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP")


def check_local(request: web.Request) -> None:
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


def check_origin(request: web.Request) -> None:
    """Refuse what a page of another origin asks a browser for.

    Such a page may lead people here, by a link to what only shows something; it may
    not change anything, and not read, load or open a WebSocket to the API.
    """
    is_safe = request.method in _SAFE_METHODS
    if is_safe and not request.path.startswith(_API):
        return
    if not _is_from_elsewhere(request) or (is_safe and _is_visit(request)):
        return
    done = "read" if is_safe else "change"
    raise ProblemError(403, f"Pages of another origin may {done} nothing here.")


def _is_from_elsewhere(request: web.Request) -> bool:
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        return False
    # A proxy may have ended TLS, so the scheme of the origin proves nothing.
    return _netloc(origin) != request.headers.get(hdrs.HOST, "").lower()


def _is_visit(request: web.Request) -> bool:
    """Tell whether somebody followed a link, and a tab of its own shows the answer."""
    headers = request.headers
    is_navigation = headers.get("Sec-Fetch-Mode") == "navigate"
    return is_navigation and headers.get("Sec-Fetch-Dest") == "document"


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
