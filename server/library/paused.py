"""Which taps are paused, one small file for each, so that no restart forgets it.

`<root>/.paused/<SHA-256 of the control id>`. That the file is there is all that counts:
nothing that is damaged in it ends a pause, and no name from the wire becomes a path.
What it holds tells a person which tap it is, and where its RTP came from.

Blocking.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from server.library.fields import Fields
from server.library.files import make_synced_folder, sync, write_synced

MAX_BYTES = 4096
_DRAFT_SUFFIX = ".new"
_NAME = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class PausedTap:
    """What is kept of a tap that is paused."""

    control_id: str = ""
    """Empty if its file is damaged."""
    source: str = ""
    """Where its RTP comes from, as `IP:PORT`, if that is known and it is not over."""


@dataclass(frozen=True, slots=True)
class FoundPause:
    """A pause from before a restart."""

    tap: PausedTap
    kept_at: float
    """Wall clock, seconds since 1970."""


def name_of(control_id: str) -> str:
    """Return under which name the pause of a tap is kept."""
    return hashlib.sha256(control_id.encode(errors="surrogatepass")).hexdigest()


class PausedFiles:
    """The files of one library."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def load(self) -> dict[str, FoundPause]:
        """Return what there is, by name.

        Raises:
            OSError: The directory cannot be read.
        """
        if not self._folder.exists():
            return {}
        found = {}
        for path in self._folder.iterdir():
            if _NAME.fullmatch(path.name):
                found[path.name] = FoundPause(_read(path), path.stat().st_mtime)
            elif path.suffix == _DRAFT_SUFFIX:
                path.unlink(missing_ok=True)
        return found

    def apply(self, changes: Mapping[str, PausedTap | None]) -> None:
        """Keep these, and drop those that are None; a power cut undoes nothing of it.

        Raises:
            OSError: The disk refuses. Doing it again is harmless.
        """
        make_synced_folder(self._folder)
        for name, tap in changes.items():
            path = self._folder / name
            if tap is None:
                path.unlink(missing_ok=True)
            else:
                # Whole or not at all: what it held before may be true already.
                draft = path.with_suffix(_DRAFT_SUFFIX)
                write_synced(draft, _dump(tap))
                draft.replace(path)
        sync(self._folder)


def _dump(tap: PausedTap) -> bytes:
    document = {"control_id": tap.control_id, "source": tap.source}
    return json.dumps(document).encode("ascii") + b"\n"


def _read(path: Path) -> PausedTap:
    try:
        with path.open("rb") as file:
            fields = Fields(json.loads(file.read(MAX_BYTES)))
        return PausedTap(fields.text("control_id"), fields.text("source"))
    except (OSError, ValueError, RecursionError):
        return PausedTap()
