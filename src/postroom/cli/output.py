"""What commands print: tables and colours on a terminal, lines with tabs in a pipe, or JSON."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from postroom.domain.clock import SECOND

_UNBOUND = 100_000  # characters


def on_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout is not None and sys.stdout.isatty()


def show_json(value: object, *, in_one_line: bool = False) -> None:
    """One JSON document, in UTF-8 whatever the locale says."""
    text = msgspec.json.encode(value)
    sys.stdout.flush()
    sys.stdout.buffer.write((text if in_one_line else msgspec.json.format(text, indent=2)) + b"\n")
    sys.stdout.flush()


def show_table(headings: Sequence[str], rows: Sequence[Sequence[object]], nothing: str) -> None:
    """Rows; in a pipe without the headings. `nothing` is what a person reads where there are none."""
    cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
    if not on_terminal():
        for row in cells:
            print("\t".join(row))
    elif cells:
        _draw(headings, cells)
    else:
        print(nothing)


def show_fields(fields: Mapping[str, object], remark: str = "") -> None:
    """One thing, a line for each field; `remark` is for people only."""
    width = max(map(len, fields)) if on_terminal() else 0
    for name, value in fields.items():
        gap = " " * (width + 2 - len(name)) if width else "\t"
        print(f"{name}{gap}{printable(str(value))}")
    if remark and on_terminal():
        print(f"\n{remark}")


def say(sentence: str, plain: str | None = None) -> None:
    """A sentence; in a pipe `plain`, where there is such."""
    print(sentence if plain is None or on_terminal() else plain)


def styled(*parts: tuple[str, str]) -> None:
    """A line of (text, style) in colours."""
    from rich.console import Console
    from rich.text import Text

    Console(highlight=False).print(Text.assemble(*parts), soft_wrap=True)
    sys.stdout.flush()


def moment(at: int | None) -> str:
    """A time given in ms, in UTC."""
    if at is None:
        return "never"
    text = datetime.fromtimestamp(at / SECOND, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def printable(text: str) -> str:
    """The text in one line, unable to steer a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _draw(headings: Sequence[str], rows: list[list[str]]) -> None:
    """Nothing is cut or folded, so that ids can be copied: a terminal breaks lines that are too long."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for heading, *column in zip(headings, *rows, strict=True):
        numbers = all(cell.isdecimal() for cell in column)
        table.add_column(heading, justify="right" if numbers else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    Console(width=_UNBOUND).print(table)
