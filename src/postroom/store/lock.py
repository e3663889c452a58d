"""One server process for each data directory."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from postroom.domain.errors import StoreError


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, which names this process, until the end of the block.

    The system gives the lock up when the process dies, however it dies.

    Raises:
        StoreError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, path)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def is_named(path: Path) -> bool:
    """Whether the lock file names a process: one that holds the lock, or that was killed holding it."""
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _take(descriptor: int, path: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(descriptor, 20, 0).decode("ascii", "replace") or "unknown"
        raise StoreError(
            f"process {holder} already serves {path.parent}; stop it first, or give another --data directory"
        ) from error
