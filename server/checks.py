"""What `tapdeck doctor` makes of the configuration and of what it measured.

A check is given everything that it judges and returns findings, so that each answer
can be tested without having the illness.
"""

from __future__ import annotations

import enum
import os
import resource
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from server.addresses import ListenAddress, PortRange, TapUri
from server.config import environment_warnings
from server.forwards.rules import ForwardRule
from server.measure import RESOLVE_TIMEOUT
from server.settings import Settings

RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""What the RTP listener asks the system for."""
LOW_DISK_BYTES = 1024**3
"""Below this, a warning: at 16 kB/s a tap (PCM, 8 kHz) it is 18 hours of one tap."""
NO_DISK_BYTES = 50 * 1024**2
FILES_PER_TAP = 3
"""Descriptors of a tap: its socket, its WAV, and a forward or listener."""
OTHER_FILES = 64
EARLIEST_TIME = 1_767_225_600.0
"""2026-01-01 UTC. A clock behind it was never set: recordings are filed by date."""


class Level(enum.StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    level: Level
    what: str
    how_to_mend: str = ""


def ok(what: str) -> Finding:
    """Return a finding that needs nothing."""
    return Finding(Level.OK, what)


def warn(what: str, how_to_mend: str) -> Finding:
    """Return a finding that may bite."""
    return Finding(Level.WARN, what, how_to_mend)


def fail(what: str, how_to_mend: str) -> Finding:
    """Return a finding that stops taps from working."""
    return Finding(Level.FAIL, what, how_to_mend)


def check_environment(environ: Mapping[str, str]) -> Iterator[Finding]:
    """Name variables that look like ours and do nothing."""
    for name in environment_warnings(environ):
        yield warn(f"{name} is set and means nothing.", "Check its spelling.")


def check_credentials(settings: Settings) -> Finding:
    """Say whether Tapdeck can start taps itself; half of them is no valid setting."""
    if settings.has_credentials:
        return ok("Project and token are given: Tapdeck taps calls by itself.")
    return warn(
        "No SignalWire credentials: Tapdeck records only taps started elsewhere.",
        "Set SIGNALWIRE_PROJECT_ID and SIGNALWIRE_API_TOKEN to have it tap calls.",
    )


def check_space(host: str, address: str | None) -> Finding:
    """Say whether the RELAY host has an address."""
    if address is not None:
        return ok(f"{host} resolves to {address}.")
    return fail(
        f"{host} does not resolve within {RESOLVE_TIMEOUT:g} s.",
        "Check SIGNALWIRE_SPACE, and the name server of this machine.",
    )


def check_ca_file(settings: Settings) -> Iterator[Finding]:
    """Say whether the file of trusted authorities can be read."""
    file = settings.relay_ca_file
    if file is None:
        return
    if file.is_file() and os.access(file, os.R_OK):
        yield ok(f"{file} can be read.")
    else:
        yield fail(
            f"{file} cannot be read.", "Correct SIGNALWIRE_RELAY_CA_FILE, or unset it."
        )


def check_tap_uri(settings: Settings) -> Iterator[Finding]:
    """Compare the destination that the platform is told with where we listen."""
    uri = settings.tap_uri
    if uri is None:
        if settings.has_credentials:
            yield fail(
                "There is no tap_uri, so the platform cannot be told where to send.",
                "Set TAPDECK_TAP_URI, such as wss://media.example.com/tap.",
            )
        return
    if not uri.is_public:
        yield warn(
            f"{uri.host} in tap_uri is not a public address.",
            "Good for the simulator; SignalWire needs one that it can reach.",
        )
    if uri.scheme == "rtp":
        yield from _rtp_findings(uri, settings.rtp_listen)
    else:
        yield from _ws_findings(uri, settings.http_listen)


def _ws_findings(uri: TapUri, listen: ListenAddress) -> Iterator[Finding]:
    if uri.scheme == "ws" and uri.is_public:
        yield warn(
            "tap_uri is ws://, so audio and tokens travel unencrypted.",
            "Put a proxy that does TLS in front, and use wss://.",
        )
    if uri.scheme == "wss":
        yield ok(
            f"tap_uri is wss:// on port {uri.port}: a proxy there has to end TLS and "
            f"pass {uri.path}/ with WebSocket upgrades on to {listen}."
        )
    elif uri.is_public and listen.is_loopback:
        yield warn(
            f"tap_uri names {uri.host}, and http_listen is {listen}, which only this "
            "machine reaches.",
            "Listen on 0.0.0.0, or have a proxy on this machine pass taps on.",
        )


def _rtp_findings(uri: TapUri, listen: PortRange) -> Iterator[Finding]:
    if uri.is_public and listen.is_loopback:
        yield fail(
            f"tap_uri asks for RTP to {uri.host}, and rtp_listen is {listen}, which "
            "only this machine reaches.",
            f"Set TAPDECK_RTP_LISTEN=0.0.0.0:{listen.first}.",
        )
    last = uri.port + len(listen) - 1
    if last > 65535:
        yield fail(
            f"rtp_listen has {len(listen)} ports, and {uri.port} in tap_uri is too "
            "high for the last of them.",
            "Lower the port in tap_uri.",
        )
    elif uri.port != listen.first:
        yield warn(
            f"The platform sends to port {uri.port}, and Tapdeck listens on "
            f"{listen.first}.",
            f"Forward UDP {_span(uri.port, last)} to "
            f"{_span(listen.first, listen.last)}.",
        )


def check_access(settings: Settings) -> Finding:
    """Say who can reach API and pages."""
    if settings.api_token is not None:
        return ok("API and pages ask for a token.")
    if settings.http_listen.is_loopback:
        return ok("API and pages answer to this machine only.")
    return warn(
        "There is no api_token: API and pages answer on loopback only.",
        "Set TAPDECK_API_TOKEN to reach them from elsewhere.",
    )


def check_secret(settings: Settings) -> Iterator[Finding]:
    """Warn that tokens of a random secret die with the process."""
    if settings.secret is None and settings.transport == "ws":
        yield warn(
            "There is no secret: tokens of taps do not survive a restart.",
            "Set TAPDECK_SECRET to the output of `openssl rand -hex 32`.",
        )


def check_forward_rule(rule: ForwardRule, address: str | None) -> Finding:
    """Say what a rule forwards, and whether its host has an address."""
    what = f"{rule.name} forwards {rule.match} to {rule.request.shown_url}"
    if address is not None:
        return ok(f"{what}.")
    return warn(
        f"{what}, whose host does not resolve within {RESOLVE_TIMEOUT:g} s.",
        "Check its url, and the name server of this machine.",
    )


def check_http_port(listen: ListenAddress, problem: str | None) -> Finding:
    """Say whether the HTTP port is free."""
    if problem is None:
        return ok(f"TCP {listen} is free.")
    return fail(
        f"TCP {listen} cannot be used: {problem}.",
        "Stop what uses it (is Tapdeck running already?) or change http_listen.",
    )


def check_rtp_ports(ports: PortRange, problems: Mapping[int, str]) -> Finding:
    """Say whether all RTP ports are free."""
    if not problems:
        return ok(f"UDP {ports} is free.")
    port, problem = next(iter(problems.items()))
    return fail(
        f"{len(problems)} of {len(ports)} UDP ports of {ports} cannot be used, such "
        f"as {port}: {problem}.",
        "Stop what uses them (is Tapdeck running already?) or change rtp_listen.",
    )


def check_directory(directory: Path, problem: str | None) -> Finding:
    """Say whether recordings can be written."""
    if problem is None:
        return ok(f"{directory} can be written to.")
    return fail(
        f"{directory} cannot be written to: {problem}.",
        "Give this user the right to write there, or change recordings_dir.",
    )


def check_disk(directory: Path, free_bytes: int) -> Finding:
    """Say whether there is room for recordings."""
    text = f"{free_bytes / 1024**3:.1f} GiB are free for {directory}."
    if free_bytes < NO_DISK_BYTES:
        return fail(text, "Make room before the first recording.")
    if free_bytes < LOW_DISK_BYTES:
        return warn(text, "Make room: an hour of a tap at 8 kHz takes 58 MB.")
    return ok(text)


def check_receive_buffer(granted_bytes: int) -> Finding:
    """Say whether the system grants the UDP buffer that bursts need."""
    granted = f"{granted_bytes // 1024} KiB"
    if granted_bytes >= RECEIVE_BUFFER_BYTES:
        return ok(f"The system grants a UDP receive buffer of {granted}.")
    return warn(
        f"The system grants a UDP receive buffer of {granted} only, so RTP may be "
        "lost while the machine is busy.",
        f"On the host: sysctl -w net.core.rmem_max={RECEIVE_BUFFER_BYTES}",
    )


def check_file_limit(limit: int, max_taps: int) -> Finding:
    """Say whether the process may open the files of `max_taps` taps."""
    needed = max_taps * FILES_PER_TAP + OTHER_FILES
    if limit == resource.RLIM_INFINITY or limit >= needed:
        return ok(f"Files that may be open are enough for {max_taps} taps.")
    enough = max(0, (limit - OTHER_FILES) // FILES_PER_TAP)
    return warn(
        f"{limit} files may be open, enough for {enough} taps of {max_taps}.",
        f"ulimit -n {needed} (Docker: --ulimit nofile={needed}), or lower max_taps.",
    )


def check_clock(seconds: float) -> Finding:
    """Say whether the clock has been set."""
    if seconds >= EARLIEST_TIME:
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
        return ok(f"The clock says {stamp} UTC.")
    return fail(
        "The clock of this machine lies years back.",
        "Set it, and let NTP keep it: recordings are filed by date.",
    )


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"
