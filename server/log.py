"""Logging: lines for people on a terminal, JSON for machines elsewhere.

What is logged at which level is in docs/operations.md. Secrets never get that far: a
`Redactor` goes over everything that is written, exceptions included.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

MASK = "***"
COUNTER_INTERVAL = 1.0
"""Seconds between two lines about the same counter."""

_TAP_KEYS = ("control_id", "call_id", "direction")
_URL_PART = r"[^\s\"'<>()\[\]{}\\,]+"
# Whatever follows /tap/ or /tap? is a token or a signed query.
_TAP_PATH = re.compile(rf"(/tap[/?]){_URL_PART}")
# One of our own tokens (server/taps/tokens.py) behind any other path: base64, of an
# expiry whose first byte is 0, of an id and a signature.
_TAP_TOKEN = re.compile(rf"(?<![\w-])A[\w-]{{60,}}(?:\?{_URL_PART})?")
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}
_COLOURS = {"WARNING": "\x1b[33m", "ERROR": "\x1b[31m", "CRITICAL": "\x1b[31;1m"}
_COLOUR_OFF = "\x1b[0m"


class Redactor:
    """Masks what must never be read in a log."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None
        self.add(*secrets)

    def add(self, *secrets: str) -> None:
        """Mask these as well from now on."""
        self._secrets.update(secret for secret in secrets if secret)
        # Longest first: one secret may begin with another.
        ordered = sorted(self._secrets, key=len, reverse=True)
        if ordered:
            self._pattern = re.compile("|".join(map(re.escape, ordered)))

    def mask(self, text: str) -> str:
        """Return `text` without secrets and tap tokens."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        return mask_tokens(text)


def mask_tokens(text: str) -> str:
    """Return `text`, such as the platform's word on an address, without tap tokens."""
    return _TAP_TOKEN.sub(MASK, _TAP_PATH.sub(rf"\g<1>{MASK}", text))


