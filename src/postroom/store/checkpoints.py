"""Keeps SQLite's write-ahead log short."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import apsw

CHECKPOINT_PAGES = 1000
_MOST_PAGES = 4 * CHECKPOINT_PAGES


class Checkpoints:
    """Folds the write-ahead log into the file in a thread, so that no commit waits for it.

    What was committed meanwhile is folded in the loop right after: little, and then the log starts anew
    rather than grow for as long as writes never pause. Where the thread falls behind, writers wait for it.
    """

    def __init__(self, own: apsw.Connection, writer: apsw.Connection) -> None:
        self._own = own
        self._writer = writer
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="postroom-checkpoint")
        self._pages = 0
        self._under_way: asyncio.Future[None] | None = None
        self._closed = False
        writer.set_wal_hook(self._committed)

    def close(self) -> None:
        """Wait for the one that is under way."""
        self._closed = True
        self._writer.set_wal_hook(None)
        self._thread.shutdown()
        self._own.close()

    async def catch_up(self) -> None:
        """Wait while the log is long and being folded."""
        if self._under_way and self._pages >= _MOST_PAGES:
            await asyncio.wait([self._under_way])

    def _committed(self, _connection: apsw.Connection, _database: str, pages: int) -> int:
        self._pages = pages
        if pages >= CHECKPOINT_PAGES and not self._under_way:
            loop = asyncio.get_running_loop()
            self._under_way = loop.run_in_executor(self._thread, self._fold, self._own)
            self._under_way.add_done_callback(self._fold_rest)
        return apsw.SQLITE_OK

    def _fold_rest(self, _folded: asyncio.Future[None]) -> None:
        self._under_way = None
        if not self._closed:
            self._fold(self._writer)

    @staticmethod
    def _fold(connection: apsw.Connection) -> None:
        # A reader in the way or a full disk leaves the log as it is; the next commit asks again.
        with suppress(apsw.BusyError, apsw.FullError, apsw.IOError):
            connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
