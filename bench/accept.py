"""accept: POST of a message until its durable answer, beside the same stack answering a constant."""

from statistics import median

import msgspec

from bench import constant, load, process
from bench.figures import Aim, Figure, Plan, figure, ratio_at_least, under
from bench.server import Hub, Queue, home, message, receiving, run_load

WARMUP = 0.3  # seconds
ENOUGH = ratio_at_least(0.35)


class Case(msgspec.Struct, frozen=True):
    """One line: over how many connections, and what else."""

    connections: int
    work: str
    aim: Aim | None = None
    delivering: bool = True
    limit: str = constant.BARE


class Round(msgspec.Struct, frozen=True):
    """The constant and the hub, one after the other; `cost`: processor time of the hub, us a message."""

    ours: load.Result
    limit: load.Result
    cost: float


CASES = (
    Case(1, "1 connection, delivering to a receiver"),
    Case(32, "32 connections, delivering to a receiver", ENOUGH),
    Case(128, "128 connections, delivering to a receiver"),
    Case(32, "32 connections, the listener switched off", ENOUGH, delivering=False),
    Case(32, "the same; limit: with Starlette's Request, Response", delivering=False, limit=constant.WHOLE),
)


def measure(plan: Plan) -> list[Figure]:
    """Requests a second for each case, and p50 with one connection."""
    with (
        receiving() as receiver,
        home() as place,
        place.serving() as hub,
        process.serving("bench.constant") as port,
    ):
        delivering, waiting = hub.queue("delivering"), hub.queue("waiting")
        delivering.listen("receiver", receiver.port)
        waiting.listen("switched off", receiver.port, status="disabled")
        rounds: list[list[Round]] = [[] for _ in CASES]
        for _ in range(plan.rounds):
            for case, done in zip(CASES, rounds, strict=True):
                done.append(_round(hub, delivering if case.delivering else waiting, port, case, plan.seconds))
                delivering.drain()
    figures = [_figure(case, done) for case, done in zip(CASES, rounds, strict=True)]
    return [*figures, _one_connection(rounds[0])]


def _round(hub: Hub, queue: Queue, constant_port: int, case: Case, seconds: float) -> Round:
    job = load.Job(
        port=constant_port,
        request=load.request("POST", case.limit, message(), hub.headers),
        connections=case.connections,
        seconds=seconds,
        warmup=WARMUP,
        stamp=True,
    )
    limit = run_load(job)
    before = process.processor_seconds(hub.pid)
    ours = run_load(msgspec.structs.replace(job, port=hub.port, request=queue.post()))
    return Round(ours, limit, (process.processor_seconds(hub.pid) - before) / ours.total * 1e6)


def _figure(case: Case, rounds: list[Round]) -> Figure:
    latency = [each.ours.latency for each in rounds]
    p50, p99 = median(each.p50 for each in latency), median(each.p99 for each in latency)
    cost = median(each.cost for each in rounds)
    return figure(
        case.work,
        [each.ours.rate for each in rounds],
        "req/s",
        [each.limit.rate for each in rounds],
        case.aim,
        f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {cost:.0f} us of processor each",
    )


def _one_connection(rounds: list[Round]) -> Figure:
    ours, limits = ([r.ours.latency.p50 for r in rounds], [r.limit.latency.p50 for r in rounds])
    return figure("1 connection, p50 latency", ours, "ms", limits, under(1, "ms"))
