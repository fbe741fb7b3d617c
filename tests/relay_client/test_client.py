"""The client: connecting, reconnecting, leaving."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import pytest
from aiohttp import web

from relay_client import (
    AuthenticationError,
    Call,
    ConfigurationError,
    ConnectionLostError,
    ConnectionState,
    RelayClient,
    RequestTimeoutError,
    StateChange,
    Timing,
)
from tests.relay_client.fake_server import FAST, FakeServer, connected, error, result

ROOT = Path(__file__).parents[2]


async def test_a_connected_client_says_so() -> None:
    async with connected() as (server, client):
        assert client.state is ConnectionState.READY
        assert client.relay_protocol == server.protocol
        assert client.contexts == ["office"]
        await client.connect()
    assert str(client.state) == "disconnected"


async def test_a_client_shows_no_secrets(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with connected() as (server, client):
        await server.event(
            "signalwire.authorization.state", authorization_state="SEALED"
        )
        server.scripts["calling.x"] = lambda _: error(500, "TOKEN SEALED")
        with pytest.raises(Exception, match=r"\*\*\*"):
            await client.execute("calling.x", {"uri": "wss://h/SECRET"})
        shown = repr(client) + caplog.text
    assert "calling.x" in shown
    for secret in ("PROJECT", "TOKEN", "SEALED", "SECRET"):
        assert secret not in shown


async def test_missing_credentials_are_named_before_connecting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SIGNALWIRE_PROJECT_ID", raising=False)
    monkeypatch.delenv("SIGNALWIRE_JWT_TOKEN", raising=False)
    with pytest.raises(ConfigurationError, match="SIGNALWIRE_PROJECT_ID"):
        RelayClient(token="T")


async def test_an_unusable_ca_file_is_named(tmp_path: Path) -> None:
    client = RelayClient("P", "T", host="h.example", ca_file=str(tmp_path / "none.pem"))
    with pytest.raises(ConfigurationError, match="SIGNALWIRE_RELAY_CA_FILE"):
        client.start()


async def test_three_refusals_end_the_attempts() -> None:
    changes: asyncio.Queue[StateChange] = asyncio.Queue()
    async with FakeServer() as server:
        server.scripts["signalwire.connect"] = lambda _: error(-32002, "401")
        client = server.client()
        client.on_state(changes.put_nowait)
        with pytest.raises(AuthenticationError, match="401"):
            await client.connect()
        assert len(server.sent("signalwire.connect")) == 3
    states = [changes.get_nowait() for _ in range(changes.qsize())]
    rejected = [change for change in states if change.state == "rejected"]
    assert [change.is_final for change in rejected] == [True]
    assert "401" in rejected[0].reason


async def test_a_platform_out_of_reach_is_tried_until_the_time_is_up() -> None:
    async with FakeServer() as server:
        client = server.client()
    with pytest.raises(ConnectionLostError, match=r"not connected.*cannot connect"):
        await client.connect(timeout=0.2)
    assert client.state is ConnectionState.DISCONNECTED


async def test_the_client_comes_back_by_itself() -> None:
    async with connected() as (server, client):
        await server.sockets[-1].close()
        entry = await server.wait_sent("signalwire.connect", 2)
        assert entry.params["protocol"] == server.protocol
        assert entry.params["authentication"] == {
            "project": "PROJECT",
            "token": "TOKEN",
        }
        await client.execute("calling.x", {})
        assert client.state is ConnectionState.READY


async def test_a_request_made_offline_is_sent_after_the_reconnect() -> None:
    async with FakeServer() as server:
        client = server.client()
        early = asyncio.create_task(client.execute("calling.early", {}))
        await asyncio.sleep(0)
        async with client:
            assert (await early)["code"] == "200"
        methods = [entry.method for entry in server.journal]
    assert methods == ["signalwire.connect", "calling.early"]


async def test_a_cancelled_offline_request_is_not_sent() -> None:
    async with FakeServer() as server:
        client = server.client()
        early = asyncio.create_task(client.execute("calling.early", {}))
        await asyncio.sleep(0)
        early.cancel()
        async with client:
            await client.execute("calling.late", {})
        assert server.sent("calling.early") == []


async def test_an_unanswered_request_makes_a_new_connection() -> None:
    timing = Timing(request_timeout=0.1, backoff_min=0.01, backoff_max=0.05)
    async with connected(timing=timing) as (server, client):
        server.scripts["calling.x"] = lambda _: None
        with pytest.raises(RequestTimeoutError):
            await client.execute("calling.x", {})
        await server.wait_sent("signalwire.connect", 2)


async def test_a_replaced_session_ends_the_calls_that_are_gone() -> None:
    async with connected() as (server, client):
        gone, kept = client.attach("gone", "n-1"), client.attach("kept", "n-1")
        server.protocol = "signalwire_another"
        server.scripts["calling.answer"] = lambda params: result(
            "404" if params["call_id"] == "gone" else "200"
        )
        await server.sockets[-1].close()
        await gone.wait_for_ended(5)
        await server.wait_sent("calling.answer", 2)
        assert client.calls == {"kept": kept}
        assert server.sent("signalwire.receive")[0].params == {"contexts": ["office"]}


async def test_a_disconnect_by_the_platform_is_acknowledged_and_followed() -> None:
    async with connected() as (server, client):
        request_id = await server.push("signalwire.disconnect", {"restart": True})
        assert (await server.wait_reply(request_id))["result"] == {}
        assert client.state is ConnectionState.DRAINING
        await client.execute("calling.x", {})
        await server.sockets[-1].close()
        entry = await server.wait_sent("signalwire.connect", 2)
        assert "protocol" not in entry.params


async def test_contexts_can_be_changed_and_are_kept() -> None:
    async with connected() as (server, client):
        await client.receive(["sales", "office"])
        await client.unreceive(["office"])
        await client.receive([])
        await client.unreceive([])
        assert client.contexts == ["sales"]
        await server.sockets[-1].close()
        entry = await server.wait_sent("signalwire.connect", 2)
        assert entry.params["contexts"] == ["sales"]
        (received,) = server.sent("signalwire.receive")
        (unreceived,) = server.sent("signalwire.unreceive")
    assert received.params == {"contexts": ["sales", "office"]}
    assert unreceived.params == {"contexts": ["office"]}


async def test_an_inbound_call_without_a_handler_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected() as (server, _):
        await server.wait_reply(await server.incoming())
    assert "inbound call c-1: no handler" in caplog.text


async def test_handlers_may_hang_up_when_the_client_leaves() -> None:
    async with FakeServer() as server:
        client = server.client()

        @client.on_call
        async def handle(call: Call) -> None:
            try:
                await call.answer()
                await call.wait_for_ended()
            finally:
                await call.hangup()

        async with client:
            await server.incoming()
            await server.wait_sent("calling.answer")
        assert len(server.sent("calling.end")) == 1


async def test_a_handler_may_disconnect_the_client() -> None:
    async with FakeServer() as server:
        client = server.client()

        @client.on_call
        async def handle(call: Call) -> None:
            await call.hangup()
            await client.disconnect()

        await client.connect()
        await server.incoming()
        async with asyncio.timeout(5):
            await client.wait_closed()
        assert client.state is ConnectionState.DISCONNECTED


async def test_there_is_a_bound_on_running_handlers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with connected(max_active_calls=1) as (server, client):
        call = client.attach("c-1", "n-1")
        hold = asyncio.Event()

        async def slow(_: object) -> None:
            await hold.wait()

        call.on("calling.call.play", slow)
        for _ in range(11):
            await server.wait_reply(
                await server.event("calling.call.play", call_id="c-1")
            )
        assert client.drops["handler_not_run"] >= 1
        hold.set()
    assert "not run" in caplog.text


async def test_binary_messages_are_dropped() -> None:
    async with connected() as (server, client):
        await server.sockets[-1].send_bytes(b"{}")
        await server.wait_reply(await server.push("signalwire.ping"))
        assert client.drops["not_text"] == 1


async def test_connecting_can_be_cancelled() -> None:
    async with FakeServer() as server:
        server.scripts["signalwire.connect"] = lambda _: None
        client = server.client()
        task = asyncio.create_task(client.connect())
        await server.wait_sent("signalwire.connect")
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert client.state is ConnectionState.DISCONNECTED


async def test_a_client_can_be_started_again() -> None:
    async with FakeServer() as server:
        client = server.client()
        for _ in range(2):
            async with client:
                await client.execute("calling.x", {})
        await client.disconnect()
        assert len(server.sent("signalwire.connect")) == 2
        assert all(
            "protocol" not in e.params for e in server.sent("signalwire.connect")
        )


async def test_a_page_that_is_no_websocket_is_a_matter_of_transport() -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=503)

    app = web.Application()
    app.router.add_get("/", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        port = runner.addresses[0][1]
        client = RelayClient(
            "P", "T", host=f"127.0.0.1:{port}", scheme="ws", timing=FAST
        )
        with pytest.raises(ConnectionLostError, match="503"):
            await client.connect(timeout=0.2)
    finally:
        await runner.cleanup()


EXAMPLE = """
import asyncio
from relay_client import RelayClient

