"""Ports that a server of a test can have, and have again after a restart."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, closing

_FIRST, _LAST = 10_000, 30_000
"""Below those that the kernel gives to whoever asks for any port."""


def free_port(kind: socket.SocketKind) -> int:
    """Return a port of this machine that nobody has, nor the one above it."""
    while True:
        port = random.randrange(_FIRST, _LAST, 2)
        try:
            with ExitStack() as stack:
                for number in (port, port + 1):
                    probe = socket.socket(socket.AF_INET, kind)
                    stack.enter_context(closing(probe)).bind(("127.0.0.1", number))
        except OSError:
            continue
        return port
