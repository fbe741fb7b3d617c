"""Connections of whom nothing is known yet: how long they may stay so, and how many.

aiohttp waits for the head of a first request for as long as it takes, and takes as
many connections as there are descriptors. Both would let anybody who reaches the port
keep taps out, so each connection begins here: it has a deadline to ask for something,
and those of one address that showed neither an API token nor a tap's are counted.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from aiohttp import web

from server.transports.http_problem import Handler

HEAD_TIMEOUT_S = 15.0
"""From the connection to the end of the head of its first request."""

MAX_STRANGERS = 256
"""Connections from one address, or from one /64 of IPv6, that showed no token. From
this machine there may be any number: a proxy on it speaks for everybody."""

MakeHandler = Callable[[], web.RequestHandler]


@dataclass(slots=True)
class _Stranger:
    """A connection that showed no token yet."""

    network: str
    has_asked: bool = False


class ConnectionGuard:
    """Looks after the connections of one listener until it knows who they are."""

    def __init__(
        self,
        *,
        head_timeout: float = HEAD_TIMEOUT_S,
        max_strangers: int = MAX_STRANGERS,
    ) -> None:
        self.drops: Counter[str] = Counter()
        """Connections that were cut, by reason."""
        self._head_timeout = head_timeout
        self._max_strangers = max_strangers
        self._strangers: dict[web.RequestHandler, _Stranger] = {}
        self._by_network: dict[str, set[web.RequestHandler]] = {}

    @property
    def strangers(self) -> int:
        """Connections that showed no token yet."""
        return len(self._strangers)

    def gate(self, make: MakeHandler) -> Callable[[], asyncio.Protocol]:
        """Return what to make a protocol of for each connection."""
        return lambda: _Gate(self, make)

    @web.middleware
    async def note(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Note that a connection asked for something; to be the first middleware."""
        if (stranger := self._strangers.get(request.protocol)) is not None:
            stranger.has_asked = True
        return await handler(request)

    def trust(self, request: web.Request) -> None:
        """Stop counting the connection of a request that showed a token."""
        self._forget(request.protocol)

    def admit(self, transport: asyncio.Transport, make: MakeHandler) -> None:
        """Hand a new connection on to HTTP, or cut it."""
        network = network_of_peer(transport)
        if network and self._is_full(network):
            self.drops["http_too_many_connections"] += 1
            transport.abort()
            return
        protocol = make()
        self._strangers[protocol] = _Stranger(network)
        self._by_network.setdefault(network, set()).add(protocol)
        self._look_later(protocol)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)

    def _is_full(self, network: str) -> bool:
        known = self._by_network.get(network, set())
        if len(known) < self._max_strangers:
            return False
        for protocol in [each for each in known if each.transport is None]:
            self._forget(protocol)
        return len(known) >= self._max_strangers

    def _look_later(self, protocol: web.RequestHandler) -> None:
        loop = asyncio.get_running_loop()
        loop.call_later(self._head_timeout, self._look, protocol)

    def _look(self, protocol: web.RequestHandler) -> None:
        stranger = self._strangers.get(protocol)
        if stranger is None:
            return
        if protocol.transport is None:
            self._forget(protocol)
        elif stranger.has_asked:
            self._look_later(protocol)
        else:
            self.drops["http_no_request"] += 1
            protocol.transport.abort()
            self._forget(protocol)

    def _forget(self, protocol: web.RequestHandler) -> None:
        stranger = self._strangers.pop(protocol, None)
        if stranger is not None:
            known = self._by_network[stranger.network]
            known.discard(protocol)
            if not known:
                del self._by_network[stranger.network]


class _Gate(asyncio.Protocol):
    """The protocol of a connection until the guard has seen where it is from."""

    def __init__(self, guard: ConnectionGuard, make: MakeHandler) -> None:
        self._guard = guard
        self._make = make

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let the guard decide."""
        self._guard.admit(cast(asyncio.Transport, transport), self._make)


def network_of_peer(transport: asyncio.BaseTransport | None) -> str:
    """Return where a connection is from; nothing if that is this machine."""
    if transport is None:
        return ""
    peer = transport.get_extra_info("peername")
    try:
        address = ipaddress.ip_address(peer[0])
    except (TypeError, ValueError, IndexError):
        return ""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            whole = ipaddress.ip_network((int(address), 64), strict=False)
            return "" if address.is_loopback else str(whole)
        address = address.ipv4_mapped
    return "" if address.is_loopback else str(address)
