"""Tables: rich on a terminal, aligned text in a pipe."""

import sys

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figure
from bench.machine import Machine

COLUMNS = ("work", "database", "figure", "limit", "ratio", "aim", "met", "note")
RIGHT = {"figure", "limit", "ratio"}


def machine(described: Machine) -> None:
    """What was measured on."""
    for name, value in msgspec.structs.asdict(described).items():
        if value:
            print(f"{name:<10} {value}")


def figures(title: str, lines: list[Figure]) -> None:
    """One benchmark."""
    shown = [name for name in COLUMNS if name != "database" or any(line.database for line in lines)]
    rows = [tuple(_row(line)[name] for name in shown) for line in lines]
    if sys.stdout.isatty():
        _rich(title, shown, rows)
    else:
        _plain(title, shown, rows)


def closing(results: dict[str, list[Figure]], failed: list[str], seconds: float) -> None:
    """How many aims are met."""
    judged = [line for lines in results.values() for line in lines if line.met is not None]
    met = sum(bool(line.met) for line in judged)
    print(f"\n{met} of {len(judged)} aims met, in {seconds:.0f} s")
    if failed:
        print(f"not measured: {', '.join(failed)}")


def _row(line: Figure) -> dict[str, str]:
    return {
        "work": line.work,
        "database": line.database,
        "figure": f"{_number(line.value)} {line.unit}",
        "limit": "" if line.limit is None else _number(line.limit),
        "ratio": "" if line.ratio is None else f"{line.ratio:.2f}",
        "aim": line.aim,
        "met": {True: "yes", False: "NO", None: ""}[line.met],
        "note": line.note,
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _rich(title: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in RIGHT else "left")
    for row in rows:
        table.add_row(*row, style="red" if "NO" in row else "")
    Console().print(table)


def _plain(title: str, columns: list[str], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    print(f"\n{title}")
    for row in (tuple(columns), *rows):
        cells = (
            cell.rjust(width) if column in RIGHT else cell.ljust(width)
            for column, cell, width in zip(columns, row, widths, strict=True)
        )
        print("  ".join(cells).rstrip(), flush=True)
