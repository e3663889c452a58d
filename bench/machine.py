"""The machine that the figures were taken on."""

import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import apsw
import msgspec

SYNCS = 50


class Machine(msgspec.Struct, frozen=True):
    """What the figures depend on."""

    date: str
    processor: str
    cores: int
    memory: str
    kernel: str
    python: str
    sqlite: str
    sync: str  # how long the disk of the data directory takes to make 4 kB durable
    postgresql: str  # its version and what makes its commits durable; empty where it is not measured
    load: str  # average of the last minute before the first measurement; more than 0.5 spoils the figures


def describe(postgresql: str) -> Machine:
    """This machine, now, with what PostgreSQL says of itself."""
    pages = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Machine(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)),
        memory=f"{pages / 1e9:.1f} GB",
        kernel=f"{platform.system()} {platform.release()}",
        python=f"{platform.python_implementation()} {platform.python_version()}",
        sqlite=apsw.sqlite_lib_version(),
        sync=f"{_sync() * 1000:.2f} ms",
        postgresql=postgresql,
        load=f"{os.getloadavg()[0]:.2f}",
    )


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _sync() -> float:
    """Median seconds of a write of 4 kB and its fdatasync, where the data directories are made."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(SYNCS):
            begin = time.perf_counter()
            file.write(b"\0" * 4096)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - begin)
    return median(times)
