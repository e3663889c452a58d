"""How far a copy is: bars on a terminal, in a pipe a line for each table when it is done."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from postroom.cli.output import on_terminal


class Silent:
    """Shows nothing."""

    def begin(self, totals: dict[str, int]) -> None:
        """The tables, and how many rows each has."""

    def reached(self, table: str, rows: int) -> None:
        """So many of them are copied."""


class Lines(Silent):
    """Shows each table when all of its rows are copied."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}

    def begin(self, totals: dict[str, int]) -> None:
        """The tables, and how many rows each has."""
        self._totals = totals

    def reached(self, table: str, rows: int) -> None:
        """So many of them are copied."""
        if rows == self._totals[table]:
            print(table, rows, sep="\t", flush=True)


class Bars(Silent):
    """Shows a bar for each table."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, totals: dict[str, int]) -> None:
        """The tables, and how many rows each has."""
        for name, rows in totals.items():
            self._tasks[name] = self._bars.add_task(name, total=rows)

    def reached(self, table: str, rows: int) -> None:
        """So many of them are copied."""
        self._bars.update(self._tasks[table], completed=rows)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", justify="right")


@contextmanager
def shown(*, silent: bool) -> Iterator[Silent]:
    """What shows how far it is while the block runs."""
    if silent:
        yield Silent()
    elif not on_terminal():
        yield Lines()
    else:
        rows = TextColumn("{task.completed:,.0f} of {task.total:,.0f}", justify="right")
        name = TextColumn("{task.description}")
        with Progress(name, BarColumn(), rows, _Rate(), TimeRemainingColumn()) as bars:
            yield Bars(bars)
