"""Who may ask for what: one table of every address.

It says which role an address takes, and what the audit log calls its use. Each role
may do what those before it may. An address that is not in the table takes the greatest
role, so that one that was forgotten is shut rather than open.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web


class Role(enum.IntEnum):
    """What the holder of a token may do."""

    LISTEN = 1
    """See everything and hear it."""
    DOWNLOAD = 2
    """Take recordings away, too."""
    MANAGE = 3
    """Change and delete, too."""

    @property
    def word(self) -> str:
        """The role as people read it."""
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Permission:
    """What one address takes."""

    role: Role
    action: str = ""
    """What the audit log calls it; nothing for what is not told there."""


_TAP = "/api/v1/taps/{control_id}"
_RECORDING = "/api/v1/recordings/{id}"

PERMISSIONS: Final[Mapping[str, Permission]] = {
    "GET /": Permission(Role.LISTEN),
    "GET /metrics": Permission(Role.LISTEN),
    "GET /api/v1/openapi.json": Permission(Role.LISTEN),
    "GET /api/v1/access": Permission(Role.LISTEN),
    "GET /api/v1/events": Permission(Role.LISTEN),
    "GET /api/v1/taps": Permission(Role.LISTEN),
    "POST /api/v1/taps": Permission(Role.MANAGE, "start"),
    f"DELETE {_TAP}": Permission(Role.MANAGE, "stop"),
    f"POST {_TAP}/pause": Permission(Role.MANAGE, "pause"),
    f"POST {_TAP}/resume": Permission(Role.MANAGE, "resume"),
    f"GET {_TAP}/audio": Permission(Role.LISTEN, "listen"),
    f"OPTIONS {_TAP}/whep": Permission(Role.LISTEN),
    f"POST {_TAP}/whep": Permission(Role.LISTEN, "listen"),
    f"DELETE {_TAP}/whep/{{listener_id}}": Permission(Role.LISTEN),
    f"POST {_TAP}/forwards": Permission(Role.MANAGE, "forward"),
    f"DELETE {_TAP}/forwards/{{forward_id}}": Permission(Role.MANAGE, "unforward"),
    "GET /api/v1/recordings": Permission(Role.LISTEN),
    "GET /api/v1/recordings.zip": Permission(Role.DOWNLOAD, "download"),
    "POST /api/v1/recordings.zip": Permission(Role.DOWNLOAD, "download"),
    f"GET {_RECORDING}": Permission(Role.LISTEN),
    f"PATCH {_RECORDING}": Permission(Role.MANAGE, "annotate"),
    f"DELETE {_RECORDING}": Permission(Role.MANAGE, "delete"),
    f"POST {_RECORDING}/undo": Permission(Role.MANAGE, "undo"),
    f"GET {_RECORDING}/audio": Permission(Role.LISTEN, "play"),
    f"GET {_RECORDING}/audio?download": Permission(Role.DOWNLOAD, "download"),
}
"""By method and address; HEAD counts as GET. `?download` is that parameter, given."""

SHUT: Final = Permission(Role.MANAGE)
NOWHERE: Final = Permission(Role.LISTEN)
"""Of an address that leads nowhere: whoever may see anything is told so."""


def permission_of(request: web.Request) -> Permission:
    """Return what a request takes; judged by the route, which is ours."""
    resource = request.match_info.route.resource
    if resource is None:
        return NOWHERE
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    name = f"{method} {resource.canonical}"
    if "download" in request.query and f"{name}?download" in PERMISSIONS:
        name += "?download"
    return PERMISSIONS.get(name, SHUT)
