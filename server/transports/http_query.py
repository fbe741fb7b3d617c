"""What requests to the API ask for, from their text to data classes.

Whatever cannot be understood is refused with the name of the field, never guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final, TypeVar

from aiohttp import web

from server.audio import Outcome
from server.events.kinds import FAMILIES, KINDS, PassingKind
from server.events.wanted import Wanted
from server.library.annotation import Annotation, parse_annotation, read_tags
from server.library.fields import FieldError, Fields
from server.library.index import DEFAULT_LIMIT, MAX_LIMIT, RecordingQuery
from server.taps.status import StartTap
from server.transports.http_body import read_body
from server.transports.http_problem import ProblemError

DIRECTIONS: Final = ("speak", "listen", "both", "stereo")
TRANSPORTS: Final = ("ws", "rtp")
MAX_TAPS = 500
"""Told at once; they are written out on the event loop."""
MAX_BODY_BYTES = 64 * 1024
MAX_NAME_LENGTH = 256
MAX_SEARCH_LENGTH = 200
MAX_LISTED = 100
"""Names in one parameter."""

STATES: Final = tuple(state.value for state in Outcome)

MAX_BUCKETS: Final = 1 << 16
"""Of peaks, in one answer."""

_PARAMETERS = frozenset(
    {"q", "from", "to", "direction", "call_id", "tag", "state", "limit", "cursor"}
)
_EVENT_PARAMETERS = frozenset(
    {"types", "control_id", "levels", "progress", "last_event_id"}
)
_START_FIELDS = frozenset({"call_id", "node_id", "direction", "transport", "tags"})
_T = TypeVar("_T")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def parse_recording_query(request: web.Request) -> RecordingQuery:
    """Read which recordings are wanted.

    Raises:
        ProblemError: A parameter is unknown, repeated or wrong.
    """
    given = _parameters(request, _PARAMETERS)
    return RecordingQuery(
        text=_short("q", given.get("q", ""), MAX_SEARCH_LENGTH),
        started_from=_moment("from", given.get("from")),
        started_before=_moment("to", given.get("to"), whole_day=True),
        direction=_direction(given.get("direction")),
        call_id=given.get("call_id"),
        tag=given.get("tag"),
        state=_one_of("state", given.get("state"), STATES),
        limit=_limit(given.get("limit"), DEFAULT_LIMIT, MAX_LIMIT),
        cursor=given.get("cursor"),
    )


def parse_tap_limit(request: web.Request) -> int:
    """Read how many taps are wanted.

    Raises:
        ProblemError: A parameter is unknown, repeated or wrong.
    """
    given = _parameters(request, frozenset({"limit"}))
    return _limit(given.get("limit"), MAX_TAPS, MAX_TAPS)


def parse_event_query(request: web.Request) -> tuple[Wanted, str]:
    """Read which events are wanted, and the id of the last one that is known.

    A browser that connects again shows that id in a header, and the address that it
    was first given, so that the header counts.

    Raises:
        ProblemError: A parameter is unknown, repeated or wrong.
    """
    given = _parameters(request, _EVENT_PARAMETERS)
    passing: set[PassingKind] = set()
    if _flag("levels", given.get("levels")):
        passing.add("levels")
    if _flag("progress", given.get("progress")):
        passing.add("tap.progress")
    wanted = Wanted(
        types=_listed("types", given.get("types"), (*FAMILIES, *KINDS)),
        control_ids=_listed("control_id", given.get("control_id")),
        passing=frozenset(passing),
    )
    last_id = request.headers.get("Last-Event-ID", given.get("last_event_id", ""))
    return wanted, last_id


@dataclass(frozen=True, slots=True)
class PeaksQuery:
    """Which peaks are wanted."""

    zoom: int
    first: int
    """Number of the first bucket."""
    until: int
    """Number of the first bucket behind them."""


def parse_peaks_query(request: web.Request) -> PeaksQuery:
    """Read which peaks are wanted.

    Raises:
        ProblemError: A parameter is unknown, repeated or wrong.
    """
    given = _parameters(request, frozenset({"zoom", "from", "to"}))
    first = _whole("from", given.get("from", "0"))
    until = _whole("to", given.get("to", str(first + MAX_BUCKETS)))
    if until < first:
        raise ProblemError(400, "to is not before from.", field="to")
    zoom = _whole("zoom", given.get("zoom", "0"))
    return PeaksQuery(zoom, first, min(until, first + MAX_BUCKETS))


async def parse_start_tap(request: web.Request) -> StartTap:
    """Read which call is to be tapped. Cancelling it is safe.

    Raises:
        ProblemError: The body is too large, too slow, no JSON, or a field is wrong.
    """
    return await _read_json(request, _start_tap)


async def parse_recording_patch(request: web.Request) -> Annotation:
    """Read what is to change about a recording. Cancelling it is safe.

    Raises:
        ProblemError: The body is too large, too slow, no JSON, or a field is wrong.
    """
    return await _read_json(request, parse_annotation)


async def _read_json(request: web.Request, parse: Callable[[object], _T]) -> _T:
    body = await read_body(request, "application/json", MAX_BODY_BYTES)
    try:
        return parse(json.loads(body))
    except FieldError as error:
        raise ProblemError(400, f"{error}.", field=error.field) from None
    except (ValueError, RecursionError):
        raise ProblemError(400, "The body is not JSON.") from None


def _start_tap(raw: object) -> StartTap:
    fields = Fields(raw)
    for key in fields:
        if key not in _START_FIELDS:
            raise FieldError(key, "one of " + ", ".join(sorted(_START_FIELDS)))
    return StartTap(
        call_id=_name("call_id", fields.text("call_id")),
        node_id=_name("node_id", fields.text("node_id")),
        direction=_direction(fields.optional_text("direction")),
        transport=_one_of("transport", fields.optional_text("transport"), TRANSPORTS),
        tags=read_tags(fields),
    )


def _parameters(request: web.Request, names: frozenset[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for key, value in request.query.items():
        if key not in names:
            known = ", ".join(sorted(names))
            raise ProblemError(
                400, f"There is no such parameter; there are {known}.", field=key
            )
        if key in given:
            raise ProblemError(400, f"{key} was given more than once.", field=key)
        given[key] = value
    # An empty field of a search form asks for nothing.
    return {key: value for key, value in given.items() if value}


def _limit(text: str | None, default: int, most: int) -> int:
    if text is None:
        return default
    if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= most:
        return int(text)
    raise ProblemError(400, f"limit is from 1 to {most}.", field="limit")


def _listed(
    name: str, text: str | None, allowed: tuple[str, ...] = ()
) -> frozenset[str]:
    """Read names with commas between them, of those that are allowed if any are."""
    words = [] if text is None else text.split(",")
    if len(words) > MAX_LISTED:
        raise ProblemError(400, f"{name} is at most {MAX_LISTED} names.", field=name)
    for word in words:
        if allowed:
            _one_of(name, word, allowed)
        _name(name, word)
    return frozenset(words)


def _flag(name: str, text: str | None) -> bool:
    return _one_of(name, text, ("0", "1")) == "1"


def _whole(name: str, text: str) -> int:
    if re.fullmatch("[0-9]{1,12}", text):
        return int(text)
    raise ProblemError(400, f"{name} is a whole number from 0 up.", field=name)


def _moment(name: str, text: str | None, *, whole_day: bool = False) -> datetime | None:
    """Read a time; a date alone is a whole day, and a time with no zone is UTC."""
    if text is None:
        return None
    try:
        if _DATE.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=int(whole_day))
            return datetime.combine(day, time(), UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    except (ValueError, OverflowError):
        raise ProblemError(
            400,
            f"{name} is an ISO 8601 time such as 2026-11-22T16:17:02Z, or a date; "
            "in a URL a + is written %2B.",
            field=name,
        ) from None


def _direction(text: str | None) -> str | None:
    # One page of the platform calls listening "hear".
    return _one_of("direction", "listen" if text == "hear" else text, DIRECTIONS)


def _one_of(name: str, text: str | None, allowed: tuple[str, ...]) -> str | None:
    if text is None or text in allowed:
        return text
    raise ProblemError(400, f"{name} is one of {', '.join(allowed)}.", field=name)


def _short(name: str, text: str, length: int) -> str:
    if len(text) > length:
        raise ProblemError(
            400, f"{name} is longer than {length} characters.", field=name
        )
    return text


def _name(name: str, text: str) -> str:
    if not text or not text.isprintable():
        raise ProblemError(
            400, f"{name} is a name in printable characters.", field=name
        )
    return _short(name, text, MAX_NAME_LENGTH)
