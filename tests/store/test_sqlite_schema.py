"""Bringing a SQLite file to this version's schema."""

import re
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from postroom.domain.errors import StoreError, Unavailable
from postroom.store.sqlite_schema import migrate
from postroom.store.steps import JOURNAL, Migration, known
from tests.support.clock import NOON, MovingClock

CLOCK = MovingClock()
# As version 0.1 wrote it.
FIRST_JOURNAL = """
    CREATE TABLE IF NOT EXISTS migrations (
        number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL
    ) STRICT
"""


def schema(path: Path) -> list[tuple[str, ...]]:
    """Everything that the file holds, as it was declared."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(
            connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
        )
    finally:
        connection.close()


def spoken(declared: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The same without the white space, which a column added later does not keep."""
    return [(*row[:3], re.sub(r"\s+", "", row[3] or "")) for row in declared]


def journal(path: Path) -> list[tuple[int, str, int]]:
    """The migrations that the file says it has had."""
    connection = apsw.Connection(str(path))
    try:
        return list(connection.execute("SELECT number, name, applied_at FROM migrations ORDER BY number"))
    finally:
        connection.close()


def older_file(path: Path, steps: Sequence[Migration]) -> None:
    """A file as the version left it that knew only these steps; the first one kept a shorter journal."""
    connection = apsw.Connection(str(path))
    connection.execute(FIRST_JOURNAL if len(steps) == 1 else JOURNAL)
    for step in steps:
        connection.execute(step.sql)
        values = step.number, step.name, 1, step.oldest
        marks = ", ".join("?" * (3 if len(steps) == 1 else 4))
        connection.execute(f"INSERT INTO migrations VALUES ({marks})", values[: marks.count("?")])
    connection.close()


def changed(path: Path, sql: str) -> bytes:
    """The file's content after somebody ran this SQL on it."""
    connection = apsw.Connection(str(path))
    connection.execute(sql)
    connection.close()
    return path.read_bytes()


@pytest.mark.parametrize("had", range(len(known()) + 1))
def test_fresh_equals_upgraded(tmp_path: Path, had: int) -> None:
    """A file that had the first steps long ago and gets the others now ends as a new file does."""
    fresh, upgraded = tmp_path / "fresh.db", tmp_path / "upgraded.db"
    assert tuple(migrate(fresh, CLOCK)) == known()
    older_file(upgraded, known()[:had])
    assert tuple(migrate(upgraded, CLOCK)) == known()[had:]
    assert spoken(schema(upgraded)) == spoken(schema(fresh))
    assert [row[:2] for row in journal(upgraded)] == [row[:2] for row in journal(fresh)]


def test_one_step_at_a_time_equals_all_at_once(tmp_path: Path) -> None:
    """However many versions lie between, nothing depends on applying them together."""
    fresh, stepwise = tmp_path / "fresh.db", tmp_path / "stepwise.db"
    migrate(fresh, CLOCK)
    for step in known():
        changed(stepwise, step.sql)
    assert [row for row in schema(fresh) if row[2] != "migrations"] == schema(stepwise)


def test_migrating_again_changes_nothing(tmp_path: Path) -> None:
    """A start on a database of this version applies nothing, and asks nobody."""
    path = tmp_path / "postroom.db"
    migrate(path, CLOCK)
    before = path.read_bytes()
    assert migrate(path, CLOCK, refuse) == []
    assert path.read_bytes() == before
    assert {at for _, _, at in journal(path)} == {NOON}


def refuse() -> None:
    raise StoreError("not now")


def test_whoever_may_not_change_the_schema_is_asked_first(tmp_path: Path) -> None:
    """Beside a server an existing schema is left alone; a new file is nobody's."""
    older_file(tmp_path / "old.db", known()[:1])
    with pytest.raises(StoreError, match="not now"):
        migrate(tmp_path / "old.db", CLOCK, refuse)
    assert len(journal(tmp_path / "old.db")) == 1
    assert tuple(migrate(tmp_path / "new.db", CLOCK, refuse)) == known()


def test_a_newer_database_is_refused_and_untouched(tmp_path: Path) -> None:
    """The sentence names both versions, and no byte of the file changes."""
    path, newer = tmp_path / "postroom.db", len(known()) + 1
    migrate(path, CLOCK)
    before = changed(path, f"INSERT INTO migrations VALUES ({newer}, 'of_the_future', 1, {newer})")
    with pytest.raises(StoreError, match=rf"newer Postroom .*schema.* {newer},.* knows {newer - 1}\b"):
        migrate(path, CLOCK)
    assert path.read_bytes() == before
    assert sorted(found.name for found in tmp_path.iterdir()) == ["postroom.db"]


def test_a_newer_database_that_this_version_can_work_with_is_left_as_it_is(tmp_path: Path) -> None:
    """A rolling upgrade: the newer program has changed the schema, and this one is started once more."""
    path, newer = tmp_path / "postroom.db", len(known()) + 1
    migrate(path, CLOCK)
    before = changed(path, f"INSERT INTO migrations VALUES ({newer}, 'of_the_future', 1, {newer - 1})")
    assert migrate(path, CLOCK, refuse) == []
    assert path.read_bytes() == before


@pytest.mark.parametrize("content", [b"no database " * 1_000, b"SQLite format 3\x00" + b"\xff" * 5_000])
def test_what_is_no_database_is_refused_and_untouched(tmp_path: Path, content: bytes) -> None:
    """Another file of that name is left as it is."""
    path = tmp_path / "postroom.db"
    path.write_bytes(content)
    with pytest.raises(StoreError, match="the database cannot be used"):
        migrate(path, CLOCK)
    assert path.read_bytes() == content


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """Nothing is made where the data directory is missing."""
    with pytest.raises(StoreError, match="the database cannot be used"):
        migrate(tmp_path / "missing" / "postroom.db", CLOCK)


def test_a_step_that_fails_leaves_the_schema_as_it_was(tmp_path: Path) -> None:
    """A file with a table of ours that we did not make: the step is undone as a whole."""
    path = tmp_path / "postroom.db"
    changed(path, "CREATE TABLE usage_events (mine)")
    before = schema(path)
    with pytest.raises(apsw.SQLError, match="usage_events"):
        migrate(path, CLOCK)
    assert schema(path) == before


def test_a_file_that_is_being_written_is_waited_for(tmp_path: Path) -> None:
    """A lock that is not given up in time is answered with Unavailable, and nothing is changed."""
    path = tmp_path / "postroom.db"
    changed(path, "PRAGMA journal_mode = WAL")
    holder = apsw.Connection(str(path))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable):
        migrate(path, CLOCK)
    holder.execute("COMMIT")
    holder.close()
    assert schema(path) == []


@pytest.mark.parametrize("attempt", range(8))
def test_two_that_start_at_once_apply_each_step_once(tmp_path: Path, attempt: int) -> None:
    """A server and a command on the same new file: one applies, the other waits and finds it done."""
    path, barrier = tmp_path / "postroom.db", threading.Barrier(2)

    def start() -> list[int]:
        barrier.wait()
        return [step.number for step in migrate(path, CLOCK)]

    with ThreadPoolExecutor(2) as threads:
        both = [threads.submit(start) for _ in range(2)]
        applied = [number for one in both for number in one.result()]
    assert sorted(applied) == [step.number for step in known()]
    assert [number for number, _, _ in journal(path)] == sorted(applied)
    assert mode(path) == "wal"


def mode(path: Path) -> str:
    """The journal mode that the file itself asks for."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return str(connection.pragma("journal_mode"))
    finally:
        connection.close()
