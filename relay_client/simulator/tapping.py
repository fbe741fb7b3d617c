"""Puts a tap together: format, plan and sender for what was asked."""

from __future__ import annotations

import random
import ssl

from relay_client.simulator.calls import SimCall
from relay_client.simulator.feed import AudioFeed
from relay_client.simulator.formats import MediaFormat, choose_format
from relay_client.simulator.params import TapRequest
from relay_client.simulator.rtp_plan import RtpPlan
from relay_client.simulator.rtp_sender import RtpSender
from relay_client.simulator.senders import MediaSender
from relay_client.simulator.sent import SentLog
from relay_client.simulator.stream_plan import StreamPlan
from relay_client.simulator.tap import SimTap
from relay_client.simulator.tasks import TaskOwner
from relay_client.simulator.ws_plan import WsPlan
from relay_client.simulator.ws_sender import MessagePlan, WsSender


def make_tap(
    call: SimCall, request: TapRequest, *, tasks: TaskOwner, ssl_context: ssl.SSLContext
) -> SimTap:
    """Return a tap of `call` that has not begun."""
    over_rtp = request.transport == "rtp"
    first_format = choose_format(call.media, request.asked, over_rtp=over_rtp)
    # Each tap of a call has its own chances, and the same ones in every run.
    seed = random.Random(f"{call.seed} tap {len(call.taps)}").getrandbits(32)
    log = SentLog()
    sender: MediaSender
    if over_rtp:
        sender = _rtp_sender(call, request, first_format, log, seed)
    else:
        sender = _ws_sender(call, request, first_format, log, seed, ssl_context)
    return SimTap(
        call=call,
        request=request,
        first_format=first_format,
        sender=sender,
        log=log,
        tasks=tasks,
    )


def _rtp_sender(
    call: SimCall, request: TapRequest, first: MediaFormat, log: SentLog, seed: int
) -> RtpSender:
    def plan(feed: AudioFeed) -> RtpPlan:
        return RtpPlan(
            feed,
            request.direction,
            first,
            call.media,
            seed=seed,
            wall_clock=feed.wall_clock,
        )

    return RtpSender(
        request.addr, request.port, make_plan=plan, options=call.media, log=log
    )


def _ws_sender(
    call: SimCall,
    request: TapRequest,
    first: MediaFormat,
    log: SentLog,
    seed: int,
    ssl_context: ssl.SSLContext,
) -> WsSender:
    def plan(feed: AudioFeed) -> MessagePlan:
        if call.media.container != "media-stream":
            return WsPlan(feed, request.direction, first, call.media, seed=seed)
        return StreamPlan(
            feed,
            request.direction,
            first,
            call.media,
            seed=seed,
            call_id=call.call_id,
            project=call.session.project if call.session else "",
        )

    return WsSender(
        request.uri,
        make_plan=plan,
        options=call.media,
        log=log,
        ssl_context=ssl_context,
    )
