"""fairness: a healthy listener beside a hundred that never answer, at the server's own settings."""

import time

from bench import load
from bench.figures import Figure, Plan, figure, on, ratio_under, share_of_all
from bench.latency import Latency
from bench.server import Hub, Queue, Receiver, home, receiving, run_load
from bench.variants import Setup, Variant

HANGING = 100  # listeners
OWED = 20  # messages to each of them: together more than the server may have open at once
CONNECTIONS = 4
PACE = 0.02  # seconds between two messages of a connection
PATIENCE = 5.0  # seconds for what was sent to arrive; an attempt at a hanging listener takes 20
SETTLE = 0.5

Stream = tuple[float, Latency]  # how many percent of the messages arrived, and how late


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """From sending to arrival at the healthy listener, with and without the others."""
    variants = setup.up_to(plan.processes)
    return [line for variant in variants for line in on(variant.label, _measure(plan, variant))]


def _measure(plan: Plan, variant: Variant) -> list[Figure]:
    with receiving() as receiver, home(variant) as place, place.serving("--stop-timeout", "1") as hub:
        queue = hub.queue("healthy")
        queue.listen("healthy", receiver.port)
        _stream(queue, receiver, plan.seconds)
        _, without = _stream(queue, receiver, plan.seconds * 3)
        held = _hang(hub, receiver)
        arrived, beside = _stream(queue, receiver, plan.seconds * 3)
    note = f"{held} requests of {HANGING} listeners hang"
    late = "of those that arrived" if arrived < 100 else ""
    return [
        figure("arrived at the healthy one", [arrived], "%", aim=share_of_all(), note=note),
        figure("p50 to arrival; without them", [beside.p50], "ms", [without.p50], ratio_under(1.5), late),
        figure("p99 to arrival; without them", [beside.p99], "ms", [without.p99], note=late),
        figure("slowest to arrive; without them", [beside.max], "ms", [without.max], note=late),
    ]


def _stream(queue: Queue, receiver: Receiver, seconds: float) -> Stream:
    """A steady stream to the healthy listener."""
    receiver.reset()
    sent = run_load(
        load.Job(
            port=queue.hub.port,
            request=queue.post(),
            connections=CONNECTIONS,
            pace=PACE,
            seconds=seconds,
            stamp=True,
        )
    ).total
    report = receiver.wait_at_most(sent, PATIENCE)
    return 100 * report.received / sent, report.latency


def _hang(hub: Hub, receiver: Receiver) -> int:
    """Owe messages to listeners that hang; how many requests to them are open when no more are opened."""
    queue = hub.queue("hanging")
    for number in range(HANGING):
        queue.listen(f"hanging {number}", receiver.port, "/hang")
    for _ in range(OWED):
        queue.publish()
    held = -1
    while held != (now := receiver.report().held) or not now:
        held = now
        time.sleep(SETTLE)
    return held
