"""What the commands have in common: parsers that raise, settings as flags, numbers."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import NoReturn

from server.config import SETTINGS, SettingInfo, Settings, load_settings
from server.errors import ConfigError


class Parser(argparse.ArgumentParser):
    """Raises instead of printing a usage and leaving."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would write."""
        raise ConfigError(f"{capital(message)}; see `{self.prog} --help`.")


Commands = argparse._SubParsersAction


def add_command(
    commands: Commands[Parser], name: str, help_text: str, epilog: str | None = None
) -> Parser:
    """Add a command or an action and return its parser."""
    return commands.add_parser(
        name,
        help=help_text,
        description=capital(help_text) + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """Let a command take a file with settings."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file with settings"
    )


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Let a command take every setting as a flag."""
    group = parser.add_argument_group("settings")
    for info in SETTINGS.values():
        add_setting(group, info)


def add_setting(parser: argparse._ActionsContainer, info: SettingInfo) -> None:
    """Let a command take one setting as a flag."""
    default = f", default: {info.default}" if info.default else ""
    parser.add_argument(
        info.flag,
        dest=info.name,
        metavar="YES" if info.is_switch else "VALUE",
        nargs="?" if info.is_switch else None,
        const="true" if info.is_switch else None,
        # Absent unless given, so that lower sources can be told apart from flags.
        default=argparse.SUPPRESS,
        help=f"{info.description} [{info.environment}{default}]".replace("%", "%%"),
    )


def settings_of(arguments: argparse.Namespace) -> Settings:
    """Return the settings from all their sources.

    Raises:
        ConfigError: Something in a source cannot be used.
    """
    given = vars(arguments)
    flags = {name: given[name] for name in SETTINGS if name in given}
    return load_settings(file=given.get("config"), environ=os.environ, flags=flags)


def positive(text: str) -> float:
    """Read seconds up to an hour."""
    number = float(text)
    if not 0 < number <= 3600:
        raise argparse.ArgumentTypeError("must be above 0 and at most 3600")
    return number


def moment(text: str) -> float:
    """Read a place in a recording, in seconds."""
    number = float(text)
    if not 0 <= number < 1e9:
        raise argparse.ArgumentTypeError("must be 0 or more")
    return number


def count(text: str) -> int:
    """Read a number from 1 up."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


def capital(text: str) -> str:
    """Return text that begins like a sentence."""
    return text[:1].upper() + text[1:]
