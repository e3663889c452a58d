"""Removes what is over, now and then."""

import asyncio
from collections.abc import Callable

import structlog

from postroom.domain.errors import Unavailable
from postroom.service.api_keys import ApiKeys
from postroom.service.retention import Retention

log = structlog.get_logger(__name__)


class Sweep:
    """Sweeps every `interval` seconds, while it `may`, also in the middle: one process does at a time."""

    name = "sweep"

    def __init__(
        self,
        retention: Retention,
        api_keys: ApiKeys,
        interval: float,
        may: Callable[[], bool] = lambda: True,
    ) -> None:
        self._may = may
        self._retention = retention
        self._api_keys = api_keys
        self._interval = interval

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self._api_keys.keep_uses()
                if self._may():
                    await self._retention.sweep(self._may)
            except Unavailable as error:
                log.warning("store_unavailable", worker=self.name, detail=error.detail)
            await asyncio.sleep(self._interval)
