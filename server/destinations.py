"""Where the platform is told to send audio: one address for each transport there is."""

from __future__ import annotations

from server.addresses import TapUri
from server.settings import Settings
from server.taps.refusal import TapRefusedError
from server.taps.tap import Tap, Transport


class Destinations:
    """The tap addresses of this server, as the platform sees them."""

    def __init__(self, uris: dict[Transport, TapUri], *, first_port: int) -> None:
        self._uris = uris
        self._first_port = first_port

    @classmethod
    def configured(cls, settings: Settings) -> Destinations:
        """Return what `tap_uri` says."""
        uri = settings.tap_uri
        uris = {} if uri is None else {Transport(uri.transport): uri}
        return cls(uris, first_port=settings.rtp_listen.first)

    def use_local(self, http_port: int, rtp_port: int) -> None:
        """Name ports of this machine, for a simulator beside it."""
        host = "127.0.0.1"
        self._uris[Transport.WS] = TapUri("ws", host, http_port, "/tap")
        self._uris[Transport.RTP] = TapUri("rtp", host, rtp_port)
        self._first_port = rtp_port

    def choose(self, wanted: str | None) -> Transport:
        """Return the transport to use.

        Raises:
            TapRefusedError: There is no address for it.
        """
        if wanted is None and self._uris:
            return next(iter(self._uris))
        if wanted is not None and Transport(wanted) in self._uris:
            return Transport(wanted)
        what = "" if wanted is None else f" over {wanted}"
        raise TapRefusedError(409, f"tap_uri names no destination{what}.")

    def device(self, tap: Tap, *, codec: str, ptime: int) -> dict[str, object]:
        """Return the `device` of `calling.tap` for this tap."""
        uri = self._uris[tap.transport]
        params: dict[str, object]
        if tap.transport is Transport.WS:
            params = {"uri": str(uri.with_token(tap.token)), "codec": codec}
            return {"type": "ws", "params": params}
        # The public ports of a range lie side by side as the local ones do.
        offset = 0 if tap.port is None else tap.port - self._first_port
        params = {
            "addr": uri.host,
            "port": uri.port + offset,
            "codec": codec,
            "ptime": ptime,
        }
        return {"type": "rtp", "params": params}
