"""fairness: a healthy listener beside a hundred that never answer, at the server's own settings."""

import time

from bench import load
from bench.figures import Figure, Plan, figure
from bench.latency import Latency
from bench.server import Hub, Queue, Receiver, home, receiving, run_load

HANGING = 100  # listeners
OWED = 20  # messages to each of them: more than the server may have open at once
CONNECTIONS = 4
PACE = 0.02  # seconds between two messages of a connection


def measure(plan: Plan) -> list[Figure]:
    """From sending to arrival at the healthy listener, with and without the others."""
    with receiving() as receiver, home() as place, place.serving() as hub:
        queue = hub.queue("healthy")
        queue.listen("healthy", receiver.port)
        _paced(queue, receiver, plan.seconds)
        without = _paced(queue, receiver, plan.seconds * 2)
        _hang(hub, receiver)
        beside = _paced(queue, receiver, plan.seconds * 2)
    return [
        _figure("p50", beside.p50, without.p50),
        _figure("p99", beside.p99, without.p99),
        _figure("slowest", beside.max, without.max),
    ]


def _figure(name: str, beside: float, without: float) -> Figure:
    return figure(f"{name} to arrival beside {HANGING} hanging; without them", [beside], "ms", [without])


def _paced(queue: Queue, receiver: Receiver, seconds: float) -> Latency:
    """Latencies of a steady stream, all of it arrived."""
    receiver.reset()
    job = load.Job(
        port=queue.hub.port,
        request=queue.post(),
        connections=CONNECTIONS,
        pace=PACE,
        seconds=seconds,
        stamp=True,
    )
    return receiver.wait(run_load(job).total).latency


def _hang(hub: Hub, receiver: Receiver) -> None:
    """Owe messages to listeners that hang, and wait until no more requests to them are opened."""
    queue = hub.queue("hanging")
    for number in range(HANGING):
        queue.listen(f"hanging {number}", receiver.port, "/hang")
    for _ in range(OWED):
        queue.publish()
    held = -1
    while held != (now := receiver.report().held) or not now:
        held = now
        time.sleep(0.3)
