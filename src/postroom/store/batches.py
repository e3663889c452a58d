"""Turns a query for one row of parameters into one statement for many.

`UPDATE t SET a = $2 WHERE id = $1` becomes `UPDATE t SET a = given.p2 FROM unnest($1::..., $2::...) AS
given (p1, p2) WHERE id = given.p1`, so that a database behind a network is asked once.
"""

import re
from collections.abc import Iterator, Sequence

_PARAMETER = re.compile(r"\$(\d+)")
_WORD = re.compile(r"[A-Za-z_]+|[()]|'[^']*'")
_INSERT = re.compile(r"INSERT INTO (\w+)")
_JOINED = {"SELECT": "CROSS JOIN", "UPDATE": "FROM", "DELETE": "USING"}


def batched(sql: str, types: Sequence[str], first: int = 1) -> str:
    """The statement for many rows; its parameters are arrays of these types, one for each of the old ones.

    `sql` is an INSERT with VALUES, or a SELECT, UPDATE or DELETE with a WHERE and without a LIMIT. The
    parameters are numbered from `first` on.
    """
    verb = sql.split(None, 1)[0].upper()
    rows = _rows(types, first)
    if verb == "INSERT":
        start, end = _values(sql)
        inner = _PARAMETER.sub(r"given.p\1", sql[start + len("VALUES") : end].strip()[1:-1])
        return f"{sql[:start]}SELECT {inner} FROM {rows}{sql[end:]}"  # noqa: S608 - made of our own queries
    text = _PARAMETER.sub(r"given.p\1", sql)
    where = _last(text, "WHERE")
    return f"{text[:where]}{_JOINED[verb]} {rows} {text[where:]}"


def joined(inserts: Sequence[tuple[str, Sequence[str]]], required: str | None = None) -> str:
    """One statement that does what several INSERTs for many rows do; each has the types of its parameters.

    They must be into different tables: none sees what the others insert, but their references are checked
    when all of them are done. Where the query `required`, whose parameters come first, has no row, the
    statement divides by zero.
    """
    first = 1 + (len(set(_PARAMETER.findall(required))) if required else 0)
    texts = []
    for sql, types in inserts:
        texts.append(batched(sql, types, first))
        first += len(types)
    parts = [f"part{number} AS ({text})" for number, text in enumerate(texts[:-1], 1)]
    last = texts[-1]
    if required:
        parts.insert(0, f"required AS (SELECT 1 / count(*) AS met FROM ({required}) AS found)")  # noqa: S608
        last = _where(last, "(SELECT met FROM required) = 1")
    return f"WITH {', '.join(parts)} {last}" if parts else last


def _where(insert: str, condition: str) -> str:
    """An INSERT from `given` rows, with a condition."""
    end = insert.index(")", insert.index(" AS given (")) + 1
    return f"{insert[:end]} WHERE {condition}{insert[end:]}"


def table_of_insert(sql: str) -> str | None:
    """The table that an INSERT with VALUES, and without an answer, is into; None for everything else."""
    found = _INSERT.match(sql)
    return found[1] if found and "RETURNING" not in sql and "VALUES" in sql else None


def _rows(types: Sequence[str], first: int) -> str:
    arrays = ", ".join(f"${number}::{kind}[]" for number, kind in enumerate(types, first))
    names = ", ".join(f"p{number}" for number in range(1, len(types) + 1))
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
