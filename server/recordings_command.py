"""`tapdeck recordings`: its actions, their arguments, and what each of them calls."""

from __future__ import annotations

import argparse
from pathlib import Path

from server.arguments import (
    Commands,
    Parser,
    add_command,
    add_config,
    add_setting,
    count,
    moment,
    settings_of,
)
from server.config import SETTINGS

_RETENTION_SETTINGS = (
    "retention_days",
    "retention_tags",
    "retention_max_gb",
    "retention_min_free_gb",
)


_EXPORT_EXAMPLES = """\
examples:
  tapdeck recordings export 20261122T161702123Z-k3v9x2aq
  tapdeck recordings export --search complaint --output complaints.zip
"""


def add_recordings(commands: Commands[Parser]) -> None:
    """Add the command."""
    parser = add_command(commands, "recordings", "look at what has been recorded")
    actions = parser.add_subparsers(metavar="ACTION", dest="action", required=True)
    for add in (_add_list, _add_show, _add_link, _add_export, _add_verify, _add_prune):
        action = add(actions)
        add_config(action)
        add_setting(action, SETTINGS["recordings_dir"])


def _add_list(actions: Commands[Parser]) -> Parser:
    parser = add_command(actions, "list", "list recordings, newest first")
    parser.add_argument("text", nargs="?", default="", help="part of an id or number")
    parser.add_argument(
        "--limit", type=count, default=50, metavar="N", help="at most so many (50)"
    )
    parser.set_defaults(run=_list)
    return parser


def _add_show(actions: Commands[Parser]) -> Parser:
    parser = add_command(actions, "show", "show everything about one recording")
    parser.add_argument("id", metavar="ID")
    parser.set_defaults(run=_show)
    return parser


def _add_link(actions: Commands[Parser]) -> Parser:
    parser = add_command(
        actions, "play-link", "write the address at which a browser plays a recording"
    )
    parser.add_argument("id", metavar="ID")
    parser.add_argument(
        "--at", type=moment, default=0.0, metavar="SECONDS", help="where to begin"
    )
    parser.add_argument(
        "--url",
        metavar="URL",
        help="of the server, as its users see it (default: its address here)",
    )
    add_setting(parser, SETTINGS["http_listen"])
    parser.set_defaults(run=_link)
    return parser


def _add_export(actions: Commands[Parser]) -> Parser:
    parser = add_command(
        actions,
        "export",
        "write recordings and their documents into a ZIP file",
        _EXPORT_EXAMPLES,
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="of recordings")
    parser.add_argument(
        "--search", metavar="TEXT", help="all with this in an id, number, tag or note"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("recordings.zip"),
        metavar="FILE",
        help="to write, if there is none of this name yet (recordings.zip)",
    )
    parser.set_defaults(run=_export)
    return parser


def _add_verify(actions: Commands[Parser]) -> Parser:
    parser = add_command(actions, "verify", "compare recordings with their documents")
    parser.add_argument("ids", nargs="*", metavar="ID", help="all of them if none")
    parser.add_argument(
        "--repair", action="store_true", help="put the index right where it is wrong"
    )
    parser.set_defaults(run=_verify)
    return parser


def _add_prune(actions: Commands[Parser]) -> Parser:
    parser = add_command(actions, "prune", "delete what retention says; say why")
    parser.add_argument(
        "--dry-run", action="store_true", help="only say what would be deleted"
    )
    for name in _RETENTION_SETTINGS:
        add_setting(parser, SETTINGS[name])
    parser.set_defaults(run=_prune)
    return parser


def _list(arguments: argparse.Namespace) -> int:
    from server.listing import list_recordings

    directory = settings_of(arguments).recordings_dir
    return list_recordings(directory, text=arguments.text, limit=arguments.limit)


def _show(arguments: argparse.Namespace) -> int:
    from server.listing import show_recording

    return show_recording(settings_of(arguments).recordings_dir, arguments.id)


def _link(arguments: argparse.Namespace) -> int:
    from server.exporting import address_here, write_link

    settings = settings_of(arguments)
    url = arguments.url or address_here(settings.http_listen)
    return write_link(settings.recordings_dir, arguments.id, url, at=arguments.at)


def _export(arguments: argparse.Namespace) -> int:
    from server.exporting import export

    directory = settings_of(arguments).recordings_dir
    return export(
        directory, arguments.ids, search=arguments.search, target=arguments.output
    )


def _verify(arguments: argparse.Namespace) -> int:
    from server.listing import verify_recordings

    directory = settings_of(arguments).recordings_dir
    return verify_recordings(directory, arguments.ids, repair=arguments.repair)


def _prune(arguments: argparse.Namespace) -> int:
    from server.pruning import prune

    return prune(settings_of(arguments), is_dry=arguments.dry_run)
