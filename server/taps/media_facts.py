"""What the media of a tap says about itself, where control said nothing.

A tap that RELAY announced names its call. One that began elsewhere and arrives as a
media stream names it in its `start` message (RELAY reference, section 7), and its tags
in a custom parameter of that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from server.tags import heard_tags
from server.taps.tap import Tap
from server.taps.ws_session import WsSession


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Facts that came with the audio; whoever sends it may have made them up."""

    call_id: str = ""
    """From control if it named the call, otherwise as the media says."""
    custom_parameters: Mapping[str, str] = field(default_factory=dict)
    """What a media stream was started with."""
    unsupported: str = ""
    """The format that the sender says it sends, if that cannot be decoded here."""
    unsupported_messages: int = 0
    """How many came in such a format."""
    tags: tuple[str, ...] = ()
    """Those that control gave, otherwise what the media says, between commas."""


def media_facts(tap: Tap) -> MediaFacts:
    """Return what is known at this moment; all of it short and printable."""
    session = tap.session
    if not isinstance(session, WsSession):
        return MediaFacts(tap.call_id, tags=tap.tags)
    return MediaFacts(
        call_id=tap.call_id or session.call_id or "",
        custom_parameters=session.custom_parameters,
        unsupported=session.unsupported or "",
        unsupported_messages=session.drops["unsupported_format"],
        tags=tap.tags or heard_tags(session.custom_parameters.get("tags", "")),
    )
