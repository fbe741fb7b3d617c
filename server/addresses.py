"""Where to listen, and where the platform is told to send: forms and their parsing.

Each `parse` raises `ValueError` with a phrase that begins with "must", which the
loader of the configuration turns into a sentence.

Pure: no input or output, no clock.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import SplitResult, urlsplit

LISTEN_FORM = "HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080"
RANGE_FORM = "HOST:PORT or HOST:FIRST-LAST, such as 0.0.0.0:40000-40099"
TAP_URI_FORM = "ws://HOST/tap, wss://HOST/tap or rtp://PUBLIC-IPV4:PORT"

DEFAULT_TAP_PATH = "/tap"
MAX_PORT = 65535

# Not figures and dots alone: that is an address with a mistake in it, never a name.
_HOST_NAME = re.compile(r"(?![\d.]+$)[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", re.ASCII)
_PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?", re.ASCII)
_URI_PORT = {"ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """One address to listen on."""

    host: str
    port: int
    """0 lets the system choose."""

    def __str__(self) -> str:
        return f"{_bracketed(self.host)}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether nothing but this machine can reach it."""
        return is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class PortRange:
    """The UDP ports to listen on; a single one when `first` equals `last`."""

    host: str
    first: int
    """0, which only a single port can be, lets the system choose."""
    last: int

    def __str__(self) -> str:
        ports = str(self.first) if self.is_single else f"{self.first}-{self.last}"
        return f"{_bracketed(self.host)}:{ports}"

    def __len__(self) -> int:
        return self.last - self.first + 1

    @property
    def is_single(self) -> bool:
        """Whether all taps share one port."""
        return self.first == self.last

    @property
    def is_loopback(self) -> bool:
        """Whether nothing but this machine can reach it."""
        return is_loopback(self.host)

    @property
    def ports(self) -> range:
        """The ports, in order."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, repr=False)
class TapUri:
    """The destination of taps, as the platform sees it."""

    scheme: Literal["ws", "wss", "rtp"]
    host: str
    port: int
    """Always known: 80 for ws and 443 for wss unless the URI says otherwise."""
    path: str = ""
    """Of ws and wss only; never empty there, never ends in a slash."""
    query: str = ""

    def __str__(self) -> str:
        return self._text(self.query)

    def __repr__(self) -> str:
        return f"TapUri({self.shown!r})"

    @property
    def shown(self) -> str:
        """The URI fit for a log: a query may hold a signature, so it is hidden."""
        return self._text("***" if self.query else "")

    @property
    def transport(self) -> Literal["ws", "rtp"]:
        """How the audio travels."""
        return "rtp" if self.scheme == "rtp" else "ws"

    @property
    def is_public(self) -> bool:
        """Whether the platform could reach the host, as far as its form tells.

        A name counts as public unless it can only mean this machine.
        """
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return not is_loopback(self.host)
        return address.is_global and not address.is_multicast

    def with_token(self, token: str) -> TapUri:
        """Return the destination of the one tap that owns `token` (ws and wss)."""
        return replace(self, path=f"{self.path}/{token}")

    def with_port(self, port: int) -> TapUri:
        """Return the destination of the one tap that owns `port` (rtp)."""
        return replace(self, port=port)

    def _text(self, query: str) -> str:
        port = "" if self.port == _URI_PORT.get(self.scheme) else f":{self.port}"
        tail = f"{self.path}?{query}" if query else self.path
        return f"{self.scheme}://{_bracketed(self.host)}{port}{tail}"


def parse_listen_address(text: str) -> ListenAddress:
    """Parse `HOST:PORT`."""
    ports = parse_port_range(text, form=LISTEN_FORM)
    if not ports.is_single or "-" in text.rpartition(":")[2]:
        raise ValueError(f"must be {LISTEN_FORM}")
    return ListenAddress(ports.host, ports.first)


def parse_port_range(text: str, *, form: str = RANGE_FORM) -> PortRange:
    """Parse `HOST:PORT` or `HOST:FIRST-LAST`."""
    host_text, _, port_text = text.strip().rpartition(":")
    host = _parse_host(host_text)
    ports = _PORTS.fullmatch(port_text)
    if host is None or ports is None:
        raise ValueError(f"must be {form}")
    first = int(ports[1])
    last = first if ports[2] is None else int(ports[2])
    if max(first, last) > MAX_PORT:
        raise ValueError(f"must have no port above {MAX_PORT}")
    if last < first:
        raise ValueError("must name the lower port of the range first")
    if first == 0 and ports[2] is not None:
        raise ValueError("must not begin its range with port 0")
    return PortRange(host, first, last)


def parse_tap_uri(text: str) -> TapUri:
    """Parse a tap destination."""
    parts, port = _split(text)
    if parts.scheme == "rtp":
        return _parse_rtp(parts, port)
    if parts.scheme not in _URI_PORT:
        raise ValueError(f"must be {TAP_URI_FORM}")
    host = _parse_host(f"[{parts.hostname}]" if "[" in parts.netloc else parts.hostname)
    if host is None:
        raise ValueError(f"must name a host after {parts.scheme}://")
    if port == 0:
        raise ValueError(f"must have a port from 1 to {MAX_PORT}")
    path = parts.path.rstrip("/") or DEFAULT_TAP_PATH
    if any(not "!" <= character <= "~" for character in path + parts.query):
        raise ValueError("must have no space or unescaped character in its path")
    return TapUri(
        scheme="wss" if parts.scheme == "wss" else "ws",
        host=host,
        port=_URI_PORT[parts.scheme] if port is None else port,
        path=path,
        query=parts.query,
    )


def is_loopback(host: str) -> bool:
    """Tell whether `host` is this machine as seen by itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _split(text: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"must be {TAP_URI_FORM}") from error
    if parts.username is not None:
        raise ValueError("must hold no user name or password")
    if parts.fragment:
        raise ValueError("must have no # in it")
    return parts, port


def _parse_rtp(parts: SplitResult, port: int | None) -> TapUri:
    # The platform takes a literal IPv4 address only; it resolves no names for RTP.
    try:
        host = str(ipaddress.IPv4Address(parts.hostname or ""))
    except ValueError as error:
        raise ValueError(
            "must give the host of rtp:// as an IPv4 address in figures"
        ) from error
    if not port:
        raise ValueError(f"must end in a port from 1 to {MAX_PORT} after rtp://HOST")
    if parts.path.strip("/") or parts.query:
        raise ValueError("must have nothing after rtp://HOST:PORT")
    return TapUri(scheme="rtp", host=host, port=port)


def _parse_host(text: str | None) -> str | None:
    """Return a host without brackets; None if it is neither address nor name."""
    if not text:
        return None
    try:
        if text.startswith("[") and text.endswith("]"):
            return str(ipaddress.IPv6Address(text[1:-1]))
        return str(ipaddress.IPv4Address(text))
    except ValueError:
        return text.lower() if _HOST_NAME.fullmatch(text) else None


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
