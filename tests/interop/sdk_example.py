"""A RELAY client as an application would use it: answer, tap, stop, dial, connect.

Run as a program; the environment names the client's package, the account and the
destination. Prints one JSON object a line, so that the test can tell how far it came.
The same program runs with the official SDK and with ours.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
from typing import Any

RelayClient = importlib.import_module(os.environ["EXAMPLE_CLIENT"]).RelayClient

TIMEOUT = 20.0


def say(step: str, **more: Any) -> None:
    print(json.dumps({"step": step, **more}), flush=True)  # noqa: T201


async def handle(call: Any, done: asyncio.Future[Any]) -> None:
    say("call", call_id=call.call_id, state=call.state, direction=call.direction)
    await call.answer()
    await call.wait_for_answered(timeout=TIMEOUT)
    say("answered", state=call.state)
    action = await call.tap(
        tap={"type": "audio", "params": {"direction": "both"}},
        device={
            "type": "ws",
            "params": {"uri": os.environ["EXAMPLE_TAP_URI"], "codec": "PCMU"},
        },
    )
    say("tapping", control_id=action.control_id)
    await asyncio.sleep(float(os.environ["EXAMPLE_TAP_SECONDS"]))
    stopped = await action.stop()
    finished = await action.wait(timeout=TIMEOUT)
    say("finished", code=stopped["code"], state=finished.params["state"])
    await call.hangup()
    await call.wait_for_ended(timeout=TIMEOUT)
    say("ended", state=call.state)
    done.set_result(None)


async def dial(client: Any, number: str) -> Any:
    return await client.dial(
        [
            [
                {
                    "type": "phone",
                    "params": {"from_number": "+15550001111", "to_number": number},
                }
            ]
        ],
        dial_timeout=TIMEOUT,
    )


async def main() -> None:
    client = RelayClient(contexts=["office"])
    done = asyncio.get_running_loop().create_future()
    received = asyncio.Event()

    async def on_call(call: Any) -> None:
        # One request after the other, so that their order is the same in every run.
        await received.wait()
        try:
            await handle(call, done)
        except Exception as exc:
            done.set_exception(exc)

    client.on_call(on_call)
    async with client:
        say("connected", has_protocol=bool(client.relay_protocol))
        await client.receive(["later"])
        received.set()
        async with asyncio.timeout(2 * TIMEOUT):
            await done
        leg = await dial(client, "+15550002222")
        say("dialled", state=leg.state)
        await leg.connect(
            [
                [
                    {
                        "type": "phone",
                        "params": {
                            "from_number": "+15550001111",
                            "to_number": "+15550003333",
                        },
                    }
                ]
            ]
        )
        await leg.wait_for(
            "calling.call.connect",
            lambda event: event.params["connect_state"] == "connected",
            timeout=TIMEOUT,
        )
        say("connected to peer")
        await leg.hangup()
        await leg.wait_for_ended(timeout=TIMEOUT)
        try:
            await dial(client, "+15550002486")
        except Exception as exc:
            say("busy", error=type(exc).__name__)


asyncio.run(main())
