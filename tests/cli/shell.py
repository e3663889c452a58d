"""The installed command as a person and a program start it: on a terminal, in a pipe, in the background."""

import asyncio
import os
import pty
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from postroom.runtime import commanding
from postroom.service.hub import Hub
from postroom.settings import load
from tests.acceptance.house import DEADLINE, command, environment

T = TypeVar("T")
PAUSE: Final = 0.02


def arrange(data: Path, work: Callable[[Hub], Awaitable[T]]) -> T:
    """Do something on the store before the command under test sees it."""

    async def within() -> T:
        async with commanding(load({"data": str(data)}, {}, None)) as hub:
            return await work(hub)

    return asyncio.run(within())


def in_terminal(*words: str, data: Path | None = None, typed: str = "") -> tuple[int, str]:
    """The exit code, and what a terminal of 80 columns shows of standard output and standard error."""
    ours, theirs = pty.openpty()
    colours = environment({}) | {"TERM": "xterm-256color", "COLUMNS": "80"}
    colours.pop("NO_COLOR", None)
    try:
        process = subprocess.Popen(
            _line(words, data), env=colours, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b"".join(_until_closed(ours))
    finally:
        os.close(ours)
    return process.wait(DEADLINE), shown.decode().replace("\r\n", "\n")


def _until_closed(terminal: int) -> Iterator[bytes]:
    """What comes until nobody has the other side open any more, which Linux tells with an error."""
    try:
        while some := os.read(terminal, 65_536):
            yield some
    except OSError:
        return


def _line(words: tuple[str, ...], data: Path | None) -> list[str]:
    return [command(), *words, *(["--data", str(data)] if data else [])]


class Background:
    """A command that goes on until it is told to stop; what it prints is in files."""

    def __init__(self, folder: Path, words: tuple[str, ...], variables: Mapping[str, str]) -> None:
        folder.mkdir()
        self._out, self._err = folder / "out", folder / "err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [command(), *words],
                env=environment({}) | dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def out(self) -> str:
        """What it printed by now."""
        return self._out.read_text()

    @property
    def err(self) -> str:
        """What it complained of by now."""
        return self._err.read_text()

    def when(self, good: Callable[[str], T]) -> T:
        """What `good` makes of the output, once that is something; AssertionError if it takes too long."""
        end = time.monotonic() + DEADLINE
        while not (found := good(self.out)):
            assert self.process.poll() is None, f"it ended: {self.out}\n{self.err}"
            assert time.monotonic() < end, f"not in time: {self.out}\n{self.err}"
            time.sleep(PAUSE)
        return found

    def stop(self, number: int) -> int:
        """Send it a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(DEADLINE)


@contextmanager
def background(folder: Path, *words: str, variables: Mapping[str, str] | None = None) -> Iterator[Background]:
    """The command while the block runs, with more variables in its environment."""
    running = Background(folder, words, variables or {})
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(DEADLINE)
