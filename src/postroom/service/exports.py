"""An export as it is imported: what it is, what identifies it, and its records some at a time.

A process of its own reads it, so that on two cores one reads while the other takes in.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE
from typing import BinaryIO, cast

from postroom.domain.errors import Unavailable
from postroom.sources import frames
from postroom.sources.frames import Batch, Counted, Job, Refusal, Start
from postroom.sources.trouble import Refused

TOGETHER = 2_000
"""Records that are read and taken in together."""
PYTHON = sys.executable, "-P"
"""How Python is started with the modules that are installed."""
_AHEAD = 1 << 20
"""Bytes that are read before they are asked for: what a pipe holds at most, some batches."""

_Process = subprocess.Popen[bytes]


class Export:
    """The records of an export, each read once; `total` is its bytes, `counted` of what was read by now."""

    def __init__(self, process: _Process) -> None:
        """Refused: it is no export that can be read."""
        self._process = process
        self._pipe = cast(BinaryIO, process.stdout)
        self.counted = Counted()
        first = frames.decode_first(self._frame())
        if isinstance(first, Refusal):
            raise Refused(first.detail)
        self.identity = first.identity
        self.total = first.total

    def begin(self, secret: bytes, activities: int, deletions: int) -> None:
        """Have all be read but so many, which were taken in before; the secret is the organization's."""
        with (
            suppress(BrokenPipeError),
            cast(BinaryIO, self._process.stdin) as stdin,
        ):  # `some` tells of its end
            frames.write(stdin, frames.encode(Start(secret, activities, deletions)))

    def some(self) -> Batch | None:
        """The next records once it has begun, waited for; None behind the last one.

        Raises:
            Unavailable: the process that reads has ended before.
        """
        frame = self._frame()
        if not frame:
            return None
        batch = frames.decode_batch(frame)
        self.counted = batch.counted
        return batch

    def _frame(self) -> bytes:
        try:
            return frames.read(self._pipe)
        except EOFError as error:
            code = self._process.wait()
            how = f"with {code}" if code >= 0 else f"by signal {-code}"
            raise Unavailable(f"the process that reads the export has ended {how}") from error


@contextmanager
def opened(
    platform: str,
    path: Path,
    source: str,
    python: Sequence[str] = PYTHON,
    meanwhile: Callable[[], None] = lambda: None,
) -> Iterator[Export]:
    """The export at a path; `meanwhile` is done while it is opened.

    Raises:
        sources.trouble.Refused: it is none of this platform, or none that can be opened.
        Unavailable: the process that reads it has ended before it was open.
    """
    with _reading(python, Job(platform, os.fsencode(path), source, TOGETHER)) as process:
        meanwhile()
        yield Export(process)


@contextmanager
def _reading(python: Sequence[str], job: Job) -> Iterator[_Process]:
    command = [*python, "-m", "postroom.sources.reading"]
    # Ctrl-C on a terminal is for the process that the person started, which goes on to the end of a batch.
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, start_new_session=True) as process:  # noqa: S603
        try:
            _begin(process, job)
            yield process
        finally:
            process.kill()
            with suppress(BrokenPipeError):  # for what one that had ended was never given
                cast(BinaryIO, process.stdin).close()


def _begin(process: _Process, job: Job) -> None:
    stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
    if sys.platform == "linux":
        with suppress(OSError):  # it works with less, only slower
            fcntl.fcntl(stdout, fcntl.F_SETPIPE_SZ, _AHEAD)
    with suppress(BrokenPipeError):  # one that has ended already says so by its silence
        frames.write(stdin, frames.encode(job))
