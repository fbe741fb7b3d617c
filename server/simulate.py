"""`tapdeck simulate`: the platform simulator alone, until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import ssl
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from relay_client.simulator import Simulator, SimulatorOptions
from server.addresses import ListenAddress
from server.errors import ConfigError, StartupError


async def simulate(
    listen: ListenAddress, *, tls_cert: Path | None, tls_key: Path | None
) -> int:
    """Run the simulator; return the exit code. Cancelling ends it the same way.

    Raises:
        ConfigError: The TLS files cannot be used.
        StartupError: The address cannot be listened on.
    """
    options = SimulatorOptions(
        host=listen.host,
        port=listen.port,
        tls_cert=None if tls_cert is None else str(tls_cert),
        tls_key=None if tls_key is None else str(tls_key),
    )
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        try:
            simulator = await stack.enter_async_context(Simulator(options))
        except ssl.SSLError as error:
            raise ConfigError(
                f"{tls_cert} and {tls_key} are not a certificate and its key."
            ) from error
        except OSError as error:
            raise StartupError(
                f"The simulator cannot start on {listen}: {error.strerror or error}."
            ) from error
        sys.stdout.write(_greeting(simulator.host, is_tls=tls_cert is not None))
        sys.stdout.flush()
        await stopped.wait()
    return 0


def _greeting(host: str, *, is_tls: bool) -> str:
    relay, http = ("wss", "https") if is_tls else ("ws", "http")
    return (
        f"RELAY is at {relay}://{host}, the control API at {http}://{host}/simulator/.\n"
        f"For Tapdeck: SIGNALWIRE_SPACE={host} SIGNALWIRE_RELAY_SCHEME={relay}\n"
    )
