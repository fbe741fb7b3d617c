"""Listening in a browser: WHEP (draft-ietf-wish-whep), an SDP offer over HTTP.

`POST` an offer and the answer comes back with the address of a resource; `DELETE` that
to hang up. Candidates are not trickled and ICE is not restarted, so that `PATCH` is a
method that is not allowed here (RFC 9725 section 4.3.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from aiohttp import hdrs, web

from server.taps.refusal import TapRefusedError
from server.transports.http_body import read_body
from server.transports.http_problem import ProblemError
from server.webrtc.mixdown import Layout
from server.webrtc.offer import Offer, OfferError, parse_offer

SDP = "application/sdp"
MAX_OFFER_BYTES = 32 * 1024
"""A browser's offer of audio and video has some 8 KiB."""
PATH = "/api/v1/taps/{control_id}/whep"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a listener is answered."""

    listener_id: str
    sdp: str


class Listening(Protocol):
    """What the API needs of whoever owns those who listen."""

    async def add_listener(
        self, control_id: str, offer: Offer, layout: Layout
    ) -> Answer:
        """Let somebody listen to a live tap.

        Raises:
            TapRefusedError: It cannot be listened to.
        """
        ...

    async def remove_listener(self, control_id: str, listener_id: str) -> None:
        """Hang up on a listener.

        Raises:
            TapRefusedError: There is none.
        """
        ...


class HttpWhep:
    """The routes of WHEP."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening

    def add_to(self, app: web.Application) -> None:
        """Add the routes."""
        app.router.add_post(PATH, self._post)
        app.router.add_options(PATH, self._options)
        app.router.add_delete(PATH + "/{listener_id}", self._delete)

    async def _post(self, request: web.Request) -> web.Response:
        layout = parse_layout(request)
        body = await read_body(request, SDP, MAX_OFFER_BYTES)
        try:
            offer = parse_offer(body)
            answer = await self._listening.add_listener(
                request.match_info["control_id"], offer, layout
            )
        except OfferError as error:
            raise ProblemError(400, error.reason) from error
        except TapRefusedError as error:
            raise ProblemError(error.status, error.reason) from error
        return web.Response(
            status=201,
            text=answer.sdp,
            content_type=SDP,
            headers={hdrs.LOCATION: f"{request.rel_url.raw_path}/{answer.listener_id}"},
        )

    async def _options(self, _: web.Request) -> web.Response:
        return web.Response(
            status=204, headers={"Accept-Post": SDP, hdrs.ALLOW: "OPTIONS, POST"}
        )

    async def _delete(self, request: web.Request) -> web.Response:
        names = request.match_info
        try:
            await self._listening.remove_listener(
                names["control_id"], names["listener_id"]
            )
        except TapRefusedError as error:
            raise ProblemError(error.status, error.reason) from error
        # Not 204: the draft, as WHIP before it, says 200.
        return web.Response(status=200)


def parse_layout(request: web.Request) -> Layout:
    """Read who is to be heard on which side.

    Raises:
        ProblemError: The query asks for something else.
    """
    given = dict(request.query)
    text = given.pop("channels", Layout.MIXED.value)
    if given:
        name = next(iter(given))
        raise ProblemError(400, "The only parameter here is channels.", field=name)
    try:
        return Layout(text)
    except ValueError:
        allowed = " or ".join(Layout)
        raise ProblemError(
            400, f"channels must be {allowed}.", field="channels"
        ) from None
