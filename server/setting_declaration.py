"""How a setting is declared, and what may be said of several of them together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import Field, JsonValue, SecretStr
from pydantic_core import PydanticCustomError

CONFLICT = "settings_conflict"
"""Type of the validation error that concerns more than one setting."""


def setting(default: object, description: str, allowed: str, **options: Any) -> Any:
    """Declare a setting; `allowed` completes "must be" in messages."""
    extra: dict[str, JsonValue] = {"allowed": allowed}
    return Field(default, description=description, json_schema_extra=extra, **options)


def conflict(setting: str, problem: str) -> PydanticCustomError:
    """Return the error of a setting that does not go with the others."""
    return PydanticCustomError(
        CONFLICT, "{setting} {problem}", {"setting": setting, "problem": problem}
    )


def secrets_in(value: object) -> Iterator[str]:
    """Return what is secret in the value of a setting."""
    for each in value if isinstance(value, tuple) else (value,):
        if isinstance(each, SecretStr):
            yield each.get_secret_value()


def check_role_tokens(
    *, api_token: SecretStr | None, **others: SecretStr | None
) -> None:
    """Make sure that each token stands for one role, and that somebody may manage.

    Raises:
        PydanticCustomError: They do not.
    """
    taken = {api_token}
    for name, token in others.items():
        if token is None:
            continue
        if api_token is None:
            raise conflict(name, "needs api_token: without it nobody could manage")
        if token in taken:
            raise conflict(name, "is the token of another role as well")
        taken.add(token)
