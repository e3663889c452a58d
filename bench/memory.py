"""memory: of the server after many messages, accepted and delivered."""

from bench import load
from bench.figures import Figure, Plan, figure, on, under
from bench.server import Queue, home, receiving, run_load
from bench.variants import Setup, Variant

CONNECTIONS = 32
TOGETHER = 50_000  # messages, then all of them are waited for


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Resident MB before, after, and at most."""
    variants = setup.up_to(plan.processes)
    return [line for variant in variants for line in on(variant.label, _measure(plan, variant))]


def _measure(plan: Plan, variant: Variant) -> list[Figure]:
    with receiving() as receiver, home(variant) as place, place.serving() as hub:
        queue = hub.queue("memory")
        queue.listen("receiver", receiver.port)
        before = hub.resident()
        for start in range(0, plan.messages, TOGETHER):
            _run(queue, min(TOGETHER, plan.messages - start))
        after, most = hub.resident(), hub.resident("VmHWM")
    note = f"{before:.0f} MB before"
    return [
        figure(f"resident after {plan.messages:,} messages", [after], "MB", aim=under(200, "MB"), note=note),
        figure("most at any moment", [most], "MB"),
    ]


def _run(queue: Queue, count: int) -> None:
    run_load(
        load.Job(port=queue.hub.port, request=queue.post(), connections=CONNECTIONS, count=count, stamp=True)
    )
    queue.drain(pause=0.1)
