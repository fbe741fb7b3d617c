import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.taps.tokens import (
    TokenClaims,
    TokenRejected,
    TokenRejection,
    TokenSigner,
)

SIGNER = TokenSigner(b"a secret")
IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
EXPIRIES = st.integers(1, 2**40 - 1)


def rejection(result: TokenClaims | TokenRejected) -> TokenRejection | None:
    return result.reason if isinstance(result, TokenRejected) else None


@given(IDS, EXPIRIES)
def test_a_token_says_what_it_was_issued_for(tap_id: str, expires_at: int) -> None:
    token = SIGNER.issue(tap_id, expires_at)
    assert SIGNER.verify(token, expires_at - 1) == TokenClaims(tap_id, expires_at)


@given(IDS, EXPIRIES)
def test_a_token_fits_into_a_path_as_it_is(tap_id: str, expires_at: int) -> None:
    token = SIGNER.issue(tap_id, expires_at)
    assert token.replace("-", "").replace("_", "").isalnum()


def test_a_token_for_a_uuid_is_short() -> None:
    assert len(SIGNER.issue("7d56c1a4-30f2-4f6d-8ad4-3b0b7d0c9f11", 2**31)) == 76


@given(IDS, EXPIRIES, st.integers(0, 1000))
def test_a_token_expires_at_its_time(tap_id: str, expires_at: int, after: int) -> None:
    result = SIGNER.verify(SIGNER.issue(tap_id, expires_at), expires_at + after)
    assert rejection(result) is TokenRejection.EXPIRED


@given(IDS, EXPIRIES, st.data())
def test_a_token_changed_anywhere_is_refused(
    tap_id: str, expires_at: int, data: st.DataObject
) -> None:
    token = SIGNER.issue(tap_id, expires_at)
    at = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != token[at]))
    result = SIGNER.verify(token[:at] + other + token[at + 1 :], 0)
    assert rejection(result) in {
        TokenRejection.BAD_SIGNATURE,
        TokenRejection.MALFORMED,
    }


@given(IDS, EXPIRIES, st.data())
def test_a_token_cut_short_is_refused(
    tap_id: str, expires_at: int, data: st.DataObject
) -> None:
    token = SIGNER.issue(tap_id, expires_at)
    cut = data.draw(st.integers(0, len(token) - 1))
    assert isinstance(SIGNER.verify(token[:cut], 0), TokenRejected)


@given(IDS, EXPIRIES, st.binary(min_size=1).filter(lambda s: s != b"a secret"))
def test_a_token_signed_with_another_secret_is_refused(
    tap_id: str, expires_at: int, secret: bytes
) -> None:
    result = SIGNER.verify(TokenSigner(secret).issue(tap_id, expires_at), 0)
    assert rejection(result) is TokenRejection.BAD_SIGNATURE


@given(st.text(max_size=600))
def test_any_text_is_refused_without_raising(text: str) -> None:
    assert isinstance(SIGNER.verify(text, 0), TokenRejected)


@pytest.mark.parametrize("token", ["", "A" * 600, "ä" * 40, "A" * 41])
def test_what_cannot_be_a_token_is_malformed(token: str) -> None:
    assert rejection(SIGNER.verify(token, 0)) is TokenRejection.MALFORMED


def test_an_empty_secret_signs_nothing() -> None:
    with pytest.raises(ValueError, match="empty"):
        TokenSigner(b"")


def test_an_id_too_long_for_a_token_is_refused_when_issuing() -> None:
    with pytest.raises(ValueError, match="too long"):
        SIGNER.issue("x" * 500, 1)
