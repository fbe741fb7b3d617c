"""The command line: reads arguments, calls one function, turns its outcome into a code.

Exit codes: 0 done, 1 looked and found something wrong, 2 configuration or arguments
cannot be used, 3 could not start, 130 interrupted. Errors are one sentence on standard
error. What is slow to import is imported by the command that needs it.
"""

from __future__ import annotations

import argparse
import asyncio
import difflib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from server.addresses import ListenAddress, parse_listen_address
from server.arguments import (
    Commands,
    Parser,
    add_command,
    add_config,
    add_setting,
    add_settings,
    positive,
    settings_of,
)
from server.config import SETTINGS, load_settings
from server.errors import ConfigError, StartupError, TapdeckError
from server.recordings_command import add_recordings

EXIT_OK = 0
EXIT_FOUND = 1
EXIT_INTERRUPTED = 130

DEMO_SECONDS = 10.0
SIMULATOR_LISTEN = ListenAddress("127.0.0.1", 8089)

_DESCRIPTION = "Records call audio that SignalWire taps and sends here."
_EXAMPLES = """\
examples:
  tapdeck demo                     see it work, on this machine alone
  tapdeck doctor                   check the configuration in the environment
  tapdeck serve --config tapdeck.toml
  tapdeck serve --tap-uri wss://media.example.com/tap
  tapdeck recordings list
"""
_SERVE_EXAMPLES = """\
Every setting is a flag here, a key in the file (max_taps), and a variable in the
environment (TAPDECK_MAX_TAPS). Flags win over environment over file over defaults.
Secrets are better kept out of flags: other users of the machine can read those.

examples:
  tapdeck serve --config tapdeck.toml
  SIGNALWIRE_PROJECT_ID=... SIGNALWIRE_API_TOKEN=... \\
      tapdeck serve --tap-uri wss://media.example.com/tap --direction stereo
  tapdeck serve --accept any --http-listen 0.0.0.0:8080
"""


class _Version(argparse.Action):
    """Looks the version up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata

        try:
            version = metadata.version("tapdeck")
        except metadata.PackageNotFoundError:
            version = "not installed"
        sys.stdout.write(f"tapdeck {version}\n")
        parser.exit(EXIT_OK)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code."""
    try:
        arguments = _parse(sys.argv[1:] if argv is None else argv)
        code: int = arguments.run(arguments)
        # Here, so that a reader that has gone shows now and not at exit.
        sys.stdout.flush()
        return code
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else EXIT_FOUND
    except TapdeckError as error:
        for sentence in str(error).splitlines():
            sys.stderr.write(f"tapdeck: {sentence}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = Parser(
        prog="tapdeck",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", dest="command", required=True
    )
    _add_serve(commands)
    _add_demo(commands)
    _add_simulate(commands)
    add_recordings(commands)
    _add_doctor(commands)
    return parser


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    arguments, unknown = build_parser().parse_known_args(argv)
    if not unknown:
        return arguments
    close = difflib.get_close_matches(
        unknown[0].partition("=")[0], [info.flag for info in SETTINGS.values()], n=1
    )
    hint = f"; did you mean {close[0]}?" if close else "."
    raise ConfigError(
        f"{unknown[0]} is not understood by `tapdeck {arguments.command}`{hint}"
    )


def _add_serve(commands: Commands[Parser]) -> None:
    parser = add_command(commands, "serve", "run the server", _SERVE_EXAMPLES)
    add_config(parser)
    add_settings(parser)
    parser.set_defaults(run=_serve)


def _add_doctor(commands: Commands[Parser]) -> None:
    parser = add_command(
        commands,
        "doctor",
        "check the configuration; say what is wrong and how to mend it",
    )
    add_config(parser)
    add_settings(parser)
    parser.set_defaults(run=_doctor)


def _add_demo(commands: Commands[Parser]) -> None:
    parser = add_command(
        commands, "demo", "simulate two tapped calls and record them, on this machine"
    )
    parser.add_argument(
        "--exit", action="store_true", help="leave when the recordings are there"
    )
    parser.add_argument(
        "--seconds",
        type=positive,
        default=DEMO_SECONDS,
        metavar="N",
        help=f"length of the calls (default: {DEMO_SECONDS:g})",
    )
    add_setting(parser, SETTINGS["recordings_dir"])
    add_setting(parser, SETTINGS["http_listen"])
    parser.set_defaults(run=_demo)


def _add_simulate(commands: Commands[Parser]) -> None:
    parser = add_command(commands, "simulate", "run the platform simulator alone")
    parser.add_argument(
        "--listen",
        type=_listen_address,
        default=SIMULATOR_LISTEN,
        metavar="HOST:PORT",
        help=f"address of RELAY and of its control API (default: {SIMULATOR_LISTEN})",
    )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM file")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="PEM file")
    parser.set_defaults(run=_simulate)


def _serve(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    _check_readable(settings.relay_ca_file, "relay_ca_file")
    from server.app import serve

    try:
        return serve(settings)
    except OSError as error:
        if error.errno not in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise
        raise StartupError(f"Cannot start: {error.strerror}.") from error


def _demo(arguments: argparse.Namespace) -> int:
    # Of the environment only what names places: a demo touches no real account.
    places = [SETTINGS["recordings_dir"], SETTINGS["http_listen"]]
    environ = {
        info.environment: os.environ[info.environment]
        for info in places
        if info.environment in os.environ
    }
    given = vars(arguments)
    flags = {info.name: given[info.name] for info in places if info.name in given}
    settings = load_settings(file=None, environ=environ, flags=flags)
    from server.demo import demo

    return demo(
        seconds=arguments.seconds,
        exit_when_done=arguments.exit,
        recordings_dir=settings.recordings_dir,
        http_listen=settings.http_listen,
    )


def _simulate(arguments: argparse.Namespace) -> int:
    if (arguments.tls_cert is None) != (arguments.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key are needed together, or neither.")
    _check_readable(arguments.tls_cert, "--tls-cert")
    _check_readable(arguments.tls_key, "--tls-key")
    from server.simulate import simulate

    return asyncio.run(
        simulate(
            arguments.listen,
            tls_cert=arguments.tls_cert,
            tls_key=arguments.tls_key,
        )
    )


def _doctor(arguments: argparse.Namespace) -> int:
    given = vars(arguments)
    from server.doctor import examine

    return examine(
        file=given["config"],
        environ=os.environ,
        flags={name: given[name] for name in SETTINGS if name in given},
        write=sys.stdout.write,
    )


def _check_readable(file: Path | None, name: str) -> None:
    if file is not None and not (file.is_file() and os.access(file, os.R_OK)):
        raise ConfigError(f"{name} is {file}, which cannot be read.")


def _listen_address(text: str) -> ListenAddress:
    try:
        return parse_listen_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
