"""The platforms that can send events. To add one: a module like the others, a line here, and its tests."""

from typing import Protocol

from postroom.domain.live_source import Kind
from postroom.sources.live import matrix, mattermost, rocketchat, slack, webex, zulip
from postroom.sources.live.request import Heard, Request


class Connector(Protocol):
    """Knows one platform's requests. A module is one."""

    def verified(self, secret: str, request: Request) -> bool:
        """Whether the platform sent it; nobody does while the secret is empty."""

    def read(self, source: str, request: Request) -> Heard:
        """What a request that was verified says. Nothing is raised."""


CONNECTORS: dict[Kind, Connector] = {
    "slack": slack,
    "webex": webex,
    "zulip": zulip,
    "mattermost": mattermost,
    "rocketchat": rocketchat,
}
"""Those whose requests can be read by themselves; all but Matrix, which needs to know its rooms."""


def verified(kind: Kind, secret: str, request: Request) -> bool:
    """Whether the platform of this kind sent the request."""
    check = matrix.verified if kind == "matrix" else CONNECTORS[kind].verified
    return check(secret, request)
