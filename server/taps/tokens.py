"""Signed, expiring tokens for the path of a tap's URI.

A tap can send no header, so what lets it in has to be part of the address that the
platform dials. Each token is made for one tap and says until when it may be used; the
signature keeps both from being changed, or made up. Layout, before URL-safe base64
without padding: expiry (40 bits, seconds since 1970), id of the tap, HMAC-SHA256 over
both, cut to 16 bytes as RFC 2104 section 5 allows.
"""

from __future__ import annotations

import base64
import enum
import hashlib
import hmac
from dataclasses import dataclass

_PURPOSE = b"tapdeck tap token 1\x00"
"""Keeps what is signed with the same secret for another purpose from being a token."""
_EXPIRY_BYTES = 5
_SIGNATURE_BYTES = 16
_MAX_TOKEN_CHARS = 512


class TokenRejection(enum.Enum):
    """Why a token does not let anybody in."""

    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """What a valid token says."""

    tap_id: str
    expires_at: int
    """Wall clock, seconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class TokenRejected:
    """A token that was refused."""

    reason: TokenRejection


class TokenSigner:
    """Issues and verifies tokens; all replicas that share the secret agree."""

    def __init__(self, secret: bytes) -> None:
        if not secret:
            raise ValueError("the secret that signs tap tokens is empty")
        self._secret = secret

    def issue(self, tap_id: str, expires_at: int) -> str:
        """Return a token for the tap `tap_id`, valid until `expires_at`."""
        signed = expires_at.to_bytes(_EXPIRY_BYTES, "big") + tap_id.encode()
        token = _encode(signed + self._signature(signed))
        if len(token) > _MAX_TOKEN_CHARS:
            raise ValueError("the id of the tap is too long for a token")
        return token

    def verify(self, token: str, now_wall: float) -> TokenClaims | TokenRejected:
        """Return what `token` says, or why it is refused, at wall clock `now_wall`."""
        raw = _decode(token)
        if raw is None or len(raw) < _EXPIRY_BYTES + _SIGNATURE_BYTES:
            return TokenRejected(TokenRejection.MALFORMED)
        signed, signature = raw[:-_SIGNATURE_BYTES], raw[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(signed)):
            return TokenRejected(TokenRejection.BAD_SIGNATURE)
        expires_at = int.from_bytes(signed[:_EXPIRY_BYTES], "big")
        if now_wall >= expires_at:
            return TokenRejected(TokenRejection.EXPIRED)
        return TokenClaims(signed[_EXPIRY_BYTES:].decode(), expires_at)

    def _signature(self, signed: bytes) -> bytes:
        digest = hmac.digest(self._secret, _PURPOSE + signed, hashlib.sha256)
        return digest[:_SIGNATURE_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes | None:
    if len(token) > _MAX_TOKEN_CHARS:
        return None
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except ValueError:
        return None
    # The decoder skips characters that it does not know and bits that it does not
    # need; one token must not have several spellings.
    return raw if _encode(raw) == token else None