client = RelayClient(
    project="your-project-id",
    token="your-api-token",
    contexts=["default"],
)


@client.on_call
async def handle_call(call):
    await call.answer()
    action = await call.tap(
        tap={"type": "audio", "params": {"direction": "both"}},
        device={"type": "ws", "params": {"uri": "wss://example.com/tap"}},
    )
    await asyncio.sleep(0.01)
    await action.stop()


client.run()
"""


async def run_example(server: FakeServer) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        EXAMPLE,
        cwd=ROOT,
        env={
            "SIGNALWIRE_SPACE": f"127.0.0.1:{server.port}",
            "SIGNALWIRE_RELAY_SCHEME": "ws",
        },
    )


async def exit_status(process: asyncio.subprocess.Process) -> int:
    try:
        async with asyncio.timeout(20):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_documented_program_runs_until_interrupted(
    number: signal.Signals,
) -> None:
    async with FakeServer() as server:
        process = await run_example(server)
        try:
            await server.wait_sent("signalwire.connect")
            await server.incoming()
            await server.wait_sent("calling.answer")
            await server.call_state("c-1", "answered")
            await server.wait_sent("calling.tap.stop")
        finally:
            process.send_signal(number)
        assert await exit_status(process) == 0


async def test_a_documented_program_fails_on_refused_credentials() -> None:
    async with FakeServer() as server:
        server.scripts["signalwire.connect"] = lambda _: error(-32002, "401")
        assert await exit_status(await run_example(server)) == 1
