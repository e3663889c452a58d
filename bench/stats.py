"""stats: GET /stats/messages with few and with many events in the window, beside the constant answer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import fill, load, postgres, process
from bench.figures import Figure, Plan, figure, on, ratio_at_least, ratio_under
from bench.server import Hub, home, run_load
from bench.variants import Setup, Variant

CONNECTIONS = 32
WARMUP = 0.3  # seconds

Rates = list[float]  # of each round


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Answers a second; and how much dearer many events are than few."""
    with ExitStack() as stack:
        port = stack.enter_context(process.serving("bench.constant"))
        filled = [(variant, events) for variant in setup.all for events in plan.events]
        hubs = [stack.enter_context(_filled(variant, events)) for variant, events in filled]
        targets = [(port, hubs[0]), *((hub.port, hub) for hub in hubs)]
        rounds = [[_load(port, hub, plan) for port, hub in targets] for _ in range(plan.rounds)]
    limits, *rates = ([row[column].rate for row in rounds] for column in range(len(targets)))
    of = dict(zip(filled, rates, strict=True))
    few, many = plan.events
    return [line for v in setup.all for line in on(v.label, _figures(plan, of[v, few], of[v, many], limits))]


def _figures(plan: Plan, with_few: Rates, with_many: Rates, limits: Rates) -> list[Figure]:
    few, many = plan.events
    costs = [[1000 / rate for rate in rates] for rates in (with_few, with_many)]
    return [
        figure(f"{_number(few)} events in the window", with_few, "req/s", limits, ratio_at_least(0.5)),
        figure(f"{_number(many)} events in the window", with_many, "req/s", limits, ratio_at_least(0.5)),
        figure(
            f"an answer with {_number(many)} events; with {_number(few)}",
            costs[1],
            "ms",
            costs[0],
            ratio_under(1.2),
            note="at full load",
        ),
    ]


@contextmanager
def _filled(variant: Variant, events: int) -> Iterator[Hub]:
    """A server with so many events in the window; OSError where its answer says otherwise."""
    with home(variant) as place:
        filled = process.run("bench.fill", fill.Job(place.address, place.org_id, events), fill.Filled)
        if variant.postgres:
            postgres.settle(place.address)
        with place.serving() as hub:
            answer = hub.api("GET", "/stats/messages")["aggregated_api_usage_events"]
            counted = sum(answer["last_24_hours"].values())
            if not 0.99 * filled.inside <= counted <= filled.inside:
                raise OSError(f"{filled.inside} events were written for the window, {counted} are counted")
            yield hub


def _load(port: int, hub: Hub, plan: Plan) -> load.Result:
    request = hub.get("/stats/messages")
    return run_load(
        load.Job(port=port, request=request, connections=CONNECTIONS, seconds=plan.seconds, warmup=WARMUP)
    )


def _number(count: int) -> str:
    return f"10^{len(str(count)) - 1}"
