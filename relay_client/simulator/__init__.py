"""The platform in miniature: a RELAY server that really sends tapped audio.

For demonstrations, for tests, and for trying a receiver without an account::

    async with Simulator(SimulatorOptions(project="p", token="t")) as simulator:
        call = simulator.place_call(CallRequest(speak="tone:440", seconds=3))
        await call.wait_ended()
        sent = call.taps[control_id].sent

It answers RELAY on every path of one port, and its own HTTP interface under
`/simulator/` of the same port. It shares no code with the client and the server, so
that it judges them independently.
"""

from relay_client.simulator.calls import CallState, SimCall
from relay_client.simulator.errors import (
    NoSubscriberError,
    OptionsError,
    SimulatorError,
)
from relay_client.simulator.journal import JournalEntry
from relay_client.simulator.options import (
    CallRequest,
    ConnectionFaults,
    DialOptions,
    FaultOptions,
    FormatChange,
    MediaOptions,
    SimulatorOptions,
    parse_call_request,
    parse_connection_faults,
)
from relay_client.simulator.sent import AudioSpan, SentAudio
from relay_client.simulator.simulator import Simulator
from relay_client.simulator.tap import SimTap

__all__ = [
    "AudioSpan",
    "CallRequest",
    "CallState",
    "ConnectionFaults",
    "DialOptions",
    "FaultOptions",
    "FormatChange",
    "JournalEntry",
    "MediaOptions",
    "NoSubscriberError",
    "OptionsError",
    "SentAudio",
    "SimCall",
    "SimTap",
    "Simulator",
    "SimulatorError",
    "SimulatorOptions",
    "parse_call_request",
    "parse_connection_faults",
]
