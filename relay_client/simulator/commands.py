"""Carries out RELAY commands, and refuses, delays or forgets them where asked to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from relay_client.simulator.calls import SimCall
from relay_client.simulator.connection import Connection
from relay_client.simulator.errors import CommandError
from relay_client.simulator.options import FaultOptions
from relay_client.simulator.params import require_text
from relay_client.simulator.platform import Platform
from relay_client.simulator.session import RelaySession
from relay_client.simulator.wire import METHOD_NOT_FOUND, Json, Request


@dataclass(frozen=True, slots=True)
class Command:
    """A request together with whom and what it concerns."""

    platform: Platform
    connection: Connection
    session: RelaySession
    request: Request

    @property
    def params(self) -> Json:
        """The request's parameters."""
        return self.request.params

    def call(self) -> SimCall:
        """Return the leg that is named.

        Raises:
            CommandError: It is not named, not there, or not this client's.
        """
        for key in ("node_id", "call_id"):
            require_text(self.params, key, self.request.method)
        return self.platform.controlled_call(self.session, self.params)

    def answered_call(self) -> SimCall:
        """Return the leg that is named and has audio.

        Raises:
            CommandError: As `call`; 400 if it is not answered.
        """
        call = self.call()
        if not call.is_answered:
            raise CommandError(400, "Call is not answered")
        return call


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command gives."""

    message: str
    extra: Json = field(default_factory=dict)
    """More keys of the result."""
    after: Callable[[], Awaitable[None]] | None = None
    """Brings about the events that follow; returns once the first ones are out."""


Handler = Callable[[Command], Awaitable[Outcome]]


async def carry_out(command: Command, handlers: dict[str, Handler]) -> None:
    """Answer one command, with the faults of the call that it concerns."""
    request, connection = command.request, command.connection
    call = command.platform.calls.get(str(request.params.get("call_id")))
    faults = call.faults if call else command.platform.options.faults
    verb = request.method.removeprefix("calling.")
    if verb in faults.close_on:
        connection.cut()
        return
    if not faults.event_before_reply:
        await asyncio.sleep(faults.reply_delay)
    try:
        _refuse_on_purpose(call, verb, faults)
        outcome = await _handler(request, handlers)(command)
    except CommandError as exc:
        _refuse(connection, request, exc, faults)
        return
    await _answer(command, outcome, faults, is_silent=verb in faults.drop_reply_on)


def _handler(request: Request, handlers: dict[str, Handler]) -> Handler:
    try:
        return handlers[request.method]
    except KeyError:
        raise CommandError(METHOD_NOT_FOUND, "Method not found") from None


async def _answer(
    command: Command, outcome: Outcome, faults: FaultOptions, *, is_silent: bool
) -> None:
    result: Json = {"code": "200", "message": outcome.message, **outcome.extra}
    if faults.nested_result:
        result = {"result": result}
    is_early = faults.event_before_reply
    if is_early:
        if outcome.after is not None:
            await outcome.after()
        await asyncio.sleep(faults.reply_delay)
    if not is_silent:
        command.connection.reply(command.request, result)
    if not is_early and outcome.after is not None:
        await outcome.after()


def _refuse(
    connection: Connection, request: Request, exc: CommandError, faults: FaultOptions
) -> None:
    """Refuse as a result with a code, or as a JSON-RPC error (section 2.2)."""
    if exc.code < 0 or faults.error_style == "jsonrpc":
        connection.refuse(request, exc.code, exc.message)
        return
    result: Json = {"code": str(exc.code), "message": exc.message}
    connection.reply(request, {"result": result} if faults.nested_result else result)


def _refuse_on_purpose(call: SimCall | None, verb: str, faults: FaultOptions) -> None:
    if verb not in faults.error_on:
        return
    if call is not None:
        if faults.error_times is not None and call.refusals >= faults.error_times:
            return
        call.refusals += 1
    raise CommandError(faults.error_code, f"Refused on purpose: {verb}")
