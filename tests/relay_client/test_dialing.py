"""Dials: who answers, who does not, and who answers too late."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay_client import (
    ArgumentError,
    Call,
    CallState,
    ConnectionLostError,
    DialError,
    RelayClient,
    RelayError,
)
from tests.relay_client.fake_server import (
    PHONE,
    FakeServer,
    Json,
    connected,
    result,
)


def dial(client: RelayClient, **kwargs: Any) -> asyncio.Task[Call]:
    return asyncio.create_task(client.dial([[PHONE]], tag="d-42", **kwargs))


async def answered(server: FakeServer, call_id: str = "c-A", **call: Any) -> str:
    members: Json = {"call_id": call_id, "node_id": "n-1", "dial_winner": "true"}
    return await server.event(
        "calling.call.dial",
        node_id="n-1",
        tag="d-42",
        dial_state="answered",
        call=members | call,
    )


async def failed(server: FakeServer, **params: Any) -> str:
    return await server.event(
        "calling.call.dial", tag="d-42", dial_state="failed", **params
    )


async def test_a_dial_sends_what_the_official_client_sends() -> None:
    async with connected() as (server, client):
        task = dial(client, max_duration=5, region="us")
        entry = await server.wait_sent("calling.dial")
        await answered(server)
        await task
    assert entry.params == {
        "tag": "d-42",
        "devices": [[PHONE]],
        "max_duration": 5,
        "region": "us",
    }


async def test_a_dial_makes_its_own_tag() -> None:
    async with connected() as (server, client):
        task = asyncio.create_task(client.dial([[PHONE]]))
        entry = await server.wait_sent("calling.dial")
        assert set(entry.params) == {"tag", "devices"}
        await server.event(
            "calling.call.dial",
            tag=entry.params["tag"],
            dial_state="answered",
            call={"call_id": "c-A"},
        )
        assert (await task).call_id == "c-A"


async def test_the_winner_of_two_legs_is_returned() -> None:
    async with connected() as (server, client):
        task = dial(client)
        await server.wait_sent("calling.dial")
        for call_id, state in (
            ("c-A", "created"),
            ("c-B", "created"),
            ("c-A", "ringing"),
            ("c-A", "answered"),
            ("c-B", "ended"),
        ):
            await server.call_state(call_id, state, tag="d-42", device=PHONE)
        await server.event("calling.call.dial", tag="d-42", dial_state="dialing")
        await answered(server)
        call = await task
        assert (call.call_id, call.state) == ("c-A", CallState.ANSWERED)
        assert (call.direction, call.tag, call.device) == ("outbound", "d-42", PHONE)
        assert list(client.calls) == ["c-A"]


async def test_events_may_overtake_the_reply() -> None:
    async with connected() as (server, client):
        server.scripts["calling.dial"] = lambda _: None
        task = dial(client)
        entry = await server.wait_sent("calling.dial")
        await answered(server, device=PHONE)
        await server.push_json({"id": entry.frame["id"], **result()})
        call = await task
        assert (call.state, call.device) == (CallState.ANSWERED, PHONE)


async def test_a_failed_dial_tells_why() -> None:
    async with connected() as (server, client):
        task = dial(client)
        await server.wait_sent("calling.dial")
        await server.call_state("c-A", "created", tag="d-42")
        await server.call_state("c-A", "ended", tag="d-42", end_reason="busy")
        await failed(server, call={})
        with pytest.raises(DialError, match="busy"):
            await task
        assert client.calls == {}


async def test_a_refused_dial_is_raised() -> None:
    async with connected() as (server, client):
        server.scripts["calling.dial"] = lambda _: result("400")
        with pytest.raises(RelayError) as refusal:
            await client.dial([[PHONE]], tag="d-42")
        assert refusal.value.code == 400
        await failed(server)


async def test_a_dial_without_an_answer_times_out() -> None:
    async with connected() as (_, client):
        with pytest.raises(DialError, match="no answer within"):
            await client.dial([[PHONE]], dial_timeout=0.02)


@pytest.mark.parametrize("is_leg_known", [True, False])
async def test_a_leg_that_answers_too_late_is_ended_once(*, is_leg_known: bool) -> None:
    async with connected() as (server, client):
        task = dial(client, dial_timeout=0.2)
        await server.wait_sent("calling.dial")
        if is_leg_known:
            await server.call_state("c-A", "ringing", tag="d-42")
        with pytest.raises(DialError):
            await task
        await server.call_state("c-A", "answered", tag="d-42")
        entry = await server.wait_sent("calling.end")
        await server.wait_reply(await answered(server))
        assert len(server.sent("calling.end")) == 1
    assert entry.params == {"node_id": "n-1", "call_id": "c-A", "reason": "hangup"}


async def test_a_winner_announced_too_late_is_ended() -> None:
    async with connected() as (server, client):
        with pytest.raises(DialError):
            await dial(client, dial_timeout=0.02)
        await answered(server)
        entry = await server.wait_sent("calling.end")
        assert entry.params["call_id"] == "c-A"


async def test_a_lost_connection_fails_the_dials() -> None:
    async with connected() as (server, client):
        task = dial(client)
        await server.wait_sent("calling.dial")
        await server.call_state("c-A", "ringing", tag="d-42")
        await server.sockets[-1].close()
        with pytest.raises(ConnectionLostError):
            await task


async def test_two_dials_of_one_tag_are_refused() -> None:
    async with connected() as (server, client):
        task = dial(client)
        await server.wait_sent("calling.dial")
        with pytest.raises(ArgumentError, match="tag"):
            await dial(client)
        await answered(server)
        await task


async def test_a_dial_event_of_nobody_is_ignored() -> None:
    async with connected() as (server, client):
        await server.wait_reply(await answered(server))
        await server.wait_reply(await failed(server))
        assert client.calls == {}


async def test_a_dial_to_nobody_is_refused() -> None:
    async with connected() as (server, client):
        with pytest.raises(ArgumentError, match="devices"):
            await client.dial([])
        assert server.sent("calling.dial") == []
