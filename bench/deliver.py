"""deliver: from accepted to acknowledged, everything in the one server, beside its HTTP client alone."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from statistics import median
from typing import NamedTuple

from bench import client, load, process
from bench.figures import Figure, Plan, figure, on, processor, ratio_at_least, under
from bench.server import STAMPED, Queue, Receiver, home, processor_seconds, receiving, run_load
from bench.variants import Setup, Variant

SENDING = 32  # connections
CLIENT = (16, 64)  # connections of the bare client; the server opens 16 to one listener
EXPECTED = 3000  # messages a second, to choose how many to send
ONE_BY_ONE = 200


class Measured(NamedTuple):
    """Messages a second; `cost` and `database`: processor time of hub and PostgreSQL, us a message."""

    rate: float
    cost: float
    database: float


class Rounds(NamedTuple):
    """What each round measured, one after the other: the client alone by its connections, each variant."""

    limits: dict[int, list[float]]
    measured: dict[Variant, list[Measured]]


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Messages a second with many connections; latencies with one."""
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        queues = {variant: _queue(variant, receiver, stack) for variant in setup.all}
        rounds = _rounds(queues, receiver, plan)
        latencies = {variant: _latencies(queue, receiver, plan) for variant, queue in queues.items()}
    return [line for each in setup.all for line in on(each.label, [*_rates(each, rounds), *latencies[each]])]


def _queue(variant: Variant, receiver: Receiver, stack: ExitStack) -> Queue:
    hub = stack.enter_context(stack.enter_context(home(variant)).serving())
    queue = hub.queue("deliver")
    queue.listen("receiver", receiver.port)
    return queue


def _rounds(queues: dict[Variant, Queue], receiver: Receiver, plan: Plan) -> Rounds:
    count = int(EXPECTED * plan.seconds)
    rounds = Rounds({connections: [] for connections in CLIENT}, {variant: [] for variant in queues})
    for queue in queues.values():
        _run(queue, SENDING, count // 4)
    for _ in range(plan.rounds):
        for connections in CLIENT:
            rounds.limits[connections].append(_client(receiver, connections, plan.seconds))
        for variant, queue in queues.items():
            rounds.measured[variant].append(_measured(variant, queue, count))
    return rounds


def _measured(variant: Variant, queue: Queue, count: int) -> Measured:
    before = processor_seconds(queue.hub, variant)
    rate = _run(queue, SENDING, count)
    after = processor_seconds(queue.hub, variant)
    return Measured(rate, *((end - begin) / count * 1e6 for begin, end in zip(before, after, strict=True)))


def _rates(variant: Variant, rounds: Rounds) -> Iterator[Figure]:
    measured = rounds.measured[variant]
    rates, work = [each.rate for each in measured], f"{SENDING} sending connections"
    note = processor(median(each.cost for each in measured), median(each.database for each in measured))
    for connections, limits in rounds.limits.items():
        aim = ratio_at_least(0.5) if connections == 16 else None
        yield figure(f"{work}; the client alone over {connections}", rates, "msg/s", limits, aim, note)
    if variant.postgres:
        embedded = next(each for other, each in rounds.measured.items() if not other.postgres)
        yield figure(f"{work}; the embedded database", rates, "msg/s", [each.rate for each in embedded])


def _client(receiver: Receiver, connections: int, seconds: float) -> float:
    job = client.Job(receiver.port, STAMPED.encode(), connections, seconds=seconds)
    return process.run("bench.client", job, client.Result).rate


def _run(queue: Queue, connections: int, count: int) -> float:
    """Send `count` messages; how many a second, from the first sent to the last acknowledged and recorded."""
    job = load.Job(
        port=queue.hub.port, request=queue.post(), connections=connections, count=count, stamp=True
    )
    result = run_load(job)
    return result.total / (queue.drain() - result.begin / 1e9)


def _latencies(queue: Queue, receiver: Receiver, plan: Plan) -> list[Figure]:
    """One connection: a stream of messages to their arrival, and one by one to their recorded outcome."""
    receiver.reset()
    job = load.Job(port=queue.hub.port, request=queue.post(), seconds=plan.seconds, stamp=True)
    arrival = receiver.wait(run_load(job).total).latency
    queue.drain()
    recorded = sorted(_one(queue) for _ in range(ONE_BY_ONE))
    return [
        figure(
            "1 connection, p50 from sending to arrival",
            [arrival.p50],
            "ms",
            aim=under(2, "ms"),
            note=f"p90 {arrival.p90:.2f} ms, max {arrival.max:.2f} ms",
        ),
        figure("1 connection, p99 from sending to arrival", [arrival.p99], "ms"),
        figure(
            "one by one, p50 from sending to recorded",
            [recorded[len(recorded) // 2]],
            "ms",
            aim=under(2, "ms"),
            note="upper bound: the recorded outcome is polled over HTTP",
        ),
    ]


def _one(queue: Queue) -> float:
    """From sending one message until its listener's counts show it acknowledged, ms."""
    begin = time.monotonic()
    queue.publish()
    return (queue.drain(pause=0.0) - begin) * 1000
