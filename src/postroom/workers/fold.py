"""Folds days that are over, so that few readers have to."""

import asyncio
from collections.abc import Callable

import structlog

from postroom.domain.errors import Unavailable
from postroom.service.folding import Folding

log = structlog.get_logger(__name__)


class Fold:
    """Folds every `interval` seconds, while it `may`, also in the middle: one process does at a time."""

    name = "fold"

    def __init__(self, folding: Folding, interval: float, may: Callable[[], bool] = lambda: True) -> None:
        self._folding = folding
        self._interval = interval
        self._may = may

    async def run(self) -> None:
        """Fold until cancelled."""
        while True:
            try:
                if self._may():
                    await self._folding.fold_closed(self._may)
            except Unavailable as error:
                log.warning("store_unavailable", worker=self.name, detail=error.detail)
            await asyncio.sleep(self._interval)
