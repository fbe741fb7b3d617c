"""Typed reading of a JSON object: one place that says which field is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

JsonObject = Mapping[str, object]
"""What goes into a document; only `json.dumps` looks at it again."""

_GREATEST = sys.float_info.max


class FieldError(ValueError):
    """A field is missing or not of the type that belongs there.

    Args:
        field: Its name, with the names of what it lies in before it.
        wanted: What belongs there, in words.
    """

    def __init__(self, field: str, wanted: str) -> None:
        super().__init__(field, wanted)
        self.field = field
        self.wanted = wanted

    def __str__(self) -> str:
        return f"{self.field or 'the document'}: {self.wanted} expected"


class Fields:
    """The fields of one JSON object. Keys that nobody asks for are left alone."""

    def __init__(self, raw: object, path: str = "") -> None:
        if not isinstance(raw, dict):
            raise FieldError(path, "an object")
        self._raw: dict[str, Any] = raw
        self._path = path

    def _value(self, key: str, default: object) -> tuple[str, Any]:
        name = f"{self._path}.{key}" if self._path else key
        return name, self._raw.get(key, default)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; one that has no default must be there."""
        name, value = self._value(key, default)
        if not isinstance(value, str):
            raise FieldError(name, "a string")
        return value

    def one_of(self, key: str, choices: Sequence[str]) -> str:
        """Return a string that is one of the choices."""
        value = self.text(key)
        if value not in choices:
            raise FieldError(self._value(key, None)[0], "one of " + ", ".join(choices))
        return value

    def optional_text(self, key: str) -> str | None:
        """Return a string, or None where there is none."""
        return None if self._raw.get(key) is None else self.text(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def whole(self, key: str, default: int | None = None) -> int:
        """Return an integer from 0 up."""
        name, value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise FieldError(name, "a whole number from 0 up")
        return value

    def optional_whole(self, key: str) -> int | None:
        """Return an integer from 0 up, or None where there is none."""
        return None if self._raw.get(key) is None else self.whole(key)

    def integer(self, key: str, default: int | None = None) -> int:
        """Return an integer of any sign."""
        name, value = self._value(key, default)
        if not isinstance(value, int) or isinstance(value, bool):
            raise FieldError(name, "a whole number")
        return value

    def number(self, key: str, default: float | None = None) -> float:
        """Return a finite number from 0 up."""
        name, value = self._value(key, default)
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise FieldError(name, "a number")
        # The comparison also holds for an integer that no float can express.
        if not 0 <= value <= _GREATEST:
            raise FieldError(name, "a number from 0 up")
        return float(value)

    def optional_real(self, key: str) -> float | None:
        """Return a finite number of any sign, or None where there is none."""
        name, value = self._value(key, None)
        if value is None:
            return None
        if not isinstance(value, int | float) or isinstance(value, bool):
            raise FieldError(name, "a number")
        if not -_GREATEST <= value <= _GREATEST:
            raise FieldError(name, "a finite number")
        return float(value)

    def flag(self, key: str, default: bool | None = None) -> bool:
        """Return true or false."""
        name, value = self._value(key, default)
        if not isinstance(value, bool):
            raise FieldError(name, "true or false")
        return value

    def time(self, key: str) -> datetime:
        """Return a point in time, in UTC."""
        name, value = self._value(key, None)
        try:
            parsed = datetime.fromisoformat(value)
            if parsed.tzinfo is not None:
                return parsed.astimezone(UTC)
        except (TypeError, ValueError, OverflowError):
            raise FieldError(name, "an ISO 8601 time") from None
        raise FieldError(name, "an ISO 8601 time with its zone")

    def optional_time(self, key: str) -> datetime | None:
        """Return a point in time, or None where there is none."""
        return None if self._raw.get(key) is None else self.time(key)

    def texts(self, key: str) -> dict[str, str]:
        """Return an object of strings; one that is not there is empty."""
        name, value = self._value(key, {})
        if not isinstance(value, dict):
            raise FieldError(name, "an object")
        inner = Fields(value, name)
        return {each: inner.text(each) for each in inner}

    def text_list(self, key: str) -> tuple[str, ...]:
        """Return a list of strings; one that is not there is empty."""
        name, value = self._value(key, [])
        if not isinstance(value, list) or not all(isinstance(x, str) for x in value):
            raise FieldError(name, "a list of strings")
        return tuple(value)

    def optional_inner(self, key: str) -> Fields | None:
        """Return the object that lies in this one, or None where there is none."""
        return None if self._raw.get(key) is None else self.inner(key)

    def inner(self, key: str) -> Fields:
        """Return the object that lies in this one."""
        name, value = self._value(key, None)
        return Fields(value, name)

    def each(self, key: str) -> Sequence[Fields]:
        """Return the objects of a list; a list that is not there is empty."""
        name, value = self._value(key, [])
        if not isinstance(value, list):
            raise FieldError(name, "a list")
        return [Fields(item, f"{name}[{at}]") for at, item in enumerate(value)]


def time_text(moment: datetime) -> str:
    """Return a point in time as every document here writes it: UTC, milliseconds."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    return utc.isoformat(timespec="milliseconds") + "Z"
