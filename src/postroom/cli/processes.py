"""`postroom serve --processes`: starts the processes, starts again each that ends, and stops them all."""

import asyncio
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Sequence
from contextlib import suppress
from typing import Any

import structlog

from postroom import __version__
from postroom.cli.failures import Refused, binding
from postroom.cli.interpreter import interpreter
from postroom.cli.signals import told_to_stop
from postroom.cli.welcome import words
from postroom.http.server import address_of, reserve
from postroom.runtime import commanding
from postroom.settings import Settings

SETTLED = 10.0  # seconds after which an end is not one of a row of ends
SHORTEST, LONGEST = 0.5, 10.0  # seconds
GRACE = 10.0  # seconds beyond those that requests, and then deliveries, are given to end

_log = structlog.get_logger("postroom")


class Child:
    """One of the processes, and those that follow it when it ends."""

    def __init__(self, number: int, settings: Settings) -> None:
        self.number = number
        self.ready = asyncio.Event()
        self._settings = settings
        self._stopping = asyncio.Event()
        self._process: Process | None = None

    async def run(self) -> str:
        """Until told to stop, or until it ends without ever having been ready; how it ended."""
        pause = 0.0
        while True:
            began = time.monotonic()
            how = await self._run_once()
            if self._stopping.is_set() or not self.ready.is_set():
                return how
            pause = next_pause(pause, time.monotonic() - began)
            _log.error("process_ended", process=self.number, how=how, next_in=pause)
            if await _within(pause, self._stopping.wait()):
                return how

    def stop(self) -> None:
        """Tell it to stop, and start no other."""
        self._stopping.set()
        if (process := self._running()) is not None:
            process.terminate()

    def kill(self) -> None:
        """End it, if it is there, whatever it does."""
        if (process := self._running()) is not None:
            process.kill()

    def _running(self) -> Process | None:
        return self._process if self._process and self._process.returncode is None else None

    async def _run_once(self) -> str:
        try:
            # Ctrl-C on a terminal is for the process that the person started: it passes it on.
            process = self._process = await asyncio.create_subprocess_exec(
                *command(self.number), stdin=PIPE, stdout=PIPE, start_new_session=True
            )
        except OSError as error:
            return f"it cannot be started ({error.strerror})"
        if self._stopping.is_set():
            process.terminate()
        await self._hand_over(process)
        code = await process.wait()
        return f"exit code {code}" if code >= 0 else f"signal {-code}"

    async def _hand_over(self, process: Process) -> None:
        """Give it its settings, and wait for the line that says that it accepts requests."""
        if process.stdin and process.stdout:  # which are pipes
            process.stdin.write(self._settings.model_dump_json().encode() + b"\n")
            if await process.stdout.readline():
                self.ready.set()


Running = dict["asyncio.Task[str]", Child]


def command(number: int) -> list[str]:
    """How a process is started."""
    return [*interpreter(), "-m", "postroom.cli.child", str(number)]


def next_pause(pause: float, lived: float) -> float:
    """Seconds before the next start, after the last pause and a life of `lived` seconds."""
    return 0.0 if lived > SETTLED else min(max(2 * pause, SHORTEST), LONGEST)


async def supervise(settings: Settings, welcome: bool) -> None:
    """Run the processes until SIGTERM or SIGINT.

    Raises:
        Refused: the address cannot be listened on; one of them did not start, or not stop.
        StoreError, Unavailable: the database cannot be used.
    """
    with binding(settings.host, settings.port):
        reserved = reserve(settings.host, settings.port)
    with reserved:
        async with commanding(settings):  # what is wrong with the database is said once
            pass
        port = reserved.getsockname()[1]
        shared = settings.model_copy(update={"port": port})
        children = [Child(number, shared) for number in range(1, settings.processes + 1)]
        await _supervised(children, settings, address_of(reserved), welcome)
    _log.info("stopped")


async def _supervised(children: Sequence[Child], settings: Settings, url: str, welcome: bool) -> None:
    told = asyncio.ensure_future(told_to_stop().wait())
    ready = asyncio.create_task(_all_ready(children))
    running = {asyncio.create_task(child.run()): child for child in children}
    try:
        await _first([ready, told], running)
        if not told.done():
            await _announce(settings, url, welcome)
            await _first([told], running)
    finally:
        ready.cancel()
        await _stop(running, 2 * settings.stop_timeout + GRACE)


async def _all_ready(children: Sequence[Child]) -> None:
    for child in children:
        await child.ready.wait()


async def _first(wanted: Sequence["asyncio.Future[Any]"], running: Running) -> None:
    """Wait for the first of what is wanted.

    Raises:
        Refused: one of the processes ended for good.
    """
    done, _others = await asyncio.wait([*wanted, *running], return_when=asyncio.FIRST_COMPLETED)
    for task, child in running.items():
        if task in done:
            raise Refused(f"process {child.number} did not get ready ({task.result()}); it told why above")


async def _announce(settings: Settings, url: str, welcome: bool) -> None:
    shown = settings.shown_database
    _log.info("started", url=url, database=shown, processes=settings.processes, version=__version__)
    print(f"Postroom is ready at {url}", flush=True)
    if welcome:
        async with commanding(settings, may_make=True) as hub:
            print(await words(hub, settings, url), flush=True)


async def _stop(running: Running, patience: float) -> None:
    """Stop all at once.

    Raises:
        Refused: some did not stop in time, and were killed.
    """
    for child in running.values():
        child.stop()
    _ended, late = await asyncio.wait(running, timeout=patience)
    for task in late:
        running[task].kill()
    await asyncio.gather(*running)
    if late:
        numbers = ", ".join(str(running[task].number) for task in late)
        raise Refused(f"these processes did not stop within {patience:g} s and were killed: {numbers}")


async def _within(seconds: float, what: Awaitable[object]) -> bool:
    """Whether it came within so many seconds."""
    with suppress(TimeoutError):
        await asyncio.wait_for(what, seconds)
        return True
    return False
