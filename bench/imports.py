"""import: from the start of the command to folded totals, beside reading and parsing the export alone."""

import tempfile
from pathlib import Path

import msgspec

from bench import chats, parsing, process
from bench.figures import Figure, Plan, at_least, figure, on, ratio_at_least, under
from bench.server import home
from bench.variants import Setup, Variant

TITLES = {"ndjson": "NDJSON", "slack": "a Slack zip"}
LEAST = 100_000  # activities/s
MOST = 300  # MB
WITHIN = 7_200.0  # seconds


class Ended(msgspec.Struct, frozen=True):
    """What the command tells."""

    messages: int
    days: int


class _Answer(msgspec.Struct, frozen=True):
    ended: Ended = msgspec.field(name="import")


def measure(plan: Plan, setup: Setup) -> list[Figure]:
    """Activities a second, and MB."""
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        return [
            line
            for platform in TITLES
            for line in _of_one(platform, Path(folder) / platform, plan.facts[-1], setup)
        ]


def _of_one(platform: str, path: Path, messages: int, setup: Setup) -> list[Figure]:
    """Each variant takes in the same file, which is removed when all have."""
    job = chats.Job(platform, str(path), messages)
    size = process.run("bench.chats", job, chats.Written, WITHIN).size
    lines = [line for variant in setup.up_to(1) for line in _measure(platform, path, messages, size, variant)]
    path.unlink()
    return lines


def _measure(platform: str, path: Path, messages: int, size: int, variant: Variant) -> list[Figure]:
    parsed = process.run("bench.parsing", parsing.Job(platform, str(path)), parsing.Parsed, WITHIN)
    with home(variant) as place:
        done = place.command("import", platform, str(path), "--json")
    ended = msgspec.json.decode(done.output, type=_Answer).ended
    if not ended.messages == parsed.messages == messages:
        raise OSError(f"of {messages} messages, {parsed.messages} were read and {ended.messages} taken in")
    rate, limit = messages / done.seconds, messages / parsed.seconds
    what = f"{TITLES[platform]} of {messages:,} activities"
    note = f"{size / 1e6:.0f} MB, {ended.days} days, {done.seconds:.0f} s"
    lines = [
        figure(f"{what}, taken in and folded", [rate], "/s", [limit], ratio_at_least(0.4), note),
        figure(f"{what}, most memory", [done.memory], "MB", aim=under(MOST, "MB")),
    ]
    if platform == "ndjson":
        lines.insert(1, figure(f"{what}, the same", [rate], "/s", aim=at_least(LEAST, "/s")))
    return on(variant.label, lines)