class HumanFormatter(logging.Formatter):
    """Time, level, tap and message; a traceback below if there is one."""

    def __init__(self, redactor: Redactor, *, colour: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        """Return the lines of one record, masked."""
        time = datetime.fromtimestamp(record.created).astimezone()
        level = f"{record.levelname.lower():7}"
        if self._colour and record.levelname in _COLOURS:
            level = _COLOURS[record.levelname] + level + _COLOUR_OFF
        message = _one_line(_tap_prefix(record) + record.getMessage())
        lines = [f"{time:%H:%M:%S}.{time.microsecond // 1000:03} {level} {message}"]
        lines += _traceback(record)
        return self._redactor.mask("\n".join(lines))


class JsonFormatter(logging.Formatter):
    """One JSON object a line, keyed by call and tap where there is one."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def format(self, record: logging.LogRecord) -> str:
        """Return one record, masked value by value so that it stays JSON."""
        time = datetime.fromtimestamp(record.created, UTC)
        entry = {
            "time": time.isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for key in _TAP_KEYS:
            if value := getattr(record, key, ""):
                entry[key] = str(value)
        if trace := _traceback(record):
            entry["exception"] = "\n".join(trace)
        masked = {key: self._redactor.mask(value) for key, value in entry.items()}
        return json.dumps(masked, ensure_ascii=True)


class TapLog(logging.LoggerAdapter[logging.Logger]):
    """Says of each line which tap it is about.

    People read `[tap 3f9c speak]`, machines the keys control_id, call_id, direction.
    """

    def __init__(
        self,
        logger: logging.Logger,
        *,
        control_id: str,
        call_id: str = "",
        direction: str = "",
    ) -> None:
        super().__init__(
            logger,
            {"control_id": control_id, "call_id": call_id, "direction": direction},
        )

    def process(
        self, msg: object, kwargs: MutableMapping[str, Any]
    ) -> tuple[object, MutableMapping[str, Any]]:
        """Add the keys to those of the line itself."""
        kwargs["extra"] = {**(self.extra or {}), **kwargs.get("extra", {})}
        return msg, kwargs


class LineBudget:
    """Lets so many lines a second through, for what may happen to many at once."""

    def __init__(self, lines: int) -> None:
        self._lines = lines
        self._left = 0
        self._full_at = -COUNTER_INTERVAL

    def take(self, now: float) -> bool:
        """Return whether there is room for a line at `now`."""
        if now >= self._full_at + COUNTER_INTERVAL:
            self._full_at, self._left = now, self._lines
        self._left -= 1
        return self._left >= 0


class CounterLog:
    """Turns counted events, however many, into a line a second for each name.

    `observe` takes totals that only grow, such as the `drops` of a media session, and
    keeps one entry for each source until it is told to `forget` it.
    """

    def __init__(self) -> None:
        self._due: Counter[str] = Counter()
        self._seen: dict[str, Counter[str]] = {}
        self._told_at: float | None = None

    def add(self, name: str, count: int = 1) -> None:
        """Count `name`."""
        self._due[name] += count

    def observe(self, source: str, totals: Mapping[str, int]) -> None:
        """Count what was added to the totals of `source` since the last look."""
        grown = Counter(totals)
        grown.subtract(self._seen.get(source, Counter()))
        self._due.update(+grown)
        self._seen[source] = Counter(totals)

    def forget(self, source: str) -> None:
        """Drop what is remembered of a source that is over."""
        self._seen.pop(source, None)

    def get_timer(self) -> float | None:
        """Return when lines are due next; None if nothing was counted."""
        if not +self._due:
            return None
        return 0.0 if self._told_at is None else self._told_at + COUNTER_INTERVAL

    def take(self, now: float) -> list[str]:
        """Return the lines due at `now`, and start counting afresh."""
        timer = self.get_timer()
        if timer is None or now < timer:
            return []
        counted = sorted((+self._due).items())
        self._due.clear()
        self._told_at = now
        return [f"{name}: {count}" for name, count in counted]

    def log(self, logger: logging.Logger, now: float) -> None:
        """Write the lines due at `now` as warnings."""
        for line in self.take(now):
            logger.warning("%s", line)


def setup_logging(
    *,
    level: Literal["debug", "info", "warning", "error"],
    log_format: Literal["auto", "human", "json"] = "auto",
    secrets: Iterable[str] = (),
    stream: TextIO | None = None,
) -> Redactor:
    """Send everything that is logged to `stream`, standard error by default.

    Returns:
        The redactor in use, to which secrets made later can be added.
    """
    stream = sys.stderr if stream is None else stream
    redactor = Redactor(secrets)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(log_format, redactor, is_tty=stream.isatty()))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    logging.captureWarnings(True)
    return redactor


def _formatter(
    log_format: Literal["auto", "human", "json"], redactor: Redactor, *, is_tty: bool
) -> logging.Formatter:
    if log_format == "json" or (log_format == "auto" and not is_tty):
        return JsonFormatter(redactor)
    return HumanFormatter(redactor, colour=is_tty)


def _tap_prefix(record: logging.LogRecord) -> str:
    control_id = getattr(record, "control_id", "")
    if not control_id:
        return ""
    # Made at random, so the end of one differs where the beginning may not.
    words = ["tap", str(control_id)[-4:], str(getattr(record, "direction", ""))]
    return f"[{' '.join(word for word in words if word)}] "


def _one_line(text: str) -> str:
    """Show control characters: what comes from the wire must not forge a line."""
    return text.translate(_CONTROL)


def _traceback(record: logging.LogRecord) -> list[str]:
    trace: list[str] = []
    if record.exc_info and record.exc_info[0] is not None:
        trace += "".join(traceback.format_exception(*record.exc_info)).splitlines()
    if record.stack_info:
        trace += record.stack_info.splitlines()
    return [_one_line(line) for line in trace]
