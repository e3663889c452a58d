"""start: from the start of the process to its ready line, and its memory when idle."""

import subprocess
import sys
import time
from statistics import median

from bench.figures import Figure, Plan, figure, on, under
from bench.server import Home, home
from bench.variants import Setup, Variant

SETTLE = 1.0  # seconds


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Seconds, and MB."""
    variants = setup.up_to(plan.processes)
    return [line for variant in variants for line in on(variant.label, _measure(plan, variant))]


def _measure(plan: Plan, variant: Variant) -> list[Figure]:
    with home(variant) as place:
        memory = _idle(place)  # the first start, which is slower than those that follow
        seconds = [_start(place) for _ in range(plan.starts)]
    bare = [_interpreter() for _ in range(plan.starts)]
    note = f"{min(seconds):.2f} to {max(seconds):.2f} s; the interpreter alone {median(bare):.2f} s"
    return [
        figure("process start to the ready line", seconds, "s", aim=under(1, "s"), note=note),
        figure("resident memory, idle", [memory], "MB", aim=under(100, "MB")),
    ]


def _start(place: Home) -> float:
    """Seconds to ready."""
    begin = time.monotonic()
    with place.serving():
        return time.monotonic() - begin


def _idle(place: Home) -> float:
    """Resident MB of the largest process a second after the first answer."""
    with place.serving() as hub:
        hub.api("GET", "/stats/messages")
        time.sleep(SETTLE)
        return hub.resident()


def _interpreter() -> float:
    """Seconds to start Python and end it."""
    begin = time.monotonic()
    subprocess.run([sys.executable, "-c", ""], check=True, timeout=60)
    return time.monotonic() - begin
