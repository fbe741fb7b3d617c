"""Keeps secrets out of logs.

A RELAY frame may hold the token, the project, the sealed authorization state, or a tap
address that grants access by itself. They are masked by key, and the live values are
masked wherever else a server may echo them.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

MASK = "***"

_SECRET_KEYS = (
    "token",
    "project",
    "project_id",
    "jwt_token",
    "authorization_state",
    "uri",
    "status_url",
)
_SECRET_MEMBER = re.compile(
    rf'("(?:{"|".join(_SECRET_KEYS)})"\s*:\s*)"(?:[^"\\]|\\.)*"?', re.IGNORECASE
)


def mask_values(text: str, secrets: Iterable[str]) -> str:
    """Return `text` with every verbatim occurrence of a secret masked."""
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, MASK)
    return text


def mask_frame(text: str, secrets: Iterable[str]) -> str:
    """Return the text of a JSON frame, fit for a log."""
    return mask_values(_SECRET_MEMBER.sub(rf'\1"{MASK}"', text), secrets)
