"""A request that `postroom listen` received, and how it is shown."""

from collections.abc import Mapping, Sequence
from typing import Self

import msgspec
import typer
from standardwebhooks import Webhook, WebhookVerificationError

from postroom.cli.output import moment, printable, show_json, styled
from postroom.domain.clock import system_clock


class Arrival(msgspec.Struct, frozen=True):
    """What came, at `at` ms; `verified` is None where there was no secret to verify it with."""

    at: int
    queue: str
    listener: str
    message: str
    attempt: str
    verified: bool | None
    body: str

    @classmethod
    def of(cls, headers: Mapping[str, str], body: bytes, webhooks: Sequence[Webhook]) -> Self:
        """The request with these headers and this body, at this moment."""
        return cls(
            at=system_clock(),
            queue=headers.get("postroom-queue", ""),
            listener=headers.get("postroom-listener", ""),
            message=headers.get("webhook-id", ""),
            attempt=headers.get("postroom-attempt", ""),
            verified=any(_verifies(each, headers, body) for each in webhooks) if webhooks else None,
            body=body.decode("utf-8", "replace"),
        )

    @property
    def verdict(self) -> str:
        """What is known of the signature."""
        return {True: "verified", False: "NOT VERIFIED", None: "no secret"}[self.verified]


def webhook(secret: str) -> Webhook:
    """What verifies signatures made with the secret.

    Raises:
        typer.BadParameter: it is none.
    """
    wrong = typer.BadParameter("it must be whsec_ and base64, as Postroom showed it", param_hint="--secret")
    if not secret.startswith("whsec_"):
        raise wrong
    try:
        return Webhook(secret)
    except Exception as error:  # the library lets out what it stumbles over
        raise wrong from error


def show_in_json(arrival: Arrival) -> None:
    """One object in a line."""
    show_json(arrival, in_one_line=True)


def show_plain(arrival: Arrival) -> None:
    """Time, queue, listener, message, attempt, verdict and body in a line with tabs."""
    named = (arrival.queue, arrival.listener, arrival.message, arrival.attempt, arrival.verdict, arrival.body)
    print(moment(arrival.at), *map(printable, named), sep="\t", flush=True)


def show_on_terminal(arrival: Arrival) -> None:
    """Two lines about it, then the body."""
    style = {True: "green", False: "bold red", None: "yellow"}[arrival.verified]
    styled(
        (moment(arrival.at), "dim"),
        (f"  message {printable(arrival.message)}  attempt {printable(arrival.attempt)}  ", ""),
        (arrival.verdict, style),
    )
    styled((f"  queue {printable(arrival.queue)}  listener {printable(arrival.listener)}", "dim"))
    for line in arrival.body.splitlines():
        styled((f"  {printable(line)}", ""))


def _verifies(webhook: Webhook, headers: Mapping[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, dict(headers), json_parse=False)
    except (WebhookVerificationError, ValueError):  # a signature that cannot be read is a ValueError
        return False
    return True
