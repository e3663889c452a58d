"""start: from the start of the process to its ready line, and its memory when idle."""

import subprocess
import sys
import time
from statistics import median

from bench import process
from bench.figures import Figure, Plan, figure, under
from bench.server import Home, home

SETTLE = 1.0  # seconds


def measure(plan: Plan) -> list[Figure]:
    """Seconds, and MB."""
    with home() as place:
        _start(place)
        starts = [_start(place) for _ in range(plan.starts)]
    seconds, memory = [start[0] for start in starts], [start[1] for start in starts]
    bare = [_interpreter() for _ in range(plan.starts)]
    note = f"{min(seconds):.2f} to {max(seconds):.2f} s; the interpreter alone {median(bare):.2f} s"
    return [
        figure("process start to the ready line", seconds, "s", aim=under(1, "s"), note=note),
        figure("resident memory, idle", memory, "MB", aim=under(100, "MB")),
    ]


def _start(place: Home) -> tuple[float, float]:
    """Seconds to ready, and resident MB a second after the first answer."""
    begin = time.monotonic()
    with place.serving() as hub:
        seconds = time.monotonic() - begin
        hub.api("GET", "/stats/messages")
        time.sleep(SETTLE)
        return seconds, process.resident(hub.pid)


def _interpreter() -> float:
    """Seconds to start Python and end it."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=60)
    return time.monotonic() - begin
