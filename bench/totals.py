"""totals: a year of dailyTotals with few and many facts, beside a constant answer and counting the facts."""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

from bench import activity, distinct, load, postgres, process
from bench.constant import DAILY
from bench.figures import Figure, Plan, figure, on, ratio_at_least, ratio_under, under
from bench.server import Hub, home, run_load
from bench.variants import Setup, Variant

CONNECTIONS = 32
WARMUP = 0.3  # seconds
YEAR = 365  # days
FIVE_YEARS = 5 * YEAR
SUMMED = 1_000_000  # facts in five years
SUMMARY = "/v1/analytics/messagingMetrics/summary"
ONCE = 15  # answers that nobody asked for before

Rates = list[float]  # of each round


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Answers a second; how much dearer many facts are than few; a summary over five years."""
    lines = [line for variant in setup.all for line in on(variant.label, _of(plan, variant))]
    return lines + _counted(plan)


def _of(plan: Plan, variant: Variant) -> list[Figure]:
    with ExitStack() as stack:
        port = stack.enter_context(process.serving("bench.constant"))
        hubs = [stack.enter_context(_filled(variant, facts, YEAR)) for facts in plan.facts]
        targets = [(port, hubs[0]), *((hub.port, hub) for hub in hubs)]
        rounds = [[_load(port, hub, plan) for port, hub in targets] for _ in range(plan.rounds)]
        first = [_first_answers(hub, DAILY, YEAR) for hub in hubs]
    limits, *loads = ([row[column] for row in rounds] for column in range(len(targets)))
    constant = [each.rate for each in limits]
    lines = [
        line
        for facts, some, once in zip(plan.facts, loads, first, strict=True)
        for line in _rates(facts, some, once, constant)
    ]
    return [*lines, _flat(plan, loads[0], loads[-1]), *_summary(plan, variant)]


def _rates(facts: int, loads: list[load.Result], once: Rates, constant: Rates) -> list[Figure]:
    rates = [each.rate for each in loads]
    p50 = [each.latency.p50 for each in loads]
    note = f"p50 {sorted(p50)[len(p50) // 2]:.2f} ms at {CONNECTIONS} connections"
    return [
        figure(f"a year, {_number(facts)} facts", rates, "req/s", constant, ratio_at_least(0.4), note),
        figure(f"the same, a year that nobody asked for yet, {_number(facts)} facts", once, "ms"),
    ]


def _flat(plan: Plan, few: list[load.Result], many: list[load.Result]) -> Figure:
    costs = [[1000 / each.rate for each in loads] for loads in (few, many)]
    words = f"an answer with {_number(plan.facts[-1])} facts; with {_number(plan.facts[0])}"
    return figure(words, costs[1], "ms", costs[0], ratio_under(1.2), note="at full load")


def _summary(plan: Plan, variant: Variant) -> list[Figure]:
    facts = min(SUMMED, plan.facts[-1])
    with _filled(variant, facts, FIVE_YEARS) as hub:
        took = _first_answers(hub, SUMMARY, FIVE_YEARS)
    return [figure(f"a summary over five years, {_number(facts)} facts", took, "ms", aim=under(20, "ms"))]


def _counted(plan: Plan) -> list[Figure]:
    """What every answer costs where it is counted from the facts."""
    lines = []
    for facts in plan.facts:
        job = activity.Job("", "", facts, YEAR, _today())
        counted = process.run("bench.distinct", job, distinct.Counted)
        for name, took in (("SQLite", counted.sqlite), ("DuckDB", counted.duckdb)):
            work = f"COUNT(DISTINCT) in {name}, {_number(facts)} facts"
            lines.append(figure(work, [each * 1000 for each in took], "ms", note="for comparison"))
    return lines


@contextmanager
def _filled(variant: Variant, facts: int, days: int) -> Iterator[Hub]:
    """A server with so many facts; OSError where its answer says otherwise."""
    with home(variant) as place:
        job = activity.Job(place.address, place.org_id, facts, days, _today())
        process.run("bench.activity", job, activity.Filled)
        if variant.postgres:
            postgres.settle(place.address)
        with place.serving() as hub:
            sent = hub.api("GET", _asked(DAILY, days))["metrics"]["totalMessagesSent"]
            if sum(sent) != facts:
                raise OSError(f"{facts} activities were taken in, {sum(sent)} are counted")
            yield hub


def _first_answers(hub: Hub, path: str, days: int) -> Rates:
    """Milliseconds for answers of which none was asked for before."""
    took = []
    for fewer in range(1, ONCE + 1):
        begin = time.perf_counter()
        hub.api("GET", _asked(path, days - fewer))
        took.append((time.perf_counter() - begin) * 1000)
    return took


def _load(port: int, hub: Hub, plan: Plan) -> load.Result:
    request = hub.get(_asked(DAILY, YEAR))
    return run_load(
        load.Job(port=port, request=request, connections=CONNECTIONS, seconds=plan.seconds, warmup=WARMUP)
    )


def _asked(path: str, days: int) -> str:
    """A request for so many days, the last of them yesterday."""
    today = datetime.now(UTC).date()
    return f"{path}?from={today - timedelta(days=days)}&to={today - timedelta(days=1)}"


def _today() -> int:
    return (datetime.now(UTC) - datetime(1970, 1, 1, tzinfo=UTC)).days


def _number(count: int) -> str:
    return f"10^{len(str(count)) - 1}"
