"""Tags, the words by which people sort taps and recordings: which there may be.

Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

MAX_TAGS = 32
MAX_TAG_LENGTH = 64


def tidy_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags once each, without blanks around them.

    Raises:
        ValueError: One of them may not be; says what tags have to be.
    """
    stripped = tuple(dict.fromkeys(tag.strip() for tag in tags))
    if len(stripped) > MAX_TAGS:
        raise ValueError(f"at most {MAX_TAGS} tags")
    if not all(0 < len(tag) <= MAX_TAG_LENGTH for tag in stripped):
        raise ValueError(f"tags of 1 to {MAX_TAG_LENGTH} characters")
    if not all(tag.isprintable() for tag in stripped):
        raise ValueError("tags of printable characters")
    return stripped


def heard_tags(text: str) -> tuple[str, ...]:
    """Return the tags that somebody sent us between commas; none if one may not be."""
    try:
        return tidy_tags(filter(str.strip, text.split(",")))
    except ValueError:
        return ()
