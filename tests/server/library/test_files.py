"""Files that are there whole or not at all."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from server.library.files import replace_synced, sha256_of


@pytest.mark.parametrize("size", [0, 1, 1_000_000])
def test_the_hash_is_that_of_the_content(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * size)

    assert sha256_of(path) == hashlib.sha256(b"a" * size).hexdigest()


def test_new_content_comes_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, draft = tmp_path / "target", tmp_path / "draft"
    target.write_bytes(b"old")
    seen: list[bytes] = []
    fsync = os.fsync

    def watching(descriptor: int) -> None:
        seen.append(target.read_bytes())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", watching)
    replace_synced(draft, target, b"new and longer")

    # Once before the name is given, for the content; once after, for the name.
    assert seen == [b"old", b"new and longer"]
    assert not draft.exists()
