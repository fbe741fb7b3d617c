"""What `tapdeck doctor` measures of this machine; `server.checks` judges it."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
from contextlib import closing
from pathlib import Path

from server.addresses import ListenAddress, PortRange

RESOLVE_TIMEOUT = 5.0
"""Seconds that a name may take to resolve."""


def resolve(host: str) -> str | None:
    """Return an address of `host`, None if there is none in time."""
    found: list[str] = []

    def look_up() -> None:
        try:
            found.append(str(socket.getaddrinfo(host, None)[0][4][0]))
        except OSError:
            return

    # getaddrinfo has no deadline of its own; a daemon is left behind by exit.
    thread = threading.Thread(target=look_up, name="doctor-resolve", daemon=True)
    thread.start()
    thread.join(RESOLVE_TIMEOUT)
    return found[0] if found else None


def why_not_tcp(listen: ListenAddress) -> str | None:
    """Return why an address cannot be listened on, None if it can."""
    return _why_not_bound(listen.host, listen.port, socket.SOCK_STREAM)


def why_not_udp(ports: PortRange) -> dict[int, str]:
    """Return why which ports cannot be received on."""
    tried = {
        port: _why_not_bound(ports.host, port, socket.SOCK_DGRAM)
        for port in ports.ports
    }
    return {port: problem for port, problem in tried.items() if problem is not None}


def _why_not_bound(host: str, port: int, kind: socket.SocketKind) -> str | None:
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=kind)[0]
        with closing(socket.socket(family, kind)) as probe:
            if kind is socket.SOCK_STREAM:
                # As the server does: a port in TIME_WAIT is free.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or "it is unknown"
    return None


def why_not_written(directory: Path) -> str | None:
    """Return why nothing can be written, None if it can; leaves no trace."""
    try:
        with tempfile.TemporaryFile(dir=_existing(directory)) as file:
            file.write(b"tapdeck")
    except OSError as error:
        return error.strerror or "it refuses"
    return None


def _existing(directory: Path) -> Path:
    """Return the directory, or the nearest above it, in which it would be made."""
    return next(
        each
        for each in (directory.absolute(), *directory.absolute().parents)
        if each.exists()
    )


def receive_buffer(wanted: int) -> int:
    """Return the bytes of UDP receive buffer that the system grants."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, wanted)
        granted = probe.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
    # Linux reports twice what it grants: the other half is its own book-keeping.
    return granted // 2 if os.uname().sysname == "Linux" else granted


def free_disk(directory: Path) -> int:
    """Return the bytes that are free for `directory`."""
    return shutil.disk_usage(_existing(directory)).free
