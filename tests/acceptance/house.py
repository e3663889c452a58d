"""A real Postroom: the installed command as a subprocess, with a port of its own, over a place of its own."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import anyio

T = TypeVar("T")

LOOPBACK: Final = "127.0.0.0/8"
DEADLINE: Final = 60.0
READY: Final = re.compile(r"^Postroom is ready at (http://\S+:\d+)/?$", re.MULTILINE)

# Small enough that a whole schedule is quick to see through.
QUICK: Final[Mapping[str, object]] = {
    "schedule": "0,0.1,0.2",
    "jitter": 0,
    "delivery_timeout": 10,
    "liveness_interval_busy": 0.1,
    "liveness_interval_idle": 0.2,
    "liveness_timeout": 5,
    "stop_timeout": 5,
    "lease_time": 1,
}

_numbers: Final = count(1)


class Url(str):
    """The address of a PostgreSQL database; failure reports show it without its password."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(re.sub(r":[^:@/]*@", ":***@", self))


# Where a Postroom keeps everything: a data directory, or a database.
Place = Path | Url

# The last few that were started: the failure report shows their standard error.
started: Final[deque["Postroom"]] = deque(maxlen=4)


async def until(look: Callable[[], Awaitable[T]], good: Callable[[T], bool], within: float = DEADLINE) -> T:
    """What `look` sees once it is good; AssertionError with the last sight after `within` seconds."""
    pause, end = 0.01, time.monotonic() + within
    while True:
        seen = await look()
        if good(seen):
            return seen
        assert time.monotonic() < end, f"not within {within} s; last seen: {seen!r}"
        await anyio.sleep(pause)
        pause = min(pause * 1.5, 0.2)


async def clear_of_midnight() -> None:
    """Wait, where it is nearly midnight UTC, until what a test does and asks comes on one day."""

    async def left() -> float:
        return 86_400 - time.time() % 86_400

    await until(left, lambda seconds: seconds > 30)


def command() -> str:
    """The `postroom` installed beside this interpreter, else the one on PATH."""
    beside = Path(sys.executable).with_name("postroom")
    found = str(beside) if beside.exists() else shutil.which("postroom")
    assert found, "the command `postroom` is not installed"
    return found


def environment(settings: Mapping[str, object]) -> dict[str, str]:
    """The test's environment without its own POSTROOM_ variables, and with these settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("POSTROOM_")}
    return kept | {f"POSTROOM_{name.upper()}": str(value) for name, value in settings.items()}


def run(
    *words: str,
    data: Place | None = None,
    settings: Mapping[str, object] | None = None,
    stdin: str | None = None,
    cwd: Path | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run one `postroom` command to its end."""
    return subprocess.run(
        [command(), *words, *option(data)],
        env=environment({**variable(data), **(settings or {})}),
        input=stdin,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )


def option(place: Place | None) -> list[str]:
    """How a command is told of a data directory."""
    return ["--data", str(place)] if isinstance(place, Path) else []


def variable(place: Place | None) -> dict[str, object]:
    """How a command is told of a database: where only its own user can read the password."""
    return {"database": place} if isinstance(place, Url) else {}


def run_json(*words: str, data: Place) -> Any:
    """Run one command with --json; it must succeed."""
    done = run(*words, "--json", data=data)
    assert done.returncode == 0, f"{done.args}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


@dataclass(frozen=True)
class Organization:
    """An organization and its first key."""

    id: str
    name: str
    key: str


def make_organization(data: Place, name: str = "acme") -> Organization:
    """`postroom org create`."""
    made = run_json("org", "create", name, data=data)
    return Organization(made["organization"]["id"], made["organization"]["name"], made["api_key"])


def audit(data: Place) -> None:
    """`postroom audit` finds every counter equal to the facts it counts."""
    answer = run_json("audit", data=data)
    assert answer["ok"] is True, answer


class Postroom:
    """One `postroom serve` over a data directory, or over the setting `database`; may be started again.

    Several over one database may have the same `data`, which is then only where their logs are.
    """

    def __init__(
        self,
        data: Path,
        settings: Mapping[str, object] | None = None,
        allow: Sequence[str] = (LOOPBACK,),
    ) -> None:
        self.data = data
        self.settings = {**QUICK, **(settings or {})}
        if "database" in self.settings:
            self.settings["database"] = Url(self.settings["database"])
        self.allow = allow
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._number = next(_numbers)
        self._starts = 0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def start(self) -> Self:
        """Start and wait for the ready line."""
        assert self._process is None, "already running"
        self._starts += 1
        started.append(self)
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self._process = subprocess.Popen(
                self._words(),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.url = self._await_ready()
        return self

    def _words(self) -> list[str]:
        """The command line."""
        open_networks = [word for network in self.allow for word in ("--allow-network", network)]
        own = [*option(self.place), "--host", "127.0.0.1", "--port", "0"]
        return [command(), "serve", *own, *open_networks]

    @property
    def place(self) -> Place:
        """Where everything is kept."""
        database = self.settings.get("database")
        return database if isinstance(database, Url) else self.data

    def _environment(self) -> dict[str, str]:
        """What stands in its environment."""
        return environment(self.settings)

    def _log(self, kind: str) -> Path:
        """A log file beside the data directory, one per start."""
        return self.data.with_name(f"{self.data.name}.{self._number}.{self._starts}.{kind}")

    @property
    def _out(self) -> Path:
        return self._log("out")

    @property
    def _err(self) -> Path:
        return self._log("err")

    def _await_ready(self) -> str:
        """Poll standard output for the ready line."""
        end = time.monotonic() + DEADLINE
        while (ready := READY.search(self.stdout)) is None:
            code = self.process.poll()
            assert code is None, f"serve ended with {code} before it was ready\n{self.stdout}\n{self.stderr}"
            assert time.monotonic() < end, f"serve did not get ready\n{self.stdout}\n{self.stderr}"
            time.sleep(0.01)
        return ready.group(1)

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "not running"
        return self._process

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def stdout(self) -> str:
        return self._out.read_text(errors="replace")

    @property
    def stderr(self) -> str:
        return self._err.read_text(errors="replace")

    def last_words(self) -> str:
        """The end of standard error, if it is still there."""
        return self.stderr[-4000:] if self._err.exists() else ""

    @property
    def database(self) -> Path:
        return self.data / "postroom.db"

    def peak(self) -> int:
        """The most memory that was ever resident, in bytes (Linux)."""
        text = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
        assert found is not None
        return int(found.group(1)) * 1024

    def terminate(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    async def stop(self) -> int:
        """The same, while a receiver in this loop goes on answering what is under way."""
        return await anyio.to_thread.run_sync(self.terminate)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        code = self.process.wait(DEADLINE)
        self._process = None
        return code

    def kill(self) -> None:
        """SIGKILL, if it still runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(DEADLINE)
            self._process = None
