"""What a request for a delivery says of itself."""

import json
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from postroom.domain.clock import system_clock
from postroom.domain.listener import Listener
from postroom.workers.attempt import headers_for, is_json

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LISTENER = Listener("org", "listener", "queue", "name", "http://a/", "http://a/", SECRET, "enabled", 0, 0)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(1, 10))
def test_any_data_is_signed(text: str, number: int) -> None:
    """As Standard Webhooks has it: a receiver with the secret can tell that it is genuine."""
    data, at = text.encode(), system_clock()
    headers = headers_for(LISTENER, "message", number, data, at)
    moment = datetime.fromtimestamp(at // 1_000, UTC)
    assert headers["webhook-signature"] == Webhook(SECRET).sign("message", moment, text)
    if is_json(data):
        assert Webhook(SECRET).verify(data, headers) == json.loads(data)
    assert headers["webhook-timestamp"] == str(at // 1_000)
    assert headers["postroom-attempt"] == str(number)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(data + b" ", headers)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"{}", "application/json"),
        (b'"text"', "application/json"),
        (b" [1, 2.5e3, null] ", "application/json"),
        ('{"ü": "👋"}'.encode(), "application/json"),
        (b"", "text/plain; charset=utf-8"),
        (b"hello", "text/plain; charset=utf-8"),
        (b"{broken", "text/plain; charset=utf-8"),
        (b"{} {}", "text/plain; charset=utf-8"),
        (b"NaN", "text/plain; charset=utf-8"),
    ],
)
def test_the_content_type_follows_the_data(data: bytes, kind: str) -> None:
    """JSON if it parses as JSON, else text."""
    assert headers_for(LISTENER, "message", 1, data, system_clock())["Content-Type"] == kind


def test_nesting_without_end_is_no_error() -> None:
    """Whatever it is called, it is sent."""
    headers = headers_for(LISTENER, "message", 1, b"[" * 100_000 + b"]" * 100_000, system_clock())
    assert headers["Content-Type"] in {"application/json", "text/plain; charset=utf-8"}


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=10))
def test_whatever_is_json_is_json(value: object) -> None:
    """Every document that an encoder writes."""
    assert is_json(msgspec.json.encode(value))
