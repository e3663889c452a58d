"""`python -m bench [NAME ...] [--quick | --full] [--json]`: measure, and print a table for each benchmark."""

import argparse
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from bench import accept, deliver, fairness, imports, machine, memory, postgres, start, stats, table, totals
from bench.figures import DEFAULT, FULL, QUICK, Figure, Plan
from bench.variants import EMBEDDED, Setup, on_postgres
from postroom.domain.database import postgresql

BENCHMARKS: dict[str, tuple[str, Callable[[Plan, Setup], list[Figure]]]] = {
    "accept": ("POST until the durable answer", accept.measure),
    "deliver": ("accepted to acknowledged; limit: the HTTP client alone, same receiver", deliver.measure),
    "stats": ("GET /stats/messages; limit: the same stack answering a constant", stats.measure),
    "totals": ("a year of dailyTotals; limit: the same stack answering a constant", totals.measure),
    "import": ("an export into folded totals; limit: reading and parsing it alone", imports.measure),
    "fairness": ("a healthy listener beside hanging ones; limit: without them", fairness.measure),
    "start": ("start and idle memory", start.measure),
    "memory": ("memory under load", memory.measure),
}


def main() -> int:
    arguments = _arguments()
    try:
        with _setup(arguments.database) as setup:
            return _run(arguments, setup)
    except OSError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


@contextmanager
def _setup(database: str) -> Iterator[Setup]:
    if database == "embedded":
        yield EMBEDDED
    else:
        with postgres.server(database) as server:
            yield on_postgres(server)


def _run(arguments: argparse.Namespace, setup: Setup) -> int:
    plan = QUICK if arguments.quick else FULL if arguments.full else DEFAULT
    names = [name for name in BENCHMARKS if not arguments.names or name in arguments.names]
    described = machine.describe(setup.postgres.describe() if setup.postgres else "")
    results: dict[str, list[Figure]] = {}
    if not arguments.json:
        table.machine(described)
    begin = time.monotonic()
    failed = [name for name in names if not _measured(name, plan, setup, results, quiet=arguments.json)]
    if arguments.json:
        answer = {"machine": described, "plan": plan, "results": results}
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
    else:
        table.closing(results, failed, time.monotonic() - begin)
    return 1 if failed else 0


def _measured(name: str, plan: Plan, setup: Setup, results: dict[str, list[Figure]], *, quiet: bool) -> bool:
    """Measure, print and keep; False where it could not be measured."""
    title, measure = BENCHMARKS[name]
    try:
        results[name] = measure(plan, setup)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return False
    if not quiet:
        table.figures(f"{name}: {title}", results[name])
    return True


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description="Measure Postroom on this machine, over loopback.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all if none is given"
    )
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="about a minute, less exact")
    size.add_argument("--full", action="store_true", help="10^7 events, a million messages: many minutes")
    parser.add_argument(
        "--database",
        type=_database,
        default="embedded",
        metavar="embedded|postgresql|URL",
        help="postgresql: a server started for this; URL: databases made, and dropped, on that server",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    return arguments


def _database(given: str) -> str:
    """What was given, if it is known; a ValueError says what a URL should be."""
    if given in {"embedded", "postgresql"}:
        return given
    try:
        return postgresql(given)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"embedded, postgresql, or a URL, which {error}") from None


if __name__ == "__main__":
    raise SystemExit(main())
