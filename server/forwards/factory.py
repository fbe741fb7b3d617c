"""The forward for a request, by where it leads."""

from __future__ import annotations

from server.forwards.allowed import AllowList
from server.forwards.forward import Forward
from server.forwards.request import ForwardRequest, RtpForwardRequest
from server.forwards.rtp import RtpForward
from server.forwards.websocket import WebSocketForward
from server.log import TapLog


def make_forward(
    forward_id: str,
    request: ForwardRequest,
    *,
    names: dict[str, str],
    allowed: AllowList,
    log: TapLog,
) -> Forward:
    """Return a forward that has not begun yet."""
    if isinstance(request, RtpForwardRequest):
        return RtpForward(forward_id, request, names=names, allowed=allowed, log=log)
    return WebSocketForward(forward_id, request, names=names, allowed=allowed, log=log)
