"""deliver: from accepted to acknowledged, everything in the one server, beside its HTTP client alone."""

import time
from statistics import median

from bench import client, load, process
from bench.figures import Figure, Plan, figure, ratio_at_least, under
from bench.server import STAMPED, Queue, Receiver, home, receiving, run_load

SENDING = 32  # connections
CLIENT = (16, 64)  # connections of the bare client; the server opens 16 to one listener
EXPECTED = 3000  # messages a second, to choose how many to send
ONE_BY_ONE = 200


def measure(plan: Plan) -> list[Figure]:
    """Messages a second with many connections; latencies with one."""
    with receiving() as receiver, home() as place, place.serving() as hub:
        queue = hub.queue("deliver")
        queue.listen("receiver", receiver.port)
        count = int(EXPECTED * plan.seconds)
        _run(queue, SENDING, count // 4)
        rates: list[float] = []
        costs: list[float] = []
        limits: dict[int, list[float]] = {connections: [] for connections in CLIENT}
        for _ in range(plan.rounds):
            for connections in CLIENT:
                limits[connections].append(_client(receiver, connections, plan.seconds))
            before = process.processor_seconds(hub.pid)
            rates.append(_run(queue, SENDING, count))
            costs.append((process.processor_seconds(hub.pid) - before) / count * 1e6)
        figures = [
            figure(
                f"{SENDING} sending connections; the client alone over {connections}",
                rates,
                "msg/s",
                limits[connections],
                ratio_at_least(0.5) if connections == 16 else None,
                f"{median(costs):.0f} us of processor each",
            )
            for connections in CLIENT
        ]
        return figures + _latencies(queue, receiver, plan)


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
