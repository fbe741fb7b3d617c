"""What people add to a recording: tags, a note, a legal hold."""

from __future__ import annotations

from dataclasses import dataclass, replace

from server.library.fields import FieldError, Fields
from server.library.recording import Recording
from server.tags import tidy_tags

MAX_NOTE_LENGTH = 4096
ANNOTATION_FIELDS = frozenset({"tags", "note", "legal_hold"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """What is to change; None leaves a thing as it is."""

    tags: tuple[str, ...] | None = None
    """All of them."""
    note: str | None = None
    legal_hold: bool | None = None

    def applied_to(self, recording: Recording) -> Recording:
        """Return the recording with the changes."""
        return replace(
            recording,
            tags=recording.tags if self.tags is None else self.tags,
            note=recording.note if self.note is None else self.note,
            legal_hold=(
                recording.legal_hold if self.legal_hold is None else self.legal_hold
            ),
        )


def parse_annotation(raw: object) -> Annotation:
    """Read what is to change.

    Raises:
        FieldError: Something in it is unknown, of the wrong type or too long.
    """
    fields = Fields(raw)
    given = set(fields)
    for key in sorted(given - ANNOTATION_FIELDS):
        raise FieldError(key, "one of " + ", ".join(sorted(ANNOTATION_FIELDS)))
    return Annotation(
        tags=read_tags(fields) if "tags" in given else None,
        note=_note(fields.text("note")) if "note" in given else None,
        legal_hold=fields.flag("legal_hold") if "legal_hold" in given else None,
    )


def read_tags(fields: Fields) -> tuple[str, ...]:
    """Read the tags that are given; none if there are none.

    Raises:
        FieldError: They may not be.
    """
    tags = fields.text_list("tags")
    try:
        return tidy_tags(tags)
    except ValueError as error:
        raise FieldError("tags", str(error)) from None


def _note(note: str) -> str:
    if len(note) > MAX_NOTE_LENGTH:
        raise FieldError("note", f"at most {MAX_NOTE_LENGTH} characters")
    if not all(each.isprintable() or each in "\n\r\t" for each in note):
        raise FieldError("note", "printable text")
    return note
