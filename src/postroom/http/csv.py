"""Tables as text/csv (RFC 4180), of numbers, marks, dates and names; those of sources may need quotes."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

_QUOTE = '"'
_SPECIAL = re.compile(r'[",\r\n]')


def table(columns: Mapping[str, Sequence[object]]) -> bytes:
    """A row of names, then one for each entry of the columns."""
    return _lines([columns, *zip(*columns.values(), strict=True)])


def record(value: Mapping[str, Any]) -> bytes:
    """A row of names and one of values; what is in an object has its name before its own, with a dot."""
    return table({name: [each] for name, each in _flat(value)})


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    for name, each in value.items():
        if isinstance(each, Mapping):
            yield from _flat(each, f"{before}{name}.")
        else:
            yield before + name, each


def _lines(rows: Iterable[Iterable[object]]) -> bytes:
    return "".join(f"{','.join(map(_cell, row))}\r\n" for row in rows).encode()


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = "" if value is None else str(value)
    return f'"{text.replace(_QUOTE, _QUOTE * 2)}"' if _SPECIAL.search(text) else text
