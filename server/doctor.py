"""`tapdeck doctor`: looks at the configuration and the machine, says how to mend them.

Measuring, judging and telling are apart: `server.measure` says what is,
`server.checks` what that means, and this module asks in order and writes the answers.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from server import checks, measure
from server.checks import Finding, Level
from server.config import load_settings
from server.errors import ConfigError
from server.settings import Settings
from server.tap_calls import describe_tap_calls


def examine(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    flags: Mapping[str, str],
    write: Callable[[str], object],
) -> int:
    """Write every finding and the tap calls to make; return the exit code."""
    try:
        settings = load_settings(file=file, environ=environ, flags=flags)
    except ConfigError as error:
        for problem in error.problems:
            write(_line(checks.fail(problem, "")))
        return ConfigError.exit_code
    write(_line(checks.ok("The settings are valid.")))
    has_failed = False
    for finding in _findings(settings, environ):
        write(_line(finding))
        has_failed |= finding.level is Level.FAIL
    write("\n" + describe_tap_calls(settings))
    return ConfigError.exit_code if has_failed else 0


def _findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    yield from checks.check_environment(environ)
    yield checks.check_credentials(settings)
    if settings.has_credentials:
        host = settings.space.partition(":")[0]
        yield checks.check_space(host, measure.resolve(host))
    yield from checks.check_ca_file(settings)
    yield from checks.check_tap_uri(settings)
    yield checks.check_access(settings)
    yield from checks.check_secret(settings)
    for rule in settings.forward_rules:
        host = rule.request.host
        yield checks.check_forward_rule(rule, measure.resolve(host))
    http, rtp = settings.http_listen, settings.rtp_listen
    yield checks.check_http_port(http, measure.why_not_tcp(http))
    yield checks.check_rtp_ports(rtp, measure.why_not_udp(rtp))
    yield from _disk_findings(settings.recordings_dir)
    granted = measure.receive_buffer(checks.RECEIVE_BUFFER_BYTES)
    yield checks.check_receive_buffer(granted)
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield checks.check_file_limit(limit, settings.max_taps)
    yield checks.check_clock(time.time())


def _disk_findings(directory: Path) -> Iterator[Finding]:
    problem = measure.why_not_written(directory)
    yield checks.check_directory(directory, problem)
    if problem is None:
        yield checks.check_disk(directory, measure.free_disk(directory))


def _line(finding: Finding) -> str:
    mend = f"\n     -> {finding.how_to_mend}" if finding.how_to_mend else ""
    return f"{finding.level:4} {finding.what}{mend}\n"
