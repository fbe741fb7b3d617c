"""Who played, downloaded, changed and deleted: a line in the log, and one in a file.

The file, `<root>/.audit.jsonl`, is only ever appended to; one that has grown too large
becomes `.audit.jsonl.1` and takes the place of the one before. It is written by a task
of its own: a disk that hangs keeps nobody waiting, and what it cannot take is counted.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from aiohttp import hdrs, web

from server.transports.http_access import PERMISSION, ROLE
from server.transports.http_roles import NOWHERE

logger = logging.getLogger(__name__)

SUBJECTS: Final = web.RequestKey("audit_subjects", tuple[str, ...])
"""Of a request whose handler found out which recordings it is about."""

MAX_FILE_BYTES = 16 * 1024 * 1024
"""Above which a new file is begun; there are two at most."""
MAX_WAITING = 1000
"""Lines that wait for the disk; further ones are in the log alone."""
REPEAT_S = 60.0
"""For which the same person reading the same thing is one line: a player asks for each
part of a recording, and again for each jump."""
MAX_REMEMBERED = 1000
CLOSE_TIMEOUT_S = 2.0
_MAX_NAME_LENGTH = 200

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class AuditRecord:
    """One thing that somebody did, or was refused."""

    action: str
    role: str
    remote: str
    """The address that the request came from."""
    forwarded_for: str
    """Whom a proxy there says it speaks for; anybody can claim it."""
    subjects: tuple[str, ...]
    """Ids of recordings, or the control id of a tap."""
    status: int
    """What was answered."""

    def line(self) -> str:
        """Return the record as the log shows it; no value can look like another."""
        shown = ("action", "role", "remote", "forwarded_for", "status")
        words = [f"{name}={_shown(getattr(self, name))}" for name in shown]
        return " ".join([*words, f"subjects={_shown(','.join(self.subjects))}"])

    def to_json(self, at: float) -> str:
        """Return the record as the file has it."""
        when = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
        document = {
            "time": when.replace("+00:00", "Z"),
            "action": self.action,
            "role": self.role,
            "remote": self.remote,
            "forwarded_for": self.forwarded_for,
            "status": self.status,
            "subjects": list(self.subjects),
        }
        return json.dumps(document) + "\n"


class AuditLog:
    """Notes what is asked for under an action (see `http_roles`).

    Args:
        path: The file.
        wall: Tells the time, in seconds since 1970.
        now: Tells seconds that never go back.
    """

    def __init__(
        self, path: Path, *, wall: Clock = time.time, now: Clock = time.monotonic
    ) -> None:
        self.lost = 0
        """Lines that the file lacks."""
        self._path = path
        self._wall = wall
        self._now = now
        self._waiting: deque[str] = deque()
        self._wake = asyncio.Event()
        self._is_closing = False
        self._lately: OrderedDict[AuditRecord, float] = OrderedDict()

    def add_to(self, app: web.Application) -> None:
        """Note what an application answers from now on."""
        app.on_response_prepare.append(self._on_response)
        app.cleanup_ctx.append(self._run)

    def note(self, record: AuditRecord) -> None:
        """Tell of something that was done; never blocks."""
        logger.info("%s", record.line())
        if len(self._waiting) >= MAX_WAITING:
            self.lost += 1
            return
        self._waiting.append(record.to_json(self._wall()))
        self._wake.set()

    async def _on_response(
        self, request: web.Request, response: web.StreamResponse
    ) -> None:
        permission = request.get(PERMISSION, NOWHERE)
        if not permission.action or request.method == hdrs.METH_HEAD:
            return
        record = AuditRecord(
            action=permission.action,
            role=request[ROLE].word,
            remote=request.remote or "",
            forwarded_for=request.headers.get("X-Forwarded-For", "")[:_MAX_NAME_LENGTH],
            subjects=_subjects(request),
            # A part, or what the browser has already, is the same thing again.
            status=200 if response.status in (206, 304) else response.status,
        )
        if request.method != hdrs.METH_GET or not self._was_just_told(record):
            self.note(record)

    def _was_just_told(self, record: AuditRecord) -> bool:
        now = self._now()
        told_at = self._lately.get(record)
        if told_at is not None and now - told_at < REPEAT_S:
            return True
        self._lately[record] = now
        self._lately.move_to_end(record)
        if len(self._lately) > MAX_REMEMBERED:
            self._lately.popitem(last=False)
        return False

    async def _run(self, _: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(self._write_until_closed(), name="audit")
        yield
        self._is_closing = True
        self._wake.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await task

    async def _write_until_closed(self) -> None:
        while not self._is_closing or self._waiting:
            await self._wake.wait()
            self._wake.clear()
            await self._write()
            if self._is_closing:
                self._wake.set()

    async def _write(self) -> None:
        lines = list(self._waiting)
        self._waiting.clear()
        try:
            await asyncio.to_thread(_append, self._path, lines)
        except OSError as error:
            self.lost += len(lines)
            logger.error("%d lines are only in this log: %s", len(lines), error)


def _append(path: Path, lines: Iterable[str]) -> None:
    if not (text := "".join(lines)):
        return
    with path.open("a", encoding="ascii") as file:
        file.write(text)
        size = file.tell()
    if size >= MAX_FILE_BYTES:
        path.replace(path.with_name(f"{path.name}.1"))


def _subjects(request: web.Request) -> tuple[str, ...]:
    found: tuple[str, ...] | None = request.get(SUBJECTS)
    if found is not None:
        return found
    names = request.match_info
    name = names.get("id") or names.get("control_id") or ""
    return (name[:_MAX_NAME_LENGTH],)


def _shown(value: object) -> str:
    text = str(value)
    # Quoted wherever it could be taken for more than one word.
    is_plain = text.isascii() and text.isprintable() and not set(text) & set(' "=\\')
    return text if is_plain else json.dumps(text)
