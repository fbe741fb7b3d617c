"""The forward for a request, by where it leads."""

from __future__ import annotations

from server.forwards.forward import Forward, ForwardContext
from server.forwards.request import ForwardRequest, RtpForwardRequest
from server.forwards.rtp import RtpForward
from server.forwards.websocket import WebSocketForward


def make_forward(
    forward_id: str, request: ForwardRequest, context: ForwardContext
) -> Forward:
    """Return a forward that has not begun yet."""
    if isinstance(request, RtpForwardRequest):
        return RtpForward(forward_id, request, context)
    return WebSocketForward(forward_id, request, context)
