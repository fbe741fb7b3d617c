"""Configuration: defaults, file, environment and flags become one `Settings`.

The later source wins, setting by setting. Whatever is wrong is collected and told in
one go, a sentence each, that names the setting, where it was set, what it was set to
and what is allowed.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from pydantic import SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from server.addresses import ListenAddress, PortRange, TapUri
from server.errors import ConfigError
from server.rule_problems import rule_problem
from server.settings import CONFLICT, Settings

__all__ = [
    "SETTINGS",
    "ListenAddress",
    "PortRange",
    "SettingInfo",
    "Settings",
    "TapUri",
    "environment_warnings",
    "load_settings",
]

PREFIX = "TAPDECK_"
# The names that the official SDKs read.
_PLATFORM_NAMES = {
    "project_id": "SIGNALWIRE_PROJECT_ID",
    "relay_token": "SIGNALWIRE_API_TOKEN",
    "space": "SIGNALWIRE_SPACE",
    "relay_ca_file": "SIGNALWIRE_RELAY_CA_FILE",
    "relay_scheme": "SIGNALWIRE_RELAY_SCHEME",
}
# Near enough to be a slip. Anything further off is another program's variable: a
# Kubernetes service called `tapdeck`, say, puts TAPDECK_SERVICE_HOST into every pod.
_LIKENESS = 0.8


@dataclass(frozen=True, slots=True)
class SettingInfo:
    """What documentation, help and messages say about one setting."""

    name: str
    environment: str
    description: str
    allowed: str
    """A phrase that completes "must be"."""
    default: str
    """As it would be written in the environment; empty for none."""
    is_secret: bool
    is_switch: bool
    is_list: bool

    @property
    def flag(self) -> str:
        """The setting as a command-line flag."""
        return "--" + self.name.replace("_", "-")


@dataclass(frozen=True, slots=True)
class _Given:
    """One value as it was found, and where."""

    value: object
    origin: str


def load_settings(
    *, file: Path | None, environ: Mapping[str, str], flags: Mapping[str, str]
) -> Settings:
    """Merge the sources into settings. Empty text counts as not set, anywhere.

    Args:
        file: A TOML file to read.
        environ: The environment.
        flags: Values by the name of the setting, as on the command line.

    Raises:
        ConfigError: Something in a source cannot be used.
    """
    given: dict[str, _Given] = {}
    if file is not None:
        given.update(_read_file(file))
    given.update(_read_environment(environ))
    given.update(_read_flags(flags))
    problems = [
        f"{name} is not a setting{_did_you_mean(name, SETTINGS)} ({each.origin})."
        for name, each in given.items()
        if name not in SETTINGS
    ]
    problems += _misspelt_variables(environ)
    known = {name: each for name, each in given.items() if name in SETTINGS}
    try:
        settings = Settings.model_validate(
            {name: each.value for name, each in known.items()}
        )
    except ValidationError as error:
        problems += _sentences(error, known)
        raise ConfigError(problems) from None
    if problems:
        raise ConfigError(problems)
    return settings


def environment_warnings(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that look like ours and mean nothing."""
    known = {info.environment for info in SETTINGS.values()}
    return tuple(
        name
        for name in sorted(environ)
        if name.startswith(PREFIX) and name not in known
    )


def _read_file(file: Path) -> dict[str, _Given]:
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise ConfigError(f"Cannot read the config file {file}: {reason}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"The config file {file} is not TOML: {error}.") from error
    return {
        name: _Given(value, f"file {file}")
        for name, value in values.items()
        if value != ""
    }


def _read_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    return {
        name: _Given(environ[info.environment], f"variable {info.environment}")
        for name, info in SETTINGS.items()
        if environ.get(info.environment)
    }


def _read_flags(flags: Mapping[str, str]) -> dict[str, _Given]:
    return {
        name: _Given(value, f"flag {_flag(name)}")
        for name, value in flags.items()
        if value
    }


def _misspelt_variables(environ: Mapping[str, str]) -> Iterator[str]:
    ours = [info.environment for info in SETTINGS.values()]
    ours = [name.removeprefix(PREFIX) for name in ours if name.startswith(PREFIX)]
    for name in environment_warnings(environ):
        suggestion = _did_you_mean(name.removeprefix(PREFIX), ours, PREFIX)
        if suggestion:
            yield f"{name} is not a setting{suggestion} (environment)."


def _did_you_mean(
    name: str, known: Mapping[str, object] | list[str], add: str = ""
) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=_LIKENESS)
    return f"; did you mean {add}{close[0]}?" if close else ""


def _sentences(error: ValidationError, given: Mapping[str, _Given]) -> Iterator[str]:
    told = set()
    for detail in error.errors(include_url=False):
        name = _setting_of(detail)
        if name == "forwards" and len(detail["loc"]) > 1:
            yield rule_problem(detail, given[name].value, given[name].origin)
        elif name not in told:
            yield _sentence(name, detail, given[name])
            told.add(name)


def _setting_of(detail: ErrorDetails) -> str:
    if detail["type"] == CONFLICT:
        return str(detail["ctx"]["setting"])
    return str(detail["loc"][0])


def _sentence(name: str, detail: ErrorDetails, given: _Given) -> str:
    if detail["type"] == CONFLICT:
        return f"{name} ({given.origin}) {detail['ctx']['problem']}."
    rule = f"must be {SETTINGS[name].allowed}"
    if detail["type"] == "value_error":
        rule = str(detail["ctx"]["error"])
    return f"{name} ({given.origin}) is {_shown(name, given.value)}, but {rule}."


def _shown(name: str, value: object) -> str:
    """Say what was given without giving a secret away."""
    if SETTINGS[name].is_secret:
        return "a value not shown here"
    if name == "tap_uri" and isinstance(value, str):
        value = re.sub(r"\?.*", "?***", re.sub(r"//.*@", "//***@", value))
    return repr(value)


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _describe(name: str, field: FieldInfo) -> SettingInfo:
    extra = field.json_schema_extra
    return SettingInfo(
        name=name,
        environment=_PLATFORM_NAMES.get(name, PREFIX + name.upper()),
        description=field.description or "",
        allowed=str(extra["allowed"]) if isinstance(extra, dict) else "",
        default=_as_text(field.default),
        is_secret=SecretStr in _types(field.annotation) or not field.repr,
        is_switch=field.annotation is bool,
        is_list=isinstance(field.default, tuple),
    )


def _types(annotation: object) -> set[object]:
    inner = get_args(annotation)
    return {annotation}.union(*map(_types, inner)) if inner else {annotation}


def _as_text(default: object) -> str:
    if default is None:
        return ""
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default)


SETTINGS: Mapping[str, SettingInfo] = {
    name: _describe(name, field) for name, field in Settings.model_fields.items()
}
"""Every setting by name, in the order in which they are documented."""
