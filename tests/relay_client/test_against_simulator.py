"""The client against the platform in miniature, with and without faults."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from relay_client import (
    Call,
    CallLostError,
    CallState,
    ConnectionLostError,
    ConnectionState,
    DialError,
    RelayClient,
    StateChange,
    TapAction,
    TapState,
)
from relay_client.simulator.options import (
    CallRequest,
    ConnectionFaults,
    FaultOptions,
    SimulatorOptions,
)
from relay_client.simulator.simulator import Simulator
from tests.interop.certificate import make_certificate
from tests.relay_client.fake_server import FAST, TAP_BOTH


@dataclass
class Stage:
    """A simulator, a client of it, and a UDP port that taps may be sent to."""

    simulator: Simulator
    client: RelayClient
    port: int
    incoming: asyncio.Queue[Call] = field(default_factory=asyncio.Queue)
    changes: asyncio.Queue[StateChange] = field(default_factory=asyncio.Queue)

    async def call(self, **faults: Any) -> Call:
        """Place a call and wait for the client to have answered it."""
        self.simulator.place_call(CallRequest(faults=FaultOptions(**faults)))
        call = await self.incoming.get()
        await call.answer()
        return call

    async def tap(self, call: Call) -> TapAction:
        """Tap a call into the UDP port."""
        params = {"addr": "127.0.0.1", "port": self.port, "codec": "PCMU", "ptime": 20}
        return await call.tap(TAP_BOTH, {"type": "rtp", "params": params})

    async def wait_state(self, state: ConnectionState) -> StateChange:
        """Wait for the client to change to this state."""
        while (change := await self.changes.get()).state is not state:
            pass
        return change


@asynccontextmanager
async def stage(**connection: Any) -> AsyncIterator[Stage]:
    options = SimulatorOptions(connection=ConnectionFaults(**connection))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        async with asyncio.timeout(20), Simulator(options) as simulator:
            client = RelayClient(
                "PROJECT",
                "TOKEN",
                host=simulator.host,
                scheme="ws",
                contexts=["default"],
                allow_private_rtp=True,
                timing=FAST,
            )
            set_up = Stage(simulator, client, receiver.getsockname()[1])
            client.on_call(set_up.incoming.put)
            client.on_state(set_up.changes.put_nowait)
            async with client:
                yield set_up


@pytest.mark.parametrize(
    "faults",
    [
        {},
        {"nested_result": True},
        {"event_before_reply": True},
        {"duplicate_events": True},
        {"unknown_events": True},
        {"numbers_as_strings": True},
        {"no_finished": True},
        {"ended_before_finished": True},
        {"source_device": "absent"},
        {"reply_delay": 0.05},
        {"tapping_delay": 0.05},
        {"initial_state": "ringing"},
    ],
    ids=lambda faults: next(iter(faults), "none"),
)
async def test_a_call_is_tapped_whatever_the_faults(faults: dict[str, Any]) -> None:
    async with stage() as set_up:
        call = await set_up.call(**faults)
        action = await set_up.tap(call)
        await action.wait_started(5)
        await action.stop()
        await action.wait(5)
        await call.hangup()
        await call.wait_for_ended(5)
        assert (action.state, action.error) == (TapState.FINISHED, None)
        assert call.state is CallState.ENDED
        assert set_up.client.calls == {}


async def test_the_end_of_the_call_ends_the_tap_without_events_of_its_own() -> None:
    async with stage() as set_up:
        call = await set_up.call(no_finished=True)
        action = await set_up.tap(call)
        await action.wait_started(5)
        await call.hangup()
        await action.wait(5)
        assert action.state is TapState.FINISHED


async def test_a_tap_is_live_though_only_its_reply_got_lost() -> None:
    async with stage() as set_up:
        call = await set_up.call(drop_reply_on=("tap",))
        action = await set_up.tap(call)
        assert (action.state, action.error) == (TapState.TAPPING, None)
        await call.hangup()
        await action.wait(5)


async def test_a_call_of_a_session_that_is_gone_is_given_up_with_its_taps() -> None:
    async with stage() as set_up:
        call = await set_up.call()
        action = await set_up.tap(call)
        await action.wait_started(5)
        set_up.simulator.disconnect_clients(restart=True)
        await action.wait(5)
        assert isinstance(action.error, CallLostError)
        assert set_up.client.calls == {}


async def test_a_call_that_ended_while_the_connection_was_down_is_found_out() -> None:
    async with stage() as set_up:
        call = await set_up.call()
        action = await set_up.tap(call)
        await action.wait_started(5)
        set_up.simulator.drop_connections()
        await set_up.simulator.calls[call.call_id].hang_up()
        await action.wait(5)
        assert call.state is CallState.ENDED


async def test_a_tap_over_before_it_was_accepted_has_failed() -> None:
    async with stage() as set_up:
        call = await set_up.call(finished_before_reply=True)
        action = await set_up.tap(call)
        await action.wait(5)
        assert action.state is TapState.FAILED


async def test_a_source_device_is_told() -> None:
    async with stage() as set_up:
        action = await set_up.tap(await set_up.call())
        assert action.source_device is not None
        assert action.source_device.port > 0


async def test_a_bridged_leg_becomes_the_peer() -> None:
    async with stage() as set_up:
        call = await set_up.call()
        phone = {"from_number": "+15552220000", "to_number": "+15553330000"}
        connected = asyncio.create_task(
            call.wait_for(
                "calling.call.connect", lambda event: event.connect_state == "connected"
            )
        )
        await call.connect([[{"type": "phone", "params": phone}]], tag="agent")
        await connected
        assert call.peer is not None
        assert call.peer.peer is call
        action = await set_up.tap(call.peer)
        await action.wait_started(5)


async def test_a_dial_is_answered_or_not() -> None:
    async with stage() as set_up:
        phone = {"from_number": "+15550001111", "to_number": "+15550002222"}
        call = await set_up.client.dial([[{"type": "phone", "params": phone}]])
        assert call.state is CallState.ANSWERED
        busy = {**phone, "to_number": "+15550002486"}
        with pytest.raises(DialError, match="busy"):
            await set_up.client.dial([[{"type": "phone", "params": busy}]])


async def test_calls_and_taps_outlive_a_connection() -> None:
    async with stage() as set_up:
        call = await set_up.call()
        action = await set_up.tap(call)
        await action.wait_started(5)
        await set_up.wait_state(ConnectionState.READY)
        set_up.simulator.drop_connections()
        await set_up.wait_state(ConnectionState.READY)
        await action.stop()
        await action.wait(5)
        assert action.state is TapState.FINISHED


@pytest.mark.parametrize("restart", [False, True])
async def test_a_restart_of_the_platform_is_followed(*, restart: bool) -> None:
    async with stage() as set_up:
        await set_up.wait_state(ConnectionState.READY)
        set_up.simulator.disconnect_clients(restart=restart)
        await set_up.wait_state(ConnectionState.DRAINING)
        await set_up.wait_state(ConnectionState.READY)
        assert await set_up.call()


async def test_the_connection_is_encrypted_and_verified(tmp_path: Path) -> None:
    pair = make_certificate(tmp_path)
    options = SimulatorOptions(tls_cert=str(pair.cert), tls_key=str(pair.key))
    async with Simulator(options) as simulator:
        client = RelayClient("P", "T", host=simulator.host, timing=FAST)
        with pytest.raises(ConnectionLostError, match="certificate"):
            await client.connect(timeout=1.0)
        trusting = RelayClient(
            "P", "T", host=simulator.host, ca_file=str(pair.cert), timing=FAST
        )
        async with trusting:
            assert trusting.state is ConnectionState.READY


async def test_two_refusals_are_survived() -> None:
    async with stage(reject_auth=2) as set_up:
        assert set_up.client.state is ConnectionState.READY
        assert set_up.simulator.counts["rejected"] == 2


async def test_connections_cut_after_the_login_are_survived() -> None:
    async with stage(drop_after_auth=2) as set_up:
        for _ in range(3):
            await set_up.wait_state(ConnectionState.READY)
        assert await set_up.call()


async def test_every_event_is_acknowledged() -> None:
    async with stage() as set_up:
        call = await set_up.call(duplicate_events=True, unknown_events=True)
        await call.hangup()
        await call.wait_for_ended(5)
        await set_up.client.execute("signalwire.ping", {})
        assert set_up.simulator.unacked_events == 0
