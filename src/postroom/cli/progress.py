"""How far something long is: bars on a terminal, in a pipe some lines."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from postroom.cli.output import on_terminal


class Silent:
    """Shows nothing."""

    def begin(self, totals: dict[str, int]) -> None:
        """Parts that follow, such as tables, and how much each has, such as rows."""

    def reached(self, part: str, done: int, note: str = "") -> None:
        """So much of a part is done; of the notes, the last one is shown."""


class Lines(Silent):
    """Shows each part when all of it is done."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}

    def begin(self, totals: dict[str, int]) -> None:
        """What follows."""
        self._totals |= totals

    def reached(self, part: str, done: int, note: str = "") -> None:
        """So much is done."""
        if done == self._totals[part]:
            print(part, done, sep="\t", flush=True)


class Quarters(Lines):
    """Shows each quarter of a part, once, with its note."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: dict[str, int] = {}

    def reached(self, part: str, done: int, note: str = "") -> None:
        """So much is done."""
        quarter = 4 * done // max(self._totals[part], 1)
        if quarter > self._shown.get(part, 0):
            self._shown[part] = quarter
            print(*filter(None, [part, f"{25 * quarter}%", note]), sep="\t", flush=True)


class Bars(Silent):
    """Shows a bar for each part."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, totals: dict[str, int]) -> None:
        """What follows."""
        for name, total in totals.items():
            self._tasks[name] = self._bars.add_task(name, total=total, note="")

    def reached(self, part: str, done: int, note: str = "") -> None:
        """So much is done."""
        self._bars.update(self._tasks[part], completed=done, note=note)


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f}/s" if speed else "", justify="right")


@contextmanager
def shown(*, silent: bool) -> Iterator[Silent]:
    """What shows how far it is with things that have numbers of rows."""
    rows = TextColumn("{task.completed:,.0f} of {task.total:,.0f}", justify="right")
    with _shown(silent, Lines(), BarColumn(), rows, _Rate()) as progress:
        yield progress


@contextmanager
def shown_in_percent(*, silent: bool) -> Iterator[Silent]:
    """What shows which share is done, with a note."""
    columns = BarColumn(20), TaskProgressColumn(), TextColumn("{task.fields[note]}")
    with _shown(silent, Quarters(), *columns) as progress:
        yield progress


@contextmanager
def _shown(silent: bool, lines: Lines, *columns: ProgressColumn) -> Iterator[Silent]:
    if silent:
        yield Silent()
    elif not on_terminal():
        yield lines
    else:
        # What goes to a file or a pipe must not come between the bars.
        elsewhere = not sys.stderr.isatty()
        name = TextColumn("{task.description}")
        with Progress(name, *columns, TimeRemainingColumn(), redirect_stderr=not elsewhere) as bars:
            yield Bars(bars)
