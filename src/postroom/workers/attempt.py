"""Makes one request for a delivery."""

from datetime import UTC, datetime
from functools import lru_cache
from time import perf_counter

import msgspec
from standardwebhooks import Webhook

from postroom.domain.clock import SECOND, Clock
from postroom.domain.delivery import Attempt
from postroom.domain.listener import Listener
from postroom.domain.retry import parse_retry_after
from postroom.workers.transport import Transport


async def attempt(
    transport: Transport, clock: Clock, listener: Listener, message_id: str, number: int, data: bytes
) -> tuple[Attempt, int | None]:
    """Send `data`; answers what came of it, and the wait in ms that the receiver asked for."""
    at, started = clock(), perf_counter()
    headers = headers_for(listener, message_id, number, data, at)
    answer = await transport.request("POST", listener.notify_url, headers, data)
    duration = round((perf_counter() - started) * SECOND)
    made = Attempt(listener.id, number, at, duration, answer.status, answer.error, answer.body)
    return made, parse_retry_after(answer.retry_after, at + duration)


def headers_for(listener: Listener, message_id: str, number: int, data: bytes, at: int) -> dict[str, str]:
    """Standard Webhooks headers and Postroom's own; the id is the same at every attempt."""
    moment = datetime.fromtimestamp(at // SECOND, UTC)
    return {
        "Content-Type": "application/json" if is_json(data) else "text/plain; charset=utf-8",
        "webhook-id": message_id,
        "webhook-timestamp": str(at // SECOND),
        "webhook-signature": _signer(listener.secret).sign(message_id, moment, data.decode()),
        "postroom-queue": listener.queue_id,
        "postroom-listener": listener.id,
        "postroom-attempt": str(number),
    }


_signer = lru_cache(maxsize=1024)(Webhook)


def is_json(data: bytes) -> bool:
    """Whether the data parses as JSON."""
    try:
        msgspec.json.decode(data, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
