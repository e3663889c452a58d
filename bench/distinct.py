"""The same totals by counting the facts for each answer, in SQLite and in DuckDB.

Its own process: a Job in JSON on stdin, a Counted on stdout. Both have the facts in a table without anything
else in it, by time, and an index on the day in SQLite; what is measured is the query alone.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import duckdb
import msgspec

from bench import activity
from postroom.domain.clock import DAY

ROUNDS = 3
TABLE = """CREATE TABLE facts (
    day INTEGER, person INTEGER, space INTEGER, direct INTEGER, client INTEGER, files INTEGER, bytes INTEGER
)"""
QUERY = """
    SELECT day, count(*), count(DISTINCT person), count(DISTINCT CASE WHEN direct = 0 THEN space END),
        count(DISTINCT CASE WHEN direct = 1 THEN space END), sum(CASE WHEN client = 1 THEN 1 ELSE 0 END),
        sum(CASE WHEN client = 2 THEN 1 ELSE 0 END), sum(files), sum(bytes)
    FROM facts WHERE day BETWEEN {first} AND {last} GROUP BY day ORDER BY day
"""


class Counted(msgspec.Struct, frozen=True):
    """Seconds for one answer, of each round."""

    sqlite: list[float]
    duckdb: list[float]


def count(job: activity.Job) -> Counted:
    """Both, over all the days of the facts."""
    query = QUERY.format(first=job.until - job.days, last=job.until - 1)
    with tempfile.TemporaryDirectory(prefix="postroom-bench-") as folder:
        file = Path(folder) / "facts.csv"
        with file.open("w") as lines:
            for row in _rows(job):
                lines.write(",".join(map(str, row)) + "\n")
        return Counted(_sqlite(Path(folder), job, query), _duckdb(file, query))


def _rows(job: activity.Job) -> Iterator[tuple[int, ...]]:
    for fact in activity.facts(job):
        person, space = int(fact.person[2:]), int(fact.space[2:])
        day = fact.at // DAY
        yield day, person, space, int(fact.direct), int(fact.client), fact.files, fact.file_bytes


def _sqlite(folder: Path, job: activity.Job, query: str) -> list[float]:
    connection = apsw.Connection(str(folder / "facts.db"))
    connection.execute(TABLE)
    with connection:
        connection.executemany("INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?)", _rows(job))
        connection.execute("CREATE INDEX facts_by_day ON facts (day)")
    return _timed(lambda: list(connection.execute(query)))


def _duckdb(file: Path, query: str) -> list[float]:
    connection = duckdb.connect()
    connection.execute(TABLE)
    connection.execute(f"COPY facts FROM '{file}' (HEADER false)")
    return _timed(lambda: connection.execute(query).fetchall())


def _timed(work: Callable[[], Any]) -> list[float]:
    took = []
    for _ in range(ROUNDS):
        begin = time.perf_counter()
        work()
        took.append(time.perf_counter() - begin)
    return took


def main() -> None:
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=activity.Job)
    sys.stdout.buffer.write(msgspec.json.encode(count(job)))


if __name__ == "__main__":
    main()
