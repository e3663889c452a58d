"""The named queries: read once from sql/, looked up by name.

A query stands under a line `-- name: what it is for`. Parameters are `$1`, `$2`, ... in every dialect;
a file `NOUN.DIALECT.sql` overrides single queries of `NOUN.sql` for that database.

An `IN (SELECT ...)` that stands on lines of its own becomes `= ANY (ARRAY (SELECT ...))` for PostgreSQL:
while that has no statistics of a table, it would run the subquery once for each row that it compares.
"""

import re
from functools import cache
from importlib import resources

from postroom.domain.errors import StoreError

_HEADING = re.compile(r"^-- (?P<name>[a-z_]+): .+$", re.MULTILINE)
_SOME = re.compile(r"\bIN \(\n(?P<query>.*?)\n\)", re.DOTALL)


@cache
def load(dialect: str) -> dict[str, str]:
    """Every query by its name, as `dialect` ('sqlite', 'postgres') wants it."""
    common: dict[str, str] = {}
    overrides: dict[str, str] = {}
    for file in sorted(resources.files("postroom.store").joinpath("sql").iterdir(), key=lambda f: f.name):
        if file.name.endswith(f".{dialect}.sql"):
            _add(overrides, file.name, file.read_text("utf-8"))
        elif file.name.count(".") == 1 and file.name.endswith(".sql"):
            _add(common, file.name, file.read_text("utf-8"))
    chosen = common | overrides
    if dialect == "postgres":
        return {name: _SOME.sub(r"= ANY (ARRAY (\n\g<query>\n))", sql) for name, sql in chosen.items()}
    return chosen


def _add(queries: dict[str, str], file: str, text: str) -> None:
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        name = heading["name"]
        if name in queries:
            raise StoreError(f"{file}: the query {name} stands there twice")
        queries[name] = text[heading.end() : end].strip().rstrip(";")
