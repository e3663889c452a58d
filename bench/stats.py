"""stats: GET /stats/messages with few and with many events in the window, beside the constant answer."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bench import fill, load, process
from bench.figures import Figure, Plan, figure, ratio_at_least, ratio_under
from bench.server import Hub, home, run_load

CONNECTIONS = 32
WARMUP = 0.3  # seconds


def measure(plan: Plan) -> list[Figure]:
    """Answers a second; and how much dearer many events are than few."""
    few, many = plan.events
    with ExitStack() as stack:
        constant = stack.enter_context(process.serving("bench.constant"))
        hubs = [stack.enter_context(_filled(events)) for events in plan.events]
        targets = [
            (constant, hubs[0].get("/stats/messages")),
            *((h.port, h.get("/stats/messages")) for h in hubs),
        ]
        rounds = [[_load(port, request, plan) for port, request in targets] for _ in range(plan.rounds)]
    limits, with_few, with_many = ([row[column].rate for row in rounds] for column in range(3))
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
def _filled(events: int) -> Iterator[Hub]:
    """A server with so many events in the window; OSError where its answer says otherwise."""
    with home() as place:
        filled = process.run("bench.fill", fill.Job(str(place.data), place.org_id, events), fill.Filled)
        with place.serving() as hub:
            answer = hub.api("GET", "/stats/messages")["aggregated_api_usage_events"]
            counted = sum(answer["last_24_hours"].values())
            if not 0.99 * filled.inside <= counted <= filled.inside:
                raise OSError(f"{filled.inside} events were written for the window, {counted} are counted")
            yield hub


def _load(port: int, request: bytes, plan: Plan) -> load.Result:
    return run_load(
        load.Job(port=port, request=request, connections=CONNECTIONS, seconds=plan.seconds, warmup=WARMUP)
    )


def _number(count: int) -> str:
    return f"10^{len(str(count)) - 1}"
