"""accept: POST of a message until its durable answer, beside a constant's and beside an insert by pgbench."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import groupby
from statistics import median
from typing import NamedTuple

import msgspec

from bench import constant, load, pgbench, process
from bench.figures import Aim, Figure, Plan, figure, on, processor, ratio_at_least, under
from bench.server import STAMPED, Hub, Queue, Receiver, home, message, processor_seconds, receiving, run_load
from bench.variants import Setup, Variant

WARMUP = 0.3  # seconds
INSERT = "pgbench"


class Case(NamedTuple):
    """Over how many connections, what else, and the limits with their aims."""

    connections: int
    work: str
    limits: Mapping[str, Aim | None]
    delivering: bool = True


class Limit(NamedTuple):
    """Answers a second, and the p50 or, of pgbench, the mean latency in ms."""

    rate: float
    latency: float


class Measured(NamedTuple):
    """One load; `cost` and `database`: processor time of the hub and of PostgreSQL, us a message."""

    ours: load.Result
    cost: float
    database: float


class Round(NamedTuple):
    """The limits and each variant, one after the other."""

    limits: Mapping[str, Limit]
    measured: Mapping[Variant, Measured]


class Stand(NamedTuple):
    """One variant at work, with a queue that is delivered to a receiver and one that is not."""

    hub: Hub
    delivering: Queue
    waiting: Queue


BARE, WHOLE = constant.BARE, constant.WHOLE
SAID = {
    BARE: "a constant, bare ASGI",
    WHOLE: "a constant, with Starlette's Request, Response",
    INSERT: "pgbench",
}
OF_CONSTANT, OF_INSERT = ratio_at_least(0.35), ratio_at_least(0.5)
ALONE = (
    Case(1, "1 connection, delivering to a receiver", {BARE: None}),
    Case(32, "32 connections, delivering to a receiver", {BARE: OF_CONSTANT}),
    Case(128, "128 connections, delivering to a receiver", {BARE: None}),
    Case(32, "32 connections, the listener switched off", {BARE: OF_CONSTANT, WHOLE: None}, delivering=False),
)
ON_POSTGRES = (
    Case(1, "1 connection, delivering to a receiver", {INSERT: OF_INSERT, BARE: None}),
    Case(1, "1 connection, the listener switched off", {INSERT: OF_INSERT}, delivering=False),
    Case(32, "32 connections, delivering to a receiver", {INSERT: OF_INSERT, BARE: None}),
    Case(32, "32 connections, the listener switched off", {INSERT: OF_INSERT, BARE: None}, delivering=False),
    Case(128, "128 connections, delivering to a receiver", {INSERT: OF_INSERT, BARE: None}),
    Case(128, "128 connections, the listener switched off", {INSERT: OF_INSERT}, delivering=False),
)


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Requests a second for each case, and p50 with one connection."""
    cases = ON_POSTGRES if setup.postgres else ALONE
    with ExitStack() as stack:
        receiver = stack.enter_context(receiving())
        stands = {variant: _stand(variant, receiver, stack) for variant in setup.variants}
        limits = Limits(setup, stack)
        rounds = [list(_round(stands, limits, cases, plan.seconds)) for _ in range(plan.rounds)]
    of_cases = list(zip(*rounds, strict=True))
    return [line for each in setup.variants for line in on(each.label, _figures(each, cases, of_cases))]


class Limits:
    """What the hub is measured against."""

    def __init__(self, setup: Setup, stack: ExitStack) -> None:
        self._port = stack.enter_context(process.serving("bench.constant"))
        self._inserts = (
            stack.enter_context(pgbench.ready(setup.postgres, STAMPED)) if setup.postgres else None
        )

    def take(self, limit: str, job: load.Job) -> Limit:
        """A limit, as many connections for as long as in the job."""
        if limit == INSERT:
            assert self._inserts is not None, "pgbench is the limit of PostgreSQL only"
            return Limit(*self._inserts.run(job.connections, job.seconds))
        request = load.request(
            "POST", limit, message(), {"x-api-key": "-" * 64, "accept": "application/json"}
        )
        answered = run_load(msgspec.structs.replace(job, port=self._port, request=request))
        return Limit(answered.rate, answered.latency.p50)


def _stand(variant: Variant, receiver: Receiver, stack: ExitStack) -> Stand:
    hub = stack.enter_context(stack.enter_context(home(variant)).serving())
    delivering, waiting = hub.queue("delivering"), hub.queue("waiting")
    delivering.listen("receiver", receiver.port)
    waiting.listen("switched off", receiver.port, status="disabled")
    return Stand(hub, delivering, waiting)


def _round(
    stands: Mapping[Variant, Stand], limits: Limits, cases: Sequence[Case], seconds: float
) -> Iterator[Round]:
    """Each case; those that follow each other with as many connections share their limits."""
    for connections, group in groupby(cases, key=lambda case: case.connections):
        together = list(group)
        job = load.Job(0, b"", connections=connections, seconds=seconds, warmup=WARMUP, stamp=True)
        names = dict.fromkeys(limit for case in together for limit in case.limits)
        taken = {name: limits.take(name, job) for name in names}
        for case in together:
            yield Round(taken, {each: _measured(each, stand, case, job) for each, stand in stands.items()})


def _measured(variant: Variant, stand: Stand, case: Case, job: load.Job) -> Measured:
    queue = stand.delivering if case.delivering else stand.waiting
    before = processor_seconds(stand.hub, variant)
    ours = run_load(msgspec.structs.replace(job, port=stand.hub.port, request=queue.post()))
    after = processor_seconds(stand.hub, variant)
    stand.delivering.drain()
    hub, database = ((end - begin) / ours.total * 1e6 for begin, end in zip(before, after, strict=True))
    return Measured(ours, hub, database)


def _figures(variant: Variant, cases: Sequence[Case], rounds: Sequence[Sequence[Round]]) -> Iterator[Figure]:
    for case, done in zip(cases, rounds, strict=True):
        measured = [each.measured[variant] for each in done]
        rates, note = [each.ours.rate for each in measured], _note(measured)
        for limit, aim in case.limits.items():
            limits = [each.limits[limit].rate for each in done]
            yield figure(f"{case.work}; limit: {SAID[limit]}", rates, "req/s", limits, aim, note)
            note = ""
    yield from _one_connection(variant, cases[0], rounds[0])


def _note(measured: Sequence[Measured]) -> str:
    latency = [each.ours.latency for each in measured]
    p50, p99 = median(each.p50 for each in latency), median(each.p99 for each in latency)
    cost = processor(median(each.cost for each in measured), median(each.database for each in measured))
    return f"p50 {p50:.2f} ms, p99 {p99:.2f} ms, {cost}"


def _one_connection(variant: Variant, case: Case, rounds: Sequence[Round]) -> Iterator[Figure]:
    ours = [each.measured[variant].ours.latency.p50 for each in rounds]
    for limit in case.limits:
        said = f"1 connection, p50 latency; limit: {SAID[limit]}" + (", mean" if limit == INSERT else "")
        limits = [each.limits[limit].latency for each in rounds]
        yield figure(said, ours, "ms", limits, None if variant.postgres else under(1, "ms"))
