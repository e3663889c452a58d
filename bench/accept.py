"""accept: POST of a message until its durable answer, beside the same stack answering a constant."""

import msgspec

from bench import load, process
from bench.figures import Aim, Figure, Plan, figure, ratio_at_least, under
from bench.server import Hub, Queue, home, receiving, run_load

CONNECTIONS = (1, 32, 128)
WARMUP = 0.3  # seconds
AIMS: dict[int, Aim] = {32: ratio_at_least(0.35)}

Rounds = dict[int, list[tuple[load.Result, load.Result]]]


def measure(plan: Plan) -> list[Figure]:
    """Requests a second and p50 for each number of connections."""
    with (
        receiving() as receiver,
        home() as place,
        place.serving() as hub,
        process.serving("bench.constant") as port,
    ):
        delivered = hub.queue("accept")
        delivered.listen("receiver", receiver.port)
        waiting = hub.queue("accept-waiting")
        waiting.listen("switched off", receiver.port, status="disabled")
        rounds: Rounds = {connections: [] for connections in CONNECTIONS}
        alone = []
        for _ in range(plan.rounds):
            for connections in CONNECTIONS:
                rounds[connections].append(_pair(hub, delivered, port, connections, plan))
                delivered.drain()
            alone.append(_pair(hub, waiting, port, 32, plan))
    return [
        *(_rate(connections, pairs) for connections, pairs in rounds.items()),
        _one_connection(rounds[1]),
        figure(
            "32 connections, the listener switched off",
            [ours.rate for ours, _ in alone],
            "req/s",
            [limit.rate for _, limit in alone],
            note="accepting without delivering beside it",
        ),
    ]


def _pair(
    hub: Hub, queue: Queue, constant: int, connections: int, plan: Plan
) -> tuple[load.Result, load.Result]:
    """The hub and the constant, one right after the other."""
    job = load.Job(
        port=constant,
        request=queue.post(),
        connections=connections,
        seconds=plan.seconds,
        warmup=WARMUP,
        stamp=True,
    )
    limit = run_load(job)
    return run_load(msgspec.structs.replace(job, port=hub.port)), limit


def _rate(connections: int, pairs: list[tuple[load.Result, load.Result]]) -> Figure:
    rates, limits = [ours.rate for ours, _ in pairs], [limit.rate for _, limit in pairs]
    latency = pairs[-1][0].latency
    note = f"p50 {latency.p50:.2f} ms, p99 {latency.p99:.2f} ms"
    work = f"{connections} connection{'s' if connections > 1 else ''}, delivering to a receiver"
    return figure(work, rates, "req/s", limits, AIMS.get(connections), note)


def _one_connection(pairs: list[tuple[load.Result, load.Result]]) -> Figure:
    ours, limits = [ours.latency.p50 for ours, _ in pairs], [limit.latency.p50 for _, limit in pairs]
    return figure("1 connection, p50 latency", ours, "ms", limits, under(1, "ms"))
