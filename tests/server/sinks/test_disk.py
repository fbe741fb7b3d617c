"""What a disk refuses has words, and is asked for again."""

from __future__ import annotations

import errno
import logging

import pytest

from server.sinks import disk
from server.sinks.disk import until_kept, words_for


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk full"),
        (errno.EDQUOT, "disk quota used up"),
        (errno.EROFS, "file system read-only"),
        (errno.EIO, "disk error"),
        (errno.EMFILE, "no file descriptor left"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_a_refusal_is_told_in_plain_words(number: int, words: str) -> None:
    assert words_for(OSError(number, "Permission denied")) == words


def test_one_without_a_number_has_words_too() -> None:
    assert words_for(OSError("odd")) == "disk error"


async def test_a_disk_is_asked_until_it_takes_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(disk, "FIRST_PAUSE_S", 0.0)
    answers = [OSError(errno.ENOSPC, ""), OSError(errno.ENOSPC, ""), None]

    def keep() -> str:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return "kept"

    with caplog.at_level(logging.WARNING):
        assert await until_kept(keep, "recording x") == "kept"
    assert caplog.text.count("recording x cannot be kept yet: disk full") == 2


async def test_what_is_no_refusal_of_the_disk_is_raised() -> None:
    def broken() -> None:
        raise ValueError("a mistake of ours")

    with pytest.raises(ValueError, match="a mistake"):
        await until_kept(broken, "x")
