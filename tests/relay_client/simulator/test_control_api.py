"""The simulator's own HTTP interface."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from relay_client.simulator import MediaOptions, Simulator, SimulatorOptions
from tests.relay_client.simulator.probe import Probe, WsDestination, eventually


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator(SimulatorOptions(restart_delay=0.01)) as found:
        yield found


@pytest.fixture
async def http(simulator: Simulator) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://{simulator.host}") as found:
        yield found


async def test_a_call_is_placed_listed_and_hung_up(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    async with WsDestination() as destination, Probe(simulator) as probe:
        await probe.connect("office")
        body = {
            "context": "office",
            "from": "+15550000001",
            "speak": "tone:440@0.5",
            "seconds": 60,
            "media": {"chunk": "odd", "dtx": [[1, 0.5]]},
            "faults": {"no_tapping": True},
            "seed": 3,
        }
        async with http.post("/simulator/calls", json=body) as response:
            placed = await response.json()
            assert response.status == 201
        call = simulator.calls[placed["call_id"]]
        await probe.answer(call)
        tap = await probe.tap(call, destination.device)
        await eventually(lambda: len(tap.sent) > 2)
        async with http.get("/simulator/calls") as response:
            (listed,) = (await response.json())["calls"]
        url = f"/simulator/calls/{placed['call_id']}"
        async with http.delete(url) as response:
            assert response.status == 204
        async with http.delete(url) as response:
            assert response.status == 410

    assert placed["node_id"] == call.node_id
    assert call.media == MediaOptions(chunk="odd", dtx=((1, 0.5),))
    assert listed["state"] == "answered"
    assert listed["device"]["params"]["from_number"] == "+15550000001"
    assert listed["taps"][0]["codec"] == "PCMU"
    assert listed["taps"][0]["delivered"] == listed["taps"][0]["packets"] > 2
    assert "uri" not in str(listed)


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b'{"speek": "tone:1"}', "speek"),
        (b'{"media": {"los": 3}}', "media.los"),
        (b'{"faults": {"x": 3}}', "faults.x"),
        (b'{"media": {"loss": 101}}', "media.loss"),
        (b'{"media": {"loss": "3"}}', "media.loss"),
        (b'{"media": {"ptime": 25}}', "media.ptime"),
        (b'{"seconds": -1}', "seconds"),
        (b'{"speak": "/no/such.wav"}', "source"),
        (b"[]", ""),
        (b"{", ""),
    ],
)
async def test_a_request_that_is_wrong_is_refused_by_name(
    http: aiohttp.ClientSession, body: bytes, key: str
) -> None:
    async with http.post("/simulator/calls", data=body) as response:
        error = (await response.json())["error"]

    assert response.status == 400
    assert error.startswith(key)


async def test_a_call_that_may_not_wait_for_a_client_is_a_conflict(
    http: aiohttp.ClientSession,
) -> None:
    async with http.post("/simulator/calls", json={"wait": 0}) as response:
        assert response.status == 409


async def test_hanging_up_nothing_is_a_404(http: aiohttp.ClientSession) -> None:
    async with http.delete("/simulator/calls/nobody") as response:
        assert response.status == 404


async def test_the_journal_shows_every_frame(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect("office")
        await probe.event("signalwire.authorization.state")
    async with http.get("/simulator/journal") as response:
        entries = (await response.json())["entries"]

    assert [entry["sender"] for entry in entries[:2]] == ["client", "platform"]
    assert entries[0]["frame"]["params"]["authentication"] == {
        "project": "***",
        "token": "***",
    }


async def test_clients_can_be_told_to_reconnect(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    async with Probe(simulator) as probe:
        await probe.connect()
        async with http.post("/simulator/disconnect", json={"restart": True}) as told:
            assert told.status == 204
        await eventually(probe.closed.is_set)

    frame = next(f for f in probe.frames if f.get("method") == "signalwire.disconnect")
    assert frame["params"] == {"restart": True}


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"restart": 1}', b'{"x": true}'])
async def test_a_wrong_disconnect_is_refused(
    http: aiohttp.ClientSession, body: bytes
) -> None:
    async with http.post("/simulator/disconnect", data=body) as response:
        assert response.status == 400


async def test_connection_faults_can_be_set(
    simulator: Simulator, http: aiohttp.ClientSession
) -> None:
    async with http.put("/simulator/connection", json={"reject_auth": 1}) as response:
        assert response.status == 204
    async with http.put("/simulator/connection", json={"rejct": 1}) as response:
        assert response.status == 400
        assert (await response.json())["error"].startswith("rejct")

    assert simulator.platform.connection_faults.reject_auth == 1


async def test_relay_without_a_websocket_is_asked_to_upgrade(
    http: aiohttp.ClientSession,
) -> None:
    async with http.get("/api/relay/ws") as response:
        assert response.status == 426
