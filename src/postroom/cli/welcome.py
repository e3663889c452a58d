"""What `postroom serve --welcome` prints: commands that work as they stand."""

import shlex
import shutil
import sys
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from postroom.cli.place import listed

if TYPE_CHECKING:
    from postroom.domain.organization import Organization
    from postroom.service.hub import Hub
    from postroom.settings import Settings

NAME = "example.com/dev"
LOOPBACK = "127.0.0.1"
DASHBOARD_PATH: str | None = "/dashboard"
"""Where the dashboard is."""

_NEW = """
There was no organization yet, so here is one:

  organization   {name}
  API key        {key}
                 (shown only this once){dashboard}

To see a message arrive, start a receiver in another terminal:

    {program} listen --port {port}

{allowed}

Then paste this into a third terminal. It makes a queue, attaches the receiver to it as a listener, sends a
message, and reads the counts:

    HUB={hub}
    KEY={key}
    JSON='Content-Type: application/json'
    curl -sS $HUB/queues -H "X-API-KEY: $KEY" -H "$JSON" -d '{{"name": "orders"}}'; echo
    QUEUE=$(curl -sS $HUB/queues -H "X-API-KEY: $KEY" |
      sed -n 's/.*"id":"\\([^"]*\\)","name":"orders".*/\\1/p')
    curl -sS $HUB/queues/$QUEUE/listeners -H "X-API-KEY: $KEY" -H "$JSON" \\
      -d '{{"name": "receiver", "notify_url": "{receiver}",
           "liveness_url": "{receiver}"}}'; echo
    curl -sS $HUB/queues/$QUEUE/messages -H "X-API-KEY: $KEY" -H "$JSON" -d '{{"data": "Hello"}}'; echo
    curl -sS "$HUB/stats/messages?pretty=true" -H "X-API-KEY: $KEY"; echo
"""

_ALLOWED = """This server may deliver to this machine, because its setting allow_network says so; otherwise it
would refuse every address that is not public."""

_NOT_ALLOWED = """But this server refuses to deliver to an address that is not public, as that is. Stop it,
and start it with --allow-network 127.0.0.0/8 in addition."""

_KNOWN = """
There are organizations already ({names}).
Their keys were shown when they were made; here is how to make another{where}:

    {program} key create NAME --org {org}{data}
"""

_WHERE = ",\nin a shell whose POSTROOM_DATABASE is the database {database}"


async def words(hub: "Hub", settings: "Settings", url: str) -> str:
    """The text for a person who has just started the server that answers at `url`."""
    organizations = await hub.organizations.every()
    if organizations:
        return _known(settings, organizations)
    made, key = await hub.organizations.found(NAME)
    return _new(settings, url, made.name, key)


def _known(settings: "Settings", organizations: "list[Organization]") -> str:
    """A password has no place in an option that others can see."""
    data = "" if settings.database else f" --data {shlex.quote(str(settings.data.resolve()))}"
    return _KNOWN.format(
        names=listed(organizations),
        where=_WHERE.format(database=settings.shown_database) if settings.database else "",
        program=_program(),
        org=shlex.quote(organizations[0].name),
        data=data,
    )


def _new(settings: "Settings", url: str, name: str, key: str) -> str:
    hub = _reachable(url)
    port = _next_port(urlsplit(url).port or 0)
    allowed = any(ip_address(LOOPBACK) in network for network in settings.allow_network)
    return _NEW.format(
        name=name,
        key=key,
        dashboard=f"\n  dashboard      {hub}{DASHBOARD_PATH}" if DASHBOARD_PATH else "",
        program=_program(),
        port=port,
        allowed=_ALLOWED if allowed else _NOT_ALLOWED,
        hub=hub,
        receiver=f"http://{LOOPBACK}:{port}/",
    )


def _reachable(url: str) -> str:
    """The URL with an address to connect to, where the server listens on every one."""
    return url.replace("//0.0.0.0:", f"//{LOOPBACK}:").replace("//[::]:", "//[::1]:")


def _next_port(port: int) -> int:
    return port + 1 if port < 65_535 else port - 1


def _program() -> str:
    """How to start this program from any directory."""
    program = Path(sys.argv[0])
    if program.name == "__main__.py":
        return f"{shlex.quote(sys.executable)} -m postroom"
    found = shutil.which(program.name)
    if found is not None and Path(found).resolve() == program.resolve():
        return program.name
    return shlex.quote(str(program.absolute()))
