"""Child processes of a benchmark: started here, spoken to in JSON, ended by their own id."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

import msgspec

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN = 20.0  # seconds
STOP_WITHIN = 30.0  # seconds

T = TypeVar("T")


class Ready(msgspec.Struct, frozen=True):
    """What a serving child prints when it listens."""

    port: int


def run(module: str, job: msgspec.Struct, answer: type[T], within: float = 600.0) -> T:
    """Run a module that takes a job on stdin and prints an answer; CalledProcessError where it fails."""
    done = subprocess.run(
        [sys.executable, "-m", module],
        input=msgspec.json.encode(job),
        stdout=subprocess.PIPE,
        timeout=within,
        check=True,
        cwd=ROOT,
    )
    return msgspec.json.decode(done.stdout, type=answer)


@contextmanager
def serving(module: str) -> Iterator[int]:
    """A module that serves until it is ended; gives its port."""
    child = start([sys.executable, "-m", module])
    try:
        yield msgspec.json.decode(wait_for_line(child, b"{"), type=Ready).port
    finally:
        stop(child)


def start(
    command: Sequence[str], errors: IO[bytes] | None = None, environment: dict[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start a child in the project's root, its stdout a pipe."""
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=errors, bufsize=0, cwd=ROOT, env=environment
    )


def wait_for_line(child: "subprocess.Popen[bytes]", beginning: bytes) -> bytes:
    """The first line of stdout that begins so; what comes after it is read and dropped."""
    deadline = time.monotonic() + READY_WITHIN
    held = b""
    while time.monotonic() < deadline:
        held += _read_some(child, deadline)
        for line in held.split(b"\n")[:-1]:
            if line.startswith(beginning):
                threading.Thread(target=_drain, args=(child,), daemon=True).start()
                return line
    raise TimeoutError(f"process {child.pid} was not ready within {READY_WITHIN:.0f} s")


def _read_some(child: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    assert child.stdout is not None
    if not select.select([child.stdout], [], [], max(0.0, deadline - time.monotonic()))[0]:
        return b""
    some = os.read(child.stdout.fileno(), 65536)
    if not some:
        raise ChildProcessError(f"process {child.pid} ended before it was ready, with {child.wait()}")
    return some


def _drain(child: "subprocess.Popen[bytes]") -> None:
    assert child.stdout is not None
    try:
        while os.read(child.stdout.fileno(), 65536):
            pass
    except (OSError, ValueError):
        return


def stop(child: "subprocess.Popen[bytes]") -> None:
    """SIGTERM, and SIGKILL to one that does not end in time."""
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    try:
        child.wait(STOP_WITHIN)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def family(pid: int) -> list[int]:
    """A process and its children, theirs too."""
    return [pid, *(each for child in _children(pid) for each in family(child))]


def _children(pid: int) -> list[int]:
    """None where it has ended meanwhile."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident(pid: int, field: str = "VmRSS") -> float:
    """Resident memory of a process in MB (10^6 bytes), from /proc; VmHWM is the most there was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ProcessLookupError(pid)


@contextmanager
def most_resident(pid: int, pause: float = 0.25) -> Iterator[list[float]]:
    """MB of a process and its children together, looked at again and again; of each the most there was."""
    seen, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(pause):
            seen.append(sum(map(_most, family(pid))))

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield seen
    finally:
        ended.set()
        looking.join()


def _most(pid: int) -> float:
    """0 where it has ended meanwhile."""
    try:
        return resident(pid, "VmHWM")
    except OSError:
        return 0.0


def processor_seconds(pid: int, *, ended: bool = False) -> float:
    """Processor time that a process and its children have used so far, user and system.

    With `ended`, that of its children that have ended is counted too.
    """
    return sum(_ticks(each, 4 if ended and each == pid else 2) for each in family(pid)) / os.sysconf(
        "SC_CLK_TCK"
    )


def _ticks(pid: int, fields: int) -> int:
    """Of user and system; then of both for the children that have ended. 0 where it has ended meanwhile."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(map(int, stat.rsplit(")", 1)[1].split()[11 : 11 + fields]))
