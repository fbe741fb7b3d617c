"""The server as a whole: builds the parts, starts them in order, stops them in order.

    listeners -> rendezvous -> deck -> streams -> sinks -> library
    RELAY     -> tapper     -^

Stopping: take no new taps, ask the platform to stop ours, let the audio that is under
way arrive, finish the files, leave RELAY. A second signal gives up waiting.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import AsyncExitStack

import uvloop

from relay_client import (
    AuthenticationError,
    ConnectionLostError,
    ConnectionState,
)
from server.addresses import TAP_URI_FORM, ListenAddress
from server.background import spawn
from server.continuation import Continuation
from server.copies import CopyMaker
from server.deck import Deck
from server.destinations import Destinations
from server.errors import ConfigError, StartupError
from server.event_service import EventService
from server.forward_service import ForwardService
from server.forwards.roster import TapForwards
from server.headroom_task import watch_headroom
from server.library.paused import PausedFiles
from server.library.recording import Recording
from server.library.store import Library
from server.listening_service import ListeningService
from server.log import setup_logging
from server.meters import Meters
from server.metrics import Metrics
from server.news import News
from server.options import (
    make_access,
    make_event_hub,
    make_relay_client,
    make_rendezvous,
)
from server.pauses import Pauses
from server.process import prepare
from server.recovery import Recovery
from server.rtp.demux import RtpDemux
from server.rule_forwards import RuleForwards
from server.service import Service
from server.settings import Settings
from server.sinks.recorder import RecorderOptions
from server.sinks.writers import SYNCING_THREADS, WRITER_THREADS, WriterPool
from server.streams import Clock
from server.tapper import Tapper
from server.taps.status import TapStatus
from server.taps.tap import EndReason, Tap
from server.transports.http_app import make_http_app
from server.transports.http_connections import ConnectionGuard
from server.transports.http_listener import HttpListener
from server.transports.rtp_udp import RtpListener
from server.transports.ws_tap import TapEndpoint
from server.upkeep_task import OPEN_PATIENCE_S, look_after

log = logging.getLogger(__name__)

RELAY_TIMEOUT_S = 10.0
"""For the first connection, before the server goes on without it."""


class TapServer:
    """One Tapdeck. Use as an async context manager; inside it, the server serves.

    With `local_taps` the destinations of taps are the ports of this machine, whatever
    they turn out to be: for the simulator on the same machine.
    """

    def __init__(self, settings: Settings, *, local_taps: bool = False) -> None:
        self.settings = settings
        self._local_taps = local_taps
        self.library = Library(settings.recordings_dir)
        self.demux = RtpDemux(accept_unknown=settings.accept == "any")
        self.rendezvous = make_rendezvous(settings, self.demux)
        is_durable = settings.durability == "power"
        self.writers = WriterPool(SYNCING_THREADS if is_durable else WRITER_THREADS)
        self.copies = CopyMaker(self.library, settings.copies)
        self.continuation = Continuation(
            Recovery(self.library, self._on_recovered),
            self.rendezvous,
            grace_s=settings.reconnect_grace_s,
            now=time.monotonic,
            wall=time.time,
        )
        self.pauses = self._pauses()
        self.events = make_event_hub()
        self.news = News(self.events)
        self.forwards = TapForwards(self.news)
        self.rules = RuleForwards(
            settings.forward_rules,
            lambda tap, rule: self.forwarding.begin_by_rule(tap, rule),
        )
        self.deck = self._make_deck(is_durable)
        self.meters = Meters(self.deck, self.rendezvous, self.events)
        self.listening = ListeningService(self.deck)
        self.forwarding = ForwardService(
            self.deck, self.rendezvous, self.forwards, settings.forward_allow
        )
        self.metrics = self._metrics()
        ports = settings.rtp_listen
        self.rtp = RtpListener(self.demux, ports.host, ports.ports, time.monotonic)
        self.endpoint = TapEndpoint(
            self.rendezvous,
            max_message_bytes=settings.max_message_bytes,
            now=time.monotonic,
            wall=time.time,
        )
        self.destinations = Destinations.configured(settings)
        self.relay = make_relay_client(settings)
        self.tapper = self._tapper()
        self.http_port = 0
        """The port of WebSocket taps, API and pages; known once open."""
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> TapServer:
        """Open everything; whatever was opened is closed again if something fails."""
        async with AsyncExitStack() as stack:
            self.news.attach(asyncio.get_running_loop())
            self.library.on_change = self.news.library_changed
            stack.push_async_callback(self.writers.close)
            await asyncio.to_thread(self._open_library)
            self.continuation.expect()
            spawn(stack, self.continuation.run(), "recovery")
            spawn(stack, self.copies.run(), "copies")
            spawn(stack, self.pauses.run(), "pauses")
            self.rtp.open()
            stack.callback(self.rtp.close)
            spawn(stack, self.deck.run(), "deck")
            spawn(stack, self.metrics.measure_loop_lag(), "lag")
            spawn(stack, self._watch_headroom(), "headroom")
            upkeep = look_after(self.library, self.settings, self.metrics)
            spawn(stack, upkeep, "upkeep")
            spawn(stack, self.meters.run(), "meters")
            await self._open_http(stack)
            if self._local_taps:
                self.destinations.use_local(self.http_port, self.rtp.ports[0])
            await self._open_relay(stack)
            stack.push_async_callback(self.forwards.close)
            stack.push_async_callback(self.listening.close)
            stack.push_async_callback(self._drain)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop as the module's docstring says."""
        await self._stack.aclose()

    async def _watch_headroom(self) -> None:
        await watch_headroom(
            self.rtp,
            self.rendezvous,
            self.deck,
            self.writers,
            self.metrics,
            max_taps=self.settings.max_taps,
        )

    def _make_deck(self, is_durable: bool) -> Deck:
        return Deck(
            rendezvous=self.rendezvous,
            demux=self.demux,
            library=self.library,
            writers=self.writers,
            pauses=self.pauses,
            clock=lambda: Clock(time.time() - time.monotonic()),
            now=time.monotonic,
            after_end=self._after_end,
            on_ended=self._on_ended,
            rules=self.rules,
            on_published=self.copies.add,
            recorder=RecorderOptions(durable=is_durable),
            encoding=self.settings.wav_encoding,
            interrupted=self.continuation.take,
            put_back=self.continuation.put_back,
            forwards=self.forwards,
            news=self.news,
        )

    def _metrics(self) -> Metrics:
        metrics = Metrics(self.deck.statuses)
        metrics.watch_drops(lambda: self.rtp.drops)
        metrics.watch_drops(lambda: self.demux.drops)
        metrics.watch_drops(lambda: self.rendezvous.refused)
        metrics.watch_drops(lambda: self.writers.refused)
        metrics.watch_drops(lambda: self.listening.drops)
        metrics.watch_listeners(lambda: self.listening.count)
        metrics.watch_drops(lambda: self.events.drops)
        metrics.watch_event_listeners(lambda: self.events.listeners)
        metrics.watch_write_queue(lambda: self.deck.queued_blocks + self.writers.queued)
        return metrics

    def _pauses(self) -> Pauses:
        return Pauses(
            PausedFiles(self.library.layout.paused_folder),
            idle_s=self.settings.idle_timeout_s,
            now=time.monotonic,
            wall=time.time,
        )

    def _tapper(self) -> Tapper | None:
        if self.relay is None:
            return None
        return Tapper(
            self.relay,
            self.rendezvous,
            self.settings,
            self.destinations,
            now=time.monotonic,
            wall=time.time,
        )

    @property
    def http_address(self) -> ListenAddress:
        """Where WebSocket taps, API and pages are; known once open."""
        return ListenAddress(self.settings.http_listen.host, self.http_port)

    def log_addresses(self) -> None:
        """Tell where everything is."""
        settings = self.settings
        log.info("pages and API: http://%s", self.http_address)
        log.info("WebSocket taps: ws://%s/tap/<token>", self.http_address)
        log.info("RTP taps: udp://%s", settings.rtp_listen)
        log.info("recordings: %s", settings.recordings_dir)
        for rule in settings.forward_rules:
            where, which = rule.request.shown_url, rule.match
            log.info("forwards of rule %s: %s, to %s", rule.name, which, where)

    def _open_library(self) -> None:
        self.library.open(patience_s=OPEN_PATIENCE_S)
        try:
            self.continuation.scan()
            self.pauses.load()
        except OSError as error:
            raise StartupError(
                f"What is under {error.filename or self.library.root} cannot be read: "
                f"{error.strerror}."
            ) from error

    def _on_recovered(self, recording: Recording) -> None:
        self.metrics.recovered(recording.duration_s)
        self.copies.add(recording)

    async def _open_http(self, stack: AsyncExitStack) -> None:
        guard = ConnectionGuard()
        self.metrics.watch_drops(lambda: guard.drops)
        app = make_http_app(
            taps=Service(
                self.deck,
                self.rendezvous,
                self.tapper,
                self.relay,
                lag_s=lambda: self.metrics.lag_s,
                now=time.monotonic,
            ),
            forwards=self.forwarding,
            listening=self.listening,
            events=EventService(self.events, self.deck, self.rendezvous, self.meters),
            library=self.library,
            metrics=self.metrics,
            access=make_access(self.settings),
            undo_s=self.settings.undo_s,
            guard=guard,
        )
        app.add_routes(self.endpoint.routes())
        stack.push_async_callback(self.endpoint.close)
        listener = HttpListener(app, self.settings.http_listen, guard)
        stack.push_async_callback(listener.close)
        await listener.open()
        self.http_port = listener.port

    async def _open_relay(self, stack: AsyncExitStack) -> None:
        if self.relay is None:
            log.warning(
                "no SignalWire credentials: nothing is asked for, taps started "
                "elsewhere are received (set SIGNALWIRE_PROJECT_ID and "
                "SIGNALWIRE_API_TOKEN to answer and tap calls)"
            )
            return
        relay = self.relay
        self.metrics.watch_relay(lambda: relay.state is ConnectionState.READY)
        stack.push_async_callback(relay.disconnect)
        try:
            await relay.connect(timeout=RELAY_TIMEOUT_S)
        except AuthenticationError as error:
            raise StartupError(f"{error}.") from error
        except ConnectionLostError as error:
            # A platform that is away for a while is no reason not to receive.
            log.warning("%s; going on trying", error)
            relay.start()

    async def _after_end(self, tap: Tap) -> None:
        await self.endpoint.drop(tap)
        if self.tapper is not None:
            # A platform that left our stop unanswered would only do so again.
            if not self.tapper.is_stopping(tap):
                await self.tapper.stop(tap)
            self.tapper.forget(tap)

    def _on_ended(self, status: TapStatus) -> None:
        self.metrics.tap_ended(status)
        self.metrics.recorded(status.duration_s)

    async def _drain(self) -> None:
        self.rendezvous.close()
        timeout = self.settings.shutdown_timeout_s
        # Half of the time is kept for finishing files.
        await self._stop_taps(timeout / 2)
        self.rtp.drain()
        for tap in self.rendezvous.taps.values():
            tap.end(EndReason.SHUTDOWN, time.monotonic())
        await self.deck.settle(timeout / 2)
        await self.deck.abandon()

    async def _stop_taps(self, timeout: float) -> None:
        if self.tapper is None or self.relay is None:
            return
        if self.relay.state is not ConnectionState.READY:
            log.warning("RELAY is away: taps end here without telling the platform")
            return
        try:
            async with asyncio.timeout(timeout):
                await self.tapper.stop_all(EndReason.SHUTDOWN)
        except TimeoutError:
            log.warning("not every tap stopped within %s s", timeout)


def serve(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; return the exit code.

    Raises:
        ConfigError: Calls would be answered and could not be tapped.
        StartupError: It could not start.
    """
    if settings.has_credentials and settings.tap_uri is None:
        raise ConfigError(
            "tap_uri (TAPDECK_TAP_URI) is missing: with SignalWire credentials calls "
            f"are answered and tapped, and it says where to: {TAP_URI_FORM}."
        )
    setup_logging(
        level=settings.log_level,
        log_format=settings.log_format,
        secrets=settings.secret_values,
    )
    prepare(settings.max_taps)
    return uvloop.run(_serve(settings))


async def _serve(settings: Settings) -> int:
    stopping = asyncio.Event()
    main = asyncio.current_task()
    assert main is not None

    def stop() -> None:
        if stopping.is_set():
            main.cancel()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        async with TapServer(settings) as server:
            server.log_addresses()
            await stopping.wait()
            log.info("stopping; a second signal gives up waiting")
    except asyncio.CancelledError:
        log.warning("gave up waiting; unfinished files are left under .partial")
        return 1
    log.info("stopped")
    return 0
