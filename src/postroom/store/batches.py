"""Turns a query for one row of parameters into one statement for many.

`UPDATE t SET a = $2 WHERE id = $1` becomes `UPDATE t SET a = given.p2 FROM unnest($1::..., $2::...) AS
given (p1, p2) WHERE id = given.p1`, so that a database behind a network is asked once.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

_PARAMETER = re.compile(r"\$(\d+)")
_PLACE = re.compile(r"\?(\d+)")
_WORD = re.compile(r"[A-Za-z_]+|[()]|'[^']*'")
_INSERT = re.compile(r"INSERT INTO (\w+)")
_ANSWERED = re.compile(
    r"INSERT INTO \w+\s*\((?P<columns>[^()]*)\)\s*VALUES \((?P<given>[^()]*)\)"
    r"\s*ON CONFLICT\b.*\bRETURNING (?P<answered>[\w, ]+)",
    re.DOTALL,
)
_JOINED = {"SELECT": "CROSS JOIN", "UPDATE": "FROM", "DELETE": "USING"}


class Part(NamedTuple):
    """A query that is a part of a statement, with the types of its parameters.

    For one row they are values, which cost both sides less than the arrays that they are for `many`. Of an
    INSERT of many rows, those with the numbers `same`, never all, are values too: of every row.
    """

    sql: str
    types: Sequence[str]
    many: bool
    same: Sequence[int] = ()


def batched(sql: str, types: Sequence[str], first: int = 1) -> str:
    """The statement for many rows; its parameters are arrays of these types, one for each of the old ones.

    `sql` is an INSERT with VALUES, or a SELECT, UPDATE or DELETE with a WHERE and without a LIMIT. The
    parameters are numbered from `first` on.
    """
    verb = sql.split(None, 1)[0].upper()
    if verb == "INSERT":
        return _insert(Part(sql, types, many=True), first)
    text = _PARAMETER.sub(r"given.p\1", sql)
    where = _last(text, "WHERE")
    return f"{text[:where]}{_JOINED[verb]} {_rows(types, first)} {text[where:]}"


def joined(inserts: Sequence[Part], required: Sequence[Part] = ()) -> str:
    """One statement that does what several INSERTs do.

    They must be into different tables: none sees what the others insert, but their references are checked
    when all of them are done. Of the queries that are `required`, whose parameters come first and which may
    also write, each is to answer a row for each row of parameters; else the statement divides by zero.
    """
    first, parts, conditions = 1, list[str](), list[str]()
    for number, part in enumerate(required, 1):
        rows = f"cardinality(${first}::{part.types[0]}[])" if part.many else "1"
        parts.append(f"required{number} AS ({_query(part, first)})")
        conditions.append(f"1 / CAST((SELECT count(*) FROM required{number}) = {rows} AS INT) = 1")  # noqa: S608
        first += len(part.types)
    for number, part in enumerate(inserts[:-1], 1):
        parts.append(f"part{number} AS ({_insert(part, first)})")
        first += len(part.types)
    last = _insert(inserts[-1], first, " AND ".join(conditions))
    return f"WITH {', '.join(parts)} {last}" if parts else last


def _query(part: Part, first: int) -> str:
    """A query that answers rows, whose parameters are numbered from `first` on."""
    return batched(part.sql, part.types, first) if part.many else _typed(part.sql, part.types, first)


def _insert(part: Part, first: int, condition: str = "") -> str:
    """An INSERT whose parameters are numbered from `first` on, and which inserts nothing unless ..."""
    start, end = _values(part.sql)
    values = part.sql[start + len("VALUES") : end].strip()[1:-1]
    if part.many:
        typed = {number: f"${first + number - 1}::{part.types[number - 1]}" for number in part.same}
        chosen = _PARAMETER.sub(lambda found: typed.get(int(found[1]), f"given.p{found[1]}"), values)
        chosen += f" FROM {_rows(part.types, first, part.same)}"
    else:
        chosen = _typed(values, part.types, first)
    where = f" WHERE {condition}" if condition else ""
    return f"{part.sql[:start]}SELECT {chosen}{where}{part.sql[end:]}"


@cache
def repeated(sql: str, rows: int) -> str:
    """An INSERT with VALUES for so many rows, its parameters numbered row by row, as SQLite has them."""
    start, end = _values(sql)
    row = sql[start + len("VALUES") : end].strip()
    count = max(int(number) for number in _PLACE.findall(row))
    given = (_shifted(row, number * count) for number in range(rows))
    return f"{sql[:start]}VALUES {', '.join(given)}{sql[end:]}"


def plain_insert(sql: str) -> tuple[str, tuple[int, ...]] | None:
    """An INSERT that says what to do in conflicts, without that, and which of its parameters it answers.

    SQLite then ends it at the first row in conflict, and keeps those before. None for one that answers
    nothing, or something else than what it is given.
    """
    found = _ANSWERED.fullmatch(sql)
    if found is None:
        return None
    columns, given = (re.split(r",\s*", found[part].strip()) for part in ("columns", "given"))
    values = dict(zip(columns, given, strict=True))
    places = [_PLACE.fullmatch(values.get(column, "")) for column in re.split(r",\s*", found["answered"])]
    plain = sql[: found.end("given") + 1].replace("INSERT", "INSERT OR FAIL", 1)
    return (plain, tuple(int(place[1]) - 1 for place in places if place)) if all(places) else None


def _shifted(row: str, by: int) -> str:
    return _PLACE.sub(lambda place: f"?{int(place[1]) + by}", row)


def table_of_insert(sql: str) -> str | None:
    """The table that an INSERT with VALUES, and without an answer, is into; None for everything else."""
    found = _INSERT.match(sql)
    return found[1] if found and "RETURNING" not in sql and "VALUES" in sql else None


def _typed(sql: str, types: Sequence[str], first: int) -> str:
    typed = [f"${number}::{kind}" for number, kind in enumerate(types, first)]
    return _PARAMETER.sub(lambda found: typed[int(found[1]) - 1], sql)


def _rows(types: Sequence[str], first: int, same: Sequence[int] = ()) -> str:
    different = [(number, kind) for number, kind in enumerate(types, 1) if number not in same]
    arrays = ", ".join(f"${first + number - 1}::{kind}[]" for number, kind in different)
    names = ", ".join(f"p{number}" for number, _ in different)
    return f"unnest({arrays}) AS given ({names})"


def _words(sql: str) -> Iterator[tuple[str, int, int]]:
    """Each word and closing parenthesis outside of parentheses, with where it starts and ends."""
    depth = 0
    for found in _WORD.finditer(sql):
        if found[0] == "(":
            depth += 1
        elif found[0] == ")":
            depth -= 1
        if depth == 0:
            yield found[0].upper(), found.start(), found.end()


def _last(sql: str, word: str) -> int:
    return max(start for each, start, _ in _words(sql) if each == word)


def _values(sql: str) -> tuple[int, int]:
    """From the word VALUES to behind its closing parenthesis."""
    start = _last(sql, "VALUES")
    return start, next(end for each, begin, end in _words(sql) if each == ")" and begin > start)
