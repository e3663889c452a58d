"""memory: of the server after many messages, accepted and delivered."""

from bench import load, process
from bench.figures import Figure, Plan, figure, under
from bench.server import Queue, home, receiving, run_load

CONNECTIONS = 32
TOGETHER = 50_000  # messages, then all of them are waited for


def measure(plan: Plan) -> list[Figure]:
    """Resident MB before, after, and at most."""
    with receiving() as receiver, home() as place, place.serving() as hub:
        queue = hub.queue("memory")
        queue.listen("receiver", receiver.port)
        before = process.resident(hub.pid)
        for start in range(0, plan.messages, TOGETHER):
            _run(queue, min(TOGETHER, plan.messages - start))
        after, most = process.resident(hub.pid), process.resident(hub.pid, "VmHWM")
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
