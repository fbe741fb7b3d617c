"""Documents as files: reading one whole, and turning one into bytes."""

from __future__ import annotations

import json
from pathlib import Path

from server.library.fields import FieldError
from server.library.layout import Layout
from server.library.recording import Recording

MAX_DOCUMENT_BYTES = 16 * 1024 * 1024
"""A document with every gap and digit that we ever list is well below."""


def read_document(layout: Layout, recording_id: str) -> Recording:
    """Read what is known about a recording.

    Raises:
        FileNotFoundError: There is no such document.
        ValueError: It is damaged, or that of another recording.
    """
    recording = parse_document(_read_bounded(layout.document(recording_id)))
    if recording.id != recording_id:
        raise FieldError("id", f"{recording_id}, as the file is called,")
    return recording


def parse_document(data: bytes) -> Recording:
    """Return the recording that a document is about.

    Raises:
        ValueError: It is no document.
    """
    try:
        return Recording.from_json(json.loads(data))
    except RecursionError:
        raise FieldError("", "less depth") from None


def dump_document(recording: Recording) -> bytes:
    """Return the document of a recording."""
    text = json.dumps(recording.to_json(), indent=1, allow_nan=False)
    return text.encode("ascii") + b"\n"


def _read_bounded(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(data) > MAX_DOCUMENT_BYTES:
        raise FieldError("", f"at most {MAX_DOCUMENT_BYTES} bytes")
    return data
