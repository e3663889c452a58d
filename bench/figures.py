"""What a benchmark hands back: figures, the limit of the same run, the aim and whether it is met."""

from collections.abc import Callable, Iterable, Sequence
from statistics import median

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """How much to measure."""

    rounds: int = 3
    seconds: float = 1.5  # of one load
    messages: int = 30_000  # after which memory is read
    events: tuple[int, int] = (1_000, 1_000_000)  # in the window of the statistics
    facts: tuple[int, ...] = (100_000, 1_000_000)  # of activity, in a year
    starts: int = 5
    processes: int = 2  # at most, of start, fairness and memory


DEFAULT = Plan()
QUICK = Plan(
    rounds=1,
    seconds=0.6,
    messages=5_000,
    events=(1_000, 100_000),
    facts=(10_000, 100_000),
    starts=3,
    processes=1,
)
FULL = Plan(
    rounds=5,
    seconds=3.0,
    messages=1_000_000,
    events=(1_000, 10_000_000),
    facts=(100_000, 1_000_000, 10_000_000),
)


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a table; `limit` and `ratio` to it are of the same run."""

    work: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    aim: str = ""
    met: bool | None = None
    note: str = ""
    database: str = ""  # and with how many processes; empty where there is but one


class Aim(msgspec.Struct, frozen=True):
    """What a figure, or its ratio to the limit, should be; from the issue that asked for it."""

    text: str
    of_ratio: bool
    holds: Callable[[float], bool]


def ratio_at_least(bound: float) -> Aim:
    """The ratio to the limit is no less than `bound`."""
    return Aim(f"ratio >= {bound:g}", True, lambda ratio: ratio >= bound)


def ratio_under(bound: float) -> Aim:
    """The ratio to the limit is less than `bound`."""
    return Aim(f"ratio < {bound:g}", True, lambda ratio: ratio < bound)


def under(bound: float, unit: str) -> Aim:
    """The figure is less than `bound`."""
    return Aim(f"< {bound:g} {unit}", False, lambda value: value < bound)


def at_least(bound: float, unit: str) -> Aim:
    """The figure is no less than `bound`."""
    return Aim(f">= {bound:,g}{unit}", False, lambda value: value >= bound)


def share_of_all() -> Aim:
    """The figure, in percent, is everything."""
    return Aim("all", False, lambda value: value >= 100)


def figure(
    work: str,
    values: Sequence[float],
    unit: str,
    limits: Sequence[float] = (),
    aim: Aim | None = None,
    note: str = "",
) -> Figure:
    """The median of the rounds, and of their ratios to the limit taken beside each."""
    ratios = [value / limit for value, limit in zip(values, limits, strict=True)] if limits else []
    ratio = median(ratios) if ratios else None
    value = median(values)
    judged = ratio if aim and aim.of_ratio else value
    return Figure(
        work=work,
        value=value,
        unit=unit,
        limit=median(limits) if limits else None,
        ratio=ratio,
        aim=aim.text if aim else "",
        met=aim.holds(judged) if aim and judged is not None else None,
        note=note,
    )


def processor(hub: float, database: float) -> str:
    """The note of what one request costs, in us of processor time; of PostgreSQL, where it is known."""
    return f"{hub:.0f} us of processor each" + (f", {database:.0f} of PostgreSQL's" if database else "")


def on(database: str, lines: Iterable[Figure]) -> list[Figure]:
    """The same figures, as those of one database."""
    return [msgspec.structs.replace(line, database=database) for line in lines]
