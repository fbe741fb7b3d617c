"""What goes out: texts to send, requests on their way, requests that wait offline.

Every request has a deadline: from being sent to its reply, and a longer one of its own
while it waits for a connection. What becomes of it is appended to the outcomes.

Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from relay_client import jsonrpc
from relay_client.errors import QueueFullError, RelayError, RequestTimeoutError
from relay_client.jsonrpc import JsonObject, MessageId, Pending
from relay_client.outcomes import ProtocolEvent, RequestFailed
from relay_client.timing import Timing


class Outgoing:
    """The sending side of the protocol machine."""

    def __init__(
        self,
        timing: Timing,
        new_id: Callable[[], str],
        outcomes: deque[ProtocolEvent],
    ) -> None:
        self._timing = timing
        self._new_id = new_id
        self._outcomes = outcomes
        self._texts: list[str] = []
        self._pending = jsonrpc.PendingTable()
        self._queue = jsonrpc.PendingTable()

    def say(self, text: str) -> None:
        """Send a text that expects no reply."""
        self._texts.append(text)

    def take_texts(self) -> list[str]:
        """Return the texts to send now, in order; they are given out once."""
        texts, self._texts = self._texts, []
        return texts

    def send(self, method: str, params: JsonObject, now: float) -> str:
        """Send a caller's request and return its id."""
        entry = self._entry(method, params, now, self._timing.request_timeout)
        self._pending.add(entry)
        self._texts.append(entry.text)
        return entry.id

    def send_own(
        self, method: str, params: JsonObject, now: float, timeout: float
    ) -> None:
        """Send a request whose reply is for the machine itself."""
        entry = self._entry(method, params, now, timeout, is_own=True)
        self._pending.add(entry)
        self._texts.append(entry.text)

    def enqueue(self, method: str, params: JsonObject, now: float) -> str:
        """Keep a caller's request for later and return its id.

        Raises:
            QueueFullError: too many requests wait.
        """
        if len(self._queue) >= self._timing.max_queued:
            raise QueueFullError(self._timing.max_queued)
        entry = self._entry(method, params, now, self._timing.queue_timeout)
        self._queue.add(entry)
        return entry.id

    def unqueue(self, request_id: str) -> None:
        """Forget a request, unless it has been sent."""
        self._queue.pop(request_id)

    def flush(self, now: float) -> None:
        """Send what waited; the time for the reply starts now."""
        for entry in self._queue.clear():
            expires_at = now + self._timing.request_timeout
            self._pending.add(
                Pending(entry.id, entry.method, entry.text, now, expires_at)
            )
            self._texts.append(entry.text)

    def replied(self, message_id: MessageId) -> Pending | None:
        """Take out the request that a reply is for."""
        return self._pending.pop(message_id)

    def expire_queue(self, now: float) -> None:
        """Fail what waited for a connection too long."""
        for entry in self._queue.expire(now):
            waited = self._timing.queue_timeout
            self.fail(entry, RequestTimeoutError(entry.method, waited, was_sent=False))

    def expire_pending(self, now: float) -> list[Pending]:
        """Take out what should have been replied to by now."""
        return self._pending.expire(now)

    def drop_connection(self, error: RelayError) -> None:
        """Fail what was sent; forget what was not."""
        self._texts.clear()
        for entry in self._pending.clear():
            self.fail(entry, error)

    def fail_queue(self, error: RelayError) -> None:
        """Fail what waits for a connection."""
        for entry in self._queue.clear():
            self.fail(entry, error)

    def fail(self, entry: Pending, error: RelayError) -> None:
        """Tell whoever made a request that it came to nothing."""
        if not entry.is_own:
            self._outcomes.append(RequestFailed(entry.id, error))

    def next_expiry(self) -> float | None:
        """Return the earliest deadline."""
        both = (self._pending.next_expiry(), self._queue.next_expiry())
        return min((at for at in both if at is not None), default=None)

    def _entry(
        self,
        method: str,
        params: JsonObject,
        now: float,
        timeout: float,
        *,
        is_own: bool = False,
    ) -> Pending:
        request_id = self._new_id()
        text = jsonrpc.serialize_request(request_id, method, params)
        return Pending(request_id, method, text, now, now + timeout, is_own)
