"""Handlers for those who run Postroom."""

from postroom import __version__
from postroom.http.bodies import HealthAnswer
from postroom.http.call import Call


async def get_health(call: Call) -> HealthAnswer:
    """Say that this process is alive."""
    return HealthAnswer("ok", __version__)


async def get_ready(call: Call) -> HealthAnswer:
    """Say that the database can be written and the workers run."""
    await call.site.ready()
    return HealthAnswer("ok", __version__)
